"""Buttons: the bell, and the service button behind the cover. The only importer of gpiozero.

gpiozero's own debounce isn't used: MockFactory ignores it, and both kinds of pins must behave
alike. A press counts once the contact has been closed for `debounce_ms` without a break, and
carries the time of the edge that began it; so neither bouncing nor a spark counts.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import gpiozero
from gpiozero.pins.mock import MockFactory

from firmware.clock import Clock

PinName = Literal["bell", "service"]
SERVICE_HOLD_S = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Press:
    """One press of a button; `at_ns` is monotonic time."""

    at_ns: int


class Button:
    """One debounced button. All callbacks run on the loop.

    `on_press` is called once a press, `on_hold` once more if it lasts `hold_s`.
    """

    def __init__(
        self,
        *,
        pin: int,
        debounce_ms: int,
        clock: Clock,
        loop: asyncio.AbstractEventLoop,
        on_press: Callable[[Press], None],
        on_hold: Callable[[], None] | None = None,
        hold_s: float = SERVICE_HOLD_S,
        pin_factory: Any = None,  # Any: gpiozero has no types; None = the board's own pins
    ) -> None:
        self._debounce_s = debounce_ms / 1000
        self._clock = clock
        self._loop = loop
        self._on_press = on_press
        self._on_hold = on_hold
        self._hold_s = hold_s
        self._is_down = False
        self._settling: asyncio.TimerHandle | None = None
        self._holding: asyncio.TimerHandle | None = None
        self._device = gpiozero.Button(pin, pull_up=True, pin_factory=pin_factory)
        self._device.when_pressed = lambda: self._hand_over(is_down=True)
        self._device.when_released = lambda: self._hand_over(is_down=False)

    def close(self) -> None:
        """Give the pin back."""
        self._device.close()
        for timer in (self._settling, self._holding):
            if timer is not None:
                timer.cancel()

    def _hand_over(self, *, is_down: bool) -> None:
        """Take one raw edge, on whichever thread gpiozero calls from."""
        if not self._loop.is_closed():
            at_ns = self._clock.monotonic_ns()
            self._loop.call_soon_threadsafe(self._take_edge, is_down, at_ns)

    def _take_edge(self, is_down: bool, at_ns: int) -> None:
        if self._settling is not None:
            self._settling.cancel()
            self._settling = None
        if is_down == self._is_down:
            return
        self._settling = self._loop.call_later(self._debounce_s, self._settle, is_down, at_ns)

    def _settle(self, is_down: bool, at_ns: int) -> None:
        self._settling = None
        self._is_down = is_down
        if self._holding is not None:
            self._holding.cancel()
            self._holding = None
        if not is_down:
            return
        if self._on_hold is not None:
            self._holding = self._loop.call_later(self._hold_s - self._debounce_s, self._on_hold)
        self._on_press(Press(at_ns=at_ns))


class MockPins:
    """Pins that exist only in memory, for a machine without GPIO; `press` moves the contact."""

    def __init__(self, *, bell_pin: int, service_pin: int) -> None:
        self.factory = MockFactory()
        self._pins = {"bell": bell_pin, "service": service_pin}

    async def press(self, name: PinName, hold_s: float = 0.15) -> None:
        """Close the contact of one button for `hold_s`."""
        self.set_down(name, is_down=True)
        try:
            await asyncio.sleep(hold_s)
        finally:
            self.set_down(name, is_down=False)

    def set_down(self, name: PinName, *, is_down: bool) -> None:
        """Close or open the contact (a closed contact pulls the pin low)."""
        pin = self.factory.pin(self._pins[name])
        if is_down:
            pin.drive_low()
        else:
            pin.drive_high()
