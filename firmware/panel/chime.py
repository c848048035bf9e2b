"""The chime: one short pulse on the bell wire at a press, and off whatever else fails.

A chime that stays on burns out its coil. So a thread of its own switches it on, waits and
switches it off: a loop that hangs in between changes nothing. It exists before the first pulse,
so that no pulse begins that nobody could end; an exception ends it, and a pin that can't be
switched off is given back.

What no code here can end is the pulse of a process that is killed in its middle. Some kernels make
a dead process's pin an input again, and the pull-down at the opto-coupler then means "off"; others
(a Pi 5's, and newer ones) may leave it driven until the next start, which begins with "off" a few
seconds later, or never if the board is halted. So the hardware must bound a pulse as well (a
monostable, or a capacitor in series). Not measured on a Pi.
"""

import contextlib
import logging
import threading

from firmware.panel.gpio import Output
from firmware.system.clock import Clock

log = logging.getLogger(__name__)

MAX_PULSE_MS = 500
MIN_GAP_S = 1.0
"""From one pulse to the next, so that the coil rests."""
BURST = 5
REFILL_S = 5.0
"""A child that leans on the bell hears it five times, and then every five seconds."""


class Chime:
    """Pulses one output. `ring` is called on the loop and returns at once."""

    def __init__(self, output: Output, *, pulse_ms: int, clock: Clock) -> None:
        self._output = output
        self._pulse_s = min(pulse_ms, MAX_PULSE_MS) / 1000
        self._clock = clock
        self._tokens = float(BURST)
        self._last_ns: int | None = None
        self._wanted = threading.Event()
        self._is_closing = threading.Event()
        self._thread = threading.Thread(target=self._pulse, name="chime", daemon=True)
        self._thread.start()

    def set_pulse(self, pulse_ms: int) -> None:
        """Let each pulse take so long from the next one on; 0: none is given."""
        self._pulse_s = min(pulse_ms, MAX_PULSE_MS) / 1000

    def ring(self) -> bool:
        """Begin one pulse; False if the bell was rung too often, or pulses take no time."""
        if self._pulse_s == 0:
            return False
        now_ns = self._clock.monotonic_ns()
        if self._last_ns is not None:
            rested_s = (now_ns - self._last_ns) / 1e9
            if rested_s < MIN_GAP_S or self._tokens + rested_s / REFILL_S < 1:
                return False
            self._tokens = min(float(BURST), self._tokens + rested_s / REFILL_S)
        self._tokens -= 1
        self._last_ns = now_ns
        self._wanted.set()
        return True

    def close(self) -> None:
        """End the pulse at once, and release the pin."""
        self._is_closing.set()
        self._wanted.set()
        self._thread.join(timeout=1.0)
        self._output.close()

    def _pulse(self) -> None:
        while True:
            self._wanted.wait()
            self._wanted.clear()
            if self._is_closing.is_set():
                return
            try:
                self._output.set(1)
                self._is_closing.wait(self._pulse_s)
            except Exception:
                log.exception("the chime failed")
            finally:
                self._switch_off()

    def _switch_off(self) -> None:
        try:
            self._output.set(0)
        except Exception:
            log.exception("the chime can't be switched off; its pin is released")
            with contextlib.suppress(Exception):  # a closed pin is an input, and that is "off"
                self._output.close()
