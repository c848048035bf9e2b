"""The clip library: an SQLite index of all clips, beside the clips' folder.

SQL of the doorbell is here, in store/ and in outbox/queue.py. Here is what is stored,
found and removed; what may be removed is decided in retention.py, and what a crash left behind
is put right in crash_recovery.py.

A clip's file comes first and its row second, because the sync of a row must not delay the
pre-roll; a file without a row says itself what it is, and is adopted at the next start. A
removal is the other way round: the row goes and the signed deletion record comes in one commit,
then the file goes. So a file without a row was deleted if there is a record, and else is new.
The loop calls writing methods through `asyncio.to_thread`.
"""

import errno
import logging
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from firmware.clips.deletions import DeletionSigner, Removal
from firmware.clips.record import ClipEnd, ClipRecord, ClipStart, Dating, ms_of
from firmware.errors import StoreError
from firmware.protocol.deletions import DeletionReason, SignedDeletion
from firmware.protocol.encoding import decode, sha256_hex
from firmware.protocol.footage import MAX_MANIFEST_BYTES, SignedManifest
from firmware.store.database import Connection, Database

log = logging.getLogger(__name__)

MAX_DELETIONS = 10_000
NO_END_MS = 2**62
MAX_DATED_BOOTS = 1_000

_RECORD = (
    "SELECT clip_id, counter, boot_id, started_ms, told_ms, dating, duration_ms, pre_roll_ms,"
    " size_bytes, is_cut_short, is_held, trigger_event_id, manifest_digest, manifest_json"
    " FROM clips WHERE state = 'finished'"
)
_SHOWN = " AND deleted_until_ms IS NULL"
_OLDEST_FIRST = " ORDER BY started_ms, counter"
_DATE = (
    "UPDATE clips SET dating = 'dated', is_told = 0,"
    " started_ms = max(0, told_ms + dated_boots.difference_ms"
    " - json_extract(CAST(start_json AS TEXT), '$.clock_difference_ms'))"
    " FROM dated_boots WHERE clips.boot_id = dated_boots.boot_id AND dating = 'unknown'"
    " AND counter <= dated_boots.to_counter"
    " AND json_extract(CAST(start_json AS TEXT), '$.clock_difference_ms') IS NOT NULL"
)
Row = tuple[Any, ...]  # Any: SQLite's values, whose types the STRICT tables hold to


@dataclass(frozen=True, slots=True, kw_only=True)
class Removable:
    """A clip that may be removed, and the bytes that this frees."""

    clip_id: str
    size_bytes: int
    is_deleted: bool
    """An owner deleted it, and could still take that back."""


