"""The doorbell's settings: one TOML file, read once, as frozen dataclasses.

Only parsing and ranges belong here. Unknown keys, wrong types and values out of range are
refused by `ConfigError`. Paths in the file are relative to the file's own folder; here they are
absolute. `doorbell.example.toml` explains each key.
"""

import tomllib
from dataclasses import MISSING, Field, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, TypeVar, cast

from firmware.capture.video_source import Polygon
from firmware.config_fields import (
    MAX_ICE_HOSTS,
    are_hosts,
    are_names,
    between,
    choice,
    is_cell,
    is_host,
    is_origin,
    is_path,
    is_public_key,
    polygons,
    setting,
)
from firmware.errors import ConfigError

CLAIM_FILE = Path("claim.json")
MAX_SOCKET_PATH_BYTES = 107
"""sockaddr_un(7): 108 bytes with the closing zero."""

MIN_BITRATE_BPS = 250_000
"""Hardware encoders have hung far below (rpicam-apps #664)."""

S = TypeVar("S")


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraConfig:
    """Where access units come from, and how the picture is taken."""

    kind: Literal["replay", "picamera", "webcam"] = choice("replay", "picamera", "webcam")
    file: str = setting("", 'a video file, or "" for the rendered porch', is_path)
    device: str = setting("/dev/video0", "a path such as /dev/video0", is_path)
    width: int = setting(
        1280, "an even number from 160 to 4096", lambda v: 160 <= v <= 4096 and v % 2 == 0
    )
    height: int = setting(
        720, "an even number from 120 to 2160", lambda v: 120 <= v <= 2160 and v % 2 == 0
    )
    fps: int = between(30, 5, 60)
    night_fps: int = between(10, 5, 60)
    bitrate_bps: int = between(2_000_000, MIN_BITRATE_BPS, 20_000_000)
    rotation: int = setting(0, "0 or 180 (degrees)", lambda v: v in (0, 180))
    is_mirrored: bool = setting(False, "true or false", lambda _: True)
    focus_m: float = between(0.0, 0, 50, "metres (0: the lens decides)")
    flicker_hz: int = setting(50, "50 or 60 (the mains), or 0 for none", lambda v: v in (0, 50, 60))
    metering: Literal["backlit", "centre", "average"] = choice("backlit", "centre", "average")
    has_infrared: bool = setting(False, "true or false", lambda _: True)


@dataclass(frozen=True, slots=True, kw_only=True)
class PrivacyConfig:
    """What is never filmed."""

    masks: tuple[Polygon, ...] = polygons("masks")


