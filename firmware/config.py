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

from firmware.capture.source import Polygon
from firmware.errors import ConfigError

CLAIM_FILE = Path("claim.json")
MAX_SOCKET_PATH_BYTES = 107
"""sockaddr_un(7): 108 bytes with the closing zero."""

MIN_BITRATE_BPS = 250_000
"""Hardware encoders have hung far below (rpicam-apps #664)."""
MAX_POLYGONS = 8
MAX_CORNERS = 32
MAX_ICE_HOSTS = 8

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


def _are_hosts(hosts: tuple[object, ...]) -> bool:
    return len(hosts) <= MAX_ICE_HOSTS and all(
        isinstance(host, str) and _is_host(host) for host in hosts
    )


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


def _is_public_key(value: str) -> bool:
    return value == "" or re.fullmatch("[A-Za-z0-9_-]{43}", value) is not None


def _are_names(names: tuple[object, ...]) -> bool:
    return len(names) <= MAX_POLYGONS and all(
        isinstance(name, str) and 0 < len(name) <= 40 and name.isprintable() for name in names
    )


def _polygons(what: str) -> Any:  # Any: as dataclasses.field
    expected = (
        f"at most {MAX_POLYGONS} {what}, each a list of 3 to {MAX_CORNERS} corners [x, y] "
        "as fractions of the picture, 0 to 1 from the top left"
    )
    return field(default=(), metadata={"expected": expected, "is_right": _are_polygons})


def _frozen(value: Any) -> Any:  # Any: TOML's nested lists, as nested tuples
    return tuple(_frozen(item) for item in value) if isinstance(value, list) else value


def _are_polygons(value: tuple[Any, ...]) -> bool:  # Any: what TOML held
    return len(value) <= MAX_POLYGONS and all(
        isinstance(polygon, tuple)
        and 3 <= len(polygon) <= MAX_CORNERS
        and all(_is_corner(corner) for corner in polygon)
        for polygon in value
    )


