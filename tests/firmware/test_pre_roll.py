"""Each clip has its whole pre-roll: after presses and motion, at every rate, on a busy machine too.

On simulated time (`tests.fakes.simulated_door`). The scripted detector knows of a movement as late
as the settings allow; the real one judges drawn pictures.
"""

import random
from pathlib import Path

import numpy as np
import pytest

from firmware.capture.camera_output import TICKS_PER_S, LumaFrame
from firmware.clips.ring import LONGEST_GOP_S, SLACK_S
from firmware.config.motion_delay import GROWTH_S, dated_back_s, latest_verdict_s
from firmware.config.settings import Config, MotionConfig
from firmware.motion.detector import MotionDetector, Movement
from tests.fakes.simulated_door import SimulatedDoor, running
from tests.faults.doorbells import seeded_dice

RATES = (60, 30, 15, 10, 7)
COUNT = 100
PRE_ROLL_90K = 6 * TICKS_PER_S
JUDGING_OF_FOUR_TIMES_TOO_SLOW_S = 4 * 0.1
"""Motion is judged ten times a second: a machine that is just fast enough takes 0.1 s."""
WIDTH, HEIGHT = 160, 120
FILLING_S = 25.0
IN_AN_HOUR = 25
"""Fewer than the motion watch allows."""


class LateDetector:
    """Knows of what moves only `late_s` after its first picture; implements `Detector`."""

    def __init__(self) -> None:
        self.late_s = MotionConfig().min_time_s
        self._began_90k: int | None = None
        self._known_90k = 0
        self.firsts_90k: list[int] = []

    @property
    def suspected_since_90k(self) -> int | None:
        return self._began_90k

    def look(self, frame: LumaFrame) -> Movement | None:
        if not frame.data[0]:
            self._began_90k = None
            return None
        if self._began_90k is None:
            self._began_90k = frame.pts_90k
            self._known_90k = frame.pts_90k + round(self.late_s * TICKS_PER_S)
            self.firsts_90k.append(frame.pts_90k)
        if frame.pts_90k < self._known_90k:
            return None
        return Movement(began_pts_90k=self._began_90k, at_pts_90k=frame.pts_90k)


def moving(pts_90k: int) -> LumaFrame:
    return LumaFrame(pts_90k=pts_90k, width=1, height=1, stride=1, data=b"\x01")


def still(pts_90k: int) -> LumaFrame:
    return LumaFrame(pts_90k=pts_90k, width=1, height=1, stride=1, data=b"\x00")


def assert_each_has_its_pre_roll(door: SimulatedDoor, count: int) -> None:
    pre_rolls_s = [
        min(mark.at_90k for mark in start.triggers) / TICKS_PER_S for start, _ in door.clips.begun
    ]
    short = [round(value, 2) for value in pre_rolls_s if value < 6.0]
    assert short == []
    assert len(pre_rolls_s) == count
    assert door.clips.keys == [True] * count
    least_ms = door.recorder.shortest_pre_roll_ms
    assert least_ms is not None
    assert least_ms >= 6_000


@pytest.mark.parametrize("judging_s", [0.05, JUDGING_OF_FOUR_TIMES_TOO_SLOW_S])
@pytest.mark.parametrize("fps", RATES)
async def test_a_hundred_motions_have_their_pre_roll(tmp_path: Path, fps: int, judging_s: float):
    dice = seeded_dice()
    detector = LateDetector()
    door = SimulatedDoor(
        tmp_path, fps=fps, judging_s=judging_s, make_detector=lambda _: detector, dice=dice
    )
    async with running(door):
        await many_motions(
            door, detector, dice, latest_s=MotionConfig().min_time_s + GROWTH_S - 0.6
        )
    assert_each_has_its_pre_roll(door, COUNT)
    begun_90k = [first + start.triggers[0].at_90k for start, first in door.clips.begun]
    assert begun_90k == detector.firsts_90k


async def many_motions(
    door: SimulatedDoor,
    detector: LateDetector,
    dice: random.Random,
    *,
    latest_s: float,
    least_s: float = 0.3,
    count: int = COUNT,
) -> None:
    """Let movements come as soon after each other as each may have its own clip, and later.

    Each is known with the first picture that is judged `least_s` to `latest_s` after its first.
    """
    for number in range(count):
        if number % IN_AN_HOUR == 0:
            door.leap(3600)
            await door.film(FILLING_S)
        detector.late_s = dice.uniform(least_s, latest_s)
        await door.film_judged(4.0, moving)
        await door.film_judged(0.3, still)
        await door.film(dice.choice((9.0, 10.0, 12.0)))


