"""The motion watch: turns luma frames into motion events and clips.

The frames are taken and judged on a thread of its own, which wakes the loop only for a movement,
and for each frame where a presence sensor has its say. A movement triggers a clip from
the first frame that it was in, and is told once, when it begins (durably, like a press); while
it goes on, the clip is prolonged. What comes after a pause longer than the post-roll is another
movement, but not within ten seconds of the event: the clip lasts as long, and has it. Before an
owner is paired nothing is judged, told or kept.

A storm, of leaves or of passers-by, must not fill the owner's phone, the outbox and the card:
events have a shortest distance and a greatest number in an hour. When that is reached the owner
is told, once, and motion is silent until half as many are left in the last hour.
"""

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Literal, Protocol

from firmware.capture.camera_output import TICKS_PER_S, LumaFrame
from firmware.config.motion_delay import dated_back_s
from firmware.config.settings import MotionConfig
from firmware.motion.detector import MotionDetector, Movement
from firmware.protocol.encoding import new_id
from firmware.protocol.zones import SeenMotion
from firmware.system.daemon_call import call_in_daemon
from firmware.system.listeners import Listeners
from firmware.system.ownership import Ownership

log = logging.getLogger(__name__)

LEAST_PAUSE_S = 10.0
"""Between the beginnings of two events; a clip lasts at least as long after its own."""
MOST_PER_HOUR = 30
AGREE_S = 5.0
"""The presence sensor agrees with what the picture shows so long after it saw somebody."""
HOUR_90K = 3600 * TICKS_PER_S


class PresenceSensor(Protocol):
    """The PIR or radar sensor (`firmware.panel.panel.Panel`)."""

    def presence(self) -> bool | None:
        """Return whether the sensor detects somebody; None: unknown."""
        ...


class PictureTaker(Protocol):
    """The maker of events' pictures (`firmware.notes.event_pictures.EventPictures`)."""

    def want(self, event_id: str, at_pts_90k: int, told: asyncio.Task[bool]) -> None:
        """Take one now; it is published once `told` says that the event was accepted."""
        ...


class Detector(Protocol):
    """The detector that judges frames: `MotionDetector`."""

    @property
    def suspected_since_90k(self) -> int | None:
        """When the oldest thing began that may yet turn out to move."""
        ...

    def look(self, frame: LumaFrame) -> Movement | None:
        """Return what moves in this frame."""
        ...


class Frames(Protocol):
    """The newest frame, for a reader on a thread of its own (`unit_hub.ThreadSlot`)."""

    def next(self) -> LumaFrame | None:
        """Wait for a frame that came after the last one taken; None once this is closed."""
        ...

    def close(self) -> None:
        """End the wait; may be called twice."""
        ...


class FrameSource(Protocol):
    """The source of frames: `firmware.capture.unit_hub.LumaHub`."""

    def subscribe_thread(self) -> Frames:
        """Return the frames from now on."""
        ...


class MotionRecorder(Protocol):
    """The recorder: `firmware.clips.recorder.Recorder`."""

    def trigger(self, event_id: str, kind: Literal["pressed", "motion"], at_pts_90k: int) -> None:
        """Start a clip, or join the running one."""
        ...

    def extend(self, at_pts_90k: int) -> None:
        """Prolong the running clip."""
        ...

    def expect(self, from_pts_90k: int | None) -> None:
        """Let a press's clip begin early enough for motion that may be told after it. On the
        watch's thread."""
        ...


class MotionEvents(Protocol):
    """Where motion is published and pushed: `firmware.notes.pushes.Pushes`."""

    async def publish_motion(self, seen: SeenMotion, *, event_id: str) -> object:
        """Publish motion, with the names of its zones and its place in the picture."""
        ...