def _is_corner(corner: object) -> bool:
    return (
        isinstance(corner, tuple)
        and len(corner) == 2
        and all(type(part) in (int, float) and 0 <= part <= 1 for part in corner)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraConfig:
    """Where access units come from, and how the picture is taken."""

    kind: Literal["replay", "picamera", "webcam"] = _choice("replay", "picamera", "webcam")
    file: str = _setting("", 'a video file, or "" for the rendered porch', _is_path)
    device: str = _setting("/dev/video0", "a path such as /dev/video0", _is_path)
    width: int = _setting(
        1280, "an even number from 160 to 4096", lambda v: 160 <= v <= 4096 and v % 2 == 0
    )
    height: int = _setting(
        720, "an even number from 120 to 2160", lambda v: 120 <= v <= 2160 and v % 2 == 0
    )
    fps: int = _between(30, 5, 60)
    night_fps: int = _between(10, 5, 60)
    bitrate_bps: int = _between(2_000_000, MIN_BITRATE_BPS, 20_000_000)
    rotation: int = _setting(0, "0 or 180 (degrees)", lambda v: v in (0, 180))
    is_mirrored: bool = _setting(False, "true or false", lambda _: True)
    focus_m: float = _between(0.0, 0, 50, "metres (0: the lens decides)")
    flicker_hz: int = _setting(
        50, "50 or 60 (the mains), or 0 for none", lambda v: v in (0, 50, 60)
    )
    metering: Literal["backlit", "centre", "average"] = _choice("backlit", "centre", "average")
    has_infrared: bool = _setting(False, "true or false", lambda _: True)


@dataclass(frozen=True, slots=True, kw_only=True)
class PrivacyConfig:
    """What is never filmed."""

    masks: tuple[Polygon, ...] = _polygons("masks")


@dataclass(frozen=True, slots=True, kw_only=True)
class MotionConfig:
    """What counts as motion."""

    is_on: bool = _setting(True, "true or false", lambda _: True)
    zones: tuple[Polygon, ...] = _polygons("zones")
    zone_names: tuple[str, ...] = _setting(
        (), "at most 8 names of at most 40 characters, one a zone", _are_names
    )
    sensitivity: int = _between(5, 1, 10)
    min_size_percent: float = _between(0.4, 0.05, 50, "percent of the picture")
    min_time_s: float = _between(0.3, 0, 10, "seconds")
    presence: Literal["none", "agree", "either"] = _choice("none", "agree", "either")


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipsConfig:
    """How long clips are, and how many are kept."""

    pre_roll_s: float = _between(6.0, 0, 30, "seconds")
    post_roll_s: float = _between(6.0, 1, 120, "seconds")
    longest_s: float = _between(60.0, 15, 120, "seconds")
    ring_max_bytes: int = _between(16_000_000, 1_000_000, 512_000_000)
    keep_days: int = _between(30, 1, 180)
    keep_bytes: int = _between(8_000_000_000, 10_000_000, 4_000_000_000_000)
    min_free_bytes: int = _between(200_000_000, 0, 1_000_000_000_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageConfig:
    """Where the key lies that seals the clips on the card."""

    key: Literal["file", "pkcs11", "pi"] = _choice("file", "pkcs11", "pi")
    pkcs11_module: str = _setting("", 'the token\'s library (.so), or ""', _is_path)
    pkcs11_token: str = _setting("", 'the token\'s label, or ""', _is_path)
    pkcs11_pin_file: str = _setting("", 'a file that holds the token\'s PIN, or ""', _is_path)
    recovery_key: str = _setting(
        "", 'the public key that `doorward recovery` prints, or ""', _is_public_key
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class PanelConfig:
    """The buttons, the light and the chime. Their pins are in hardware/pins.toml."""

    pins: Literal["gpio", "mock"] = _choice("gpio", "mock")
    pins_file: str = _setting("", 'another pins.toml, or "" for Doorward\'s own', _is_path)
    debounce_ms: int = _between(30, 1, 500)
    has_light: bool = _setting(True, "true or false", lambda _: True)
    light_percent: int = _between(60, 1, 100)
    chime_ms: int = _setting(
        300, "a whole number from 0 (no chime) to 500 ms", lambda v: 0 <= v <= 500
    )
    control_socket: str = _setting(
        "", 'a path, or "" for control.sock in the data folder', _is_path
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class SoundConfig:
    """What the doorbell hears and says."""

    card: Literal["none", "system"] = _choice("none", "system")
    microphone: str = _setting("", 'a part of a device\'s name, or ""', _is_path)
    speaker: str = _setting("", 'a part of a device\'s name, or ""', _is_path)
    is_microphone_on: bool = _setting(False, "true or false", lambda _: True)
    is_in_live_view: bool = _setting(True, "true or false", lambda _: True)
    is_in_clips: bool = _setting(False, "true or false", lambda _: True)
    echo: Literal["auto", "livekit", "speex", "none"] = _choice("auto", "livekit", "speex", "none")
    reply_after_s: float = _between(0.0, 0, 120, "seconds (0: never)")


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveConfig:
    """Live view."""

    private_ice_hosts: tuple[str, ...] = _setting(
        (), f"a list of at most {MAX_ICE_HOSTS} host names or IPv4 addresses", _are_hosts
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthConfig:
    """What the doorbell may do about trouble by itself."""

    may_reboot: bool = _setting(False, "true or false", lambda _: True)


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
class LogConfig:
    """Which public logs the doorbell believes."""

    policy: str = _setting(
        "policy.txt",
        "a policy file (c2sp.org/tlog-policy)",
        lambda value: bool(value) and _is_path(value),
    )

    @property
    def policy_path(self) -> Path:
        """Where the policy file is, if there is one."""
        return Path(self.policy)


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
    privacy: PrivacyConfig = field(default_factory=PrivacyConfig)
    motion: MotionConfig = field(default_factory=MotionConfig)
    clips: ClipsConfig = field(default_factory=ClipsConfig)
    storage: StorageConfig = field(default_factory=StorageConfig)
    panel: PanelConfig = field(default_factory=PanelConfig)
    sound: SoundConfig = field(default_factory=SoundConfig)
    live: LiveConfig = field(default_factory=LiveConfig)
    health: HealthConfig = field(default_factory=HealthConfig)
    door: DoorConfig = field(default_factory=DoorConfig)
    place: PlaceConfig = field(default_factory=PlaceConfig)
    log: LogConfig = field(default_factory=LogConfig)
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
    if isinstance(item.default, tuple):
        value = _frozen(value)
    elif isinstance(item.default, float) and type(value) is int:
        value = float(value)
    if type(value) is not type(item.default) or not item.metadata["is_right"](value):
        raise ConfigError(key, value, expected)
    return value


def _with_absolute_paths(config: Config, folder: Path) -> Config:
    data_dir = folder / config.data_dir
    panel, camera, storage = config.panel, config.camera, config.storage
    if panel.pins == "mock":
        named = folder / panel.control_socket if panel.control_socket else None
        panel = _replaced(panel, control_socket=str(named or data_dir / "control.sock"))
    elif panel.control_socket:
        raise ConfigError(
            "panel.control_socket", panel.control_socket, '"", unless panel.pins is "mock"'
        )
    if panel.pins_file:
        panel = _replaced(panel, pins_file=str(folder / panel.pins_file))
    if camera.file:
        camera = _replaced(camera, file=str(folder / camera.file))
    if storage.pkcs11_pin_file:
        storage = _replaced(storage, pkcs11_pin_file=str(folder / storage.pkcs11_pin_file))
    return _replaced(
        config,
        data_dir=data_dir,
        claim_file=folder / config.claim_file,
        camera=camera,
        panel=panel,
        storage=storage,
        log=_replaced(config.log, policy=str(folder / config.log.policy)),
    )


def _replaced(settings: S, **changes: object) -> S:
    old = {item.name: getattr(settings, item.name) for item in fields(cast("Any", settings))}
    return type(settings)(**{**old, **changes})


def _check_together(config: Config) -> None:
    panel, clips, camera = config.panel, config.clips, config.camera
    if len(panel.control_socket.encode()) > MAX_SOCKET_PATH_BYTES:
        expected = f"a path of at most {MAX_SOCKET_PATH_BYTES} bytes (a Unix socket's limit)"
        raise ConfigError("panel.control_socket", panel.control_socket, expected)
    needed = int((clips.pre_roll_s + config.motion.min_time_s + 2) * camera.bitrate_bps / 8)
    if clips.ring_max_bytes < needed:
        expected = (
            f"at least {needed}, to hold clips.pre_roll_s and motion.min_time_s at "
            "camera.bitrate_bps"
        )
        raise ConfigError("clips.ring_max_bytes", clips.ring_max_bytes, expected)
    if clips.longest_s < clips.post_roll_s:
        expected = f"at least clips.post_roll_s = {clips.post_roll_s}"
        raise ConfigError("clips.longest_s", clips.longest_s, expected)
    if camera.night_fps > camera.fps:
        raise ConfigError(
            "camera.night_fps", camera.night_fps, f"at most camera.fps = {camera.fps}"
        )
    zones, names = config.motion.zones, config.motion.zone_names
    if len(names) not in (0, len(zones)):
        expected = f"one name for each of the {len(zones)} motion.zones, or none"
        raise ConfigError("motion.zone_names", list(names), expected)
    storage = config.storage
    if storage.key == "pkcs11" and not (storage.pkcs11_module and storage.pkcs11_token):
        expected = 'the token\'s library and label, because storage.key is "pkcs11"'
        raise ConfigError("storage.pkcs11_module", storage.pkcs11_module, expected)
    if config.sound.is_microphone_on and config.sound.card == "none":
        expected = '"system", because sound.is_microphone_on is true'
        raise ConfigError("sound.card", "none", expected)
    if config.place.is_opted_in and not config.place.cell:
        raise ConfigError("place.cell", "", "an H3 index, because place.is_opted_in is true")
