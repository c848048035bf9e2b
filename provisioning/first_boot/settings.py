"""Step "settings": doorbell.toml, the policy and the units of the installed version.

`doorbell.toml` is written once, from the board's table and from `settings.json`, in which a
person's wishes lie on the card; whoever changes it afterwards keeps it. Units and policy are
compared, and replaced if they differ.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from provisioning.first_boot.board import Board, CameraKind
from provisioning.first_boot.errors import DocumentRefused, StepFailed
from provisioning.first_boot.fields import parse_fields
from provisioning.first_boot.host import Host
from provisioning.first_boot.places import (
    CARD_POLICY,
    CARD_SETTINGS,
    CLAIM,
    CURRENT,
    DOORBELL_TOML,
    POLICY,
    STATE,
    UNIT_FILES,
)

SYSTEM_UNITS = "/etc/systemd/system"
MANAGER_CONFIG = "/etc/systemd/system.conf.d"
PORT = 8402
ORIGIN = r"https?://[A-Za-z0-9.:\[\]-]{1,200}"


@dataclass(frozen=True, slots=True, kw_only=True)
class CardSettings:
    """What a person wished, as `settings.json` has it; None: what fits the board."""

    camera: CameraKind | None = None
    rotation: int = 0
    has_sound: bool = False
    language: Literal["en", "sv"] = "en"
    door_url: str | None = None


def card_settings(host: Host) -> CardSettings:
    """Read `settings.json`, or raise StepFailed; without the file the defaults."""
    data = host.read(CARD_SETTINGS)
    if data is None:
        return CardSettings()
    try:
        return _parse_settings(data)
    except DocumentRefused as error:
        raise StepFailed("settings_refused", str(error), will_retry=False) from error


class Settings:
    """The step."""

    name = "settings"

    def __init__(self, board: Board) -> None:
        self._board = board

    def is_done(self, host: Host) -> bool:
        """Return whether all files are there, as they must be."""
        if not host.exists(DOORBELL_TOML):
            return False
        return all(host.read(path) == data for path, (data, _) in _wanted_files(host).items())

    def do(self, host: Host) -> None:
        """Write what differs, and let systemd read it."""
        wished = card_settings(host)
        for path, (data, mode) in _wanted_files(host).items():
            if host.read(path) != data:
                host.write(path, data, mode)
        host.run("systemctl", "daemon-reload")
        if not host.exists(DOORBELL_TOML):
            host.write(DOORBELL_TOML, doorbell_toml(self._board, wished, host_name(host)))


def doorbell_toml(board: Board, wished: CardSettings, name: str) -> bytes:
    """Return the settings' file for a board."""
    camera: dict[str, object] = {
        "kind": wished.camera or board.camera,
        "width": board.width,
        "height": board.height,
        "rotation": wished.rotation,
    }
    tables: dict[str, dict[str, object]] = {
        "camera": camera,
        "panel": {"pins": "gpio" if board.has_pins else "mock"},
        "door": {
            "listen_host": "0.0.0.0",  # noqa: S104  # the guard lets it be called by its url alone
            "listen_port": PORT,
            "url": wished.door_url or f"http://{name}.local:{PORT}",
        },
    }
    if wished.has_sound:
        tables["sound"] = {"card": "system", "language": wished.language}
    lines = [
        "# Written by the first boot; doorbell.example.toml of Doorward explains every key.",
        f"data_dir = {_toml(STATE)}",
        f"claim_file = {_toml(CLAIM)}",
    ]
    for table, values in tables.items():
        lines += ["", f"[{table}]", *(f"{key} = {_toml(value)}" for key, value in values.items())]
    return ("\n".join(lines) + "\n").encode()


def host_name(host: Host) -> str:
    """Return the machine's name."""
    return (host.read("/etc/hostname") or b"").decode(errors="replace").strip() or "doorbell"


def _parse_settings(data: bytes) -> CardSettings:
    fields = parse_fields(data, "settings.json")
    fields.version(1)
    fields.text_if_any("board", ".{0,100}")  # the flasher's: which block of config.txt
    camera = fields.text_if_any("camera", "picamera|webcam|replay")
    rotation = fields.whole("rotation", 0, 270)
    settings = CardSettings(
        camera=_camera(camera),
        rotation=rotation,
        has_sound=fields.flag("sound"),
        language="sv" if fields.text_if_any("language", "en|sv") == "sv" else "en",
        door_url=fields.text_if_any("door_url", ORIGIN),
    )
    if settings.rotation % 90:
        raise DocumentRefused("settings.json: rotation must be 0, 90, 180 or 270")
    fields.end()
    return settings


def _camera(kind: str | None) -> CameraKind | None:
    match kind:
        case "picamera" | "webcam" | "replay":
            return kind
        case _:
            return None


def _wanted_files(host: Host) -> Mapping[str, tuple[bytes, int]]:
    """Return what units and policy must be, by path, with their modes."""
    wanted: dict[str, tuple[bytes, int]] = {}
    for path in _unit_sources(host):
        data = path.read_bytes()
        if path.suffix == ".conf":
            wanted[f"{MANAGER_CONFIG}/{path.name}"] = (data, 0o644)
        elif path.suffix:
            wanted[f"{SYSTEM_UNITS}/{path.name}"] = (data, 0o644)
        else:
            wanted[f"{UNIT_FILES}/{path.name}"] = (data, 0o755)
    policy = host.read(CARD_POLICY)
    if policy is not None:
        wanted[POLICY] = (policy, 0o644)
    return wanted


def _unit_sources(host: Host) -> list[Path]:
    """Return the units that came with the installed version."""
    lib = host.path(f"{CURRENT}/lib")
    found = sorted(lib.glob("python3*/site-packages/provisioning/systemd/*"))
    if not found:
        raise StepFailed("bundle_damaged", "the bundle's wheel has no units", will_retry=False)
    return [path for path in found if path.is_file()]


def _toml(value: object) -> str:
    """Return a TOML value; JSON's strings, numbers and booleans are TOML's."""
    return json.dumps(value)
