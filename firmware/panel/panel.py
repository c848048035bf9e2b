"""The panel: all parts that are wired to pins; it works before anything else does.

A press chimes and lights at once, whatever the rest of the doorbell is doing: with no owner, no
network, no camera, and while it is still enrolling. A reset is only announced here;
`firmware.system.factory_reset` does it.
"""

import asyncio
import contextlib
import logging
import random
from functools import partial

from firmware.config.settings import PanelConfig
from firmware.panel.button import Button, Press, ServiceButton
from firmware.panel.chime import Chime
from firmware.panel.gpio import Gpio, MockGpio, Output
from firmware.panel.light import Light, LightState
from firmware.panel.pins import load_pins
from firmware.panel.presence import Presence
from firmware.system.clock import Clock
from firmware.system.listeners import Listeners
from firmware.system.supervision import keep_running
from firmware.system.uptime import BoardUptime, Uptime

log = logging.getLogger(__name__)


def open_gpio(settings: PanelConfig) -> Gpio:
    """Return the pins that the settings ask for; raise ConfigError if they can't be opened."""
    pins = load_pins(settings.pins_path)
    return MockGpio(pins) if settings.pins == "mock" else Gpio(pins)


class Panel:
    """Buttons, light, chime, presence sensor and infrared.

    Build it inside the running loop, add the listeners of `reset_wanted`, then `start` it.
    `pressed` is notified after each chime, `bell_edges` whenever the outer button goes down or up,
    after that, `service_pressed` after each short press of the inner button, and `pairing_wanted`
    when it was held for pairing.
    """

    def __init__(
        self,
        settings: PanelConfig,
        gpio: Gpio,
        *,
        has_presence: bool,
        has_infrared: bool,
        clock: Clock,
        uptime: Uptime | None = None,
    ) -> None:
        self.gpio = gpio
        self._settings = settings
        self._clock = clock
        self._lighting: asyncio.Task[None] | None = None
        self._led = gpio.output("light") if settings.has_light else None
        self._lamp = gpio.output("infrared") if has_infrared else None
        self._chime = _chime(settings, gpio, clock)
        self._presence = Presence(gpio, clock=clock) if has_presence else None
        self.light = Light(self._led, clock=clock, max_percent=settings.light_percent)
        loop = asyncio.get_running_loop()
        self._bell = Button(
            gpio,
            "bell",
            debounce_ms=settings.debounce_ms,
            clock=clock,
            loop=loop,
        )
        self.pressed = Listeners[Press]()
        self._bell.pressed.add(self._ring)
        self.bell_edges = self._bell.edges
        self._service = ServiceButton(
            gpio,
            debounce_ms=settings.debounce_ms,
            clock=clock,
            loop=loop,
            uptime=uptime or BoardUptime(),
        )
        self._service.countdown.add(partial(self.light.set, LightState.RESET))
        self.service_pressed = self._service.pressed_shortly
        self.pairing_wanted = self._service.pairing_wanted
        self.reset_wanted = self._service.reset_wanted

    def start(self) -> None:
        """Show the light, and count down to a reset if the inner button is held from power-on."""
        self._service.start()
        showing = keep_running("light", self.light.run, source=random.SystemRandom())
        self._lighting = asyncio.create_task(showing, name="light")

    def presence(self) -> bool | None:
        """Return whether the sensor detects somebody; None if there is none, or it can't tell."""
        return None if self._presence is None else self._presence.read()

    def use_settings(self, settings: PanelConfig) -> None:
        """Chime and shine by these settings from now on; the pins stay as they are."""
        if self._chime is None and settings.chime_ms:
            self._chime = _chime(settings, self.gpio, self._clock)
        elif self._chime is not None:
            self._chime.set_pulse(settings.chime_ms)
        self.light.set_percent(settings.light_percent)

    @property
    def has_chime(self) -> bool:
        """Whether a chime is fitted."""
        return self._chime is not None

    @property
    def has_light(self) -> bool:
        """Whether a light is fitted."""
        return self._led is not None

    def chime(self) -> bool:
        """Sound the chime without a press; False if it was rung too often, or isn't fitted."""
        return self._chime is not None and self._chime.ring()

    def set_infrared(self, is_on: bool) -> None:
        """Switch the infrared light, if it is fitted."""
        if self._lamp is not None:
            self._lamp.set(int(is_on))

    async def close(self) -> None:
        """Switch everything off and release the pins; a failing pin keeps no other on."""
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
        self.pressed.notify(press)


def _chime(settings: PanelConfig, gpio: Gpio, clock: Clock) -> Chime | None:
    if settings.chime_ms == 0:
        return None
    output: Output = gpio.output("chime")
    return Chime(output, pulse_ms=settings.chime_ms, clock=clock)
