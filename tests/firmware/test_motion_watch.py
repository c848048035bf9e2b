"""From what moves to what is told and recorded: once a movement, and never too often."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Literal

import pytest

from firmware.capture.camera_output import TICKS_PER_S, LumaFrame
from firmware.config.motion_delay import dated_back_s
from firmware.config.settings import MotionConfig
from firmware.motion.detector import Movement
from firmware.motion.watch import LEAST_PAUSE_S, MOST_PER_HOUR, Detector, MotionWatch
from firmware.protocol.zones import SeenMotion
from tests.fakes.handed_frames import HandedFrames
from tests.fakes.ownership import Owned

PAUSE_S = 6.0
DEVICE = "abcdefghijklmnop2345"


class ScriptedDetector:
    """Says that something moves in the frames whose times (s) are in `moving`."""

    def __init__(self, moving: Callable[[float], bool], zones: tuple[str, ...] = ()) -> None:
        self._moving = moving
        self._zones = zones
        self.looked: list[float] = []
        self.suspected_since_90k: int | None = None
        self.threads: set[int] = set()

    def look(self, frame: LumaFrame) -> Movement | None:
        at_s = frame.pts_90k / TICKS_PER_S
        self.looked.append(at_s)
        self.threads.add(threading.get_ident())
        if not self._moving(at_s):
            return None
        began = frame.pts_90k - round(0.3 * TICKS_PER_S)
        return Movement(began_pts_90k=began, at_pts_90k=frame.pts_90k, zones=self._zones)


class PatientDetector:
    """Says that all has moved since the beginning; implements `Detector`."""

    suspected_since_90k = 0

    def look(self, frame: LumaFrame) -> Movement | None:
        return Movement(began_pts_90k=0, at_pts_90k=frame.pts_90k)


class FailingDetector:
    """Can't judge anything; implements `Detector`."""

    suspected_since_90k = None

    def look(self, frame: LumaFrame) -> Movement | None:
        raise ValueError(frame.pts_90k)


@dataclass
class Recorded:
    """Takes what the recorder is told; implements `MotionRecorder`."""

    triggers: list[tuple[str, str, float]] = field(default_factory=list)
    extended: list[float] = field(default_factory=list)
    expected: list[float | None] = field(default_factory=list)

    def trigger(
        self, event_id: str, kind: Literal["pressed", "motion"], at_pts_90k: int
    ) -> str | None:
        self.triggers.append((event_id, kind, round(at_pts_90k / TICKS_PER_S, 3)))
        return None

    def expect(self, from_pts_90k: int | None) -> None:
        self.expected.append(None if from_pts_90k is None else from_pts_90k / TICKS_PER_S)

    def extend(self, at_pts_90k: int) -> str | None:
        self.extended.append(at_pts_90k / TICKS_PER_S)
        return None


@dataclass(frozen=True)
class ToldMotion:
    """Motion that was published, with the names of its zones."""

    id: str
    zones: tuple[str, ...]


class Rig:
    """A watch on the running loop, fed by `see`."""

    def __init__(
        self,
        moving: Callable[[float], bool],
        *,
        settings: MotionConfig | None = None,
        zones: tuple[str, ...] = (),
        has_owner: bool = True,
        presence: bool | None = None,
        make_detector: Callable[[MotionConfig], Detector] | None = None,
    ) -> None:
        self.detectors: list[ScriptedDetector] = []
        self.frames = HandedFrames()
        self.recorder = Recorded()
        self.told: list[ToldMotion] = []
        self.storms: list[bool] = []
        self.pictures: list[tuple[str, int, asyncio.Task[bool]]] = []
        self.owners = Owned(has_owner)
        self.is_present = presence
        self.may_tell = asyncio.Event()
        self.may_tell.set()
        self._moving, self._zones = moving, zones
        self.watch = MotionWatch(
            settings or MotionConfig(),
            frames=self.frames,
            recorder=self.recorder,
            owners=self.owners,
            events=self,
            pictures=self,
            sensor=self,
            pause_s=PAUSE_S,
            make_detector=make_detector or self._make,
        )
        self.watch.storms.add(self.storms.append)

    def presence(self) -> bool | None:
        return self.is_present

    def want(self, event_id: str, at_pts_90k: int, told: asyncio.Task[bool]) -> None:
        self.pictures.append((event_id, at_pts_90k, told))

    async def see(self, *times_s: float) -> None:
        """Let the watch judge a frame at each of these times."""
        for at_s in times_s:
            pts_90k = round(at_s * TICKS_PER_S)
            frame = LumaFrame(pts_90k=pts_90k, width=8, height=8, stride=8, data=bytes(64))
            await self.frames.hand(frame)

    def _make(self, _: MotionConfig) -> ScriptedDetector:
        self.detectors.append(ScriptedDetector(self._moving, self._zones))
        return self.detectors[-1]

    async def publish_motion(self, seen: SeenMotion, *, event_id: str) -> None:
        await self.may_tell.wait()
        self.told.append(ToldMotion(id=event_id, zones=tuple(seen.names)))


