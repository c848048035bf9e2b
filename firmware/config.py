"""The doorbell's settings: one TOML file, read once, as frozen dataclasses.

Only parsing and ranges belong here. Unknown keys, wrong types and values out of range are
refused by `ConfigError`. Paths in the file are relative to the file's own folder; here they are
absolute. `doorbell.example.toml` explains each key.
"""

import ipaddress
import re
import tomllib
from collections.abc import Callable
from dataclasses import MISSING, Field, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, TypeVar, cast
from urllib.parse import urlsplit

from firmware.errors import ConfigError

CLAIM_FILE = Path("claim.json")
MAX_SOCKET_PATH_BYTES = 107
"""sockaddr_un(7): 108 bytes with the closing zero."""

Check = Callable[[Any], bool]  # Any: a TOML value whose type was checked before
S = TypeVar("S")


def _setting(default: Any, expected: str, is_right: Check) -> Any:  # Any: as dataclasses.field
    return field(default=default, metadata={"expected": expected, "is_right": is_right})


def _choice(*names: str) -> Any:  # Any: as dataclasses.field
    quoted = " or ".join(f'"{name}"' for name in names)
    return _setting(names[0], quoted, lambda value: value in names)


def _between(default: float, low: float, high: float, unit: str = "") -> Any:  # Any: as above
    kind = "a whole number" if isinstance(default, int) else "a number"
    expected = f"{kind} from {low} to {high}{' ' if unit else ''}{unit}"
    return _setting(default, expected, lambda value: low <= value <= high)


def _is_host(value: str) -> bool:
    try:
        ipaddress.ip_address(value)
    except ValueError:
        return re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?", value) is not None
    return True


def _is_origin(value: str) -> bool:
    try:
        parts = urlsplit(value)
        has_port = parts.port is None or parts.port > 0
    except ValueError:
        return False
    is_bare = value == f"{parts.scheme}://{parts.netloc}" and "@" not in parts.netloc
    return parts.scheme in ("http", "https") and bool(parts.hostname) and is_bare and has_port


def _is_cell(value: str) -> bool:
    return value == "" or re.fullmatch("89[0-9a-f]{13}", value) is not None