class MotionWatch:
    """The motion watch; `run` it until cancelled.

    `storms` is notified with True when there was too much motion, and with False when it is
    watched for again.
    """

    def __init__(
        self,
        settings: MotionConfig,
        *,
        frames: FrameSource,
        recorder: MotionRecorder,
        owners: Ownership,
        events: MotionEvents,
        pictures: PictureTaker,
        sensor: PresenceSensor,
        pause_s: float,
        make_detector: Callable[[MotionConfig], Detector] = MotionDetector,
    ) -> None:
        self._settings = settings
        self._frames = frames
        self._recorder = recorder
        self._owners = owners
        self._events = events
        self._pictures = pictures
        self._sensor = sensor
        self._pause_90k = round(pause_s * TICKS_PER_S)
        self._make_detector = make_detector
        self._settings_count = 0
        self._present_90k: int | None = None
        self.storms = Listeners[bool]()
        self._limit = _Limit(self.storms)
        self._last_90k: int | None = None
        """When the movement that was told last was last seen."""
        self._until_90k = 0
        """Until then all that moves belongs to it."""
        self._telling: set[asyncio.Task[bool]] = set()

    def set_settings(self, settings: MotionConfig) -> None:
        """Apply these settings, quiet for the first seconds; also after a new mask."""
        self._settings = settings
        self._settings_count += 1

    def set_pause(self, pause_s: float) -> None:
        """Tell what moves after so long without motion as another movement, from now on."""
        self._pause_90k = round(pause_s * TICKS_PER_S)

    async def run(self) -> None:
        """Watch until cancelled; pending events are still published."""
        frames = self._frames.subscribe_thread()
        judge = partial(self._judge, frames, asyncio.get_running_loop())
        judging = asyncio.create_task(call_in_daemon(judge, name="motion"))
        try:
            await asyncio.shield(judging)
        finally:
            frames.close()
            await asyncio.wait({judging})
            await asyncio.gather(*self._telling, return_exceptions=True)

    def _judge(self, frames: Frames, loop: asyncio.AbstractEventLoop) -> None:
        """Judge frames until there are no more. On the watch's thread."""
        detector: Detector | None = None
        count = self._settings_count
        while (frame := frames.next()) is not None:
            if count != self._settings_count:
                detector, count = None, self._settings_count
            settings = self._settings
            if not settings.is_on or not self._owners.has_owner():
                detector = None
                self._recorder.expect(None)
                continue
            if detector is None:
                detector = self._make_detector(settings)
            movement = detector.look(frame)
            self._expect(detector.suspected_since_90k, frame.pts_90k)
            if movement is not None or settings.presence != "none":
                with contextlib.suppress(RuntimeError):  # how asyncio says that the loop is closed
                    loop.call_soon_threadsafe(self._take, movement, frame.pts_90k)

    def _expect(self, since_90k: int | None, at_90k: int) -> None:
        earliest_90k = at_90k - self._back_90k
        self._recorder.expect(None if since_90k is None else max(since_90k, earliest_90k))

    @property
    def _back_90k(self) -> int:
        """How far a movement is dated back at most."""
        return round(dated_back_s(self._settings) * TICKS_PER_S)

    def _take(self, movement: Movement | None, at_90k: int) -> None:
        movement = self._second_opinion(movement, at_90k)
        if movement is None:
            return
        last_90k = self._last_90k
        if last_90k is not None and (
            at_90k - last_90k <= self._pause_90k or at_90k < self._until_90k
        ):
            self._last_90k = at_90k
            self._recorder.extend(at_90k)
        elif self._limit.allows(at_90k):
            self._begin(movement, at_90k)

    def _second_opinion(self, movement: Movement | None, at_90k: int) -> Movement | None:
        """Combine movement and sensor; a sensor in an unknown state contradicts nothing."""
        mode = self._settings.presence
        if mode == "none":
            return movement
        is_present = self._sensor.presence()
        if is_present:
            self._present_90k = at_90k
        if mode == "either":
            if movement is None and is_present:
                return Movement(began_pts_90k=at_90k, at_pts_90k=at_90k)
            return movement
        since = self._present_90k
        is_agreed = since is not None and at_90k - since <= AGREE_S * TICKS_PER_S
        return movement if is_present is None or is_agreed else None

    def _begin(self, movement: Movement, at_90k: int) -> None:
        self._last_90k = at_90k
        event_id = new_id()
        began_90k = max(movement.began_pts_90k, at_90k - self._back_90k)
        self._recorder.trigger(event_id, "motion", began_90k)
        self._until_90k = at_90k + round(LEAST_PAUSE_S * TICKS_PER_S)
        self._recorder.extend(max(at_90k, self._until_90k - self._pause_90k))
        task = asyncio.create_task(self._tell_movement(movement, event_id), name="motion")
        self._telling.add(task)
        task.add_done_callback(self._has_told)
        self._pictures.want(event_id, at_90k, task)

    async def _tell_movement(self, movement: Movement, event_id: str) -> bool:
        await self._events.publish_motion(
            SeenMotion(names=list(movement.zones), box=movement.box), event_id=event_id
        )
        return True

    def _has_told(self, task: asyncio.Task[bool]) -> None:
        self._telling.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("a motion event could not be published", exc_info=task.exception())


class _Limit:
    """The rate limit of motion events."""

    def __init__(self, storms: Listeners[bool]) -> None:
        self._storms = storms
        self._begun_90k: deque[int] = deque()
        self._is_storm = False

    def allows(self, at_90k: int) -> bool:
        """Return whether an event may begin now, and count it if so."""
        begun = self._begun_90k
        while begun and at_90k - begun[0] >= HOUR_90K:
            begun.popleft()
        if self._is_storm and len(begun) > MOST_PER_HOUR // 2:
            return False
        if len(begun) >= MOST_PER_HOUR:
            self._set_storm(True)
            return False
        if self._is_storm:
            self._set_storm(False)
        begun.append(at_90k)
        return True

    def _set_storm(self, is_storm: bool) -> None:
        self._is_storm = is_storm
        log.warning("motion is %s", "silent: too many events" if is_storm else "reported again")
        self._storms.notify(is_storm)
