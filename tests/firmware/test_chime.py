"""The chime: a short pulse at each press, and off whatever fails."""

import asyncio
import itertools
import time
from collections.abc import Iterator
from typing import Any

import pytest

from firmware.panel.chime import BURST, MAX_PULSE_MS, MIN_GAP_S, Chime
from firmware.panel.gpio import MockGpio, Output
from firmware.panel.pins import load_pins
from tests.fakes.clock import ManualClock
from tests.fakes.waiting import PATIENCE_S

PULSE_MS = 60


class Gong:
    """A chime on a mock pin, on a clock that a test moves."""

    def __init__(self, pulse_ms: int = PULSE_MS) -> None:
        self.gpio = MockGpio(load_pins())
        self.clock = ManualClock()
        self.chime = Chime(self.gpio.output("chime"), pulse_ms=pulse_ms, clock=self.clock)

    @property
    def is_on(self) -> bool:
        return self.gpio.level("chime") == 1

    @property
    def pulses_s(self) -> list[float]:
        """How long each pulse that is over was."""
        changes = self.gpio.history("chime")
        return [
            off.at_s - on.at_s
            for on, off in itertools.pairwise(changes)
            if on.level == 1 and off.level == 0
        ]


@pytest.fixture
def gong() -> Iterator[Gong]:
    gong = Gong()
    yield gong
    gong.chime.close()


def wait_until_silent(gong: Gong, timeout_s: float = PATIENCE_S) -> None:
    ends_s = time.monotonic() + timeout_s
    while (gong.is_on or not gong.pulses_s) and time.monotonic() < ends_s:
        time.sleep(0.005)


def wait_until_given_back(gpio: MockGpio) -> None:
    ends_s = time.monotonic() + PATIENCE_S
    while gpio._pin("chime").function != "input" and time.monotonic() < ends_s:
        time.sleep(0.005)
    assert gpio._pin("chime").function == "input"


def test_a_ring_is_one_pulse_of_the_length_that_was_set() -> None:
    took_s = []
    for _ in range(5):  # a busy machine may be late once
        gong = Gong()
        assert gong.chime.ring()
        wait_until_silent(gong)
        gong.chime.close()
        took_s += gong.pulses_s
    assert len(took_s) == 5
    assert 0.05 <= min(took_s) < 1


async def test_a_loop_that_hangs_does_not_leave_the_chime_on(gong: Gong) -> None:
    gong.chime.ring()
    await asyncio.sleep(0)
    wait_until_silent(gong)  # the loop hangs
    assert gong.pulses_s
    assert not gong.is_on


def test_no_setting_makes_a_pulse_longer_than_half_a_second() -> None:
    gong = Gong(pulse_ms=60_000)
    gong.chime.ring()
    wait_until_silent(gong)
    gong.chime.close()
    (pulse_s,) = gong.pulses_s
    assert MAX_PULSE_MS / 1000 - 0.05 < pulse_s < MAX_PULSE_MS / 1000 + 5


def test_ending_within_a_pulse_switches_it_off_at_once() -> None:
    took_s = []
    for _ in range(5):  # a busy machine may be late once
        gong = Gong(pulse_ms=500)
        gong.chime.ring()
        while not gong.is_on:
            time.sleep(0.001)
        began_s = time.monotonic()
        gong.chime.close()
        took_s.append(time.monotonic() - began_s)
        assert not gong.is_on
    assert min(took_s) < 0.3


def test_the_pin_is_off_from_the_moment_it_is_opened() -> None:
    gong = Gong()
    assert gong.gpio.history("chime") == []
    assert not gong.is_on
    gong.chime.close()


class StickyDevice:
    """A gpiozero device whose driver fails whenever it is to be switched off."""

    def __init__(self, device: Any) -> None:
        self._device = device

    @property
    def closed(self) -> bool:
        return bool(self._device.closed)

    @property
    def value(self) -> float:
        return float(self._device.value)

    @value.setter
    def value(self, level: float) -> None:
        if level == 0:
            raise OSError("Input/output error")
        self._device.value = level

    def off(self) -> None:
        self.value = 0

    def close(self) -> None:
        self._device.close()


def test_a_driver_that_cannot_switch_off_still_gives_the_pin_back() -> None:
    gpio = MockGpio(load_pins())
    chime = Chime(
        Output(StickyDevice(gpio.output("chime")._device)), pulse_ms=20, clock=ManualClock()
    )
    chime.ring()
    wait_until_given_back(gpio)
    assert gpio.level("chime") == 0
    chime.close()


class StickyOutput(Output):
    """An output whose driver fails when it is to be switched off."""

    def set(self, level: float) -> None:
        if level == 0:
            raise OSError("Input/output error")
        super().set(level)


def test_a_pin_that_cannot_be_switched_off_is_given_back() -> None:
    gpio = MockGpio(load_pins())
    sticky = StickyOutput(gpio.output("chime")._device)
    chime = Chime(sticky, pulse_ms=20, clock=ManualClock())
    chime.ring()
    wait_until_given_back(gpio)
    assert gpio.level("chime") == 0
    chime.close()


def test_a_child_that_leans_on_the_bell_is_not_heard_all_day(gong: Gong) -> None:
    heard = 0
    for _ in range(600):
        heard += gong.chime.ring()
        gong.clock.advance(0.1)
    assert BURST < heard <= BURST + 60 / 5 + 1


def test_two_rings_are_a_second_apart(gong: Gong) -> None:
    assert gong.chime.ring()
    gong.clock.advance(MIN_GAP_S - 0.01)
    assert not gong.chime.ring()
    gong.clock.advance(0.02)
    assert gong.chime.ring()
