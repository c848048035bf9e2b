"""The bell and the service button: from a press to an accepted event, and to a clip.

The panel has chimed before anything here begins. A press triggers the clip at once, however slow
storage is, and its event is stored durably, off the loop; without a picture the event names the
reason. An event that can't be stored now (storage full) is stored as soon as it can
(firmware.outbox.publisher).
With mock pins the control socket moves the contacts; its "ok" means that the press is accepted.
Before an owner is paired nothing is told and nothing is written.
"""

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from firmware.capture.camera_output import pts_90k_of
from firmware.clips.recorder import Recorder
from firmware.config.settings import PanelConfig
from firmware.enrolment.pairing import Pairing
from firmware.errors import ControlError, DoorwardError
from firmware.outbox.publisher import EventPublisher
from firmware.panel.button import Press
from firmware.panel.control_socket import ControlSocket, PanelView
from firmware.panel.gpio import ButtonName, MockGpio
from firmware.panel.panel import Panel
from firmware.protocol.encoding import new_id
from firmware.protocol.events import CameraState, Pressed
from firmware.system.clock import Clock
from firmware.system.listeners import Listeners
from firmware.system.ownership import Ownership

log = logging.getLogger(__name__)

MAX_WAITING = 100
"""Presses that wait to be stored; more chime and aren't published, so that memory stays bounded."""
CLOSE_WITHIN_S = 4.0
HEARD_WITHIN_S = 0.3
"""A mock press was debounced long before."""


class BellCamera(Protocol):
    """The camera as a press needs it (`firmware.app.camera.CameraWiring`)."""

    @property
    def state(self) -> CameraState:
        """Whether there are pictures, or why not."""
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
    """Handles the panel's buttons. Build it inside the running loop, then `start` it.

    `rung` is notified of each press that is told.
    """

    def __init__(
        self,
        settings: PanelConfig,
        panel: Panel,
        *,
        clock: Clock,
        recorder: Recorder,
        pairing: Pairing,
        owners: Ownership,
        camera: BellCamera,
        events: EventPublisher,
        pictures: PictureTaker,
    ) -> None:
        self.rung = Listeners[()]()
        self._panel = panel
        self._clock = clock
        self._recorder = recorder
        self._pairing = pairing
        self._owners = owners
        self._camera = camera
        self._events = events
        self._pictures = pictures
        self._is_open = False
        self._presses: set[asyncio.Task[bool]] = set()
        self._listening: list[asyncio.Future[asyncio.Task[bool] | None]] = []
        self._control: ControlSocket | None = None
        if isinstance(panel.gpio, MockGpio):
            front = _MockFront(panel, panel.gpio, self, camera)
            self._control = ControlSocket(Path(settings.control_socket), front)
        panel.pressed.add(self._on_bell)
        panel.pairing_wanted.add(self._on_service_held)
        panel.service_pressed.add(self._on_service_pressed)

    async def start(self) -> None:
        """Take presses from now on; listen on the control socket, if there is one."""
        self._is_open = True
        if self._control is not None:
            await self._control.start()

    async def close(self) -> None:
        """Take no more presses; give those that are being published a moment."""
        self._is_open = False
        if self._control is not None:
            await self._control.close()
        if self._presses:
            _, late = await asyncio.wait(self._presses, timeout=CLOSE_WITHIN_S)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    @contextmanager
    def hearing(self) -> Iterator[asyncio.Future[asyncio.Task[bool] | None]]:
        """Yield the publishing of the next press in this block; None if it isn't published."""
        heard: asyncio.Future[asyncio.Task[bool] | None] = (
            asyncio.get_running_loop().create_future()
        )
        self._listening.append(heard)
        try:
            yield heard
        finally:
            self._listening.remove(heard)

    def _on_bell(self, press: Press) -> None:
        if not self._is_open:
            return
        task = self._take(press)
        for heard in self._listening:
            if not heard.done():
                heard.set_result(task)

    def _take(self, press: Press) -> asyncio.Task[bool] | None:
        """Begin to publish a press; None if it isn't published."""
        if not self._owners.has_owner():
            log.info("the bell rang; nobody is paired, so nothing is published or stored")
            return None
        if len(self._presses) >= MAX_WAITING:
            log.error("a press isn't published: %d others still wait", MAX_WAITING)
            return None
        pressed = Pressed(camera=self._camera.state)
        event_id, at_pts_90k = new_id(), pts_90k_of(press.at_ns)
        task = asyncio.create_task(self._tell_press(pressed, event_id, at_pts_90k), name="press")
        self._presses.add(task)
        task.add_done_callback(self._presses.discard)
        self._pictures.want(event_id, at_pts_90k, task)
        self.rung.notify()
        return task

    async def _tell_press(self, pressed: Pressed, event_id: str, at_pts_90k: int) -> bool:
        """Trigger the clip and publish the press; return whether it was accepted."""
        try:
            self._recorder.trigger(event_id, "pressed", at_pts_90k)
        except Exception:  # the supervisor: whatever the recorder's fault is, the press is told
            log.exception("a press could not begin a clip")
        try:
            await self._events.publish(pressed, event_id=event_id)
        except DoorwardError as error:
            log.error("a press can't be published: %s", error)
            return False
        return True

    def _on_service_pressed(self) -> None:
        """Take the second press of a pairing; at other times a short press means nothing here."""
        if self._is_open and self._pairing.press_service(self._clock.monotonic_ns() // 1_000_000):
            log.info("the service button confirmed a pairing; the door number is still to be set")

    def _on_service_held(self) -> None:
        if not self._is_open:
            return
        if not self._pairing.hold_service(self._clock.monotonic_ns() // 1_000_000):
            log.warning(
                "the service button does nothing: this doorbell has an owner and no recovery key"
            )


class _MockFront:
    """The door's front where the pins are mock ones; implements `panel.control.DoorFront`."""

    def __init__(self, panel: Panel, gpio: MockGpio, bell: Bell, camera: BellCamera) -> None:
        self._panel = panel
        self._gpio = gpio
        self._bell = bell
        self._camera = camera

    async def press(self, pin: ButtonName, hold_s: float) -> None:
        """Move a mock contact; return once the press that it made is accepted, or raise."""
        with self._bell.hearing() as heard:
            await self._gpio.press(pin, hold_s)
            if pin != "bell":
                return
            try:
                telling = await asyncio.wait_for(heard, HEARD_WITHIN_S)
            except TimeoutError:
                return  # a spark, or a press that the panel keeps for itself
        if telling is not None and not await telling:
            raise ControlError("the press can't be stored; look at the doorbell's log")

    async def show(self, picture_png: bytes, seconds: float) -> None:
        """Hold a picture before the camera."""
        await self._camera.show(picture_png, seconds)

    def look(self) -> PanelView:
        """Return the state of the mock pins."""
        return PanelView(
            light=self._panel.light.shown,
            light_level=self._gpio.level("light"),
            chime_pulses=sum(change.level == 1 for change in self._gpio.history("chime")),
            is_infrared_on=self._gpio.level("infrared") == 1,
        )
