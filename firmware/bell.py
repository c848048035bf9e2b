"""The bell and the service button: from a press to an accepted event, and to a clip.

A press is told first (durably, off the loop) and then triggers the clip, whose pre-roll reaches
back to before it. With mock pins the control socket moves the contacts; its "ok" means that the
press is accepted. Before an owner is paired nothing is told and nothing is written.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

from firmware.capture.button import Button, MockPins, PinName, Press
from firmware.capture.control import ControlSocket
from firmware.capture.packets import pts_90k_of
from firmware.clips.recorder import Recorder
from firmware.clock import Clock
from firmware.config import ButtonConfig
from firmware.enrolment.pairing import Pairing
from firmware.protocol.events import Pressed
from firmware.telling import Tell

log = logging.getLogger(__name__)

Show = Callable[[bytes, float], Awaitable[None]]
"""Holds a picture (PNG) before the camera for some seconds."""


class Bell:
    """The two buttons of one doorbell. Build it inside the running loop, then `start` it."""

    def __init__(
        self,
        settings: ButtonConfig,
        *,
        clock: Clock,
        recorder: Recorder,
        pairing: Pairing,
        has_owner: Callable[[], bool],
        tell: Tell,
        show: Show,
    ) -> None:
        self._clock = clock
        self._recorder = recorder
        self._pairing = pairing
        self._has_owner = has_owner
        self._tell = tell
        self._presses: set[asyncio.Task[None]] = set()
        self._control: ControlSocket | None = None
        pins = None
        if settings.pins == "mock":
            pins = MockPins(bell_pin=settings.bell_pin, service_pin=settings.service_pin)
            self._control = ControlSocket(
                Path(settings.control_socket), on_press=partial(self._move, pins), on_show=show
            )
        make = partial(
            Button,
            debounce_ms=settings.debounce_ms,
            clock=clock,
            loop=asyncio.get_running_loop(),
            pin_factory=None if pins is None else pins.factory,
        )
        self._buttons = [
            make(pin=settings.bell_pin, on_press=self._on_bell),
            make(pin=settings.service_pin, on_press=lambda _: None, on_hold=self._on_service),
        ]

    async def start(self) -> None:
        """Listen on the control socket, if there is one."""
        if self._control is not None:
            await self._control.start()

    async def close(self) -> None:
        """Give the pins back; wait for the presses that are being told."""
        if self._control is not None:
            await self._control.close()
        for button in self._buttons:
            button.close()
        await asyncio.gather(*self._presses, return_exceptions=True)

    def _on_bell(self, press: Press) -> None:
        if not self._has_owner():
            log.info("the bell rang; nobody is paired, so nothing is told or kept")
            return
        task = asyncio.create_task(self._tell_press(press), name="press")
        self._presses.add(task)
        task.add_done_callback(self._presses.discard)

    async def _tell_press(self, press: Press) -> None:
        event = await self._tell(Pressed())
        self._recorder.trigger(event.id, "pressed", pts_90k_of(press.at_ns))

    def _on_service(self) -> None:
        if not self._pairing.press_service(self._clock.monotonic_ns() // 1_000_000):
            log.warning("the service button does nothing: this doorbell has an owner")

    async def _move(self, pins: MockPins, pin: PinName, hold_s: float) -> None:
        """Move a mock contact; return once the presses that it made are accepted."""
        await pins.press(pin, hold_s)
        await asyncio.gather(*self._presses)
