"""The LED ring: one colour; each state has its own blink pattern.

`SIGNALS` is the one list of states, in the order in which they win; the guide's table is checked
against it. What shows must be true for whoever passes by: while somebody is watching the light is
steady, and nothing but a reset may look like that or hide it. That a request or a grant waits is
never shown: the street could read it (an officer must not learn whether an owner has answered).
"""

import asyncio
import contextlib
import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final, Protocol

from firmware.system.clock import Clock

log = logging.getLogger(__name__)


class LightState(StrEnum):
    """The states that the light can show."""

    RESET = "reset"
    WATCHED = "watched"
    RINGING = "ringing"
    DIGITS = "digits"
    WORDS = "words"
    JOINING = "joining"
    PAIRING = "pairing"
    TROUBLE = "trouble"
    STARTING = "starting"
    UNPAIRED = "unpaired"
    RECORDING = "recording"
    IDLE = "idle"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A brightness (0 to 1) for a time; infinity is "until something else shows"."""

    level: float
    for_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """A state's blink pattern, in words and in steps, and its meaning."""

    looks: str
    means: str
    steps: tuple[Step, ...]
    is_repeated: bool = True

    @property
    def length_s(self) -> float:
        """The duration of all steps."""
        return sum(step.for_s for step in self.steps)

    def at(self, elapsed_s: float) -> Step:
        """Return the level at a time since the state began, and how long it will last."""
        if self.is_repeated and math.isfinite(self.length_s):
            elapsed_s %= self.length_s
        for step in self.steps:
            if elapsed_s < step.for_s:
                return Step(level=step.level, for_s=step.for_s - elapsed_s)
            elapsed_s -= step.for_s
        return Step(level=self.steps[-1].level, for_s=math.inf)


def _steady(level: float) -> tuple[Step, ...]:
    return (Step(level=level, for_s=math.inf),)


def _blinks(count: int, *, on_s: float, off_s: float, pause_s: float = 0) -> tuple[Step, ...]:
    one = (Step(level=1, for_s=on_s), Step(level=0, for_s=off_s))
    return one * count + ((Step(level=0, for_s=pause_s),) if pause_s else ())


def _breath(*, over_s: float, highest: float, steps: int) -> tuple[Step, ...]:
    return tuple(
        Step(level=highest * math.sin(math.pi * step / steps) ** 2, for_s=over_s / steps)
        for step in range(steps)
    )


def digit_steps(digits: str) -> tuple[Step, ...]:
    """Return the flashes of some digits: as many as each says, ten for a nought."""
    steps: list[Step] = []
    for digit in digits:
        count = int(digit) or 10
        steps += _blinks(count, on_s=0.25, off_s=0.35, pause_s=1.4)
    return (*steps, Step(level=0, for_s=2.6))


SIGNALS: Final[Mapping[LightState, Signal]] = {
    LightState.RESET: Signal(
        looks="blinks for 15 s, faster and faster, then steady",
        means="The service button was held at power-on: at the end all is wiped. Let go to stop.",
        steps=(
            *_blinks(5, on_s=0.5, off_s=0.5),
            *_blinks(10, on_s=0.25, off_s=0.25),
            *_blinks(25, on_s=0.1, off_s=0.1),
            Step(level=1, for_s=math.inf),
        ),
        is_repeated=False,
    ),
    LightState.WATCHED: Signal(
        looks="steady",
        means="Somebody is watching live through this doorbell now.",
        steps=_steady(1),
    ),
    LightState.RINGING: Signal(
        looks="six quick flashes",
        means="Your press was noticed.",
        steps=_blinks(6, on_s=0.1, off_s=0.1),
        is_repeated=False,
    ),
    LightState.DIGITS: Signal(
        looks="flashes four digits: as many flashes as each says, ten for a nought, then a pause",
        means="The check page waits for these four digits.",
        steps=digit_steps("1234"),
    ),
    LightState.WORDS: Signal(
        looks="two blinks, then a pause of a second",
        means="Four words wait for your app, or were found there, or a Wi-Fi network waits for "
        "your yes: press the service button once.",
        steps=_blinks(2, on_s=0.2, off_s=0.2, pause_s=1.0),
    ),
    LightState.JOINING: Signal(
        looks="one long blink, then a short one",
        means="It tries another Wi-Fi network. If its relay doesn't answer there within two "
        "minutes, it goes back to the one before.",
        steps=(*_blinks(1, on_s=0.8, off_s=0.3), *_blinks(1, on_s=0.2, off_s=0.3)),
    ),
    LightState.PAIRING: Signal(
        looks="blinks evenly, once a second",
        means="It waits for its owner's code, or one of a Wi-Fi network, before the camera. "
        "Nothing is recorded while that may be a Wi-Fi code.",
        steps=_blinks(1, on_s=0.5, off_s=0.5),
    ),
    LightState.TROUBLE: Signal(
        looks="three short blinks, then a pause of three seconds",
        means="Something is wrong, such as camera, card, sound, power or heat. "
        "Its own page says what.",
        steps=_blinks(3, on_s=0.1, off_s=0.2, pause_s=3.0),
    ),
    LightState.STARTING: Signal(
        looks="one short blink every two seconds",
        means="It starts, and isn't ready yet. The bell rings already.",
        steps=_blinks(1, on_s=0.1, off_s=1.9),
    ),
    LightState.UNPAIRED: Signal(
        looks="a glow of one second every four seconds",
        means="It has no owner yet: hold the service button for three seconds to pair it.",
        steps=_blinks(1, on_s=1.0, off_s=3.0),
    ),
    LightState.RECORDING: Signal(
        looks="glows faintly and fades, slowly",
        means="A clip is being recorded.",
        steps=_breath(over_s=4.0, highest=0.25, steps=40),
    ),
    LightState.IDLE: Signal(
        looks="off", means="Ready. Nobody watches and no clip is recorded.", steps=_steady(0)
    ),
}


