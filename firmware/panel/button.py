"""Buttons: the bell, and the service button inside the case.

gpiozero's own debounce isn't used: its mock ignores it, and both kinds of pins must behave
alike. A press counts once the contact has been closed for `debounce_ms` without a break, and
carries the time of the edge that began it; so neither bouncing nor a spark counts. How long it was
closed is told by the edges' own times: a loop that was busy meanwhile misses no press. A contact
that is closed already when the pin is opened is down, and was pressed only if it opens soon:
whoever rings while the doorbell starts lets go, a contact that is stuck doesn't.
"""

import asyncio
import logging
from dataclasses import dataclass

from firmware.panel.gpio import ButtonName, Gpio
from firmware.system.clock import Clock
from firmware.system.listeners import Listeners
from firmware.system.uptime import Uptime

log = logging.getLogger(__name__)

PAIRING_HOLD_S = 3.0
RESET_HOLD_S = 15.0
FIRST_MINUTE_S = 60.0
HELD_AT_START_S = 2.0
"""A contact that is closed at the start and opens within this time was pressed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Press:
    """One press of a button; `at_ns` is monotonic time."""

    at_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """A button went down or up, debounced; `at_ns` is the contact's own time, monotonic."""

    is_down: bool
    at_ns: int


class Button:
    """One debounced button. All listeners are called on the loop.

    `pressed` is notified once a press, `held` once more if it lasts `hold_s`; `released` whenever
    the contact has opened; `edges` last, also after a listener of the others has failed. A press
    that began before the pin was opened is told at its end, as of when the pin was opened.
    """

    def __init__(
        self,
        gpio: Gpio,
        name: ButtonName,
        *,
        debounce_ms: int,
        clock: Clock,
        loop: asyncio.AbstractEventLoop,
        hold_s: float = PAIRING_HOLD_S,
        held_at_start_s: float = HELD_AT_START_S,
    ) -> None:
        self._held_at_start_s = held_at_start_s
        self._debounce_s = debounce_ms / 1000
        self._clock = clock
        self._loop = loop
        self.pressed = Listeners[Press]()
        self.held = Listeners[()]()
        self.released = Listeners[()]()
        self.edges = Listeners[Edge]()
        self._hold_s = hold_s
        self._settling: asyncio.TimerHandle | None = None
        self._unsettled: Edge | None = None
        self._holding: asyncio.TimerHandle | None = None
        self._contact = gpio.contact(name, self._hand_over)
        self._is_down = self._contact.is_active
        self._down_at_start_ns = clock.monotonic_ns() if self._is_down else None

    @property
    def is_down(self) -> bool:
        """Return whether the button is down, both debounced and by the pin's level now."""
        return self._is_down and self._contact.is_active

    def close(self) -> None:
        """Release the pin."""
        self._contact.close()
        for timer in (self._settling, self._holding):
            if timer is not None:
                timer.cancel()

    def _hand_over(self, is_down: bool) -> None:
        """Pass one raw edge to the loop, on whichever thread gpiozero calls from."""
        if not self._loop.is_closed():
            at_ns = self._clock.monotonic_ns()
            self._loop.call_soon_threadsafe(self._take_edge, is_down, at_ns)

    def _take_edge(self, is_down: bool, at_ns: int) -> None:
        before, self._unsettled = self._unsettled, None
        if self._settling is not None:
            self._settling.cancel()
            self._settling = None
        try:
            if before is not None and at_ns - before.at_ns >= self._debounce_s * 1e9:
                self._settle(before)  # it lasted; only the loop came too late to see that
        finally:  # also after a listener has failed: this edge is told as well
            if is_down != self._is_down:
                edge = self._unsettled = Edge(is_down=is_down, at_ns=at_ns)
                self._settling = self._loop.call_later(self._debounce_s, self._settle, edge)

    def _settle(self, edge: Edge) -> None:
        self._settling = self._unsettled = None
        try:
            self._change(edge.is_down, edge.at_ns)
        finally:
            self.edges.notify(edge)

    def _change(self, is_down: bool, at_ns: int) -> None:
        self._is_down = is_down
        if self._holding is not None:
            self._holding.cancel()
            self._holding = None
        if not is_down:
            self._end_press_from_before(at_ns)
            self.released.notify()
            return
        self._holding = self._loop.call_later(self._hold_s - self._debounce_s, self.held.notify)
        self.pressed.notify(Press(at_ns=at_ns))

    def _end_press_from_before(self, at_ns: int) -> None:
        """Tell a press that began before the pin was opened, unless it was a spark or is stuck."""
        began_ns, self._down_at_start_ns = self._down_at_start_ns, None
        if began_ns is None:
            return
        lasted_s = (at_ns - began_ns) / 1e9
        if self._debounce_s <= lasted_s <= self._held_at_start_s:
            self.pressed.notify(Press(at_ns=began_ns))


