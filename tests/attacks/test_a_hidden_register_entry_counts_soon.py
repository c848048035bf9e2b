"""A relay can't hide an entry of the register from one doorbell for longer than an hour."""

from pathlib import Path

import pytest

from firmware.consent.request_rules import RequestRefused, check_request
from firmware.transparency.errors import FollowError
from tests.fakes.followers import Followers
from tests.fakes.log_town import CELL, HOUR_MS, Town, make_town


@pytest.fixture
def followers(tmp_path: Path) -> Followers:
    return Followers(tmp_path)


def is_asked(town: Town, digest: str, facts: object) -> bool:
    """Tell whether the request counts at the doorbell now."""
    try:
        check_request(digest, facts, now_ms=town.now_ms, cell=CELL, refused=frozenset())  # type: ignore[arg-type]
    except RequestRefused:
        return False
    return True


@pytest.mark.parametrize("what", ["revocation", "withdrawal", "suspension"])
async def test_a_relay_that_serves_the_register_of_before_has_an_hour_at_most(
    followers: Followers, what: str
) -> None:
    town = make_town()
    signed = town.publish()
    digest = signed.request_digest
    follower = followers.of(town)
    await follower.read()
    assert is_asked(town, digest, follower.facts())
    served = town.copy()
    if what == "revocation":
        town.revoke(town.cosigner)
    elif what == "withdrawal":
        town.withdraw(signed)
    else:
        town.suspend()
    town.wind(ms=HOUR_MS)
    stale = followers.of(served)
    await stale.read()
    assert is_asked(town, digest, stale.facts()), "up to an hour: an honest limit"
    town.wind(ms=1)
    await stale.read()
    assert not is_asked(town, digest, stale.facts())


@pytest.mark.parametrize("what", ["revocation", "withdrawal", "suspension"])
async def test_an_entry_that_was_read_is_not_unread(followers: Followers, what: str) -> None:
    town = make_town()
    signed = town.publish()
    before = town.copy()
    if what == "revocation":
        town.revoke(town.cosigner)
    elif what == "withdrawal":
        town.withdraw(signed)
    else:
        town.suspend()
    await followers.of(town).read()
    before.cosign()
    follower = followers.of(before)
    with pytest.raises(FollowError):
        await follower.read()
    assert not is_asked(town, signed.request_digest, follower.facts())


async def test_entries_cant_be_left_out_of_a_checkpoint_that_holds_them(
    followers: Followers,
) -> None:
    town = make_town()
    signed = town.publish()
    town.revoke(town.cosigner)
    shorter = town.copy()
    shorter.register_log = town.register_log.fork(size=town.register_log.size - 1)
    shorter.register_log.checkpoint = town.register_log.checkpoint
    follower = followers.of(shorter)
    with pytest.raises(FollowError):
        await follower.read()
    assert not is_asked(town, signed.request_digest, follower.facts())
