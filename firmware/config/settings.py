"""The doorbell's settings: one frozen struct for each table of its TOML file.

Keys, defaults and constraints belong here; `loader.py` reads the file. Each key is marked
`INSTALLER` or `OWNER`. `doorbell.example.toml` explains each key, and a test holds both together.
"""

from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta, Struct, field

from firmware.config.values import (
    INSTALLER,
    OWNER,
    Cell,
    Host,
    Hosts,
    Names,
    Origin,
    Polygons,
    PublicKey,
    number,
    path,
    polygons,
    text,
    whole,
)

Metering = Literal["faces", "centre", "average"]
Backlight = Literal["auto", "shadows", "off"]
MIN_BITRATE_BPS = 250_000
"""Hardware encoders have hung far below (rpicam-apps #664)."""


class CameraConfig(Struct, frozen=True, kw_only=True):
    """The source of access units, and the settings of the picture."""

    kind: Annotated[Literal["replay", "picamera", "webcam"], INSTALLER] = "replay"
    file: Annotated[Path | None, path('a video file, or "" for the rendered porch'), INSTALLER] = (
        None
    )
    visit_each_s: Annotated[int, whole(24, 3600), INSTALLER] = 24
    device: Annotated[str, text("a path such as /dev/video0"), INSTALLER] = "/dev/video0"
    width: Annotated[
        int,
        Meta(ge=160, le=4096, multiple_of=2, description="an even number from 160 to 4096"),
        INSTALLER,
    ] = 1280
    height: Annotated[
        int,
        Meta(ge=120, le=2160, multiple_of=2, description="an even number from 120 to 2160"),
        INSTALLER,
    ] = 720
    fps: Annotated[int, whole(5, 60), INSTALLER] = 30
    night_fps: Annotated[int, whole(5, 60), INSTALLER] = 10
    bitrate_bps: Annotated[int, whole(MIN_BITRATE_BPS, 20_000_000), INSTALLER] = 2_000_000
    rotation: Annotated[
        Literal[0, 90, 180, 270], Meta(description="0, 90, 180 or 270 (degrees)"), INSTALLER
    ] = 0
    is_mirrored: Annotated[bool, INSTALLER] = False
    focus_m: Annotated[float, number(0, 50, "metres (0: the lens decides)"), INSTALLER] = 0.0
    flicker_hz: Annotated[
        Literal[0, 50, 60], Meta(description="50 or 60 (the mains), or 0 for none"), INSTALLER
    ] = 50
    metering: Annotated[Metering, OWNER] = "faces"
    backlight: Annotated[Backlight, OWNER] = "auto"
    hdr: Annotated[Literal["auto", "sensor", "off"], INSTALLER] = "auto"
    has_infrared: Annotated[bool, INSTALLER] = False


class PrivacyConfig(Struct, frozen=True, kw_only=True):
    """Masks: areas of the picture that are never filmed."""

    masks: Annotated[Polygons, polygons("masks"), OWNER] = ()


class MotionConfig(Struct, frozen=True, kw_only=True):
    """Motion detection: zones, thresholds and the presence sensor."""

    is_on: Annotated[bool, OWNER] = True
    zones: Annotated[Polygons, polygons("zones"), OWNER] = ()
    zone_names: Annotated[Names, OWNER] = ()
    sensitivity: Annotated[int, whole(1, 10), OWNER] = 5
    min_size_percent: Annotated[float, number(0.05, 50, "percent of the picture"), OWNER] = 0.4
    min_time_s: Annotated[float, number(0, 10, "seconds"), OWNER] = 0.3
    presence: Annotated[Literal["none", "agree", "either"], INSTALLER] = "none"


class ClipsConfig(Struct, frozen=True, kw_only=True):
    """Length and retention of clips."""

    pre_roll_s: Annotated[float, number(0, 30, "seconds"), OWNER] = 6.0
    post_roll_s: Annotated[float, number(1, 120, "seconds"), OWNER] = 6.0
    longest_s: Annotated[float, number(15, 120, "seconds"), OWNER] = 60.0
    ring_max_bytes: Annotated[int, whole(1_000_000, 512_000_000), INSTALLER] = 16_000_000
    keep_days: Annotated[int, whole(1, 180), OWNER] = 30
    keep_bytes: Annotated[int, whole(10_000_000, 4_000_000_000_000), INSTALLER] = 8_000_000_000
    min_free_bytes: Annotated[int, whole(0, 1_000_000_000_000), INSTALLER] = 200_000_000


class StorageConfig(Struct, frozen=True, kw_only=True):
    """Location of the key that seals the clips in storage."""

    key: Annotated[Literal["file", "pkcs11", "pi"], INSTALLER] = "file"
    pkcs11_module: Annotated[str, text('the token\'s library (.so), or ""'), INSTALLER] = ""
    pkcs11_token: Annotated[str, text('the token\'s label, or ""'), INSTALLER] = ""
    pkcs11_pin_path: Annotated[
        Path | None, path('a file that holds the token\'s PIN, or ""'), INSTALLER
    ] = field(name="pkcs11_pin_file", default=None)
    recovery_key: Annotated[PublicKey, OWNER] = ""