class Library:
    """Clips, by id, by time and by the order in which they were recorded (their counter)."""

    def __init__(self, database: Database, clips_dir: Path, *, deletions: DeletionSigner) -> None:
        self._database = database
        self.clips_dir = clips_dir
        self._deletions = deletions
        self._counter_lock = threading.Lock()
        clips_dir.mkdir(mode=0o700, exist_ok=True)
        with database.read() as connection:
            self._counter = int(
                connection.execute("SELECT value FROM highest_counter").fetchone()[0]
            )

    def path_of(self, clip_id: str) -> Path:
        """Return where the sealed clip lies."""
        return self.clips_dir / f"{clip_id}.clip"

    def picture_path_of(self, clip_id: str) -> Path:
        """Return where its sealed thumbnail lies, if it has one."""
        return self.clips_dir / f"{clip_id}.thumb"

    def next_counter(self) -> int:
        """Return the next clip's number; a failed clip leaves a gap, no number repeats."""
        with self._counter_lock:
            self._counter += 1
            return self._counter

    def save_open(self, start: ClipStart) -> None:
        """Insert the row of a clip that is being recorded."""
        self._count_from(start.counter)
        with self._database.write() as connection:
            _insert(connection, start)

    def finish(self, start: ClipStart, end: ClipEnd, signed: SignedManifest) -> ClipRecord:
        """Mark a clip finished, with its signed manifest; idempotent."""
        self._count_from(start.counter)
        with self._database.write() as connection:
            _insert(connection, start)
            _finish(connection, start, end, signed)
        record = self.find(start.clip_id)
        if record is None:
            raise StoreError(self._database.path, f"has no clip {start.clip_id}")
        return record

    def find(self, clip_id: str) -> ClipRecord | None:
        """Return one finished clip, unless an owner deleted it."""
        with self._database.read() as connection:
            row = connection.execute(f"{_RECORD}{_SHOWN} AND clip_id = ?", (clip_id,)).fetchone()
        return None if row is None else self._record(row)

    def finished(self, *, from_ms: int = 0, to_ms: int = NO_END_MS) -> list[ClipRecord]:
        """Return the finished clips that touch these times, oldest first; no deleted ones."""
        return self._records(
            _SHOWN + " AND started_ms <= ? AND started_ms + duration_ms >= ?" + _OLDEST_FIRST,
            (to_ms, from_ms),
        )

    def newest(self, limit: int, skip: int = 0) -> list[ClipRecord]:
        """Return at most so many finished clips, the newest first, after `skip` newer ones."""
        order = " ORDER BY started_ms DESC, counter DESC LIMIT ? OFFSET ?"
        return self._records(_SHOWN + order, (limit, skip))

    def deleted(self) -> list[ClipRecord]:
        """Return the clips that an owner deleted, and that aren't erased yet, oldest first."""
        return self._records(" AND deleted_until_ms IS NOT NULL" + _OLDEST_FIRST)

    def deleted_until(self, until_ms: int) -> list[str]:
        """Return the deleted clips that were to be erased by then, held ones left out."""
        with self._database.read() as connection:
            rows = connection.execute(
                "SELECT clip_id FROM clips WHERE deleted_until_ms <= ? AND is_held = 0", (until_ms,)
            ).fetchall()
        return [row[0] for row in rows]

    def in_order(self) -> list[ClipRecord]:
        """Return all finished clips, deleted ones too, in the order of their recording."""
        return self._records(" ORDER BY counter, clip_id")

    def unpublished(self) -> list[ClipRecord]:
        """Return the finished clips whose event isn't known to be accepted, oldest first."""
        return self._records(_SHOWN + " AND is_told = 0 ORDER BY counter, clip_id")

    def count(self) -> int:
        """Return the number of finished clips."""
        with self._database.read() as connection:
            row = connection.execute(
                "SELECT count(*) FROM clips WHERE state = 'finished' AND deleted_until_ms IS NULL"
            )
            return int(row.fetchone()[0])

    def oldest_ms(self) -> int | None:
        """Return when the oldest finished clip began."""
        with self._database.read() as connection:
            row = connection.execute(
                "SELECT min(started_ms) FROM clips"
                " WHERE state = 'finished' AND deleted_until_ms IS NULL"
            )
            value = row.fetchone()[0]
        return None if value is None else int(value)

    def total_bytes(self) -> int:
        """Return the total size of all finished clips."""
        with self._database.read() as connection:
            row = connection.execute(
                "SELECT coalesce(sum(size_bytes), 0) FROM clips WHERE state = 'finished'"
            )
            return int(row.fetchone()[0])

    def removable_bytes(self) -> int:
        """Return the total size of all finished clips that are neither held nor kept."""
        with self._database.read() as connection:
            row = connection.execute(
                "SELECT coalesce(sum(size_bytes), 0) FROM clips"
                " WHERE state = 'finished' AND is_held = 0"
                " AND clip_id NOT IN (SELECT clip_id FROM kept_clips)"
            )
            return int(row.fetchone()[0])

    def removable(self, *, ended_before_ms: int = NO_END_MS, limit: int) -> list[Removable]:
        """Return finished clips that are neither held nor kept, in the order of recording.

        `ended_before_ms` leaves out clips whose time isn't known, and deleted ones.
        """
        with self._database.read() as connection:
            rows = connection.execute(
                "SELECT clip_id, size_bytes, deleted_until_ms IS NOT NULL FROM clips"
                " WHERE state = 'finished' AND is_held = 0"
                " AND (? OR started_ms + duration_ms < ? AND dating != 'unknown'"
                " AND deleted_until_ms IS NULL)"
                " AND clip_id NOT IN (SELECT clip_id FROM kept_clips)"
                " ORDER BY counter, clip_id LIMIT ?",
                (ended_before_ms == NO_END_MS, ended_before_ms, limit),
            ).fetchall()
        return [
            Removable(clip_id=row[0], size_bytes=row[1], is_deleted=bool(row[2])) for row in rows
        ]

    def open_starts(self) -> list[ClipStart]:
        """Return the clips that are being recorded, or were when the process died."""
        with self._database.read() as connection:
            rows = connection.execute(
                "SELECT start_json FROM clips WHERE state = 'open' ORDER BY counter"
            ).fetchall()
        return [decode(ClipStart, row[0]) for row in rows]

    def clip_ids(self) -> frozenset[str]:
        """Return the ids of all clips, open ones too."""
        with self._database.read() as connection:
            rows = connection.execute("SELECT clip_id FROM clips").fetchall()
        return frozenset(row[0] for row in rows)

    def mark_published(self, record: ClipRecord) -> None:
        """Mark a clip's event accepted, unless the clip was dated meanwhile."""
        with self._database.write() as connection:
            connection.execute(
                "UPDATE clips SET is_told = 1 WHERE clip_id = ? AND started_ms = ?",
                (record.clip_id, record.started_ms),
            )

    def set_held(self, clip_id: str, *, is_held: bool) -> None:
        """Keep a clip from retention, or let it go again."""
        with self._database.write() as connection:
            connection.execute("UPDATE clips SET is_held = ? WHERE clip_id = ?", (is_held, clip_id))

    def date_boot(self, boot_id: str, difference_ms: int) -> None:
        """Correct the times of this run's clips so far, by wall time minus monotonic time.

        Called each time that the clock becomes right. A clip keeps that difference of when it
        began, so the change of it is what its time was wrong by. The manifests keep what was
        told; the clips are told anew. Later clips wait for a later call.
        """
        with self._counter_lock:
            to_counter = self._counter
        with self._database.write() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO dated_boots VALUES (?, ?, ?)",
                (boot_id, difference_ms, to_counter),
            )
            connection.execute(_DATE + " AND clips.boot_id = ?", (boot_id,))
            connection.execute(
                "DELETE FROM dated_boots WHERE rowid <= (SELECT max(rowid) FROM dated_boots) - ?",
                (MAX_DATED_BOOTS,),
            )

    def date_other_boots(self, boot_id: str, now_ms: int) -> None:
        """Date undated clips of earlier runs by the only sure bound: not later than now.

        It only ever moves back: of a clock that was ahead for a while nothing stays.
        """
        with self._database.write() as connection:
            connection.execute(
                "UPDATE clips SET started_ms = max(0, ?1 - duration_ms), dating = 'latest',"
                " is_told = 0"
                " WHERE boot_id != ?2 AND state = 'finished' AND (dating = 'unknown'"
                " OR (dating = 'latest' AND started_ms > max(0, ?1 - duration_ms)))",
                (now_ms, boot_id),
            )

    def remove(self, clip_ids: Iterable[str], why: DeletionReason) -> list[str]:
        """Remove clips: row out and deletion record in, by one commit, then the files.

        A held or kept clip stays, also one that another process holds only now. Returns what went.
        """
        ids = list(clip_ids)
        try:
            ids = self._forget(ids, why)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            # Not even the commit fits: make room for it first. A crash between leaves rows
            # without files, which recovery finds.
            self._unlink(self._removable_of(ids))
            ids = self._forget(ids, why)
        self._unlink(ids)
        return ids

    def deletions(self, limit: int = MAX_DELETIONS) -> list[SignedDeletion]:
        """Return the deletion records, the newest clips' first."""
        with self._database.read() as connection:
            rows = connection.execute(
                "SELECT signed_json FROM deletions ORDER BY counter DESC LIMIT ?", (limit,)
            ).fetchall()
        return [decode(SignedDeletion, row[0]) for row in rows]

    def deleted_ids(self) -> frozenset[str]:
        """Return the ids of clips with files to be removed; "unreadable" ones may come back."""
        with self._database.read() as connection:
            rows = connection.execute(
                "SELECT clip_id FROM deletions WHERE why != 'unreadable'"
            ).fetchall()
        return frozenset(row[0] for row in rows)

    def faults(self) -> list[str]:
        """Return the faults that SQLite's integrity check finds."""
        return self._database.faults()

    def _count_from(self, counter: int) -> None:
        with self._counter_lock:
            self._counter = max(self._counter, counter)

    def _removable_of(self, clip_ids: list[str]) -> list[str]:
        with self._database.read() as connection:
            return [clip_id for clip_id in clip_ids if not _stays(connection, clip_id)]

    def _forget(self, clip_ids: list[str], why: DeletionReason) -> list[str]:
        forgotten = []
        with self._database.write() as connection:
            for clip_id in clip_ids:
                if _stays(connection, clip_id):
                    continue
                row = connection.execute(
                    "SELECT manifest_digest, counter FROM clips WHERE clip_id = ?", (clip_id,)
                ).fetchone()
                forgotten.append(clip_id)
                if row is None:
                    continue
                removal = Removal(clip_id=clip_id, manifest_digest=row[0], counter=row[1], why=why)
                signed = self._deletions.sign(removal)
                connection.execute(
                    "INSERT OR REPLACE INTO deletions VALUES (?, ?, ?, ?)",
                    (clip_id, row[1], why, signed.encode()),
                )
                connection.execute("DELETE FROM clips WHERE clip_id = ?", (clip_id,))
                connection.execute("DELETE FROM kept_clips WHERE clip_id = ?", (clip_id,))
            connection.execute(
                "DELETE FROM deletions WHERE clip_id IN (SELECT clip_id FROM deletions"
                " ORDER BY counter DESC LIMIT -1 OFFSET ?)",
                (MAX_DELETIONS,),
            )
        return forgotten

    def _unlink(self, clip_ids: list[str]) -> None:
        for clip_id in clip_ids:
            self.path_of(clip_id).unlink(missing_ok=True)
            self.picture_path_of(clip_id).unlink(missing_ok=True)

    def _records(self, where: str, values: tuple[int, ...] = ()) -> list[ClipRecord]:
        with self._database.read() as connection:
            rows = connection.execute(_RECORD + where, values).fetchall()
        return [self._record(row) for row in rows]

    def _record(self, row: Row) -> ClipRecord:
        dating: Dating = row[5]
        return ClipRecord(
            clip_id=row[0],
            path=self.path_of(row[0]),
            counter=row[1],
            boot_id=row[2],
            started_ms=row[3],
            told_ms=row[4],
            dating=dating,
            duration_ms=row[6],
            pre_roll_ms=row[7],
            size_bytes=row[8],
            is_cut_short=bool(row[9]),
            is_held=bool(row[10]),
            trigger_event_id=row[11],
            manifest_digest=row[12],
            signed_manifest=decode(SignedManifest, row[13], max_bytes=2 * MAX_MANIFEST_BYTES),
        )


