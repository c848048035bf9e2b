"""The presence sensor (PIR or radar): a second opinion on motion.

What it says counts as `motion.presence` in the settings tells: not at all, only together with
what the camera sees ("agree"), or as motion of its own ("either"). It has no opinion while it
warms up after power-on, nor once it has said "somebody" for so long that it must be stuck: then
what the camera sees counts alone.
"""

from firmware.panel.gpio import Gpio
from firmware.system.clock import Clock

SETTLE_S = 60.0
"""A common PIR (HC-SR501) needs up to a minute."""
STUCK_S = 600.0


class Presence:
    """One sensor; `read` may be called from any thread."""

    def __init__(self, gpio: Gpio, *, clock: Clock) -> None:
        self._clock = clock
        self._opened_ns = self._changed_ns = clock.monotonic_ns()
        self._contact = gpio.contact("presence", self._on_change)

    def read(self) -> bool | None:
        """Return whether somebody is there; None if the sensor is implausible."""
        now_ns = self._clock.monotonic_ns()
        if now_ns - self._opened_ns < SETTLE_S * 1e9:
            return None
        is_active = self._contact.is_active
        if is_active and now_ns - self._changed_ns > STUCK_S * 1e9:
            return None
        return is_active

    def close(self) -> None:
        """Release the pin."""
        self._contact.close()

    def _on_change(self, _is_active: bool) -> None:
        self._changed_ns = self._clock.monotonic_ns()