@pytest.mark.parametrize("late_s", [0.0, JUDGING_OF_FOUR_TIMES_TOO_SLOW_S])
@pytest.mark.parametrize("fps", RATES)
async def test_a_hundred_presses_have_their_pre_roll(tmp_path: Path, fps: int, late_s: float):
    dice = seeded_dice()
    door = SimulatedDoor(
        tmp_path, fps=fps, judging_s=0, make_detector=lambda _: LateDetector(), dice=dice
    )
    async with running(door):
        await door.film(FILLING_S)
        for _ in range(COUNT):
            await door.film(dice.uniform(7.5, 9.5))
            door.press(late_s=late_s)
    assert_each_has_its_pre_roll(door, COUNT)


@pytest.mark.parametrize("judging_s", [0.05, JUDGING_OF_FOUR_TIMES_TOO_SLOW_S])
@pytest.mark.parametrize("fps", [30, 7])
async def test_motion_that_is_known_only_after_a_press_has_its_pre_roll_in_the_presss_clip(
    tmp_path: Path, fps: int, judging_s: float
):
    dice, detector = seeded_dice(), LateDetector()
    door = SimulatedDoor(
        tmp_path, fps=fps, judging_s=judging_s, make_detector=lambda _: detector, dice=dice
    )
    async with running(door):
        for _ in range(10):
            door.leap(3600)
            await door.film(FILLING_S)
            detector.late_s = 2.2
            await door.film_judged(dice.uniform(0.5, 1.7), moving)
            door.press()
            await door.film_judged(3.0, moving)
            await door.film_judged(0.3, still)
            await door.film(20)
    assert door.clips.kinds == [["pressed", "motion"]] * 10
    assert min(door.clips.marks_90k) >= PRE_ROLL_90K


@pytest.mark.parametrize("back_s", [0.0, 0.5])
@pytest.mark.parametrize("silent_s", [20, 70])
async def test_a_press_after_the_camera_halted_while_something_moved_gets_no_old_pictures(
    tmp_path: Path, silent_s: float, back_s: float
):
    dice, detector = seeded_dice(), LateDetector()
    detector.late_s = 2.2
    door = SimulatedDoor(
        tmp_path, fps=10, judging_s=0.05, make_detector=lambda _: detector, dice=dice
    )
    async with running(door):
        await door.film(FILLING_S)
        await door.film_judged(1.0, moving)
        door.leap(silent_s)
        came_back_90k = door.now_90k
        await door.film(back_s)
        door.press()
        await door.film(2)
    ((_, begin_90k),) = door.clips.begun
    assert begin_90k >= came_back_90k