class PanelConfig(Struct, frozen=True, kw_only=True):
    """The buttons, the light and the chime. Their pins are in hardware/pins.toml."""

    pins: Annotated[Literal["gpio", "mock"], INSTALLER] = "gpio"
    pins_path: Annotated[
        Path | None, path('another pins.toml, or "" for Doorward\'s own'), INSTALLER
    ] = field(name="pins_file", default=None)
    debounce_ms: Annotated[int, whole(1, 500), INSTALLER] = 30
    has_light: Annotated[bool, INSTALLER] = True
    light_percent: Annotated[int, whole(1, 100), OWNER] = 60
    chime_ms: Annotated[
        int,
        Meta(ge=0, le=500, description="a whole number from 0 (no chime) to 500 ms"),
        OWNER,
    ] = 300
    control_socket: Annotated[
        str, text('a path, or "" for control.sock in the data folder'), INSTALLER
    ] = ""


class SoundConfig(Struct, frozen=True, kw_only=True):
    """Microphone, speaker, echo cancellation and quick replies."""

    card: Annotated[Literal["none", "system", "file"], INSTALLER] = "none"
    microphone: Annotated[str, text('a part of a device\'s name, or ""'), INSTALLER] = ""
    speaker: Annotated[str, text('a part of a device\'s name, or ""'), INSTALLER] = ""
    language: Annotated[Literal["en", "sv"], OWNER] = "en"
    is_microphone_on: Annotated[bool, OWNER] = False
    is_in_live_view: Annotated[bool, OWNER] = True
    is_in_clips: Annotated[bool, OWNER] = False
    volume_percent: Annotated[int, whole(10, 100), OWNER] = 100
    echo: Annotated[Literal["auto", "livekit", "speex", "none"], INSTALLER] = "auto"
    has_chime: Annotated[bool, INSTALLER] = False
    reply_after_s: Annotated[float, number(0, 120, "seconds (0: never)"), OWNER] = 0.0


class LiveConfig(Struct, frozen=True, kw_only=True):
    """Live view."""

    private_ice_hosts: Annotated[Hosts, INSTALLER] = ()
    has_small_stream: Annotated[bool, INSTALLER] = True


class HealthConfig(Struct, frozen=True, kw_only=True):
    """Actions that the doorbell may take by itself against troubles, and what it reports as one."""

    may_reboot: Annotated[bool, INSTALLER] = False
    gaps_reported: Annotated[int, whole(0, 100), OWNER] = 3


class DoorConfig(Struct, frozen=True, kw_only=True):
    """The doorbell's own page on the home network."""

    listen_host: Annotated[Host, INSTALLER] = "127.0.0.1"
    listen_port: Annotated[int, whole(0, 65535), INSTALLER] = 8402
    url: Annotated[Origin, INSTALLER] = "http://localhost:8402"


class PlaceConfig(Struct, frozen=True, kw_only=True):
    """Location of the doorbell, and whether its owners are notified of requests."""

    cell: Annotated[Cell, OWNER] = ""
    is_opted_in: Annotated[bool, OWNER] = False


class LogConfig(Struct, frozen=True, kw_only=True):
    """The policy of public logs that the doorbell trusts."""

    policy_path: Annotated[Path, path("a policy file (c2sp.org/tlog-policy)"), INSTALLER] = field(
        name="policy", default=Path("policy.txt")
    )


class ClockConfig(Struct, frozen=True, kw_only=True):
    """Trust in the host's time, and the file of a simulated clock."""

    is_host_time_trusted: Annotated[bool, INSTALLER] = False
    example_path: Annotated[
        Path | None, path('a file, or "" (but for an invented town\'s doorbell)'), INSTALLER
    ] = field(name="example_file", default=None)
    """The file by which the clock of an invented town is wound, if this is one's doorbell."""


class Config(Struct, frozen=True, kw_only=True):
    """All settings of one doorbell; its paths are absolute once loaded."""

    data_dir: Annotated[Path, path("a folder"), INSTALLER] = Path()
    claim_file: Annotated[Path, path("a file"), INSTALLER] = Path("claim.json")
    camera: CameraConfig = CameraConfig()
    privacy: PrivacyConfig = PrivacyConfig()
    motion: MotionConfig = MotionConfig()
    clips: ClipsConfig = ClipsConfig()
    storage: StorageConfig = StorageConfig()
    panel: PanelConfig = PanelConfig()
    sound: SoundConfig = SoundConfig()
    live: LiveConfig = LiveConfig()
    health: HealthConfig = HealthConfig()
    door: DoorConfig = DoorConfig()
    place: PlaceConfig = PlaceConfig()
    log: LogConfig = LogConfig()
    clock: ClockConfig = ClockConfig()
