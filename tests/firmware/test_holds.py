"""Clips that an owner holds, or that a grant waits for, aren't overwritten (R12)."""

from collections.abc import AsyncIterator

import pytest

from firmware.decisions.holds import UNKNOWN_MS
from firmware.protocol.decisions import MAX_HOLD_MS, Hold, Unhold
from firmware.store.household import HeldTime
from tests.fakes.consent_world import NOW_MS
from tests.fakes.intake import DeskRig, desk_rig, digest_of


@pytest.fixture
async def rig(tmp_path) -> AsyncIterator[DeskRig]:
    async with desk_rig(tmp_path) as rig:
        rig.desk()
        yield rig


def is_held(rig: DeskRig) -> bool:
    rig.holding.apply()
    return rig.library.finished()[0].is_held


def hold(rig: DeskRig, from_ms: int, to_ms: int, *, until_ms: int = NOW_MS + 1000) -> None:
    held = HeldTime(digest="ab" * 32, from_ms=from_ms, to_ms=to_ms, until_ms=until_ms)
    rig.household.add_hold(held)


def test_nothing_is_held_without_a_reason(rig):
    assert not is_held(rig)


@pytest.mark.parametrize(
    ("from_off", "to_off", "expected"),
    [(0, 1, True), (-1000, 0, False), (-1000, 1, True)],
)
def test_a_hold_covers_every_clip_that_it_touches(rig, from_off, to_off, expected):
    clip = rig.library.finished()[0]
    hold(rig, clip.started_ms + from_off, clip.started_ms + to_off)
    assert is_held(rig) is expected


@pytest.mark.parametrize(("off_ms", "expected"), [(-1, True), (0, False)])
def test_a_clip_that_ended_before_the_hold_begins_is_not_held(rig, off_ms, expected):
    clip = rig.library.finished()[0]
    hold(rig, clip.ended_ms + off_ms, clip.ended_ms + 5000)
    assert is_held(rig) is expected


def test_a_hold_that_is_over_ends(rig):
    clip = rig.library.finished()[0]
    hold(rig, clip.started_ms, clip.ended_ms)
    assert is_held(rig)
    rig.now_ms += 999
    assert is_held(rig)
    rig.now_ms += 1
    assert not is_held(rig)
    assert rig.household.holds() == []


def test_by_a_wrong_clock_no_hold_is_over(rig):
    clip = rig.library.finished()[0]
    hold(rig, clip.started_ms, clip.ended_ms)
    rig.now_ms += MAX_HOLD_MS
    rig.is_time_known = False
    assert is_held(rig)


async def test_a_hold_made_while_the_time_was_unknown_has_its_14_days_once_it_is_known(rig):
    """Seen to fail with `until_ms` taken from the clock whether it is trusted or not."""
    clip, desk = rig.library.finished()[0], rig.desk()
    rig.is_time_known, right_ms = False, rig.now_ms
    rig.now_ms = 1000
    terms = Hold(from_ms=clip.started_ms, to_ms=clip.ended_ms)
    await desk.on_statement(rig.seal(rig.sign_at(terms, right_ms)))
    assert [one.until_ms for one in rig.household.holds()] == [UNKNOWN_MS]
    rig.is_time_known, rig.now_ms = True, right_ms
    assert is_held(rig)
    assert [one.until_ms for one in rig.household.holds()] == [right_ms + MAX_HOLD_MS]
    rig.now_ms += MAX_HOLD_MS
    assert not is_held(rig)


async def test_what_a_grant_waits_for_is_held_until_it_is_done(rig):
    desk = rig.desk()
    digest = await rig.ask(desk, rig.sign())
    assert is_held(rig)
    assert await desk.confirm(digest) is None
    rig.wind(minutes=20)
    assert is_held(rig), "it is confirmed, and waits for the log"
    await rig.log_release(desk)
    assert not is_held(rig)


async def test_what_nobody_confirmed_in_time_is_held_no_more(rig):
    await rig.ask(rig.desk(), rig.sign())
    rig.wind(minutes=10)
    assert not is_held(rig)


async def test_what_waits_and_names_no_clip_holds_none(rig):
    await rig.ask(rig.desk(), rig.sign(rig.newcomer()))
    assert not is_held(rig)


async def test_two_holds_end_each_by_itself(rig):
    clip, desk = rig.library.finished()[0], rig.desk()
    first = rig.sign(Hold(from_ms=clip.started_ms, to_ms=clip.ended_ms))
    second = rig.sign(Hold(from_ms=clip.started_ms, to_ms=clip.ended_ms))
    for signed in (first, second):
        await desk.on_statement(rig.seal(signed))
    await desk.on_statement(rig.seal(rig.sign(Unhold(hold_digest=digest_of(first)))))
    assert is_held(rig)
    await desk.on_statement(rig.seal(rig.sign(Unhold(hold_digest=digest_of(second)))))
    assert not is_held(rig)
