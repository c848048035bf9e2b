"""The microphone's switch (`sound.json`): the owner's last choice outlives a restart.

Until the owner has chosen, the settings count, and there it is off. A damaged file means off: the
safe side of a microphone.
"""

import asyncio
import logging
from pathlib import Path
from typing import Literal

from firmware.protocol.encoding import Document, WireError, decode
from firmware.system.durable_files import write_atomic

log = logging.getLogger(__name__)

MAX_FILE_BYTES = 1024


class SoundFile(Document, frozen=True, kw_only=True):
    """The file's content."""

    v: Literal[1] = 1
    is_microphone_on: bool


class MicrophoneSwitch:
    """On or off, durable. All on the loop, except for storage writes."""

    def __init__(self, path: Path, *, is_on_at_first: bool) -> None:
        self._path = path
        self._is_kept_on = self._is_wanted = self._load(is_on_at_first)
        self._keeping = asyncio.Lock()
        self.is_vetoed = False
        """Whether the owners' settings keep it off, whatever the switch says."""

    @property
    def is_on(self) -> bool:
        """Whether the owner has the microphone on."""
        return self._is_wanted and self._is_kept_on and not self.is_vetoed

    def want(self, is_on: bool) -> None:
        """Set the switch: off takes effect before any write; on only once `keep` has written it."""
        self._is_wanted = is_on

    async def keep(self) -> None:
        """Write the switch; OSError if storage fails."""
        async with self._keeping:
            is_on = self._is_wanted
            text = SoundFile(is_microphone_on=is_on).encode()
            await asyncio.to_thread(write_atomic, self._path, text)
            self._is_kept_on = is_on

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
