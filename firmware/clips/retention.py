"""Retention: deletes clips by age, by the owner's limit and by free space, oldest first.

Age counts only by a clock that is known to be right and hasn't leapt lately, and only for clips
whose time is known; limit and space go by the order of recording, so a wrong clock can't make the
doorbell delete the newest. Held and kept clips and the one being recorded are never removed. What
an owner deleted is erased when it can't be taken back any more, or in its turn if room is missing.
"""

import logging
import os
from collections.abc import Callable
from pathlib import Path

from firmware.clips.library import Library
from firmware.protocol.deletions import DeletionReason
from firmware.system.clock import Clock

log = logging.getLogger(__name__)

DAY_MS = 24 * 3600 * 1000
MOST_DAYS = 3650
BATCH = 100
"""How many clips one commit removes."""


def free_bytes_of(folder: Path) -> int:
    """Return the bytes that storage has free for the doorbell."""
    stat = os.statvfs(folder)
    return stat.f_bavail * stat.f_frsize


class Retention:
    """Removes clips beyond the limits; may be called from any thread."""

    def __init__(
        self,
        library: Library,
        clock: Clock,
        *,
        boot_id: str,
        keep_days: int,
        keep_bytes: int,
        min_free_bytes: int,
        free_bytes: Callable[[Path], int] = free_bytes_of,
    ) -> None:
        self._library = library
        self._clock = clock
        self._boot_id = boot_id
        self._keep_days = keep_days
        self._keep_bytes = keep_bytes
        self._min_free_bytes = min_free_bytes
        self._free_bytes = free_bytes

    def holds_days(self) -> int | None:
        """Return how many days of clips fit, at the rate of those that are there; None: unknown.

        Known once they reach back a day by a clock that is right. Reads storage.
        """
        oldest_ms, total_bytes = self._library.oldest_ms(), self._library.total_bytes()
        if oldest_ms is None or total_bytes == 0 or not self._clock.is_settled():
            return None
        age_ms = self._clock.wall_ms() - oldest_ms
        if age_ms < DAY_MS:
            return None
        room_bytes = self._free_bytes(self._library.clips_dir) - self._min_free_bytes + total_bytes
        fits_bytes = max(0, min(self._keep_bytes, room_bytes))
        return min(MOST_DAYS, fits_bytes * age_ms // (total_bytes * DAY_MS))

    def set_keep_days(self, keep_days: int) -> None:
        """Keep clips this long from the next `apply` on. Any thread."""
        self._keep_days = keep_days

    def apply(self) -> list[str]:
        """Remove clips that are too old, then the oldest beyond the limit; return the ids."""
        removed = []
        if self._clock.is_settled():
            removed = self.erase_deleted(self._clock.wall_ms()) + self._remove_too_old()
        removed += self._remove_oldest(self._library.total_bytes() - self._keep_bytes)
        removed += self._remove_oldest(self._missing_bytes())
        if removed:
            log.info("retention removed %d clips", len(removed))
        return removed

    def erase_deleted(self, until_ms: int) -> list[str]:
        """Erase the clips whose deletion can't be taken back after `until_ms`; return the ids."""
        due = self._library.deleted_until(until_ms)
        return self._library.remove(due, "owner") if due else []

    def keep_free(self) -> None:
        """Remove the oldest while less is free than there should be."""
        self._remove_oldest(self._missing_bytes())

    def make_room(self) -> bool:
        """Remove the one oldest clip for a write that found no room; False if none may go."""
        return bool(self._remove_oldest(1))

    def date_earlier_runs(self) -> None:
        """Date the undated clips of earlier runs by the present time, as their latest.

        At once when the clock is right, so that no slot commits to one before: else what is said of
        its end would be later than what the public log proves of it.
        """
        self._library.date_other_boots(self._boot_id, self._clock.wall_ms())

    def _missing_bytes(self) -> int:
        """Return the bytes to be removed for the reserve: 0 if all clips wouldn't suffice.

        Then something else fills storage, and clips go only as writes need their room.
        """
        missing_bytes = self._min_free_bytes - self._free_bytes(self._library.clips_dir)
        return missing_bytes if missing_bytes <= self._library.removable_bytes() else 0

    def _remove_too_old(self) -> list[str]:
        self.date_earlier_runs()
        oldest_kept_ms = self._clock.wall_ms() - self._keep_days * DAY_MS
        removed: list[str] = []
        while old := self._library.removable(ended_before_ms=oldest_kept_ms, limit=BATCH):
            removed += self._library.remove([clip.clip_id for clip in old], "age")
        return removed

    def _remove_oldest(self, wanted_bytes: int) -> list[str]:
        removed: list[str] = []
        while wanted_bytes > 0 and (oldest := self._library.removable(limit=1)):
            why: DeletionReason = "owner" if oldest[0].is_deleted else "space"
            removed += self._library.remove([oldest[0].clip_id], why)
            wanted_bytes -= oldest[0].size_bytes
        return removed
