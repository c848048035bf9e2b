"""The list of pins (hardware/pins.toml), parsed strictly: a wrong pin can destroy a board.

Only the list belongs here; `gpio.py` opens the pins. Refused by ConfigError: unknown or missing
names and keys, a place on the header that isn't that BCM number's, a pin used twice, and the
pins that the board keeps for itself.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final, Literal, cast

from firmware.errors import ConfigError

PinName = Literal["bell", "service", "presence", "light", "chime", "infrared"]
Kind = Literal["input", "output", "pwm"]
Pull = Literal["up", "down", "none"]
Level = Literal["low", "high"]

KINDS: Final[Mapping[str, Kind]] = {
    "bell": "input",
    "service": "input",
    "presence": "input",
    "light": "pwm",
    "chime": "output",
    "infrared": "output",
}

HEADER_OF_BCM: Final[Mapping[int, int]] = {
    0: 27, 1: 28, 2: 3, 3: 5, 4: 7, 5: 29, 6: 31, 7: 26, 8: 24, 9: 21, 10: 19, 11: 23, 12: 32,
    13: 33, 14: 8, 15: 10, 16: 36, 17: 11, 18: 12, 19: 35, 20: 38, 21: 40, 22: 15, 23: 16,
    24: 18, 25: 22, 26: 37, 27: 13,
}  # fmt: skip
"""Of every Raspberry Pi with 40 pins; the other twelve are power and ground."""
ID_EEPROM = frozenset({0, 1})
"""Read by the board at power-on, to learn what is plugged into it: never ours."""
FIXED_PULL_UP = frozenset({2, 3})
"""I²C: 1.8 kΩ to 3.3 V on the board, stronger than any pull of ours."""

BESIDE = Path(__file__).with_name("pins.toml")
"""Where an installed wheel carries the list."""
IN_TREE = Path(__file__).resolve().parents[2] / "hardware" / "pins.toml"
KEYS = ("bcm", "header", "kind", "pull", "active", "about")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pin:
    """One wire: `bcm` as gpiozero counts, `header` as a person counts on the board."""

    name: PinName
    bcm: int
    header: int
    kind: Kind
    pull: Pull
    active: Level
    about: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Pins:
    """All wires of one doorbell."""

    bell: Pin
    service: Pin
    presence: Pin
    light: Pin
    chime: Pin
    infrared: Pin

    def __getitem__(self, name: PinName) -> Pin:
        pin: Pin = getattr(self, name)
        return pin


def load_pins(path: Path | None = None) -> Pins:
    """Read Doorward's own list, or the one at `path`; raise ConfigError naming what is wrong."""
    if path is None:
        path = BESIDE if BESIDE.exists() else IN_TREE
    try:
        table = tomllib.loads(path.read_bytes().decode("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(
            "panel.pins_file", str(path), f"a readable TOML file ({error})"
        ) from error
    return parse_pins(table)


def parse_pins(table: Mapping[str, Any]) -> Pins:  # Any: TOML's values
    """Check a parsed TOML table."""
    names = [item.name for item in fields(Pins)]
    for name, value in table.items():
        if name not in names:
            raise ConfigError(f"pins.{name}", value, f"one of the pins {', '.join(names)}")
    for name in names:
        if not isinstance(table.get(name), dict):
            raise ConfigError(f"pins.{name}", table.get(name), f"a table [{name}]")
    pins = [_pin(cast("PinName", name), table[name]) for name in names]
    users: dict[int, str] = {}
    for pin in pins:
        if pin.bcm in users:
            expected = f"a pin of its own ({users[pin.bcm]} has this one)"
            raise ConfigError(f"pins.{pin.name}.bcm", pin.bcm, expected)
        users[pin.bcm] = pin.name
    return Pins(**{pin.name: pin for pin in pins})


def _pin(name: PinName, table: dict[str, Any]) -> Pin:  # Any: TOML's values
    where = f"pins.{name}"
    for key, value in table.items():
        if key not in KEYS:
            raise ConfigError(f"{where}.{key}", value, f"one of the keys {', '.join(KEYS)}")
    kind = _one_of(table, where, "kind", (KINDS[name],))
    if kind != "input" and "pull" in table:
        raise ConfigError(f"{where}.pull", table["pull"], "nothing: only an input has a pull")
    pull = _one_of(table, where, "pull", ("up", "down", "none")) if kind == "input" else "none"
    active = _one_of(table, where, "active", ("low", "high"))
    if (pull, active) in (("up", "high"), ("down", "low")):
        expected = f'"{"low" if pull == "up" else "high"}", because its pull is "{pull}"'
        raise ConfigError(f"{where}.active", active, expected)
    about = table.get("about", "")
    if not isinstance(about, str):
        raise ConfigError(f"{where}.about", about, "a text")
    bcm = _bcm(table, where)
    if bcm in FIXED_PULL_UP and pull != "up":
        raise ConfigError(f"{where}.bcm", bcm, "another pin: this one is pulled up on the board")
    return Pin(
        name=name,
        bcm=bcm,
        header=HEADER_OF_BCM[bcm],
        kind=cast("Kind", kind),
        pull=cast("Pull", pull),
        active=cast("Level", active),
        about=about,
    )


def _bcm(table: dict[str, Any], where: str) -> int:  # Any: TOML's values
    bcm, header = table.get("bcm"), table.get("header")
    if type(bcm) is not int or bcm not in HEADER_OF_BCM:
        raise ConfigError(f"{where}.bcm", bcm, "a BCM number from 2 to 27")
    if bcm in ID_EEPROM:
        expected = "a BCM number from 2 to 27 (0 and 1 are the board's ID EEPROM)"
        raise ConfigError(f"{where}.bcm", bcm, expected)
    if type(header) is not int or header not in HEADER_OF_BCM.values():
        expected = f"{HEADER_OF_BCM[bcm]}, where BCM {bcm} is (power and ground are no pins)"
        raise ConfigError(f"{where}.header", header, expected)
    if header != HEADER_OF_BCM[bcm]:
        expected = f"{HEADER_OF_BCM[bcm]}, where BCM {bcm} is on the 40-pin header"
        raise ConfigError(f"{where}.header", header, expected)
    return bcm


def _one_of(table: dict[str, Any], where: str, key: str, choices: tuple[str, ...]) -> str:
    value = table.get(key)  # Any: TOML's values
    if not isinstance(value, str) or value not in choices:
        quoted = " or ".join(f'"{choice}"' for choice in choices)
        raise ConfigError(f"{where}.{key}", value, quoted)
    return value
