"""The light: every state can be told from the others, and "watched" is never hidden."""

import asyncio
import contextlib
import itertools
import math
from collections.abc import AsyncIterator

import pytest

from firmware.panel.light import SIGNALS, Light, LightState
from firmware.system.clock import SystemClock
from tests.fakes.clock import ManualClock
from tests.fakes.own_time import LoopClock, own_time

BEFORE_WATCHED = {LightState.RESET, LightState.WATCHED}


class FakeLed:
    """Implements `firmware.panel.light.Led`; keeps the levels that were set."""

    def __init__(self) -> None:
        self.levels: list[float] = []

    def set(self, level: float) -> None:
        self.levels.append(level)


class Lamp:
    """A light on a clock that a test moves."""

    def __init__(self, max_percent: int = 100) -> None:
        self.clock = ManualClock()
        self.led = FakeLed()
        self.light = Light(self.led, clock=self.clock, max_percent=max_percent)


@pytest.fixture
async def lit() -> AsyncIterator[tuple[Light, list[float]]]:
    led = FakeLed()
    light = Light(led, clock=LoopClock(), max_percent=60)
    with own_time():
        task = asyncio.create_task(light.run())
        yield light, led.levels
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def rhythm(state: LightState, *, over_s: float = 16.0) -> tuple[float, ...]:
    return tuple(SIGNALS[state].at(tenth / 10 + 0.05).level for tenth in range(int(over_s * 10)))


def test_every_state_is_told_how_it_looks_and_what_it_means() -> None:
    assert list(SIGNALS) == list(LightState)
    assert len({signal.looks for signal in SIGNALS.values()}) == len(LightState)
    assert all(signal.means.endswith(".") for signal in SIGNALS.values())


def test_no_two_states_look_the_same() -> None:
    for one, other in itertools.combinations(LightState, 2):
        assert rhythm(one) != rhythm(other), f"{one} looks like {other}"


def test_only_watched_is_steady() -> None:
    steady = {state for state in LightState if set(rhythm(state, over_s=10)) == {1.0}}
    assert steady == {LightState.WATCHED}


def test_nothing_hides_that_somebody_is_watching() -> None:
    lamp = Lamp()
    lamp.light.set(LightState.WATCHED, True)
    for state in set(LightState) - BEFORE_WATCHED:
        lamp.light.set(state, True)
        lamp.light.show_once(state)
        assert lamp.light.shown is LightState.WATCHED
    lamp.light.set(LightState.WATCHED, False)
    assert lamp.light.shown is not LightState.WATCHED


def test_the_order_of_the_table_is_the_order_of_importance() -> None:
    lamp = Lamp()
    assert lamp.light.shown is LightState.IDLE
    for state in reversed(LightState):
        lamp.light.set(state, True)
        assert lamp.light.shown is state
    for state, following in itertools.pairwise(LightState):
        lamp.light.set(state, False)
        assert lamp.light.shown is following


def test_a_state_that_is_shown_once_ends_by_itself() -> None:
    lamp = Lamp()
    lamp.light.set(LightState.RECORDING, True)
    lamp.light.show_once(LightState.RINGING)
    lamp.clock.advance(1.1)
    assert lamp.light.shown is LightState.RINGING
    lamp.clock.advance(0.2)
    assert lamp.light.shown is LightState.RECORDING


def test_the_countdown_of_a_reset_gets_faster_and_takes_15_seconds() -> None:
    steps = SIGNALS[LightState.RESET].steps
    assert math.isinf(steps[-1].for_s)
    assert steps[-1].level == 1
    assert sum(step.for_s for step in steps[:-1]) == pytest.approx(15)
    lengths = [step.for_s for step in steps[:-1]]
    assert lengths == sorted(lengths, reverse=True)


@pytest.mark.parametrize("state", list(LightState))
def test_a_signal_goes_through_its_steps_and_never_stands_still_in_between(
    state: LightState,
) -> None:
    signal = SIGNALS[state]
    elapsed_s = 0.0
    for step in signal.steps:
        now = signal.at(elapsed_s + 1e-9)
        assert now.level == step.level
        assert now.for_s == pytest.approx(step.for_s)
        elapsed_s += step.for_s
        if math.isinf(elapsed_s):
            return
    again = signal.at(elapsed_s + 1e-6)
    assert again.level == signal.steps[0 if signal.is_repeated else -1].level


async def test_a_state_shows_at_once_and_no_brighter_than_allowed(
    lit: tuple[Light, list[float]],
) -> None:
    light, levels = lit
    await asyncio.sleep(0.01)
    light.set(LightState.WATCHED, True)
    await asyncio.sleep(0.05)
    assert levels == [0, 0.6]


async def test_flashes_are_shown_and_end_in_the_dark(lit: tuple[Light, list[float]]) -> None:
    light, levels = lit
    light.show_once(LightState.RINGING)
    await asyncio.sleep(0.45)
    lit_for_s = [level for level, _ in itertools.groupby(levels)]
    assert lit_for_s[:5] in ([0, 0.6, 0, 0.6, 0], [0.6, 0, 0.6, 0, 0.6])


async def test_the_light_is_off_once_it_has_ended() -> None:
    led = FakeLed()
    light = Light(led, clock=SystemClock(), max_percent=100)
    light.set(LightState.WATCHED, True)
    task = asyncio.create_task(light.run())
    await asyncio.sleep(0.02)
    assert led.levels[-1] == 1
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    assert led.levels[-1] == 0
