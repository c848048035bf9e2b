"""Clips of the rendered porch begin six seconds before presses and motion, in real time.

Camera, encoder, motion thread, recorder and card are real. Somebody walks up to the porch every 24
seconds, so it takes minutes: DOORWARD_PRE_ROLL_CLIPS=10 (`make soak`) counts presses and motions.
"""

import asyncio
import os
import random
import time
from pathlib import Path

import pytest

from firmware.app.camera import CameraWiring
from firmware.app.clips import ClipWiring
from firmware.capture.camera_output import LumaFrame, pts_90k_of
from firmware.capture.replay.source import ReplaySource
from firmware.clips.record import ClipStart
from firmware.config.loader import parse_config
from firmware.config.settings import MotionConfig
from firmware.enrolment.keys import load_or_make_keys
from firmware.motion.detector import MotionDetector, Movement
from firmware.motion.watch import MotionWatch
from firmware.protocol.encoding import new_id
from firmware.store.database import Database
from firmware.system.clock import SystemClock
from firmware.system.supervision import LastResort
from firmware.system.systemd import ServiceManager
from tests.fakes.events import NoPictures, PublishedEvents
from tests.fakes.ownership import Owned
from tests.fakes.simulated_door import NoSensor
from tests.fakes.sink import FakeLamp

CLIPS = int(os.environ.get("DOORWARD_PRE_ROLL_CLIPS", "0"))
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        CLIPS == 0, reason="clips in real time are for make soak (DOORWARD_PRE_ROLL_CLIPS)"
    ),
]
FILLING_S = 14.0
WALK_S = 24.0
PRE_ROLL_MS = 6_000


class SlowDetector:
    """The detector on a thread that takes 0.4 s for each picture: four times too long."""

    def __init__(self, settings: MotionConfig) -> None:
        self._detector = MotionDetector(settings)

    @property
    def suspected_since_90k(self) -> int | None:
        return self._detector.suspected_since_90k

    def look(self, frame: LumaFrame) -> Movement | None:
        time.sleep(0.4)
        return self._detector.look(frame)


@pytest.mark.parametrize("detector", [MotionDetector, SlowDetector])
@pytest.mark.parametrize("fps", [30, 15, 10, 7])
async def test_ten_presses_and_ten_motions_have_their_pre_roll(
    tmp_path: Path, fps: int, detector: type[MotionDetector]
):
    config = parse_config({"clock": {"is_host_time_trusted": True}}, tmp_path)
    clock, owned = SystemClock(is_host_time_trusted=True), Owned(False)
    filming = CameraWiring(
        config,
        clock=clock,
        lamp=FakeLamp(),
        restarter=LastResort(asyncio.Event(), ServiceManager({}, pid=1)),
        source=random.Random(),
        make_camera=lambda *_: ReplaySource(
            clock=clock, width=320, height=240, fps=fps, bitrate_bps=500_000
        ),
    )
    recording = ClipWiring(
        config,
        keys=load_or_make_keys(config.data_dir),
        filming=filming,
        clock=clock,
        boot_id=new_id(),
        database=Database(config.data_dir / "library.sqlite3"),
        owners=owned,
        events=PublishedEvents(),  # type: ignore[arg-type]
    )
    watch = MotionWatch(
        config.motion,
        frames=filming.luma,
        recorder=recording.recorder,
        owners=owned,
        events=PublishedEvents(),  # type: ignore[arg-type]
        pictures=NoPictures(),
        sensor=NoSensor(),
        pause_s=config.clips.post_roll_s,
        make_detector=detector,
    )
    parts = [filming.run, recording.recorder.run, watch.run]
    running = [asyncio.create_task(part()) for part in parts]
    try:
        await asyncio.sleep(FILLING_S)
        owned.is_owned = True
        begun = await _watch_and_press(clock, recording, random.Random(fps))
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        await filming.keeper.stop()
        await recording.aclose()
    kinds = [start.triggers[0].kind for start in begun]
    assert min(kinds.count("motion"), kinds.count("pressed")) >= CLIPS
    assert [one for one in begun if one.pre_roll_90k // 90 < PRE_ROLL_MS] == []


async def _watch_and_press(
    clock: SystemClock, recording: ClipWiring, dice: random.Random
) -> list[ClipStart]:
    """Let people walk up, and press once nothing is recorded, until there are enough of both."""
    begun: dict[str, ClipStart] = {}
    end_s = time.monotonic() + 4 * CLIPS * WALK_S + 60
    while time.monotonic() < end_s:
        await asyncio.sleep(0.1)
        for start in recording.library.open_starts():
            begun.setdefault(start.clip_id, start)
        kinds = [start.triggers[0].kind for start in begun.values()]
        if min(kinds.count("motion"), kinds.count("pressed")) >= CLIPS:
            break
        is_quiet = recording.recorder.clip_id is None
        if is_quiet and kinds.count("pressed") <= kinds.count("motion"):
            await asyncio.sleep(dice.uniform(0.1, 1.0))
            if recording.recorder.clip_id is None:
                at_90k = pts_90k_of(clock.monotonic_ns())
                recording.recorder.trigger(new_id(), "pressed", at_90k)
    return list(begun.values())
