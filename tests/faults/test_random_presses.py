"""A hundred presses at random moments of one long film: none misses its beginning or its end.

Presses come in quick succession and far apart, are told up to 0.4 s late, and the recorder stands
still now and then. The film plays as fast as this machine can; pictures and presses bear the
times of their own clock, which is what the recorder goes by. Its turns are the test's.
"""

import heapq
import random
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest

from firmware.capture.camera_output import TICKS_PER_S
from firmware.clips.record import ClipRecord
from firmware.config.settings import ClipsConfig
from firmware.protocol.encoding import new_id
from firmware.protocol.footage import ClipManifest, check_manifest
from tests.fakes.clock import ManualClock
from tests.fakes.recorder import RecordingRig, taking_turns
from tests.faults.doorbells import seeded_dice
from tests.faults.encoded_film import EncodedFilm, Picture
from tests.faults.named_units import name_of

pytestmark = pytest.mark.slow

PRESSES = 100
LIMITS = ClipsConfig()
PRE_ROLL_90K = round(LIMITS.pre_roll_s * TICKS_PER_S)
POST_ROLL_90K = round(LIMITS.post_roll_s * TICKS_PER_S)
LONGEST_S = 17.0
"""So short that many presses after one another need several clips."""
FIRST_PRESS_S = 9.0
ENCODER_S = (0.02, 0.08)
TOLD_AFTER_S = (0.0, 0.4)
STANDSTILL = 0.1
STANDSTILL_UNITS = 12
"""How often, and for how many pictures at most, nothing gets done."""


@dataclass(frozen=True, slots=True)
class Press:
    """A press, by the camera's clock: when it happened and when the recorder hears of it."""

    event_id: str
    at_90k: int
    told_90k: int


@dataclass(frozen=True, slots=True)
class Piece:
    """Clips that follow one another without a gap: the numbers of their pictures, in order."""

    numbers: list[int]


async def test_every_press_has_all_of_its_pre_roll_and_post_roll(tmp_path: Path) -> None:
    dice = seeded_dice()
    rig = RecordingRig(
        tmp_path,
        pre_roll_s=LIMITS.pre_roll_s,
        post_roll_s=LIMITS.post_roll_s,
        longest_s=LONGEST_S,
    )
    presses = list(random_presses(dice, rig.now_90k))
    seconds = (presses[-1].at_90k - rig.now_90k) / TICKS_PER_S + 2 * LIMITS.post_roll_s
    film = list(EncodedFilm(dice).play(rig.now_90k, seconds))
    async with taking_turns(rig):
        await play(rig, film, presses, dice)
    clips = rig.library.in_order()
    manifests = [check_manifest(clip.signed_manifest, rig.signer.spki) for clip in clips]
    numbers = [numbers_of(rig, clip) for clip in clips]
    assert_is_worth_it(manifests)
    assert [manifest.ended for manifest in manifests] == ["complete"] * len(clips)
    assert [manifest.lost_units for manifest in manifests] == [0] * len(clips)
    for press in presses:
        assert_is_marked(press, manifests, numbers, film)
        assert_is_whole(press, piece_of(press, manifests, numbers), film)


def random_presses(dice: random.Random, from_90k: int) -> Iterator[Press]:
    """Yield presses, most of them before the last one's clip has ended."""
    at_s = FIRST_PRESS_S
    for _ in range(PRESSES):
        at_90k = from_90k + round(at_s * TICKS_PER_S)
        told_90k = at_90k + round(dice.uniform(*TOLD_AFTER_S) * TICKS_PER_S)
        yield Press(new_id(), at_90k, told_90k)
        at_s += dice.uniform(0.02, 5) if dice.random() < 0.7 else dice.uniform(5, 25)


async def play(
    rig: RecordingRig, film: list[Picture], presses: list[Press], dice: random.Random
) -> None:
    """Let everything happen in the order of the clock, which is set to each moment."""
    assert isinstance(rig.clock, ManualClock)
    arrivals = (
        (picture.unit.pts_90k + round(dice.uniform(*ENCODER_S) * TICKS_PER_S), n)
        for n, picture in enumerate(film)
    )
    tellings = sorted((press.told_90k, n) for n, press in enumerate(presses))
    still_for = 0
    for kind, (at_90k, n) in heapq.merge(
        (("picture", arrival) for arrival in in_order(arrivals)),
        (("press", telling) for telling in tellings),
        key=lambda happening: happening[1][0],
    ):
        rig.clock.advance(max(0, at_90k - rig.now_90k) / TICKS_PER_S)
        if kind == "picture":
            rig.hub.put(film[n].unit)
            still_for -= 1
        else:
            rig.recorder.trigger(presses[n].event_id, "pressed", presses[n].at_90k)
        if still_for <= 0:
            rig.recorder.turn()
            still_for = dice.randint(1, STANDSTILL_UNITS) if dice.random() < STANDSTILL else 0


def in_order(arrivals: Iterator[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """An encoder hands on one picture after the other, however long each took."""
    last_90k = 0
    for at_90k, n in arrivals:
        last_90k = max(last_90k, at_90k)
        yield last_90k, n


def numbers_of(rig: RecordingRig, clip: ClipRecord) -> list[int]:
    return [int(name_of(u.data).rpartition("-")[2]) for u in rig.playback.units(clip)]


def assert_is_worth_it(manifests: list[ClipManifest]) -> None:
    """The presses met what they were to meet: clips of several presses, and joined clips."""
    assert len(manifests) > 5
    assert any(len(manifest.triggers) > 3 for manifest in manifests)
    assert any(manifest.pre_roll_90k == 0 for manifest in manifests)


def assert_is_marked(
    press: Press, manifests: list[ClipManifest], numbers: list[list[int]], film: list[Picture]
) -> None:
    """A manifest says when in its clip the press was.

    One that is told just after a clip was joined to the one before counts as that clip's 0.
    """
    marks = [
        (trigger.at_90k, film[own[0]].unit.pts_90k)
        for manifest, own in zip(manifests, numbers, strict=True)
        for trigger in manifest.triggers
        if trigger.event_id == press.event_id
    ]
    assert any(at_90k == max(0, press.at_90k - first_90k) for at_90k, first_90k in marks)


def piece_of(press: Press, manifests: list[ClipManifest], numbers: list[list[int]]) -> Piece:
    """Return the clip of a press, with what was joined to it before and after."""
    index = next(
        n
        for n, manifest in enumerate(manifests)
        if press.event_id in [trigger.event_id for trigger in manifest.triggers]
    )
    first = last = index
    while first > 0 and numbers[first - 1][-1] + 1 == numbers[first][0]:
        first -= 1
    while last + 1 < len(numbers) and numbers[last][-1] + 1 == numbers[last + 1][0]:
        last += 1
    return Piece([number for own in numbers[first : last + 1] for number in own])


def assert_is_whole(press: Press, piece: Piece, film: list[Picture]) -> None:
    pictures = [film[number] for number in piece.numbers]
    first, last = pictures[0].unit, pictures[-1].unit
    assert first.is_key
    assert first.pts_90k <= press.at_90k - PRE_ROLL_90K
    assert last.pts_90k >= press.at_90k + POST_ROLL_90K
    for sooner, later in pairwise(pictures):
        gap_90k = later.unit.pts_90k - sooner.unit.pts_90k
        assert 0 < gap_90k <= 1.5 * sooner.frame_90k