class ServiceButton:
    """The button behind the security screw: a short press, 3 s for pairing, 15 s for a reset.

    `pressed_shortly` is notified once a press that was shorter than what pairing needs is over,
    `pairing_wanted` when one has lasted so long. For a reset
    only a button counts that is down already when the doorbell starts, within the board's first
    minute, and stays down: neither a program that was restarted nor a long press later on resets.
    `start` looks whether it is, once `countdown` (whether one runs) and `reset_wanted` have their
    listeners.
    """

    def __init__(
        self,
        gpio: Gpio,
        *,
        debounce_ms: int,
        clock: Clock,
        loop: asyncio.AbstractEventLoop,
        uptime: Uptime,
        pairing_hold_s: float = PAIRING_HOLD_S,
        reset_hold_s: float = RESET_HOLD_S,
    ) -> None:
        self.countdown = Listeners[bool]()
        self.reset_wanted = Listeners[()]()
        self._loop = loop
        self._uptime = uptime
        self._reset_hold_s = reset_hold_s
        self._countdown: asyncio.TimerHandle | None = None
        self._button = Button(
            gpio,
            "service",
            debounce_ms=debounce_ms,
            clock=clock,
            loop=loop,
            hold_s=pairing_hold_s,
        )
        self._button.released.add(self._stop_countdown)
        self._button.edges.add(self._note_edge)
        self.pressed_shortly = Listeners[()]()
        self._pairing_hold_s = pairing_hold_s
        self._down_ns: int | None = None
        self.pairing_wanted = self._button.held

    def start(self) -> None:
        """Begin to count down to a reset, if the button is held from power-on."""
        if self._button.is_down and self._uptime.seconds() <= FIRST_MINUTE_S:
            log.warning(
                "the service button is held at power-on: a reset in %g s", self._reset_hold_s
            )
            self.countdown.notify(True)
            self._countdown = self._loop.call_later(self._reset_hold_s, self._reset)

    def close(self) -> None:
        """Release the pin."""
        self._button.close()
        self._stop_countdown()

    def _note_edge(self, edge: Edge) -> None:
        """Tell a short press from a long one by the edges' own times."""
        down_ns, self._down_ns = self._down_ns, edge.at_ns if edge.is_down else None
        is_over = not edge.is_down and down_ns is not None
        if is_over and edge.at_ns - (down_ns or 0) < self._pairing_hold_s * 1e9:
            self.pressed_shortly.notify()

    def _reset(self) -> None:
        if not self._button.is_down:
            self._stop_countdown()
            return
        self._countdown = None
        try:
            self.reset_wanted.notify()
        except Exception:  # failing storage: the light must still show the true state
            log.exception("the reset failed; hold the button at the next power-on")
            self.countdown.notify(False)

    def _stop_countdown(self) -> None:
        if self._countdown is not None:
            self._countdown.cancel()
            self._countdown = None
            self.countdown.notify(False)
