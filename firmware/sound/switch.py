"""The microphone's own switch (`sound.json`): what the owner chose last outlives a restart.

Until the owner has chosen, the settings count, and there it is off. A damaged file means off: the
safe side of a microphone.
"""

import logging
from pathlib import Path
from typing import Literal

from firmware.durable import write_atomic
from firmware.protocol.encoding import Document, WireError, decode

log = logging.getLogger(__name__)

MAX_FILE_BYTES = 1024


class SoundFile(Document, frozen=True, kw_only=True):
    """The file's content."""

    v: Literal[1] = 1
    is_microphone_on: bool


class MicrophoneSwitch:
    """On or off, durable."""

    def __init__(self, path: Path, *, is_on_at_first: bool) -> None:
        self._path = path
        self._is_on = self._load(is_on_at_first)

    @property
    def is_on(self) -> bool:
        """Whether the owner has the microphone on."""
        return self._is_on

    def set(self, is_on: bool) -> None:
        """Switch. Off counts at once, whatever the card says; on only once it is written."""
        if not is_on:
            self._is_on = False
        write_atomic(self._path, SoundFile(is_microphone_on=is_on).encode())
        self._is_on = is_on

    def _load(self, is_on_at_first: bool) -> bool:
        try:
            return decode(
                SoundFile, self._path.read_bytes(), max_bytes=MAX_FILE_BYTES
            ).is_microphone_on
        except FileNotFoundError:
            return is_on_at_first
        except (OSError, WireError) as error:
            log.error("%s can't be read, so the microphone stays off: %s", self._path, error)
            return False
