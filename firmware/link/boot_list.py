"""The starts of this doorbell's process that were online, by their boot ids, on the card.

Each is noted before the relay first sees its id. So of one card, each start names the one that the
relay saw last. A copied card doesn't: from the copy on, the starts of both are different.
"""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from firmware.protocol.encoding import Document, Id, WireError, decode
from firmware.protocol.events import MAX_EARLIER_BOOTS
from firmware.system.durable_files import write_atomic

log = logging.getLogger(__name__)


class _Boots(Document, frozen=True, kw_only=True):
    """The file's content, the newest first."""

    v: Literal[1] = 1
    boots: Annotated[list[Id], msgspec.Meta(max_length=MAX_EARLIER_BOOTS)]


class BootList:
    """The list of one card."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._noted = ""
        self.earlier: Sequence[str] = _load(path)
        """Those before this one, the newest first."""

    def note(self, boot_id: str) -> None:
        """Make this start durable, once. Blocks; a storage error is logged, and tried again."""
        if self._noted == boot_id:
            return
        boots = [boot_id, *self.earlier][:MAX_EARLIER_BOOTS]
        try:
            write_atomic(self._path, _Boots(boots=boots).encode())
        except OSError as error:
            log.warning("%s can't be written: %s", self._path, error)
            return
        self._noted = boot_id


def _load(path: Path) -> Sequence[str]:
    try:
        return decode(_Boots, path.read_bytes()).boots
    except FileNotFoundError:
        return ()
    except (OSError, WireError) as error:
        log.warning("%s can't be read, so earlier starts aren't known: %s", path, error)
        return ()
