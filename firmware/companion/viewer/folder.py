"""The gateway's folder: keys, set-up and the local token, each a file that only its owner reads.

A file that others may read is refused rather than used: it isn't secret any more.
"""

import os
import secrets
import stat
from pathlib import Path

from firmware.companion.viewer.errors import FolderError
from firmware.companion.viewer.player_keys import PlayerKeys
from firmware.protocol.encoding import WireError, b64u
from firmware.protocol.players import PlayerSetup, parse_setup_text, setup_text
from firmware.system.durable_files import write_atomic

KEYS_NAME = "keys.json"
SETUP_NAME = "setup.txt"
LOCAL_TOKEN_NAME = "local.token"  # noqa: S105 (a file's name)
MAX_FILE_BYTES = 8192


class Folder:
    """Reads and writes the three files."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def has_keys(self) -> bool:
        """Tell whether this player has keys."""
        return (self.path / KEYS_NAME).exists()

    @property
    def is_set_up(self) -> bool:
        """Tell whether it knows a doorbell."""
        return (self.path / SETUP_NAME).exists()

    def make_keys(self, name: str, *, is_replacing: bool = False) -> PlayerKeys:
        """Make this player's keys and local token; FolderError if there are keys already."""
        if self.has_keys and not is_replacing:
            raise FolderError(
                f"{self.path / KEYS_NAME} is there already; --replace makes new keys, which the "
                "owner must let in anew"
            )
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            keys = PlayerKeys.make(name)
            write_atomic(self.path / LOCAL_TOKEN_NAME, b64u(secrets.token_bytes(24)).encode())
            write_atomic(self.path / KEYS_NAME, keys.encode())
        except OSError as error:
            raise FolderError(f"{self.path} can't be written: {error.strerror}") from error
        return keys

    def keys(self) -> PlayerKeys:
        """Return this player's keys."""
        data = self._read(KEYS_NAME, "make keys first: doorward-view keygen --name NAME")
        try:
            return PlayerKeys.parse(data)
        except WireError as error:
            raise FolderError(f"{self.path / KEYS_NAME} is damaged: {error}") from error

    def local_token(self) -> str:
        """Return what players on this machine must show."""
        data = self._read(LOCAL_TOKEN_NAME, "make keys first: doorward-view keygen --name NAME")
        token = data.decode("ascii", "replace").strip()
        if len(token) < 20:
            raise FolderError(f"{self.path / LOCAL_TOKEN_NAME} is damaged; it is too short")
        return token

    def setup(self) -> PlayerSetup:
        """Return how the doorbell is reached."""
        data = self._read(SETUP_NAME, "give the owner's app's set-up text to doorward-view setup")
        try:
            return parse_setup_text(data.decode("ascii", "replace"))
        except WireError as error:
            raise FolderError(f"{self.path / SETUP_NAME} is damaged: {error}") from error

    def keep_setup(self, text: str) -> PlayerSetup:
        """Check and keep a pasted set-up text; a WireError says what is wrong with it."""
        setup = parse_setup_text(text)
        try:
            write_atomic(self.path / SETUP_NAME, setup_text(setup).encode())
        except OSError as error:
            raise FolderError(f"{self.path} can't be written: {error.strerror}") from error
        return setup

    def _read(self, name: str, otherwise: str) -> bytes:
        path = self.path / name
        try:
            with path.open("rb") as file:
                mode = os.fstat(file.fileno()).st_mode
                data = file.read(MAX_FILE_BYTES + 1)
        except FileNotFoundError as error:
            raise FolderError(f"{path} isn't there: {otherwise}") from error
        except OSError as error:
            raise FolderError(f"{path} can't be read: {error.strerror}") from error
        if stat.S_IMODE(mode) & 0o077:
            raise FolderError(f"others may read {path}, so it isn't secret: chmod 600 {path}")
        if len(data) > MAX_FILE_BYTES:
            raise FolderError(f"{path} is damaged: it is too large")
        return data
