"""The service button: it pairs, it resets from power-on, and nothing else does either."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

from firmware.panel.button import ServiceButton
from firmware.panel.gpio import MockGpio
from firmware.panel.pins import load_pins
from firmware.system.uptime import BoardUptime
from tests.fakes.board import ManualUptime
from tests.fakes.own_time import LoopClock, own_time

PAIRING_S, RESET_S = 0.25, 0.5
DEBOUNCE_MS = 30


class Case:
    """The opened case: what a finger on the service button brings about."""

    def __init__(self, *, is_held: bool, uptime_s: float, is_card_bad: bool = False) -> None:
        self.gpio = MockGpio(load_pins())
        self.done: list[str] = []
        self.gpio.set_active("service", is_active=is_held)
        self.button = ServiceButton(
            self.gpio,
            debounce_ms=DEBOUNCE_MS,
            clock=LoopClock(),
            loop=asyncio.get_running_loop(),
            uptime=ManualUptime(uptime_s),
            pairing_hold_s=PAIRING_S,
            reset_hold_s=RESET_S,
        )
        self.button.pairing_wanted.add(lambda: self.done.append("pairing"))
        self.button.pressed_shortly.add(lambda: self.done.append("short"))
        self.button.countdown.add(lambda is_on: self.done.append("blinks" if is_on else "stops"))
        self.button.reset_wanted.add(self._reset)
        self.button.start()
        self.is_card_bad = is_card_bad

    def _reset(self) -> None:
        if self.is_card_bad:
            raise OSError("Read-only file system")
        self.done.append("reset")

    def let_go_after(self, seconds: float) -> None:
        asyncio.get_running_loop().call_later(
            seconds, lambda: self.gpio.set_active("service", is_active=False)
        )


OpenCase = Callable[..., Case]


@pytest.fixture
async def open_case() -> AsyncIterator[OpenCase]:
    cases: list[Case] = []

    def make(*, is_held: bool = True, uptime_s: float = 20.0, is_card_bad: bool = False) -> Case:
        cases.append(Case(is_held=is_held, uptime_s=uptime_s, is_card_bad=is_card_bad))
        return cases[-1]

    with own_time():
        yield make
        for case in cases:
            case.button.close()


async def test_held_from_power_on_it_resets_and_says_so_before(open_case: OpenCase) -> None:
    case = open_case()
    await asyncio.sleep(RESET_S / 2)
    assert case.done == ["blinks"]
    await asyncio.sleep(RESET_S / 2 + 0.1)
    assert case.done == ["blinks", "reset"]


async def test_a_reset_that_fails_is_not_shown_as_one_for_ever(open_case: OpenCase) -> None:
    """The light of a reset would hide that somebody is watching."""
    case = open_case(is_card_bad=True)
    await asyncio.sleep(RESET_S + 0.1)
    assert case.done == ["blinks", "stops"]


async def test_let_go_before_the_end_it_does_nothing(open_case: OpenCase) -> None:
    case = open_case()
    case.let_go_after(RESET_S / 2)
    await asyncio.sleep(RESET_S + 0.1)
    assert case.done == ["blinks", "stops"]


async def test_let_go_and_pressed_again_it_does_not_reset(open_case: OpenCase) -> None:
    case = open_case()
    case.let_go_after(0)
    await asyncio.sleep(0.1)
    await case.gpio.press("service", RESET_S + 0.1)
    assert "reset" not in case.done


async def test_let_go_in_the_very_last_moment_it_does_not_reset(open_case: OpenCase) -> None:
    case = open_case()
    case.let_go_after(RESET_S - 0.02)  # too late to be debounced before the end
    await asyncio.sleep(RESET_S + 0.1)
    assert case.done == ["blinks", "stops"]


async def test_a_program_that_is_restarted_later_does_not_reset(open_case: OpenCase) -> None:
    case = open_case(uptime_s=61.0)
    await asyncio.sleep(RESET_S + 0.1)
    assert case.done == []


async def test_a_long_press_in_daily_life_pairs_and_does_not_reset(open_case: OpenCase) -> None:
    case = open_case(is_held=False)
    await case.gpio.press("service", RESET_S + 0.2)
    assert case.done == ["pairing"]


async def test_a_short_press_is_told_once_it_is_over_and_opens_nothing(
    open_case: OpenCase,
) -> None:
    case = open_case(is_held=False)
    await case.gpio.press("service", PAIRING_S / 3)
    await asyncio.sleep(PAIRING_S)
    assert case.done == ["short"]


async def test_held_from_power_on_it_does_not_pair(open_case: OpenCase) -> None:
    case = open_case()
    await asyncio.sleep(PAIRING_S + 0.05)
    assert "pairing" not in case.done


def test_the_board_says_for_how_long_it_has_been_on() -> None:
    assert 0 < BoardUptime().seconds() < float("inf")
