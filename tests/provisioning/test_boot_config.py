"""Our block of config.txt follows hardware/pins.toml and what was asked for."""

import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.panel.pins import HEADER_OF_BCM, Pins, load_pins, parse_pins
from provisioning.boot_config import BEGIN, END, I2S, config_lines, with_block
from provisioning.errors import CardDamaged, WishRefused

FILE = Path(__file__).resolve().parents[2] / "hardware" / "pins.toml"


def moved(name: str, bcm: int, **changed: Any) -> Pins:
    table = tomllib.loads(FILE.read_text())
    table[name] |= {"bcm": bcm, "header": HEADER_OF_BCM[bcm], **changed}
    return parse_pins(table)


def test_each_wire_has_its_level_before_the_kernel_starts():
    lines = config_lines(load_pins(), has_sound=False)
    wires = {line for line in lines if line.startswith("gpio=")}
    assert wires == {
        "gpio=12=op,dl",
        "gpio=17=ip,pu",
        "gpio=22=ip,pd",
        "gpio=23=op,dl",
        "gpio=24=op,dl",
        "gpio=27=ip,pu",
    }
    assert {"camera_auto_detect=1", "dtparam=watchdog=on"} < set(lines)


@given(st.sampled_from(["bell", "service", "chime", "light", "infrared", "presence"]))
def test_a_moved_pin_moves_the_block(name: str):
    before = set(config_lines(load_pins(), has_sound=False))
    after = set(config_lines(moved(name, 26), has_sound=False))
    (gone,), (come,) = before - after, after - before
    assert gone.startswith(f"gpio={load_pins()[name].bcm}=")  # type: ignore[index]
    assert come == gone.replace(gone.split("=")[1], "26", 1)


def test_an_output_that_is_off_when_high_starts_high():
    lines = config_lines(moved("chime", 23, active="low"), has_sound=False)
    assert "gpio=23=op,dh" in lines


def test_sound_has_its_bus_only_if_it_is_asked_for():
    assert "dtparam=i2s=on" not in config_lines(load_pins(), has_sound=False)
    assert "dtparam=i2s=on" in config_lines(load_pins(), has_sound=True)


@pytest.mark.parametrize("bcm", sorted(I2S))
def test_sound_and_a_wire_dont_share_a_pin(bcm: int):
    pins = moved("bell", bcm)
    assert f"gpio={bcm}=ip,pu" in config_lines(pins, has_sound=False)
    with pytest.raises(WishRefused, match="bell is wired to one of them"):
        config_lines(pins, has_sound=True)


@given(st.binary(max_size=300))
def test_the_block_is_replaced_and_nothing_else(now: bytes):
    if BEGIN.encode() in now:
        return
    once = with_block(now, ["a=1"])
    assert once.startswith(now.rstrip(b"\n"))
    twice = with_block(once, ["b=2"])
    assert twice == once.replace(b"a=1", b"b=2") or b"a=1" in now
    assert twice.count(BEGIN.encode()) == twice.count(END.encode()) == 1 or END.encode() in now


def test_half_a_block_is_damage():
    once = with_block(b"arm_64bit=1\n", ["a=1"])
    with pytest.raises(CardDamaged, match="half a block"):
        with_block(once[:-10], ["a=1"])
