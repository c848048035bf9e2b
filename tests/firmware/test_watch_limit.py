"""A player without the right `record` doesn't become a recorder."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.companion.viewer.errors import RelayRefused
from firmware.live.errors import LiveError
from firmware.live.signature_checks import Who
from firmware.live.watch_limit import MAX_SPANS, MOST_S, WINDOW_S, WatchLimit
from firmware.protocol.rights import Holder, Right, What
from tests.fakes.home_gateway import a_players_offer, at_home
from tests.fakes.waiting import in_time


def somebody(holder: Holder, *what: What) -> Who:
    right = Right(holder=holder, what=list(what), from_ms=0, until_ms=None)
    return Who(browser="b" * 20, name="Hall", browser_name="Hall", right=right)


PLAYER = somebody("player", "live", "rings")


def test_a_player_watches_for_twenty_minutes_in_an_hour() -> None:
    limit = WatchLimit()
    limit.began(PLAYER, "one", 0.0)
    limit.check(PLAYER, MOST_S - 1)
    with pytest.raises(LiveError, match="20 minutes"):
        limit.check(PLAYER, MOST_S)
    limit.ended(PLAYER, "one", MOST_S)
    with pytest.raises(LiveError):
        limit.check(PLAYER, WINDOW_S)
    limit.check(PLAYER, WINDOW_S + 1)


@pytest.mark.parametrize(
    "who", [somebody("owner", "history", "live", "rings"), somebody("guest", "live"),
            somebody("player", "live", "record")],
)  # fmt: skip
def test_owners_guests_and_recorders_are_not_limited(who: Who) -> None:
    limit = WatchLimit()
    limit.began(who, "one", 0.0)
    limit.check(who, 10 * WINDOW_S)


@given(st.lists(st.tuples(st.floats(0, 900), st.floats(0, 300)), max_size=3 * MAX_SPANS))
def test_many_short_looks_count_at_least_as_long_as_they_took(looks: list) -> None:
    limit, now_s, true_spans = WatchLimit(), 0.0, []
    for pause_s, look_s in looks:
        now_s += pause_s
        limit.began(PLAYER, "one", now_s)
        true_spans.append((now_s, now_s + look_s))
        now_s += look_s
        limit.ended(PLAYER, "one", now_s)
    since_s = now_s - WINDOW_S
    true_s = sum(max(0.0, end_s - max(begin_s, since_s)) for begin_s, end_s in true_spans)
    if true_s >= MOST_S:
        with pytest.raises(LiveError):
            limit.check(PLAYER, now_s)


async def test_the_doorbell_refuses_a_player_that_watched_too_long_and_lets_a_recorder_go_on() -> (
    None
):
    async with at_home() as at, a_players_offer() as peer:
        who = at.here.checks.who(at.keys.public.id)
        limit, now_s = at.here.live.watch_limit, time.monotonic()
        limit.began(who, "before", now_s - MOST_S)
        limit.ended(who, "before", now_s)
        at.home.touch()
        with pytest.raises(RelayRefused, match="recording is another right"):
            await in_time(at.home.open(peer.localDescription.sdp))
        at.give("live", "record", "rings")
        opened = await in_time(at.home.open(peer.localDescription.sdp))
        assert "m=video" in opened.sdp
