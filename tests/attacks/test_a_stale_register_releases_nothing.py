"""Neither an old register nor a clock that somebody set back makes what is over count again."""

from pathlib import Path

import pytest

from firmware.consent.request_rules import RequestRefused, check_request
from firmware.system.clock import SystemClock
from firmware.transparency.follower import RegisterFollower
from tests.fakes.clock import ManualKernel
from tests.fakes.followers import Followers
from tests.fakes.log_town import CELL, DAY_MS, HOUR_MS, NOW_MS, Town, make_town


@pytest.fixture
def followers(tmp_path: Path) -> Followers:
    return Followers(tmp_path)


def refusal(town: Town, follower: RegisterFollower, digest: str, now_ms: int) -> str | None:
    """Return why the request doesn't count at that time."""
    try:
        check_request(digest, follower.facts(), now_ms=now_ms, cell=CELL, refused=frozenset())
    except RequestRefused as error:
        return error.reason
    return None


async def test_no_release_by_a_register_that_wasnt_read_for_more_than_an_hour(
    followers: Followers,
) -> None:
    town = make_town()
    digest = town.publish().request_digest
    follower = followers.of(town)
    await follower.read()
    assert refusal(town, follower, digest, NOW_MS + HOUR_MS) is None
    assert refusal(town, follower, digest, NOW_MS + HOUR_MS + 1) == "register"


async def test_one_liar_among_the_witnesses_makes_it_neither_fresher_nor_older(
    followers: Followers,
) -> None:
    town = make_town()
    town.publish()
    honest = town.register_log.note(at_ms=NOW_MS, by=["north", "east"])
    for lie_ms in (NOW_MS + 300 * DAY_MS, NOW_MS - 300 * DAY_MS):
        liar = town.register_log.note(at_ms=lie_ms, by=["south"])
        lie = liar.splitlines(keepends=True)[-1]
        town.register_log.checkpoint = honest + lie
        follower = followers.of(town)
        await follower.read()
        assert follower.facts().fresh_ms == NOW_MS
        facts = next(iter(follower.facts().requests.values()))
        assert facts.seen_ms == NOW_MS


@pytest.mark.parametrize("back_days", [1, 400])
async def test_a_clock_set_back_makes_no_expired_request_or_agreement_count(
    followers: Followers, back_days: int
) -> None:
    town = make_town()
    digest = town.publish().request_digest
    town.wind(days=400)  # the agreement is over, the request as well
    kernel = ManualKernel(wall_ms=town.now_ms - back_days * DAY_MS)
    kernel.synchronise()  # NTP lies
    clock = SystemClock(kernel=kernel)
    assert clock.is_trusted()
    follower = followers.of(town)
    follower.witnessed.add(clock.note_witnessed)
    await follower.read()
    assert not clock.is_trusted()
    assert refusal(town, follower, digest, clock.wall_ms()) is not None
    kernel.wall = town.now_ms
    kernel.synchronise()
    assert clock.is_trusted()


async def test_a_clock_set_back_is_found_out_by_what_the_card_has(followers: Followers) -> None:
    town = make_town()
    town.wind(days=2)
    await followers.of(town).read()
    kernel = ManualKernel(wall_ms=NOW_MS)
    kernel.synchronise()
    clock = SystemClock(kernel=kernel, is_host_time_trusted=True)
    follower = followers.of(town)
    follower.witnessed.add(clock.note_witnessed)
    await follower.start()  # nothing is served: only what the card has
    assert not clock.is_trusted()


async def test_a_clock_set_ahead_makes_no_young_key_old_enough(followers: Followers) -> None:
    town = make_town(age_days=0)
    digest = town.publish().request_digest
    follower = followers.of(town)
    await follower.read()
    assert refusal(town, follower, digest, NOW_MS) == "agreement"
    assert refusal(town, follower, digest, NOW_MS + 8 * DAY_MS) == "register"
