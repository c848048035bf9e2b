"""The loader of doorbell.toml: reads the file, decodes it, and checks values beside each other.

Every fault is a ConfigError that names the key, its value and what was expected.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from msgspec.structs import replace

from firmware.config.motion_delay import latest_verdict_s
from firmware.config.settings import Config
from firmware.errors import ConfigError
from firmware.protocol.settings_file import SettingFault, decode, read_toml

MAX_SOCKET_PATH_BYTES = 107
"""sockaddr_un(7): 108 bytes with the closing zero."""


def load_config(path: Path) -> Config:
    """Read and check the file at `path`; raise ConfigError naming what is wrong."""
    with _config_errors():
        document = read_toml(path)
    return parse_config(document, path.resolve().parent)


def parse_config(document: Mapping[str, object], folder: Path) -> Config:
    """Check a parsed TOML document; its paths are relative to `folder`."""
    with _config_errors():
        config = decode(Config, document, folder=folder)
    config = _with_control_socket(config, folder)
    _check_panel(config)
    _check_recording(config)
    _check_needed(config)
    return config


@contextmanager
def _config_errors() -> Iterator[None]:
    try:
        yield
    except SettingFault as fault:
        raise ConfigError(fault.key, fault.value, fault.expected, sentence=str(fault)) from fault


def _with_control_socket(config: Config, folder: Path) -> Config:
    panel = config.panel
    if panel.pins != "mock":
        return config
    path = folder / panel.control_socket if panel.control_socket else None
    socket = str(path or config.data_dir / "control.sock")
    return replace(config, panel=replace(panel, control_socket=socket))


def _check_panel(config: Config) -> None:
    panel, key = config.panel, "panel.control_socket"
    if panel.control_socket and panel.pins != "mock":
        raise ConfigError(key, panel.control_socket, '"", unless panel.pins is "mock"')
    if len(panel.control_socket.encode()) > MAX_SOCKET_PATH_BYTES:
        expected = f"a path of at most {MAX_SOCKET_PATH_BYTES} bytes (a Unix socket's limit)"
        raise ConfigError(key, panel.control_socket, expected)


def _check_recording(config: Config) -> None:
    clips, camera = config.clips, config.camera
    late_s = latest_verdict_s(config.motion)
    needed = int((clips.pre_roll_s + late_s + 2) * camera.bitrate_bps / 8)
    if clips.ring_max_bytes < needed:
        expected = (
            f"at least {needed}, to hold clips.pre_roll_s and the {late_s:g} s until motion is "
            "known, at camera.bitrate_bps"
        )
        raise ConfigError("clips.ring_max_bytes", clips.ring_max_bytes, expected)
    if clips.longest_s < clips.post_roll_s:
        expected = f"at least clips.post_roll_s = {clips.post_roll_s}"
        raise ConfigError("clips.longest_s", clips.longest_s, expected)
    if camera.night_fps > camera.fps:
        expected = f"at most camera.fps = {camera.fps}"
        raise ConfigError("camera.night_fps", camera.night_fps, expected)


def _check_needed(config: Config) -> None:
    """Raise ConfigError for a key without another that it needs."""
    zones, names = config.motion.zones, config.motion.zone_names
    if len(names) not in (0, len(zones)):
        expected = f"one name for each of the {len(zones)} motion.zones, or none"
        raise ConfigError("motion.zone_names", list(names), expected)
    storage = config.storage
    if storage.key == "pkcs11" and not (storage.pkcs11_module and storage.pkcs11_token):
        expected = 'the token\'s library and label, because storage.key is "pkcs11"'
        raise ConfigError("storage.pkcs11_module", storage.pkcs11_module, expected)
    if config.sound.is_microphone_on and config.sound.card != "system":
        expected = '"system", because sound.is_microphone_on is true'
        raise ConfigError("sound.card", config.sound.card, expected)
    if config.place.is_opted_in and not config.place.cell:
        raise ConfigError("place.cell", "", "an H3 index, because place.is_opted_in is true")
