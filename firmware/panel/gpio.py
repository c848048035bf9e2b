"""GPIO pins by gpiozero; the only file that imports it.

`Gpio` opens the pins of a real board through lgpio; `MockGpio` has pins that exist only in memory,
for a machine without GPIO: contacts are moved by hand, and what the outputs did can be looked up.
Nothing here debounces or decides. Callbacks come on a thread of gpiozero's.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import gpiozero
from gpiozero.pins.mock import MockFactory, MockPWMPin

from firmware.errors import ConfigError
from firmware.panel.pins import Pin, PinName, Pins

OnChange = Callable[[bool], None]
ButtonName = Literal["bell", "service"]
MOCK_HISTORY = 2000
"""So many changes of a mock pin are remembered; the oldest go first."""


class Contact:
    """An input: active while its button is pressed or its sensor sees somebody."""

    def __init__(self, device: Any) -> None:  # Any: gpiozero has no types
        self._device = device

    @property
    def is_active(self) -> bool:
        """Read the pin now."""
        return bool(self._device.is_active)

    def close(self) -> None:
        """Release the pin."""
        self._device.close()


class Output:
    """An output: off from the moment it is opened, and an input again once it is closed."""

    def __init__(self, device: Any) -> None:  # Any: gpiozero has no types
        self._device = device

    def set(self, level: float) -> None:
        """Drive the pin: 0 is off, 1 on; between them only if its kind is "pwm"."""
        self._device.value = level

    def close(self) -> None:
        """Switch off and release the pin, also if its driver can't switch it off."""
        try:
            if not self._device.closed:
                self._device.off()
        finally:
            self._device.close()


class Gpio:
    """The pins of one board."""

    def __init__(self, pins: Pins, *, factory: Any = None) -> None:  # Any: as above
        """Use another `factory` of gpiozero's for a chip that isn't a Raspberry Pi's own."""
        self._pins = pins
        self._factory = _lgpio_factory() if factory is None else factory

    def contact(self, name: PinName, on_change: OnChange) -> Contact:
        """Open an input; `on_change` is called with each raw edge."""
        pin = self._pins[name]
        pull_up = {"up": True, "down": False, "none": None}[pin.pull]
        active = (pin.active == "high") if pull_up is None else None
        device = self._open(pin, gpiozero.DigitalInputDevice, pull_up=pull_up, active_state=active)
        device.when_activated = lambda: on_change(True)
        device.when_deactivated = lambda: on_change(False)
        return Contact(device)

    def output(self, name: PinName) -> Output:
        """Open an output, off."""
        pin = self._pins[name]
        kind = gpiozero.PWMOutputDevice if pin.kind == "pwm" else gpiozero.DigitalOutputDevice
        is_high = pin.active == "high"
        return Output(self._open(pin, kind, active_high=is_high, initial_value=0))

    def close(self) -> None:
        """Release all pins."""
        self._factory.close()

    def _open(self, pin: Pin, kind: Any, **options: Any) -> Any:  # Any: as above
        try:
            return kind(pin.bcm, pin_factory=self._factory, **options)
        except (gpiozero.GPIOZeroError, OSError) as error:
            expected = f"a pin that can be used for {pin.name} ({error})"
            raise ConfigError(f"pins.{pin.name}.bcm", pin.bcm, expected) from error


def _lgpio_factory() -> Any:  # Any: gpiozero has no types
    """Return the factory for real pins; gpiozero would try three others, one without PWM."""
    try:
        from gpiozero.pins.lgpio import LGPIOFactory

        return LGPIOFactory()
    except Exception as error:  # lgpio has errors of its own, and may be missing here
        expected = f'"mock" on a machine that isn\'t a Raspberry Pi with lgpio ({error!r})'
        raise ConfigError("panel.pins", "gpio", expected) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """An output went to `level` at `at_s`, monotonic."""

    at_s: float
    level: float


class _MemoryPin(MockPWMPin):  # type: ignore[misc]  # gpiozero has no types
    """A mock pin whose contact, once moved, is stronger than the pull; history is bounded."""

    states: list[Any]  # as above

    def __init__(self, factory: Any, info: Any) -> None:  # Any: as above
        self.changes: deque[tuple[float, float]] = deque(maxlen=MOCK_HISTORY)
        self._contact: bool | None = None
        super().__init__(factory, info)

    def move(self, *, is_high: bool) -> None:
        """Hold the wire at a level, also before anybody has opened the pin."""
        self._contact = is_high
        if is_high:
            self.drive_high()
        else:
            self.drive_low()

    def _set_pull(self, value: str) -> None:
        super()._set_pull(value)
        if self._contact is not None:
            self._state = self._contact

    def _change_state(self, value: float) -> bool:
        has_changed = bool(super()._change_state(value))
        if has_changed:
            self.states = self.states[-1:]
            self.changes.append((time.monotonic(), float(value)))
        return has_changed


class MockGpio(Gpio):
    """Pins that exist only in memory."""

    def __init__(self, pins: Pins) -> None:
        super().__init__(pins, factory=MockFactory(pin_class=_MemoryPin))

    def set_active(self, name: PinName, *, is_active: bool) -> None:
        """Close or open a contact; it stays so, whoever opens the pin later."""
        self._pin(name).move(is_high=self._is_high(name, is_active=is_active))

    async def press(self, name: ButtonName, hold_s: float = 0.15) -> None:
        """Close the contact of one button for `hold_s`."""
        self.set_active(name, is_active=True)
        try:
            await asyncio.sleep(hold_s)
        finally:
            self.set_active(name, is_active=False)

    def close(self) -> None:
        """Keep the pins, so that their history can still be read."""

    def level(self, name: PinName) -> float:
        """Return an output's level, 0 to 1; 0 if it isn't open."""
        pin = self._pin(name)
        if pin.function == "input":
            return 0.0
        return self._logical(name, float(pin.state))

    def history(self, name: PinName) -> list[Change]:
        """Return the last changes of an output, oldest first."""
        changes = tuple(self._pin(name).changes)
        return [Change(at_s=at_s, level=self._logical(name, level)) for at_s, level in changes]

    def _pin(self, name: PinName) -> Any:  # Any: gpiozero has no types
        return self._factory.pin(self._pins[name].bcm)

    def _is_high(self, name: PinName, *, is_active: bool) -> bool:
        return is_active == (self._pins[name].active == "high")

    def _logical(self, name: PinName, level: float) -> float:
        return level if self._pins[name].active == "high" else 1.0 - level