@dataclass(frozen=True, slots=True, kw_only=True)
class MotionConfig:
    """What counts as motion."""

    is_on: bool = setting(True, "true or false", lambda _: True)
    zones: tuple[Polygon, ...] = polygons("zones")
    zone_names: tuple[str, ...] = setting(
        (), "at most 8 names of at most 40 characters, one a zone", are_names
    )
    sensitivity: int = between(5, 1, 10)
    min_size_percent: float = between(0.4, 0.05, 50, "percent of the picture")
    min_time_s: float = between(0.3, 0, 10, "seconds")
    presence: Literal["none", "agree", "either"] = choice("none", "agree", "either")


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipsConfig:
    """How long clips are, and how many are kept."""

    pre_roll_s: float = between(6.0, 0, 30, "seconds")
    post_roll_s: float = between(6.0, 1, 120, "seconds")
    longest_s: float = between(60.0, 15, 120, "seconds")
    ring_max_bytes: int = between(16_000_000, 1_000_000, 512_000_000)
    keep_days: int = between(30, 1, 180)
    keep_bytes: int = between(8_000_000_000, 10_000_000, 4_000_000_000_000)
    min_free_bytes: int = between(200_000_000, 0, 1_000_000_000_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageConfig:
    """Where the key lies that seals the clips on the card."""

    key: Literal["file", "pkcs11", "pi"] = choice("file", "pkcs11", "pi")
    pkcs11_module: str = setting("", 'the token\'s library (.so), or ""', is_path)
    pkcs11_token: str = setting("", 'the token\'s label, or ""', is_path)
    pkcs11_pin_file: str = setting("", 'a file that holds the token\'s PIN, or ""', is_path)
    recovery_key: str = setting(
        "", 'the public key that `doorward recovery` prints, or ""', is_public_key
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class PanelConfig:
    """The buttons, the light and the chime. Their pins are in hardware/pins.toml."""

    pins: Literal["gpio", "mock"] = choice("gpio", "mock")
    pins_file: str = setting("", 'another pins.toml, or "" for Doorward\'s own', is_path)
    debounce_ms: int = between(30, 1, 500)
    has_light: bool = setting(True, "true or false", lambda _: True)
    light_percent: int = between(60, 1, 100)
    chime_ms: int = setting(
        300, "a whole number from 0 (no chime) to 500 ms", lambda v: 0 <= v <= 500
    )
    control_socket: str = setting("", 'a path, or "" for control.sock in the data folder', is_path)


@dataclass(frozen=True, slots=True, kw_only=True)
class SoundConfig:
    """What the doorbell hears and says."""

    card: Literal["none", "system"] = choice("none", "system")
    microphone: str = setting("", 'a part of a device\'s name, or ""', is_path)
    speaker: str = setting("", 'a part of a device\'s name, or ""', is_path)
    language: Literal["en", "sv"] = choice("en", "sv")
    is_microphone_on: bool = setting(False, "true or false", lambda _: True)
    is_in_live_view: bool = setting(True, "true or false", lambda _: True)
    is_in_clips: bool = setting(False, "true or false", lambda _: True)
    echo: Literal["auto", "livekit", "speex", "none"] = choice("auto", "livekit", "speex", "none")
    reply_after_s: float = between(0.0, 0, 120, "seconds (0: never)")


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveConfig:
    """Live view."""

    private_ice_hosts: tuple[str, ...] = setting(
        (), f"a list of at most {MAX_ICE_HOSTS} host names or IPv4 addresses", are_hosts
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthConfig:
    """What the doorbell may do about trouble by itself."""

    may_reboot: bool = setting(False, "true or false", lambda _: True)


@dataclass(frozen=True, slots=True, kw_only=True)
class DoorConfig:
    """The doorbell's own page on the home network."""

    listen_host: str = setting("127.0.0.1", "an address or a host name", is_host)
    listen_port: int = between(8402, 0, 65535)
    url: str = setting("http://localhost:8402", "http(s)://host[:port] without a path", is_origin)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceConfig:
    """Where the doorbell hangs, and whether its owners want to hear of requests."""

    cell: str = setting("", 'an H3 index of resolution 9, or ""', is_cell)
    is_opted_in: bool = setting(False, "true or false", lambda _: True)


@dataclass(frozen=True, slots=True, kw_only=True)
class LogConfig:
    """Which public logs the doorbell believes."""

    policy: str = setting(
        "policy.txt",
        "a policy file (c2sp.org/tlog-policy)",
        lambda value: bool(value) and is_path(value),
    )

    @property
    def policy_path(self) -> Path:
        """Where the policy file is, if there is one."""
        return Path(self.policy)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockConfig:
    """Whom the doorbell believes about the time."""

    is_host_time_trusted: bool = setting(False, "true or false", lambda _: True)
    example_file: str = setting("", 'a file, or "" (but for an invented town\'s doorbell)', is_path)

    @property
    def example_path(self) -> Path | None:
        """By which file the clock of an invented town is wound, if this is one's doorbell."""
        return Path(self.example_file) if self.example_file else None


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


def _frozen(value: Any) -> Any:  # Any: TOML's nested lists, as nested tuples
    return tuple(_frozen(item) for item in value) if isinstance(value, list) else value


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
    clock = config.clock
    if clock.example_file:
        clock = _replaced(clock, example_file=str(folder / clock.example_file))
    return _replaced(
        config,
        data_dir=data_dir,
        claim_file=folder / config.claim_file,
        camera=camera,
        panel=panel,
        storage=storage,
        clock=clock,
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
