"""The writer of a recording: all its disk writes. Called on the recorder's thread alone.

Sync rule: a fragment closes after `FRAGMENT_90K` of video, also inside a GOP, and with `flush`.
What is closed is synced by `flush`, or after `SYNC_AGE_S` or `SYNC_BYTES`: so a pre-roll costs one
sync, not twelve.

What fails raises. `give_up` then keeps the readable part as a clip that was cut short.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

from firmware.capture.camera_output import TICKS_PER_S, AccessUnit
from firmware.clips.crash_recovery import close_cut_short
from firmware.clips.library import Library
from firmware.clips.open_clip import OpenClip
from firmware.clips.record import ClipRecord, ClipSigner, ClipStart, Ended
from firmware.clips.retention import Retention
from firmware.clips.storage import FULL_ERRORS, StorageHealth
from firmware.errors import DoorwardError
from firmware.sound.frames import SoundFrame
from firmware.system.listeners import Listeners
from firmware.vault.sealed_file import Vault

log = logging.getLogger(__name__)

FRAGMENT_90K = TICKS_PER_S * 38 // 100
"""0.4 s at 10, 15 and 30 pictures a second, also if one comes a little early."""
SYNC_AGE_S = 0.5
SYNC_BYTES = 4_000_000
LISTING_RETRY_S = 4.0

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Unlisted:
    """A closed clip that isn't in the index yet."""

    start: ClipStart
    lost_units: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A clip whose writing failed; its readable part is kept."""

    kept_to_90k: int | None
    """The pts (camera's clock) up to which the clip is surely durable; None if nothing is."""
    retry_after_s: float


class ClipWriter:
    """Writes one clip after another. Blocks as long as storage does.

    `listed` is notified of each clip that is in the library, `card.states` of the state of
    storage.
    """

    def __init__(
        self,
        *,
        library: Library,
        vault: Vault,
        retention: Retention,
        signer: ClipSigner,
    ) -> None:
        self._library = library
        self._vault = vault
        self._retention = retention
        self._signer = signer
        self.card = StorageHealth()
        self.listed = Listeners[ClipRecord]()
        self._first_pts_90k = 0
        self._lost_units = 0
        self._clip: OpenClip | None = None
        self._is_row_wanted = False
        self._unlisted: list[_Unlisted] = []
        self._list_again_s = 0.0

    @property
    def durable_to_90k(self) -> int | None:
        """The pts (camera's clock) of the open clip's last durable unit; None before the first."""
        clip = self._clip
        if clip is None or clip.synced_to_90k is None:
            return None
        return self._first_pts_90k + clip.synced_to_90k

    @property
    def has_unlisted(self) -> bool:
        """Whether a closed clip still has to be brought into the index."""
        return bool(self._unlisted)

    def begin(self, start: ClipStart, first_pts_90k: int) -> None:
        """Open a new clip; the units that follow belong to it, the first of this pts."""
        self._clip = None
        self._first_pts_90k, self._lost_units = first_pts_90k, 0
        path = self._library.path_of(start.clip_id)
        file = self._with_room(lambda: self._vault.create(path, start.clip_id))
        clip = self._clip = OpenClip(start, first_pts_90k, file)
        self._is_row_wanted = True
        self._with_room(lambda: clip.mark(start), file.write_rest)

    def mark(self, start: ClipStart) -> None:
        """Note the open clip's triggers anew."""
        clip = self._open
        self._with_room(lambda: clip.mark(start), clip.file.write_rest)

    def write(self, unit: AccessUnit) -> bool:
        """Append one unit to the open clip; return whether more of it is durable now."""
        clip = self._open
        clip.add(unit)
        if clip.span_90k < FRAGMENT_90K:
            return False
        self._with_room(clip.close_fragment, clip.close_rest)
        if clip.unsynced_bytes < SYNC_BYTES and clip.unsynced_s < SYNC_AGE_S:
            return False
        self._sync(clip)
        return True

    def write_sound(self, frames: tuple[SoundFrame, ...]) -> None:
        """Add sound to the open clip; it is written with the fragment."""
        if frames:
            self._open.add_sound(frames)

    def note_lost(self, count: int) -> None:
        """Count units that the open clip lacks, because storage was too slow."""
        self._lost_units += count
        self.card.lost()

    def flush(self) -> None:
        """Make durable what was written so far."""
        clip = self._open
        self._with_room(clip.close_fragment, clip.close_rest)
        if clip.unsynced_bytes:
            self._sync(clip)

    def finish(self, ended: Ended) -> None:
        """Close the open clip, sign it and list it."""
        clip, loss = self._open, self._lost_units
        clip.end_sound()
        self._with_room(clip.close_fragment, clip.close_rest)
        end = clip.end(ended, lost_units=loss)
        if end is None:
            self._clip = None
            clip.file.close()
            self._list(clip.start, lost_units=loss)
            return
        signed = self._signer.sign(clip.start, end)
        self._with_room(lambda: clip.seal(signed), clip.file.write_rest)
        self._with_room(lambda: self.card.timed(clip.sync))
        self._clip = None
        clip.file.close()
        self.card.worked()
        if loss == 0:
            self.card.kept_up()
        end = replace(end, size_bytes=clip.file.size_bytes)
        self._list(
            clip.start,
            lost_units=loss,
            list_it=lambda: self._library.finish(clip.start, end, signed),
        )
        try:
            self._retention.apply()
        except (OSError, DoorwardError):
            log.exception("old clips could not be removed")

    def give_up(self, error: Exception) -> Failure:
        """After a failure, keep the readable part as a clip that was cut short."""
        kept_to_90k = self.durable_to_90k
        clip, self._clip = self._clip, None
        delay_s = self.card.failed(error)
        if clip is None:
            return Failure(kept_to_90k=None, retry_after_s=delay_s)
        clip.file.close()
        if self._list(clip.start, lost_units=self._lost_units) is None:
            kept_to_90k = None
        return Failure(kept_to_90k=kept_to_90k, retry_after_s=delay_s)

    def list_late_ones(self, *, is_last_try: bool = False) -> None:
        """Bring clips into the index that it didn't take when they were closed, once it is time."""
        if self._unlisted and (is_last_try or time.monotonic() >= self._list_again_s):
            waiting, self._unlisted = self._unlisted, []
            for late in waiting:
                self._list(late.start, lost_units=late.lost_units)

    @property
    def _open(self) -> OpenClip:
        if self._clip is None:
            raise RuntimeError("no clip is open")
        return self._clip

    def _sync(self, clip: OpenClip) -> None:
        self._with_room(lambda: self.card.timed(clip.sync))
        self.card.worked()
        if not self._is_row_wanted:
            return
        self._is_row_wanted = False
        try:
            self._library.save_open(clip.start)
            self._retention.keep_free()
        except (OSError, DoorwardError) as error:  # its file says by itself what it is
            log.exception("the clip index can't be written; recording goes on")
            self.card.index_failed(error)
        else:
            self.card.index_worked()

    def _list(
        self,
        start: ClipStart,
        *,
        lost_units: int,
        list_it: Callable[[], ClipRecord | None] | None = None,
    ) -> ClipRecord | None:
        """Bring a closed clip into the index, now or, if that fails, again and again."""

        def as_cut_short() -> ClipRecord | None:
            return close_cut_short(
                self._library, self._vault, start, self._signer, lost_units=lost_units
            )

        try:
            record = self._with_room(list_it or as_cut_short)
        except Exception as error:  # the supervisor: it lies in its file; later, or next start
            log.exception("clip %s can't be written to the index yet", start.clip_id)
            self.card.index_failed(error)
            self._unlisted.append(_Unlisted(start, lost_units))
            self._list_again_s = time.monotonic() + LISTING_RETRY_S
            return None
        self.card.index_worked()
        if record is not None:
            log.info(
                "clip %s: %d ms, %d bytes", record.clip_id, record.duration_ms, record.size_bytes
            )
            self.listed.notify(record)
        return record

    def _with_room(self, action: Callable[[], T], again: Callable[[], T] | None = None) -> T:
        """Call it; while storage is full, remove the oldest clip and call it (or `again`) again."""
        while True:
            try:
                return action()
            except OSError as error:
                if error.errno not in FULL_ERRORS or not self._retention.make_room():
                    raise
            action = again or action
