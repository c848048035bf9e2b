"""The store of the pattern and its tries (`knock.json`): off until the owner chooses one.

Three wrong tries lock it for a day. A try is written down before it is judged, so that pulling the
plug gives no further one. The day is monotonic and begins again at a restart: neither a wrong wall
clock nor a reboot shortens it. A damaged file means off and locked.

The pattern isn't hashed: there are 112 of them, so a hash would hide nothing from whoever has the
file. Whoever knows it and stands at the door can release what a lying page had signed and woken;
so it belongs chosen where no page of the relay's or of the app's sees it: at the doorbell's own
page, behind the door number.
"""

import logging
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from firmware.knock.errors import KnockRefused, PatternWeak
from firmware.panel.pattern import MAX_PRESSES, Heard, PressKind, why_weak
from firmware.protocol.encoding import Document, WireError, decode
from firmware.system.clock import Clock
from firmware.system.durable_files import write_atomic

log = logging.getLogger(__name__)

MAX_TRIES = 3
LOCK_S = 24 * 3600
MAX_FILE_BYTES = 1024


class KnockSettings(Document, frozen=True, kw_only=True):
    """The owner's knock settings; `volume_percent` is the knock's own."""

    is_on: bool = False
    pattern: Annotated[tuple[PressKind, ...], msgspec.Meta(max_length=MAX_PRESSES)] = ()
    volume_percent: Annotated[int, msgspec.Meta(ge=5, le=100)] = 30


class KnockFile(Document, frozen=True, kw_only=True):
    """The file's content."""

    v: Literal[1] = 1
    settings: KnockSettings = KnockSettings()
    wrong_tries: Annotated[int, msgspec.Meta(ge=0, le=MAX_TRIES)] = 0


class KnockStore:
    """The owner's pattern, durable. Writing methods may wait for storage; any thread."""

    def __init__(self, path: Path, *, clock: Clock) -> None:
        self._path = path
        self._clock = clock
        self._lock = threading.Lock()
        self._file = self._load()
        is_locked = self._file.wrong_tries >= MAX_TRIES
        self._locked_until_s = self._monotonic_s() + LOCK_S if is_locked else None

    @property
    def settings(self) -> KnockSettings:
        """What counts now."""
        return self._file.settings

    @property
    def tries_left(self) -> int:
        """How many wrong tries are allowed before the day's pause."""
        return MAX_TRIES - self._file.wrong_tries

    @property
    def locked_for_s(self) -> int:
        """For how long no pattern counts; 0 if one does."""
        if self._locked_until_s is None:
            return 0
        return max(0, -int(-(self._locked_until_s - self._monotonic_s()) // 1))

    def choose(self, settings: KnockSettings) -> None:
        """Keep what the owner chose; PatternWeak if others would press that. It unlocks nothing."""
        weakness = why_weak(settings.pattern) if settings.is_on or settings.pattern else None
        if weakness is not None:
            raise PatternWeak(weakness)
        checked = decode(KnockSettings, settings.encode(), max_bytes=MAX_FILE_BYTES)
        with self._lock:
            self._save(KnockFile(settings=checked, wrong_tries=self._file.wrong_tries))

    def attempt(self, presses: Sequence[Heard]) -> bool:
        """Tell whether that was the pattern; OSError if the try can't be counted before.

        KnockRefused if no pattern counts now.
        """
        with self._lock:
            settings = self._file.settings
            if not settings.is_on or why_weak(settings.pattern) is not None:
                raise KnockRefused("off", "no pattern was chosen")
            if self.locked_for_s > 0:
                raise locked(self.locked_for_s)
            if self._locked_until_s is not None:
                self._save(KnockFile(settings=settings))
                self._locked_until_s = None
            tries = self._file.wrong_tries + 1
            self._save(KnockFile(settings=settings, wrong_tries=tries))
            if tuple(presses) == settings.pattern:
                self._save(KnockFile(settings=settings))
                return True
            if tries >= MAX_TRIES:
                self._locked_until_s = self._monotonic_s() + LOCK_S
            return False

    def _monotonic_s(self) -> float:
        return self._clock.monotonic_ns() / 1e9

    def _save(self, file: KnockFile) -> None:
        write_atomic(self._path, file.encode())
        self._file = file

    def _load(self) -> KnockFile:
        try:
            return decode(KnockFile, self._path.read_bytes(), max_bytes=MAX_FILE_BYTES)
        except FileNotFoundError:
            return KnockFile()
        except (OSError, WireError) as error:
            log.error("%s can't be read, so nobody can knock: %s", self._path, error)
            return KnockFile(wrong_tries=MAX_TRIES)


def locked(wait_s: int) -> KnockRefused:
    """Return the refusal for a knock after too many wrong tries."""
    hours = -(-wait_s // 3600)
    return KnockRefused(
        "locked",
        f"too many wrong patterns: confirm at the doorbell's own page, or in {hours} hours",
    )
