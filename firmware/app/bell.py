"""The bell: from a press to an accepted event, and to a clip.

The panel has chimed before anything here begins. A press triggers the clip at once, however slow
storage is, and its event is stored durably, off the loop; without a picture the event names the
reason. An event that can't be stored now (storage full) is stored as soon as it can
(firmware.outbox.publisher). Presses from before the start were kept (firmware.panel.doorstep), and
are told first, each once and with its own time.
Before an owner is paired nothing is told and nothing is written. While pictures are withheld, for a
password may be before the camera, a press is told without clip and picture.
"""

import asyncio
import logging
from collections.abc import Coroutine, Sequence
from typing import Protocol

from firmware.capture.camera_output import pts_90k_of
from firmware.clips.recorder import Recorder
from firmware.errors import DoorwardError
from firmware.outbox.early_presses import EarlyPress
from firmware.outbox.publisher import EarlyEventPublisher
from firmware.panel.button import Press
from firmware.panel.doorstep import Doorstep, Telling
from firmware.protocol.encoding import new_id
from firmware.protocol.events import CameraState, Pressed
from firmware.system.clock import Clock
from firmware.system.listeners import Listeners
from firmware.system.ownership import Ownership

log = logging.getLogger(__name__)

MAX_WAITING = 100
"""Presses that wait to be stored; more chime and aren't published, so that memory stays bounded."""
CLOSE_WITHIN_S = 4.0
CLIP_OF_LAST_S = 60.0
"""A press from before the start begins a clip, if it isn't older: later somebody else is filmed."""


class BellCamera(Protocol):
    """The camera as a press needs it (`firmware.app.camera.CameraWiring`)."""

    @property
    def state(self) -> CameraState:
        """Whether there are pictures, or why not."""
        ...

    @property
    def is_withheld(self) -> bool:
        """Whether nothing is recorded now: a password may be before the camera."""
        ...

    async def show(self, picture_png: bytes, seconds: float) -> None:
        """Hold a picture before the camera for some seconds."""
        ...


class PictureTaker(Protocol):
    """Takes the pictures of events (`firmware.notes.event_pictures.EventPictures`)."""

    def want(self, event_id: str, at_pts_90k: int, told: asyncio.Task[bool]) -> None:
        """Take a picture now; it is published once `told` returns that the event was accepted."""
        ...


class Bell:
    """Handles the bell's button. Build it inside the running loop, then `start` it.

    `rung` is notified of each press that is told.
    """

    def __init__(
        self,
        doorstep: Doorstep,
        *,
        boot: str,
        clock: Clock,
        recorder: Recorder,
        owners: Ownership,
        camera: BellCamera,
        events: EarlyEventPublisher,
        pictures: PictureTaker,
    ) -> None:
        """`boot` is the kernel's id of this boot."""
        self.rung = Listeners[()]()
        self._doorstep = doorstep
        self._boot = boot
        self._clock = clock
        self._recorder = recorder
        self._owners = owners
        self._camera = camera
        self._events = events
        self._pictures = pictures
        self._presses: set[Telling] = set()
        self._forgetting: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Take presses from now on, those first that came before."""
        early = self._doorstep.hand_over(self)
        if not early:
            return
        tellings: list[Telling] = []
        if self._owners.has_owner():
            log.info("%d presses came before all was loaded: they are told now", len(early))
            tellings = [self._begin(self._tell_early(press)) for press in early]
        self._forgetting = asyncio.create_task(self._forget(tellings), name="early presses")

    async def close(self) -> None:
        """Take no more presses; give those that are being published a moment."""
        self._doorstep.take_back()
        if self._forgetting is not None:
            self._forgetting.cancel()
            await asyncio.gather(self._forgetting, return_exceptions=True)
        if self._presses:
            _, late = await asyncio.wait(self._presses, timeout=CLOSE_WITHIN_S)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def show(self, picture_png: bytes, seconds: float) -> None:
        """Hold a picture before the camera."""
        await self._camera.show(picture_png, seconds)

    def take(self, press: Press) -> Telling | None:
        """Begin to publish a press; None if it isn't published."""
        if not self._owners.has_owner():
            log.info("the bell rang; nobody is paired, so nothing is published or stored")
            return None
        if len(self._presses) >= MAX_WAITING:
            log.error("a press isn't published: %d others still wait", MAX_WAITING)
            return None
        pressed = Pressed(camera=self._camera.state)
        event_id, at_pts_90k = new_id(), pts_90k_of(press.at_ns)
        task = self._begin(self._tell_press(pressed, event_id, at_pts_90k))
        if not self._camera.is_withheld:
            self._pictures.want(event_id, at_pts_90k, task)
        self.rung.notify()
        return task

    async def _tell_early(self, press: EarlyPress) -> bool:
        """Trigger its clip, which begins with the first picture, and publish it once."""
        now_ns = self._clock.monotonic_ns()
        is_of_this_boot = bool(self._boot) and press.boot == self._boot
        if is_of_this_boot and now_ns - press.monotonic_ns <= CLIP_OF_LAST_S * 1e9:
            self._trigger(press.id, pts_90k_of(press.monotonic_ns), told_ns=now_ns)
            self.rung.notify()
        try:
            await self._events.publish_early(Pressed(camera="starting"), press)
        except DoorwardError as error:
            log.error("an early press can't be published: %s", error)
            return False
        return True

    async def _forget(self, tellings: Sequence[Telling]) -> None:
        """Forget the early presses once they are told; else they stay for the next start."""
        if tellings:
            await asyncio.wait(tellings)
        if all(not telling.cancelled() and telling.result() for telling in tellings):
            await self._doorstep.forget_early()

    def _begin(self, telling: Coroutine[None, None, bool]) -> Telling:
        task = asyncio.create_task(telling, name="press")
        self._presses.add(task)
        task.add_done_callback(self._presses.discard)
        return task

    async def _tell_press(self, pressed: Pressed, event_id: str, at_pts_90k: int) -> bool:
        """Trigger the clip and publish the press; return whether it was accepted."""
        self._trigger(event_id, at_pts_90k)
        try:
            await self._events.publish(pressed, event_id=event_id)
        except DoorwardError as error:
            log.error("a press can't be published: %s", error)
            return False
        return True

    def _trigger(self, event_id: str, at_pts_90k: int, *, told_ns: int = 0) -> None:
        if self._camera.is_withheld:
            return
        try:
            self._recorder.trigger(
                event_id, "pressed", at_pts_90k, told_pts_90k=pts_90k_of(told_ns)
            )
        except Exception:  # the supervisor: whatever the recorder's fault is, the press is told
            log.exception("a press could not begin a clip")
