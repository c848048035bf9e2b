"""The bell and the service button: from a press to an accepted event, and to a clip.

The panel has chimed before anything here begins. A press triggers the clip at once, however slow
the card is, and is told durably, off the loop; without a picture the event says why there is
none. A press that can't be told now (a full card) is told as soon as it can
(firmware.outbox.publisher).
With mock pins the control socket moves the contacts; its "ok" means that the press is accepted.
Before an owner is paired nothing is told and nothing is written.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

from firmware.capture.camera_output import pts_90k_of
from firmware.clips.triggers import TriggerKind
from firmware.config.settings import PanelConfig
from firmware.enrolment.pairing import Pairing
from firmware.errors import ControlError, DoorwardError
from firmware.outbox.publisher import Tell
from firmware.panel.button import Press
from firmware.panel.control_socket import ControlSocket, PanelView
from firmware.panel.gpio import ButtonName, MockGpio
from firmware.panel.panel import Panel
from firmware.protocol.encoding import new_id
from firmware.protocol.events import CameraState, Pressed
from firmware.system.clock import Clock

log = logging.getLogger(__name__)

MAX_WAITING = 100
"""Presses that wait to be told; more are heard and not told, so that memory stays bounded."""
CLOSE_WITHIN_S = 4.0
HEARD_WITHIN_S = 0.3
"""A mock press was debounced long before."""

Show = Callable[[bytes, float], Awaitable[None]]
"""Holds a picture (PNG) before the camera for some seconds."""
TriggerClip = Callable[[str, TriggerKind, int], object]
"""`Recorder.trigger`: event id, kind, pts."""
WantPicture = Callable[[str, int, asyncio.Task[bool]], None]
"""`EventPictures.want`: event id, pts, and the telling, which says whether it was accepted."""


class Bell:
    """What the panel's buttons do. Build it inside the running loop, then `start` it."""

    def __init__(
        self,
        settings: PanelConfig,
        panel: Panel,
        *,
        clock: Clock,
        trigger: TriggerClip,
        pairing: Pairing,
        has_owner: Callable[[], bool],
        camera_state: Callable[[], CameraState],
        tell: Tell,
        show: Show,
        want_picture: WantPicture = lambda *_: None,
        on_rung: Callable[[], None] = lambda: None,
    ) -> None:
        """`on_rung` hears of each press that is told."""
        self._panel = panel
        self._clock = clock
        self._trigger = trigger
        self._pairing = pairing
        self._has_owner = has_owner
        self._camera_state = camera_state
        self._tell = tell
        self._want_picture = want_picture
        self._on_rung = on_rung
        self._presses: set[asyncio.Task[bool]] = set()
        self._listening: list[asyncio.Future[asyncio.Task[bool] | None]] = []
        self._control: ControlSocket | None = None
        if isinstance(panel.gpio, MockGpio):
            self._control = ControlSocket(
                Path(settings.control_socket),
                on_press=partial(self._move, panel.gpio),
                on_show=show,
                on_look=partial(self._look, panel.gpio),
            )

    async def start(self) -> None:
        """Take presses from now on; listen on the control socket, if there is one."""
        self._panel.listen(on_bell=self._on_bell, on_service=self._on_service)
        if self._control is not None:
            await self._control.start()

    async def close(self) -> None:
        """Take no more presses; give those that are being told a moment."""
        self._panel.listen(on_bell=lambda _: None, on_service=lambda: None)
        if self._control is not None:
            await self._control.close()
        if self._presses:
            _, late = await asyncio.wait(self._presses, timeout=CLOSE_WITHIN_S)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    def _on_bell(self, press: Press) -> None:
        task = self._take(press)
        for heard in self._listening:
            if not heard.done():
                heard.set_result(task)

    def _take(self, press: Press) -> asyncio.Task[bool] | None:
        """Begin to tell a press; None if it isn't told."""
        if not self._has_owner():
            log.info("the bell rang; nobody is paired, so nothing is told or kept")
            return None
        if len(self._presses) >= MAX_WAITING:
            log.error("a press isn't told: %d others still wait", MAX_WAITING)
            return None
        pressed = Pressed(camera=self._camera_state())
        event_id, at_pts_90k = new_id(), pts_90k_of(press.at_ns)
        task = asyncio.create_task(self._tell_press(pressed, event_id, at_pts_90k), name="press")
        self._presses.add(task)
        task.add_done_callback(self._presses.discard)
        self._want_picture(event_id, at_pts_90k, task)
        self._on_rung()
        return task

    async def _tell_press(self, pressed: Pressed, event_id: str, at_pts_90k: int) -> bool:
        """Trigger the clip and tell the press; return whether it was accepted."""
        try:
            self._trigger(event_id, "pressed", at_pts_90k)
        except Exception:  # the supervisor: whatever the recorder's fault is, the press is told
            log.exception("a press begins no clip")
        try:
            await self._tell(pressed, event_id=event_id)
        except DoorwardError as error:
            log.error("a press can't be told: %s", error)
            return False
        return True

    def _on_service(self) -> None:
        if not self._pairing.press_service(self._clock.monotonic_ns() // 1_000_000):
            log.warning(
                "the service button does nothing: this doorbell has an owner and no recovery key"
            )

    async def _move(self, gpio: MockGpio, pin: ButtonName, hold_s: float) -> None:
        """Move a mock contact; return once the press that it made is accepted, or raise."""
        heard: asyncio.Future[asyncio.Task[bool] | None] = (
            asyncio.get_running_loop().create_future()
        )
        self._listening.append(heard)
        try:
            await gpio.press(pin, hold_s)
            if pin != "bell":
                return
            telling = await asyncio.wait_for(heard, HEARD_WITHIN_S)
        except TimeoutError:
            return  # a spark, or a press that the panel keeps for itself
        finally:
            self._listening.remove(heard)
        if telling is not None and not await telling:
            raise ControlError("it rang, and can't be told; look at the doorbell's log")

    def _look(self, gpio: MockGpio) -> PanelView:
        return PanelView(
            light=self._panel.light.shown,
            light_level=gpio.level("light"),
            chime_pulses=sum(change.level == 1 for change in gpio.history("chime")),
            is_infrared_on=gpio.level("infrared") == 1,
        )
