"""Buttons that bounce, spark and are held, on the mock pins that ship with the doorbell."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from firmware.panel.button import Button, Press
from firmware.panel.gpio import MockGpio
from firmware.panel.pins import load_pins
from tests.fakes.own_time import LoopClock, OwnTime, own_time
from tests.fakes.waiting import eventually

DEBOUNCE_MS = 30


class Finger:
    """A bell button on a mock pin, and what came of it."""

    def __init__(
        self, *, hold_s: float = 0.25, is_held: bool = False, held_at_start_s: float = 2.0
    ) -> None:
        self.pins = MockGpio(load_pins())
        self.presses: list[Press] = []
        self.holds = self.releases = 0
        if is_held:
            self.pins.set_active("bell", is_active=True)
        self.button = Button(
            self.pins,
            "bell",
            debounce_ms=DEBOUNCE_MS,
            clock=LoopClock(),
            loop=asyncio.get_running_loop(),
            hold_s=hold_s,
            held_at_start_s=held_at_start_s,
        )
        self.button.pressed.add(self.presses.append)
        self.button.released.add(self._on_release)
        self.button.held.add(self._on_hold)

    def _on_hold(self) -> None:
        self.holds += 1

    def _on_release(self) -> None:
        self.releases += 1

    async def bounce(self, edges: int, pause_s: float) -> None:
        for edge in range(edges):
            self.pins.set_active("bell", is_active=edge % 2 == 0)
            await asyncio.sleep(pause_s)


@pytest.fixture(autouse=True)
async def loop_time() -> AsyncIterator[OwnTime]:
    with own_time() as time:
        yield time


@pytest.fixture
async def finger() -> AsyncIterator[Finger]:
    finger = Finger()
    yield finger
    finger.button.close()


async def test_a_press_is_told_once_with_the_time_of_its_edge(finger: Finger) -> None:
    before_ns = LoopClock().monotonic_ns()
    finger.pins.set_active("bell", is_active=True)
    after_ns = LoopClock().monotonic_ns()
    await asyncio.sleep(0.1)
    finger.pins.set_active("bell", is_active=False)
    await eventually(lambda: finger.releases)
    (press,) = finger.presses
    assert before_ns <= press.at_ns <= after_ns


async def test_a_contact_that_bounces_is_one_press(finger: Finger) -> None:
    await finger.bounce(7, 0.003)
    await asyncio.sleep(0.06)
    await finger.bounce(6, 0.003)
    await asyncio.sleep(0.06)
    assert len(finger.presses) == 1


async def test_a_spark_is_no_press(finger: Finger) -> None:
    await finger.pins.press("bell", 0.005)
    await asyncio.sleep(0.06)
    assert finger.presses == []


async def test_a_press_that_came_and_went_while_the_loop_was_busy_counts(
    finger: Finger, loop_time: OwnTime
) -> None:
    edges_of_a_press(finger, loop_time)
    await asyncio.sleep(0.06)
    assert len(finger.presses) == 1
    assert finger.releases == 1


async def test_a_spark_while_the_loop_was_busy_is_still_no_press(
    finger: Finger, loop_time: OwnTime
) -> None:
    edges_of_a_press(finger, loop_time, hold_s=0.005)
    loop_time.hang(0.05)  # the loop is busy with something else
    await asyncio.sleep(0.06)
    assert finger.presses == []


def edges_of_a_press(finger: Finger, loop_time: OwnTime, *, hold_s: float = 0.1) -> None:
    """Close and open the contact, as gpiozero's thread sees it, without a turn of the loop."""
    finger.pins.set_active("bell", is_active=True)
    loop_time.hang(hold_s)
    finger.pins.set_active("bell", is_active=False)


async def test_two_presses_are_two(finger: Finger) -> None:
    for _ in range(2):
        await finger.pins.press("bell", 0.08)
        await asyncio.sleep(0.08)
    assert len(finger.presses) == 2


async def test_a_long_press_is_told_as_such_once(finger: Finger) -> None:
    await finger.pins.press("bell", 0.4)
    await asyncio.sleep(0.05)
    assert (len(finger.presses), finger.holds) == (1, 1)


async def test_a_short_press_is_no_long_one(finger: Finger) -> None:
    await finger.pins.press("bell", 0.1)
    await asyncio.sleep(0.3)
    assert finger.holds == 0


async def test_a_press_that_began_before_the_pin_was_opened_is_told_at_its_end() -> None:
    before_ns = LoopClock().monotonic_ns()
    finger = Finger(is_held=True)
    opened_ns = LoopClock().monotonic_ns()
    await asyncio.sleep(0.06)
    assert finger.presses == []
    finger.pins.set_active("bell", is_active=False)
    await asyncio.sleep(0.06)
    (press,) = finger.presses
    assert before_ns <= press.at_ns <= opened_ns
    await finger.pins.press("bell", 0.1)
    assert len(finger.presses) == 2
    finger.button.close()


async def test_a_contact_that_is_closed_for_a_moment_at_the_start_was_not_pressed() -> None:
    """As a wire is until its pull-up has charged it."""
    finger = Finger(is_held=True)
    finger.pins.set_active("bell", is_active=False)
    await asyncio.sleep(0.06)
    assert finger.presses == []
    finger.button.close()


async def test_a_button_that_is_stuck_from_the_start_was_not_pressed() -> None:
    finger = Finger(is_held=True, held_at_start_s=0.1)
    assert finger.button.is_down
    await asyncio.sleep(0.3)
    assert (finger.presses, finger.holds, finger.releases) == ([], 0, 0)
    finger.pins.set_active("bell", is_active=False)
    await asyncio.sleep(0.06)
    assert finger.releases == 1
    await finger.pins.press("bell", 0.1)
    assert len(finger.presses) == 1
    finger.button.close()


async def test_a_contact_that_flickers_open_while_held_is_not_released(finger: Finger) -> None:
    finger.pins.set_active("bell", is_active=True)
    await asyncio.sleep(0.06)
    await finger.bounce(4, 0.003)
    finger.pins.set_active("bell", is_active=True)
    await asyncio.sleep(0.06)
    assert (len(finger.presses), finger.releases) == (1, 0)