def _is_path(value: str) -> bool:
    return "\x00" not in value


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraConfig:
    """Where access units come from."""

    kind: Literal["replay"] = _choice("replay")
    file: str = _setting("", 'a video file, or "" for the rendered porch', _is_path)
    width: int = _setting(
        1280, "an even number from 160 to 4096", lambda v: 160 <= v <= 4096 and v % 2 == 0
    )
    height: int = _setting(
        720, "an even number from 120 to 2160", lambda v: 120 <= v <= 2160 and v % 2 == 0
    )
    fps: int = _between(30, 5, 60)
    bitrate_bps: int = _between(2_000_000, 100_000, 25_000_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipsConfig:
    """How long clips are, and how many are kept."""

    pre_roll_s: float = _between(6.0, 0, 30, "seconds")
    post_roll_s: float = _between(6.0, 1, 120, "seconds")
    ring_max_bytes: int = _between(16_000_000, 1_000_000, 512_000_000)
    keep_days: int = _between(30, 1, 365)
    keep_bytes: int = _between(8_000_000_000, 10_000_000, 4_000_000_000_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class ButtonConfig:
    """The bell and the service button."""

    pins: Literal["gpio", "mock"] = _choice("gpio", "mock")
    bell_pin: int = _between(17, 0, 27, "(BCM)")
    service_pin: int = _between(27, 0, 27, "(BCM)")
    debounce_ms: int = _between(30, 1, 500)
    control_socket: str = _setting(
        "", 'a path, or "" for control.sock in the data folder', _is_path
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class DoorConfig:
    """The doorbell's own page on the home network."""

    listen_host: str = _setting("127.0.0.1", "an address or a host name", _is_host)
    listen_port: int = _between(8402, 0, 65535)
    url: str = _setting("http://localhost:8402", "http(s)://host[:port] without a path", _is_origin)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceConfig:
    """Where the doorbell hangs, and whether its owners want to hear of requests."""

    cell: str = _setting("", 'an H3 index of resolution 9, or ""', _is_cell)
    is_opted_in: bool = _setting(False, "true or false", lambda _: True)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockConfig:
    """Whom the doorbell believes about the time."""

    is_host_time_trusted: bool = _setting(False, "true or false", lambda _: True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """All settings of one doorbell."""

    data_dir: Path = field(default=Path(), metadata={"expected": "a folder"})
    claim_file: Path = field(default=CLAIM_FILE, metadata={"expected": "a file"})
    camera: CameraConfig = field(default_factory=CameraConfig)
    clips: ClipsConfig = field(default_factory=ClipsConfig)
    button: ButtonConfig = field(default_factory=ButtonConfig)
    door: DoorConfig = field(default_factory=DoorConfig)
    place: PlaceConfig = field(default_factory=PlaceConfig)
    clock: ClockConfig = field(default_factory=ClockConfig)


def load_config(path: Path) -> Config:
    """Read and check the file at `path`; raise ConfigError naming what is wrong."""
    try:
        text = path.read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError("--config", str(path), f"a readable TOML file ({error})") from error
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError("--config", str(path), f"a TOML file ({error})") from error
    return parse_config(table, path.resolve().parent)


def parse_config(table: dict[str, Any], folder: Path) -> Config:  # Any: TOML's values
    """Check a parsed TOML table; its paths are relative to `folder`."""
    config = _with_absolute_paths(_read(Config, table, ""), folder)
    _check_together(config)
    return config


def _read(kind: type[S], table: dict[str, Any], prefix: str) -> S:  # Any: TOML's values
    known: dict[str, Field[Any]] = {item.name: item for item in fields(cast("Any", kind))}
    for key, value in table.items():
        if key not in known:
            raise ConfigError(prefix + key, value, f"one of the keys {', '.join(known)}")
    values = {key: _value(known[key], value, prefix + key) for key, value in table.items()}
    return kind(**values)


def _value(item: Field[Any], value: Any, key: str) -> Any:  # Any: TOML's values
    if item.default is MISSING:
        if not isinstance(value, dict):
            raise ConfigError(key, value, f"a table [{key}]")
        return _read(cast("type[Any]", item.type), value, key + ".")
    expected: str = item.metadata["expected"]
    if isinstance(item.default, Path):
        if not isinstance(value, str) or not value or "\x00" in value:
            raise ConfigError(key, value, expected)
        return Path(value)
    if isinstance(item.default, float) and type(value) is int:
        value = float(value)
    if type(value) is not type(item.default) or not item.metadata["is_right"](value):
        raise ConfigError(key, value, expected)
    return value


def _with_absolute_paths(config: Config, folder: Path) -> Config:
    data_dir = folder / config.data_dir
    button = config.button
    if button.pins == "mock":
        named = folder / button.control_socket if button.control_socket else None
        button = _replaced(button, control_socket=str(named or data_dir / "control.sock"))
    elif button.control_socket:
        raise ConfigError(
            "button.control_socket", button.control_socket, '"", unless button.pins is "mock"'
        )
    camera = config.camera
    if camera.file:
        camera = _replaced(camera, file=str(folder / camera.file))
    return _replaced(
        config,
        data_dir=data_dir,
        claim_file=folder / config.claim_file,
        camera=camera,
        button=button,
    )


def _replaced(settings: S, **changes: object) -> S:
    old = {item.name: getattr(settings, item.name) for item in fields(cast("Any", settings))}
    return type(settings)(**{**old, **changes})


def _check_together(config: Config) -> None:
    button, clips, camera = config.button, config.clips, config.camera
    if button.bell_pin == button.service_pin:
        raise ConfigError("button.service_pin", button.service_pin, "another pin than bell_pin")
    if len(button.control_socket.encode()) > MAX_SOCKET_PATH_BYTES:
        expected = f"a path of at most {MAX_SOCKET_PATH_BYTES} bytes (a Unix socket's limit)"
        raise ConfigError("button.control_socket", button.control_socket, expected)
    needed = int((clips.pre_roll_s + 2) * camera.bitrate_bps / 8)
    if clips.ring_max_bytes < needed:
        expected = f"at least {needed}, to hold clips.pre_roll_s at camera.bitrate_bps"
        raise ConfigError("clips.ring_max_bytes", clips.ring_max_bytes, expected)
    if config.place.is_opted_in and not config.place.cell:
        raise ConfigError("place.cell", "", "an H3 index, because place.is_opted_in is true")