async def test_a_clip_after_a_gap_of_the_camera_is_no_short_pre_roll_for_want_of_memory(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    door = SimulatedDoor(
        tmp_path,
        fps=10,
        judging_s=0,
        make_detector=lambda _: LateDetector(),
        dice=seeded_dice(),
    )
    async with running(door):
        await door.film(FILLING_S)
        door.leap(30)
        await door.film(2)
        door.press()
        await door.film(20)
        assert door.clips.begun[0][0].pre_roll_90k < PRE_ROLL_90K
        assert door.recorder.shortest_pre_roll_ms is None
        await door.film(FILLING_S)
        door.press()
    assert door.recorder.shortest_pre_roll_ms is not None
    assert door.recorder.shortest_pre_roll_ms >= 6_000
    assert "ring_max_bytes" not in caplog.text


@pytest.mark.parametrize("fps", [30, 7])
async def test_who_walks_by_and_who_comes_nearer_are_recorded_from_before_their_first_picture(
    tmp_path: Path, fps: int
):
    dice = seeded_dice()
    street = DrawnStreet(dice.randrange(10**6))
    door = SimulatedDoor(
        tmp_path,
        fps=fps,
        judging_s=JUDGING_OF_FOUR_TIMES_TOO_SLOW_S,
        make_detector=MotionDetector,
        dice=dice,
    )
    firsts_90k = []
    async with running(door):
        await door.film(FILLING_S)
        for number in range(6):
            await door.film_judged(5, street.empty)
            firsts_90k.append(door.now_90k)
            street.come(door.now_90k, is_nearing=number % 2 == 1)
            await door.film_judged(4, street.picture)
            await door.film_judged(3, street.empty)
    assert_each_has_its_pre_roll(door, len(firsts_90k))
    for first_90k, (_, begin_90k) in zip(firsts_90k, door.clips.begun, strict=True):
        assert begin_90k <= first_90k - PRE_ROLL_90K + TICKS_PER_S  # too small at first


async def test_a_ring_that_keeps_no_more_than_the_least_time_of_motion_misses_seconds(
    tmp_path: Path,
):
    """What the ring kept before the time until a verdict was counted: `motion.min_time_s`."""
    dice, detector = random.Random(3), LateDetector()
    door = SimulatedDoor(
        tmp_path,
        fps=30,
        judging_s=JUDGING_OF_FOUR_TIMES_TOO_SLOW_S,
        make_detector=lambda _: detector,
        dice=dice,
        late_s=MotionConfig().min_time_s,
    )
    async with running(door):
        await many_motions(door, detector, dice, count=10, least_s=2.2, latest_s=2.2)
    short = [start for start, _ in door.clips.begun if start.pre_roll_90k < PRE_ROLL_90K]
    assert len(short) >= 5
    assert door.recorder.shortest_pre_roll_ms is not None
    assert door.recorder.shortest_pre_roll_ms < 6_000


async def test_what_moves_within_ten_seconds_of_an_event_is_in_its_clip(tmp_path: Path):
    detector = LateDetector()
    door = SimulatedDoor(
        tmp_path, fps=10, judging_s=0, make_detector=lambda _: detector, dice=random.Random(4)
    )
    async with running(door):
        await door.film(FILLING_S)
        await door.film_judged(0.6, moving)
        await door.film_judged(0.3, still)
        await door.film(6.5)
        await door.film_judged(1, moving)
        await door.film_judged(0.3, still)
        last_90k = door.now_90k
        await door.film(9)
    ((_, begin_90k),) = door.clips.begun
    assert begin_90k + door.clips.written_90k[0] >= last_90k + 5 * TICKS_PER_S
    assert len(door.told) == 1


async def test_a_movement_that_waits_for_the_hours_limit_is_dated_back_no_further_than_memory(
    tmp_path: Path,
):
    dice = random.Random(4)
    door = SimulatedDoor(
        tmp_path, fps=10, judging_s=0.05, make_detector=lambda _: LateDetector(), dice=dice
    )
    async with running(door):
        await door.film(FILLING_S)
        for _ in range(31):  # one more than is told in an hour
            await door.film_judged(4, moving)
            await door.film_judged(0.3, still)
            await door.film(10)
        begun = len(door.clips.begun)
        door.leap(3600 - 35 * 14)
        await door.film(FILLING_S)
        await door.film_judged(320, moving)  # until fewer are left in the last hour
    assert begun == 30
    assert door.clips.begun[begun][0].pre_roll_90k >= PRE_ROLL_90K


async def test_the_ring_of_usual_settings_takes_three_megabytes(tmp_path: Path):
    config = Config(data_dir=tmp_path)
    kept_s = config.clips.pre_roll_s + latest_verdict_s(config.motion) + LONGEST_GOP_S + SLACK_S
    whole_s = kept_s + LONGEST_GOP_S  # of the oldest GOP, whose begin is older than that
    assert whole_s * config.camera.bitrate_bps / 8 < 3_400_000 < config.clips.ring_max_bytes


def test_without_motion_memory_keeps_nothing_for_it():
    off = MotionConfig(is_on=False)
    assert dated_back_s(off) == latest_verdict_s(off) == 0


class DrawnStreet:
    """Grainy grey pictures in which a square walks by, or grows as it comes nearer."""

    def __init__(self, seed: int) -> None:
        self._dice = np.random.default_rng(seed)
        self._came_90k = 0
        self._is_nearing = False

    def come(self, now_90k: int, *, is_nearing: bool) -> None:
        self._came_90k, self._is_nearing = now_90k, is_nearing

    def empty(self, pts_90k: int) -> LumaFrame:
        return self._frame(pts_90k, self._grain())

    def picture(self, pts_90k: int) -> LumaFrame:
        picture = self._grain()
        gone_s = (pts_90k - self._came_90k) / TICKS_PER_S
        side = round(6 + 8 * gone_s) if self._is_nearing else 24
        left = 60 if self._is_nearing else round(30 * gone_s)
        picture[40 : 40 + side, left : left + side] = 40 + round(20 * gone_s) % 20
        return self._frame(pts_90k, picture)

    def _grain(self) -> np.ndarray:
        return 110 + self._dice.normal(0, 1.5, (HEIGHT, WIDTH))

    def _frame(self, pts_90k: int, picture: np.ndarray) -> LumaFrame:
        data = np.clip(picture, 0, 255).astype(np.uint8).tobytes()
        return LumaFrame(pts_90k=pts_90k, width=WIDTH, height=HEIGHT, stride=WIDTH, data=data)