@asynccontextmanager
async def running(rig: Rig) -> AsyncIterator[Rig]:
    task = asyncio.create_task(rig.watch.run())
    try:
        yield rig
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_movement_is_told_once_and_triggers_a_clip_from_its_first_frame():
    async with running(Rig(lambda at_s: at_s >= 100, zones=("Path",))) as rig:
        await rig.see(99.9, 100.0, 100.1, 100.2)
    assert [told.zones for told in rig.told] == [("Path",)]
    assert rig.recorder.triggers == [(rig.told[0].id, "motion", 99.7)]


async def test_a_picture_is_wanted_of_each_movement_that_is_told():
    async with running(Rig(lambda at_s: at_s in (100, 100.1, 120))) as rig:
        await rig.see(100, 100.1, 120)
    assert [(id_, at / 90_000) for id_, at, _ in rig.pictures] == [
        (rig.told[0].id, 100),
        (rig.told[1].id, 120),
    ]
    assert all(told.result() for *_, told in rig.pictures)


async def test_motion_that_goes_on_prolongs_the_clip():
    async with running(Rig(lambda at_s: 100 <= at_s < 107)) as rig:
        await rig.see(100, 101, 106, 108, 109)
    assert rig.recorder.extended[-1] == max(rig.recorder.extended) == 106
    assert len(rig.told) == 1


async def test_a_clip_goes_on_for_ten_seconds_after_its_movement_was_told():
    async with running(Rig(lambda at_s: at_s == 100)) as rig:
        await rig.see(100, 101)
    assert rig.recorder.extended == [100 + LEAST_PAUSE_S - PAUSE_S]


async def test_motion_after_a_pause_shorter_than_the_post_roll_is_the_same_movement():
    async with running(Rig(lambda at_s: at_s in (100, 105, 110))) as rig:
        await rig.see(100, 105, 107, 110)
    assert len(rig.told) == 1


async def test_motion_after_a_longer_pause_is_another_movement():
    async with running(Rig(lambda at_s: at_s in (100, 111))) as rig:
        await rig.see(100, 103, 111)
    assert len(rig.told) == len(rig.recorder.triggers) == 2


async def test_what_moves_within_ten_seconds_belongs_to_the_event_and_its_clip():
    moving = (100, 100 + PAUSE_S + 0.5, 100 + LEAST_PAUSE_S + PAUSE_S)
    async with running(Rig(lambda at_s: at_s in moving)) as rig:
        await rig.see(*moving[:2])
        assert (len(rig.told), rig.recorder.extended[-1]) == (1, moving[1])
        await rig.see(moving[2])
    assert len(rig.told) == 2


async def test_a_movement_is_dated_back_no_further_than_memory_reaches():
    async with running(Rig(lambda _: True, make_detector=lambda _: PatientDetector())) as rig:
        await rig.see(100)
    assert [at_s for *_, at_s in rig.recorder.triggers] == [100 - dated_back_s(MotionConfig())]
    assert rig.recorder.expected == [100 - dated_back_s(MotionConfig())]


