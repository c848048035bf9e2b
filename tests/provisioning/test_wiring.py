"""The wiring picture shows the pins of hardware/pins.toml."""

import re
import tomllib
from pathlib import Path

import pytest

from firmware.panel.pins import HEADER_OF_BCM, load_pins, parse_pins
from provisioning.wiring import GROUNDS, OUT, PARTS, SUPPLIES, wiring_svg

PINS = Path(__file__).resolve().parents[2] / "hardware" / "pins.toml"


def test_the_guides_picture_is_of_todays_pins():
    assert OUT.read_text() == wiring_svg(load_pins()), "python -m provisioning.wiring"


@pytest.mark.parametrize("name", PARTS)
def test_a_moved_pin_moves_its_part(name: str):
    table = tomllib.loads(PINS.read_text())
    table[name] |= {"bcm": 26, "header": HEADER_OF_BCM[26]}
    picture = wiring_svg(parse_pins(table))
    assert f"{name} (BCM 26): {PARTS[name]}" in picture  # type: ignore[index]
    assert picture != OUT.read_text()


def test_each_place_is_drawn_once_and_is_one_thing():
    numbers = re.findall(r">(\d+)</text>", wiring_svg(load_pins()))
    assert numbers == [str(n) for n in range(1, 41)]
    assert len(GROUNDS) + len(SUPPLIES) + len(HEADER_OF_BCM) == 40
    assert not (GROUNDS | set(SUPPLIES)) & set(HEADER_OF_BCM.values())
