"""The panel: everything that is wired to pins, working before anything else does.

A press chimes and lights at once, whatever the rest of the doorbell is doing: with no owner, no
network, no camera, and while it is still enrolling. Who wants to know of presses says so by
`listen`. A reset is only ordered here; `firmware.system.factory_reset` does it.
"""

import asyncio
import contextlib
import logging
import random
from collections.abc import Callable
from functools import partial

from firmware.config.settings import PanelConfig
from firmware.panel.button import Button, Edge, Press, ServiceButton, board_uptime_s
from firmware.panel.chime import Chime
from firmware.panel.gpio import Gpio, MockGpio, Output
from firmware.panel.light import Light, LightState
from firmware.panel.pins import load_pins
from firmware.panel.presence import Presence
from firmware.system.clock import Clock
from firmware.system.supervision import keep_running

log = logging.getLogger(__name__)


def open_gpio(settings: PanelConfig) -> Gpio:
    """Return the pins that the settings ask for; raise ConfigError if they can't be had."""
    pins = load_pins(settings.pins_path)
    return MockGpio(pins) if settings.pins == "mock" else Gpio(pins)


class Panel:
    """Buttons, light, chime, presence sensor and infrared. Build it inside the running loop."""

    def __init__(
        self,
        settings: PanelConfig,
        gpio: Gpio,
        *,
        has_presence: bool,
        has_infrared: bool,
        clock: Clock,
        on_reset: Callable[[], None],
        uptime_s: Callable[[], float] = board_uptime_s,
    ) -> None:
        self.gpio = gpio
        self._settings = settings
        self._lighting: asyncio.Task[None] | None = None
        self._on_bell: Callable[[Press], None] | None = None
        self._on_service: Callable[[], None] | None = None
        self._on_bell_edge: Callable[[Edge], None] | None = None
        self._led = gpio.output("light") if settings.has_light else None
        self._lamp = gpio.output("infrared") if has_infrared else None
        self._chime = _chime(settings, gpio, clock)
        self._presence = Presence(gpio, clock=clock) if has_presence else None
        self.light = Light(self._set_light_level, clock=clock, max_percent=settings.light_percent)
        loop = asyncio.get_running_loop()
        self._bell = Button(
            gpio,
            "bell",
            debounce_ms=settings.debounce_ms,
            clock=clock,
            loop=loop,
            on_press=self._ring,
            on_edge=self._tell_edge,
        )
        self._service = ServiceButton(
            gpio,
            debounce_ms=settings.debounce_ms,
            clock=clock,
            loop=loop,
            uptime_s=uptime_s,
            on_pairing=self._open_pairing,
            on_countdown=partial(self.light.set, LightState.RESET),
            on_reset=on_reset,
        )

    def listen(self, *, on_bell: Callable[[Press], None], on_service: Callable[[], None]) -> None:
        """Call `on_bell` after each chime, and `on_service` when pairing is asked for."""
        self._on_bell, self._on_service = on_bell, on_service

    def watch_bell(self, on_edge: Callable[[Edge], None]) -> None:
        """Call `on_edge` whenever the outer button goes down or up, after it has rung."""
        self._on_bell_edge = on_edge

    def start(self) -> None:
        """Let there be light."""
        showing = keep_running("light", self.light.run, source=random.SystemRandom())
        self._lighting = asyncio.create_task(showing, name="light")

    def presence(self) -> bool | None:
        """Tell whether the sensor sees somebody; None if there is none, or it can't tell."""
        return None if self._presence is None else self._presence.read()

    def set_infrared(self, is_on: bool) -> None:
        """Switch the infrared light, if it is fitted."""
        if self._lamp is not None:
            self._lamp.set(int(is_on))

    async def close(self) -> None:
        """Switch everything off and give the pins back; one that fails keeps no other on."""
        if self._lighting is not None:
            self._lighting.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._lighting
        async with contextlib.AsyncExitStack() as closing:  # the last one first
            closing.callback(self.gpio.close)
            for part in (self._presence, self._lamp, self._led):
                if part is not None:
                    closing.callback(part.close)
            if self._chime is not None:
                closing.push_async_callback(asyncio.to_thread, self._chime.close)
            closing.callback(self._service.close)
            closing.callback(self._bell.close)

    def _ring(self, press: Press) -> None:
        if self._chime is not None and not self._chime.ring():
            log.info("the bell was rung too often to chime each time")
        self.light.show_once(LightState.RINGING)
        if self._on_bell is not None:
            self._on_bell(press)

    def _tell_edge(self, edge: Edge) -> None:
        if self._on_bell_edge is not None:
            self._on_bell_edge(edge)

    def _open_pairing(self) -> None:
        if self._on_service is not None:
            self._on_service()

    def _set_light_level(self, level: float) -> None:
        if self._led is not None:
            self._led.set(level)


def _chime(settings: PanelConfig, gpio: Gpio, clock: Clock) -> Chime | None:
    if settings.chime_ms == 0:
        return None
    output: Output = gpio.output("chime")
    return Chime(output, pulse_ms=settings.chime_ms, clock=clock)
