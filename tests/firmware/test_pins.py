"""The list of pins: Doorward's own is right, and a wrong one is refused by name."""

import contextlib
import tomllib
from pathlib import Path
from typing import Any

import pytest
from gpiozero.pins.mock import MockFactory
from hypothesis import given
from hypothesis import strategies as st

from firmware.errors import ConfigError
from firmware.panel.light import SIGNALS
from firmware.panel.pins import HEADER_OF_BCM, IN_TREE, KEYS, KINDS, Pins, load_pins, parse_pins

README = IN_TREE.with_name("README.md")
OWNERS_GUIDE = IN_TREE.parents[1] / "docs" / "guide" / "own.md"
I2C_AND_I2S = {2, 3, 18, 19, 20, 21}


def own_list() -> dict[str, Any]:
    return tomllib.loads(IN_TREE.read_text("utf-8"))


def changed(name: str, **keys: object) -> dict[str, Any]:
    table = own_list()
    table[name] |= keys
    return table


def refusal(table: dict[str, Any]) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        parse_pins(table)
    return caught.value


def test_our_own_list_is_right_and_keeps_off_sound_and_clock() -> None:
    pins = load_pins()
    assert {pins[name].bcm for name in KINDS}.isdisjoint(I2C_AND_I2S)
    assert (pins.bell.bcm, pins.bell.header, pins.bell.active) == (17, 11, "low")


def test_the_header_is_that_of_a_real_board() -> None:
    header = MockFactory().board_info.headers["J8"].pins
    real = {
        int(name.removeprefix("GPIO")): number
        for number, info in header.items()
        for name in info.names
        if isinstance(name, str) and name.removeprefix("GPIO").isdigit() and "GPIO" in name
    }
    assert real == HEADER_OF_BCM


@pytest.mark.parametrize(
    ("table", "key", "expected"),
    [
        (changed("bell", bcm=27), "pins.bell.header", "13, where BCM 27 is"),
        (changed("bell", bcm=27, header=13), "pins.service.bcm", "bell has this one"),
        (changed("bell", header=12), "pins.bell.header", "11, where BCM 17 is"),
        (changed("bell", header=2), "pins.bell.header", "power and ground are no pins"),
        (changed("bell", header=6), "pins.bell.header", "power and ground are no pins"),
        (changed("bell", bcm=0, header=27), "pins.bell.bcm", "ID EEPROM"),
        (changed("bell", bcm=1, header=28), "pins.bell.bcm", "ID EEPROM"),
        (changed("bell", bcm=28), "pins.bell.bcm", "from 2 to 27"),
        (changed("bell", bcm=True), "pins.bell.bcm", "from 2 to 27"),
        (changed("bell", bcm="17"), "pins.bell.bcm", "from 2 to 27"),
        (changed("bell", colour="red"), "pins.bell.colour", "one of the keys bcm"),
        (changed("bell", kind="output"), "pins.bell.kind", '"input"'),
        (changed("bell", pull="sideways"), "pins.bell.pull", '"up" or "down"'),
        (changed("bell", active="high"), "pins.bell.active", 'its pull is "up"'),
        (changed("bell", about=3), "pins.bell.about", "a text"),
        (changed("presence", active="low"), "pins.presence.active", 'its pull is "down"'),
        (changed("presence", bcm=3, header=5), "pins.presence.bcm", "pulled up on the board"),
        (changed("chime", bcm=2, header=3), "pins.chime.bcm", "pulled up on the board"),
        (changed("chime", pull="down"), "pins.chime.pull", "only an input has a pull"),
        (own_list() | {"siren": {}}, "pins.siren", "one of the pins bell"),
        (own_list() | {"bell": 17}, "pins.bell", "a table [bell]"),
        ({}, "pins.bell", "a table [bell]"),
    ],
)
def test_a_wrong_pin_is_refused_and_said(table: dict[str, Any], key: str, expected: str) -> None:
    error = refusal(table)
    assert error.key == key
    assert expected in error.expected


@given(
    st.sampled_from([*KINDS, "siren"]),
    st.dictionaries(
        st.sampled_from([*KEYS, "colour"]),
        st.integers(-1, 41) | st.sampled_from(["input", "pwm", "up", "none", "low"]) | st.none(),
    ),
)
def test_whatever_the_list_says_no_two_wires_share_a_pin(name: str, keys: dict[str, Any]) -> None:
    table = own_list()
    table[name] = table.get(name, {}) | keys
    with contextlib.suppress(ConfigError):
        pins = parse_pins(table)
        assert isinstance(pins, Pins)
        assert len({pins[name].bcm for name in KINDS}) == len(KINDS)
        assert all(HEADER_OF_BCM[pins[name].bcm] == pins[name].header for name in KINDS)


@pytest.mark.parametrize("content", [None, b"[bell\n", b"\xff"])
def test_a_list_that_is_no_toml_is_refused(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "pins.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"panel\.pins_file"):
        load_pins(path)


def test_another_list_can_be_named(tmp_path: Path) -> None:
    path = tmp_path / "pins.toml"
    text = IN_TREE.read_text("utf-8").replace("bcm = 17\nheader = 11", "bcm = 26\nheader = 37")
    path.write_text(text)
    assert load_pins(path).bell.bcm == 26


def test_the_readme_shows_every_pin() -> None:
    pins = load_pins()
    for pin in (pins[name] for name in KINDS):
        row = f"| {pin.name} | {pin.bcm} | {pin.header} | {pin.kind} | {pin.pull} | {pin.active} |"
        assert f"{row} {pin.about} |" in README.read_text("utf-8")


@pytest.mark.parametrize("document", [README, OWNERS_GUIDE], ids=lambda path: path.name)
def test_builders_and_owners_read_every_signal_in_its_order(document: Path) -> None:
    rows = "\n".join(f"| {state} | {s.looks} | {s.means} |" for state, s in SIGNALS.items())
    assert rows in document.read_text("utf-8")