class Led(Protocol):
    """An LED that can be dimmed (`firmware.panel.gpio.Output`)."""

    def set(self, level: float) -> None:
        """Set the brightness, 0 to 1."""
        ...


class Light:
    """Shows the most important of the states that are on. All but `shown` on the loop."""

    def __init__(self, led: Led | None, *, clock: Clock, max_percent: int) -> None:
        """Without an LED, states are kept and nothing is shown."""
        self._led = led
        self._clock = clock
        self._cap = self._plain_cap = max_percent / 100
        self._signals = dict(SIGNALS)
        self._digits: str | None = None
        self._since_ns = {LightState.IDLE: 0}
        self._ends_ns: dict[LightState, int] = {}
        self._has_changed = asyncio.Event()

    def set(self, state: LightState, is_on: bool) -> None:
        """Switch a state on or off; a state that was on already continues undisturbed."""
        if is_on == (state in self._since_ns) or state is LightState.IDLE:
            return
        if is_on:
            self._since_ns[state] = self._clock.monotonic_ns()
        else:
            del self._since_ns[state]
        self._ends_ns.pop(state, None)
        self._has_changed.set()

    def set_percent(self, percent: int) -> None:
        """Shine with at most this much from now on, but never dimmer while somebody watches."""
        self._cap = percent / 100
        self._has_changed.set()

    def show_digits(self, digits: str | None) -> None:
        """Flash these digits until others are given, or None."""
        if digits == self._digits:
            return
        self._digits = digits
        self.set(LightState.DIGITS, False)
        if digits is not None:
            signal = replace(SIGNALS[LightState.DIGITS], steps=digit_steps(digits))
            self._signals[LightState.DIGITS] = signal
            self.set(LightState.DIGITS, True)

    def show_once(self, state: LightState) -> None:
        """Show a state's steps from their beginning, once."""
        now_ns, length_s = self._clock.monotonic_ns(), SIGNALS[state].length_s
        self._since_ns[state] = now_ns
        if math.isfinite(length_s):
            self._ends_ns[state] = now_ns + round(length_s * 1e9)
        self._has_changed.set()

    @property
    def shown(self) -> LightState:
        """The most important state that is on."""
        now_ns = self._clock.monotonic_ns()
        return next(
            state
            for state in SIGNALS
            if state in self._since_ns and now_ns < self._ends_ns.get(state, now_ns + 1)
        )

    async def run(self) -> None:
        """Show until cancelled; dark afterwards, also after a failure."""
        try:
            while True:
                self._has_changed.clear()
                step = self._render()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(None if math.isinf(step.for_s) else step.for_s):
                        await self._has_changed.wait()
        finally:
            with contextlib.suppress(Exception):  # a pin that fails is an input: dark as well
                self._set_level(0)

    def _render(self) -> Step:
        now_ns = self._clock.monotonic_ns()
        for state in [state for state, ends_ns in self._ends_ns.items() if ends_ns <= now_ns]:
            del self._ends_ns[state], self._since_ns[state]
        state = self.shown
        step = self._signals[state].at((now_ns - self._since_ns[state]) / 1e9)
        is_undimmed = state in (LightState.WATCHED, LightState.RESET)
        cap = max(self._cap, self._plain_cap) if is_undimmed else self._cap
        self._set_level(step.level * cap)
        return step

    def _set_level(self, level: float) -> None:
        if self._led is not None:
            self._led.set(level)
