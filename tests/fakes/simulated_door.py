"""Camera, ring, motion watch and recorder on simulated time: hundreds of clips in seconds.

The wiring of the camera, the watch and the recorder are the real ones. Simulated are the pictures
(bytes without meaning), the clock, and how long the motion thread takes for a picture: so much
film passes before its verdict counts. The card isn't there: clips are listed as they begin.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from firmware.app.camera import CameraWiring
from firmware.capture.camera_output import TICKS_PER_S, AccessUnit, LumaFrame
from firmware.capture.frame_selection import KeyFrameSelector, luma_pacer
from firmware.clips.clip_cutter import ClipCutter
from firmware.clips.clip_span import clip_span_of
from firmware.clips.record import ClipStart
from firmware.clips.recorder import Recorder
from firmware.clips.storage import StorageHealth
from firmware.config.settings import Config, MotionConfig
from firmware.motion.watch import Detector, MotionWatch
from firmware.protocol.encoding import new_id
from firmware.protocol.zones import SeenMotion
from firmware.system.listeners import Listeners
from tests.fakes.clock import ManualClock
from tests.fakes.events import NoPictures
from tests.fakes.handed_frames import HandedFrames
from tests.fakes.ownership import Owned
from tests.fakes.sink import FakeLamp

BEGIN_90K = 1_000 * TICKS_PER_S


class StillCamera:
    """Implements what `CameraWiring` asks of a `VideoSource` that is never started."""

    width, height, fps = 320, 240, 30


@dataclass
class ListedClips:
    """Stands in for `ClipWriter` and `Library`: keeps how each clip began, and whether with a key
    frame."""

    clips_dir: Path
    begun: list[tuple[ClipStart, int]] = field(default_factory=list)
    keys: list[bool] = field(default_factory=list)
    written_90k: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.listed = Listeners[object]()
        self.card = StorageHealth()
        self._is_first = False

    def next_counter(self) -> int:
        return len(self.begun) + 1

    def begin(self, start: ClipStart, first_pts_90k: int) -> None:
        self.begun.append((start, first_pts_90k))
        self._is_first = True

    def write(self, unit: AccessUnit) -> None:
        if self._is_first:
            self.keys.append(unit.is_key)
            self.written_90k.append(0)
        self._is_first = False
        self.written_90k[-1] = unit.pts_90k - self.begun[-1][1]

    def mark(self, start: ClipStart) -> None:
        self.begun[-1] = (start, self.begun[-1][1])

    @property
    def kinds(self) -> list[list[str]]:
        """Of each clip, what triggered it."""
        return [[mark.kind for mark in start.triggers] for start, _ in self.begun]

    @property
    def marks_90k(self) -> list[int]:
        """Where in its clip each trigger is."""
        return [mark.at_90k for start, _ in self.begun for mark in start.triggers]

    @property
    def durable_to_90k(self) -> int | None:
        return self.begun[-1][1] + self.written_90k[-1] if self.written_90k else None

    def __getattr__(self, name: str) -> Callable[..., None]:
        if name.startswith("_"):
            raise AttributeError(name)
        return lambda *_: None


class SimulatedDoor:
    """Everything between the lens and the clip's first bytes; build it on a running loop."""

    def __init__(
        self,
        folder: Path,
        *,
        fps: float,
        judging_s: float,
        make_detector: Callable[[MotionConfig], Detector],
        dice: random.Random,
        late_s: float | None = None,
    ) -> None:
        """A verdict takes `judging_s`. `late_s` stands for the ring's own, to see it fail."""
        folder.mkdir(exist_ok=True)
        config = Config(data_dir=folder)
        self.now_90k = BEGIN_90K
        self._clock = ManualClock()
        self.filming = CameraWiring(
            config,
            clock=self._clock,  # type: ignore[arg-type]
            lamp=FakeLamp(),
            restarter=None,  # type: ignore[arg-type]
            source=dice,
            make_camera=lambda *_: StillCamera(),  # type: ignore[arg-type, return-value]
        )
        if late_s is not None:
            self.filming.ring.set_late(late_s)
        self.clips = ListedClips(folder)
        cutter = ClipCutter(
            camera=self.filming,
            writer=self.clips,  # type: ignore[arg-type]
            library=self.clips,  # type: ignore[arg-type]
            clock=self._clock,
            boot_id=new_id(),
            reach=clip_span_of(
                pre_roll_s=config.clips.pre_roll_s,
                post_roll_s=config.clips.post_roll_s,
                longest_s=config.clips.longest_s,
            ),
        )
        self.recorder = Recorder(
            cutter=cutter,
            writer=self.clips,  # type: ignore[arg-type]
            library=self.clips,  # type: ignore[arg-type]
            owners=Owned(),
        )
        self._handed = HandedFrames()
        self.told: list[str] = []
        """The ids of the motion events."""
        self.watch = MotionWatch(
            config.motion,
            frames=self._handed,
            recorder=self.recorder,
            owners=Owned(),
            events=self,
            pictures=NoPictures(),
            sensor=NoSensor(),
            pause_s=config.clips.post_roll_s,
            make_detector=make_detector,
        )
        self._period_90k = round(TICKS_PER_S / fps)
        self._judging_90k = round(judging_s * TICKS_PER_S)
        self._dice = dice
        self._keys = KeyFrameSelector()
        self._luma = luma_pacer()
        self._newest_luma_90k = 0

    async def publish_motion(self, seen: SeenMotion, *, event_id: str) -> None:  # noqa: ARG002
        """Keep that motion was told."""
        self.told.append(event_id)

    async def film(self, seconds: float) -> None:
        """Let time pass with pictures that jitter by a tenth, and without motion."""
        await self._film_to(self.now_90k + round(seconds * TICKS_PER_S))

    async def film_judged(self, seconds: float, picture: Callable[[int], LumaFrame]) -> None:
        """The same, while motion judges the newest picture whenever it is done with the last."""
        end_90k = self.now_90k + round(seconds * TICKS_PER_S)
        while self.now_90k < end_90k:
            before_90k = self._newest_luma_90k
            await self._film_to(self.now_90k + self._period_90k)
            if self._newest_luma_90k == before_90k:
                continue
            frame = picture(self._newest_luma_90k)
            await self._film_to(self.now_90k + self._judging_90k)
            await self._handed.hand(frame)
            await self._turns()

    def leap(self, seconds: float) -> None:
        """Let time pass without pictures."""
        self.now_90k += round(seconds * TICKS_PER_S)

    def press(self, *, late_s: float = 0.0) -> None:
        """Ring the bell; it is told `late_s` after it happened."""
        at_90k = self.now_90k - round(late_s * TICKS_PER_S)
        self.recorder.trigger(new_id(), "pressed", at_90k)
        self.recorder.turn()

    async def _film_to(self, end_90k: int) -> None:
        count = 0
        while self.now_90k < end_90k:
            self.now_90k += self._period_90k
            jitter_90k = self._dice.randrange(self._period_90k // 10)
            pts_90k = self.now_90k - jitter_90k
            ns = pts_90k * 100_000 // 9
            unit = AccessUnit(pts_90k=pts_90k, is_key=self._keys.is_due(ns), data=bytes(99))
            self.filming.hub.put(unit)
            if self._luma.is_due(ns):
                self._newest_luma_90k = pts_90k
            count += 1
            if count % 200 == 0:
                await self._turns()
        await self._turns()

    async def _turns(self) -> None:
        """Let the watch judge what it has, and the recorder take what was filmed."""
        for _ in range(4):
            await asyncio.sleep(0)
        self.recorder.turn()


class NoSensor:
    """Implements `firmware.motion.watch.PresenceSensor`."""

    def presence(self) -> bool | None:
        return None


@asynccontextmanager
async def running(door: SimulatedDoor) -> AsyncIterator[SimulatedDoor]:
    """Let the door's watch run; the recorder's turns are the door's."""
    task = asyncio.create_task(door.watch.run())
    await asyncio.sleep(0)
    try:
        yield door
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