def _stays(connection: Connection, clip_id: str) -> bool:
    """Return whether a clip is held, or kept by somebody."""
    row = connection.execute(
        "SELECT EXISTS (SELECT 1 FROM clips WHERE clip_id = ?1 AND is_held = 1)"
        " OR EXISTS (SELECT 1 FROM kept_clips WHERE clip_id = ?1)",
        (clip_id,),
    ).fetchone()
    return bool(row[0])


def _insert(connection: Connection, start: ClipStart) -> None:
    connection.execute("UPDATE highest_counter SET value = max(value, ?)", (start.counter,))
    connection.execute("DELETE FROM deletions WHERE clip_id = ?", (start.clip_id,))
    connection.execute(
        "INSERT INTO clips (clip_id, state, start_json, started_ms, told_ms, dating,"
        " pre_roll_ms, trigger_event_id, counter, boot_id)"
        " VALUES (?, 'open', ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (clip_id) DO NOTHING",
        (
            start.clip_id,
            start.encode(),
            start.started_ms,
            start.started_ms,
            "trusted" if start.is_clock_trusted else "unknown",
            ms_of(start.pre_roll_90k),
            start.triggers[0].event_id,
            start.counter,
            start.boot_id,
        ),
    )


def _finish(connection: Connection, start: ClipStart, end: ClipEnd, signed: SignedManifest) -> None:
    connection.execute(
        "UPDATE clips SET state = 'finished', duration_ms = ?, size_bytes = ?,"
        " is_cut_short = ?, manifest_digest = ?, manifest_json = ?, start_json = ?"
        " WHERE clip_id = ? AND state = 'open'",
        (
            ms_of(end.duration_90k),
            end.size_bytes,
            end.ended == "cut_short",
            sha256_hex(signed.manifest.encode()),
            signed.encode(),
            start.encode(),
            start.clip_id,
        ),
    )
    connection.execute(_DATE + " AND clip_id = ?", (start.clip_id,))