async def test_a_storm_is_told_once_and_ends_when_half_as_many_are_left_in_the_hour():
    times = [100.0 + 20 * number for number in range(MOST_PER_HOUR + 5)]
    async with running(Rig(lambda _: True)) as rig:
        await rig.see(*times)
        assert (len(rig.told), rig.storms) == (MOST_PER_HOUR, [True])
        await rig.see(times[MOST_PER_HOUR // 2 - 2] + 3600)
        assert (len(rig.told), rig.storms) == (MOST_PER_HOUR, [True])
        await rig.see(times[MOST_PER_HOUR // 2] + 3600)
    assert (len(rig.told), rig.storms) == (MOST_PER_HOUR + 1, [True, False])


async def test_before_an_owner_is_paired_nothing_is_judged_told_or_kept():
    async with running(Rig(lambda _: True, has_owner=False)) as rig:
        await rig.see(100, 101)
    assert (rig.detectors, rig.told, rig.recorder.triggers) == ([], [], [])


async def test_frames_are_judged_on_a_thread_of_their_own():
    async with running(Rig(lambda _: False)) as rig:
        await rig.see(100, 101)
    assert threading.get_ident() not in rig.detectors[0].threads
    assert rig.detectors[0].looked == [100, 101]


async def test_a_detector_that_fails_ends_the_watch_and_a_watch_begun_anew_has_another():
    detectors: list[Detector] = [FailingDetector(), ScriptedDetector(lambda _: True)]
    rig = Rig(lambda _: True, make_detector=lambda _: detectors.pop(0))
    failing = asyncio.create_task(rig.watch.run())
    await rig.see(100)
    with pytest.raises(ValueError, match="9000000"):
        await failing
    async with running(rig):
        await rig.see(101)
    assert len(rig.told) == 1


async def test_nothing_is_judged_while_motion_is_off():
    async with running(Rig(lambda _: True, settings=MotionConfig(is_on=False))) as rig:
        await rig.see(100)
    assert (rig.detectors, rig.told) == ([], [])


async def test_new_settings_are_used_from_the_next_frame_on():
    async with running(Rig(lambda _: False)) as rig:
        await rig.see(100)
        rig.watch.set_settings(MotionConfig(sensitivity=9))
        await rig.see(101)
    assert [detector.looked for detector in rig.detectors] == [[100], [101]]


async def test_motion_is_recorded_while_the_event_is_still_being_written():
    rig = Rig(lambda _: True)
    rig.may_tell.clear()
    async with running(rig):
        await rig.see(100, 101, 102)
        triggers, extended, told = list(rig.recorder.triggers), max(rig.recorder.extended), rig.told
        rig.may_tell.set()
    assert (len(triggers), extended) == (1, 100 + LEAST_PAUSE_S - PAUSE_S)
    assert [event.id for event in told] == [triggers[0][0]]


async def test_an_event_that_is_being_told_when_the_watch_ends_is_told():
    rig = Rig(lambda _: True)
    rig.may_tell.clear()
    async with running(rig):
        await rig.see(100)
        asyncio.get_running_loop().call_later(0.02, rig.may_tell.set)
    assert len(rig.told) == len(rig.recorder.triggers) == 1


@pytest.mark.parametrize(
    ("mode", "is_moving", "presence", "is_told"),
    [
        ("none", True, False, True),
        ("none", False, True, False),
        ("agree", True, True, True),
        ("agree", True, False, False),
        ("agree", True, None, True),
        ("agree", False, True, False),
        ("either", True, False, True),
        ("either", False, True, True),
        ("either", False, False, False),
        ("either", False, None, False),
    ],
)
async def test_the_presence_sensor_is_a_second_opinion(
    mode: Literal["none", "agree", "either"], is_moving: bool, presence: bool | None, is_told: bool
):
    settings = MotionConfig(presence=mode)
    async with running(Rig(lambda _: is_moving, settings=settings, presence=presence)) as rig:
        await rig.see(100)
    assert bool(rig.told) is is_told


async def test_a_sensor_that_saw_somebody_a_moment_ago_still_agrees():
    rig = Rig(lambda at_s: at_s >= 103, settings=MotionConfig(presence="agree"), presence=True)
    async with running(rig):
        await rig.see(100)
        rig.is_present = False
        await rig.see(103)
    assert len(rig.told) == 1
