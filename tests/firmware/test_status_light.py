"""The status light: what it shows of pairing and of the check page."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from firmware.enrolment.keys import load_or_make_keys
from firmware.enrolment.pairing import Pairing
from firmware.panel.light import Light, LightState, digit_steps
from firmware.panel.status_light import StatusLight
from tests.fakes.clock import ManualClock


class Led:
    """Implements `firmware.panel.light.Led`."""

    def set(self, level: float) -> None:
        pass


@dataclass
class Doorbell:
    """Live view, recorder, health and check page as the light sees them."""

    watchers: Sequence[object] = ()
    clip_id: str | None = None
    troubles: Sequence[object] = ()
    is_open: bool = False
    digits: str | None = None
    clock: ManualClock = field(default_factory=ManualClock)


def flashes(digits: str) -> list[int]:
    """Return how many flashes come before each pause, as a person counts them."""
    counts, count = [], 0
    for step in digit_steps(digits):
        if step.level:
            count += 1
        elif step.for_s > 1 and count:
            counts.append(count)
            count = 0
    return counts


@pytest.mark.parametrize(("digits", "counted"), [("1234", [1, 2, 3, 4]), ("0909", [10, 9, 10, 9])])
def test_digits_are_counted_flash_by_flash(digits: str, counted: list[int]) -> None:
    assert flashes(digits) == counted


def test_other_digits_flash_anew_and_none_leave_the_light() -> None:
    clock = ManualClock()
    light = Light(Led(), clock=clock, max_percent=100)
    light.show_digits("1111")
    assert light.shown is LightState.DIGITS
    light.show_digits(None)
    assert light.shown is LightState.IDLE


async def test_shows_what_the_doorbell_waits_for(tmp_path: Path) -> None:
    bell = Doorbell()
    light = Light(Led(), clock=bell.clock, max_percent=100)
    pairing = Pairing(keys=load_or_make_keys(tmp_path), has_owner=False)
    status = StatusLight(
        light,
        pairing=pairing,
        clock=bell.clock,
        live=bell,
        recorder=bell,
        health=bell,
        check=bell,
    )
    status.look()
    assert light.shown is LightState.UNPAIRED
    bell.digits = "1234"
    status.look()
    assert light.shown is LightState.DIGITS
    bell.digits, bell.is_open = None, True
    status.look()
    assert light.shown is LightState.WATCHED
    bell.is_open = False
    pairing.hold_service(bell.clock.monotonic_ns() // 1_000_000)
    status.look()
    assert light.shown is LightState.PAIRING


async def test_an_owned_doorbell_at_rest_is_dark(tmp_path: Path) -> None:
    bell = Doorbell()
    light = Light(Led(), clock=bell.clock, max_percent=100)
    pairing = Pairing(keys=load_or_make_keys(tmp_path), has_owner=True)
    StatusLight(
        light,
        pairing=pairing,
        clock=bell.clock,
        live=bell,
        recorder=bell,
        health=bell,
        check=bell,
    ).look()

    assert light.shown is LightState.IDLE
