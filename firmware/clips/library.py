"""The library: every clip on this doorbell, in one SQLite file beside the clips' folder.

SQL of the doorbell is here, in facts_store.py and in outbox/queue.py. A row is written before
its file and removed after it, so no file is ever without a row. Every commit is synced (WAL,
synchronous=FULL). Each thread has its own connection, so that readers never wait for a writer;
the loop calls writing methods through `asyncio.to_thread`.
"""

import logging
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from firmware.clips.mp4 import sync_directory
from firmware.clips.record import ClipEnd, ClipRecord, ClipStart, ms_of
from firmware.errors import StoreError
from firmware.protocol.encoding import decode, sha256_hex
from firmware.protocol.footage import MAX_MANIFEST_BYTES, SignedManifest

log = logging.getLogger(__name__)

SCHEMA_VERSION = 1
DAY_MS = 24 * 3600 * 1000
BUSY_TIMEOUT_S = 10.0

SCHEMA = """
CREATE TABLE clips (
    clip_id          TEXT PRIMARY KEY,
    state            TEXT NOT NULL CHECK (state IN ('open', 'finished')),
    start_json       BLOB NOT NULL,              -- record.ClipStart
    started_ms       INTEGER NOT NULL,
    duration_ms      INTEGER NOT NULL DEFAULT 0,
    pre_roll_ms      INTEGER NOT NULL,
    size_bytes       INTEGER NOT NULL DEFAULT 0,
    is_cut_short     INTEGER NOT NULL DEFAULT 0,
    is_held          INTEGER NOT NULL DEFAULT 0, -- never removed by retention
    is_told          INTEGER NOT NULL DEFAULT 0, -- its event lies in the outbox, or did
    trigger_event_id TEXT NOT NULL,              -- the first trigger
    manifest_digest  TEXT,                       -- SHA-256 of the manifest's canonical text
    manifest_json    BLOB                        -- footage.SignedManifest
) STRICT;
CREATE INDEX clips_by_start ON clips (started_ms);
CREATE TABLE spent_statements (
    digest   TEXT PRIMARY KEY,
    spent_ms INTEGER NOT NULL
) STRICT;
CREATE TABLE waiting_statements (
    digest      TEXT PRIMARY KEY,
    kind        TEXT NOT NULL CHECK (kind IN ('grant', 'add_owner')),
    statement   BLOB NOT NULL,                   -- grants.SignedStatement, checked once
    received_ms INTEGER NOT NULL,
    expires_ms  INTEGER NOT NULL,
    state       TEXT NOT NULL CHECK (state IN ('waiting', 'confirmed', 'refused', 'done'))
) STRICT;
CREATE TABLE known_requests (
    request_id  TEXT PRIMARY KEY,
    digest      TEXT NOT NULL UNIQUE,
    signed_json BLOB NOT NULL,                   -- requests.SignedRequest
    received_ms INTEGER NOT NULL
) STRICT;
"""

_COLUMNS = (
    "clip_id, started_ms, duration_ms, pre_roll_ms, size_bytes, is_cut_short, is_held, "
    "trigger_event_id, manifest_digest, manifest_json"
)
Row = tuple[str, int, int, int, int, int, int, str, str, bytes]


class Database:
    """library.sqlite3: opens it, checks its schema, hands out transactions."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._local = threading.local()
        self._lock = threading.Lock()
        self._connections: list[sqlite3.Connection] = []
        with self.write() as connection:
            self._prepare(connection)

    @contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """Yield this thread's connection for a SELECT."""
        yield self._connection()

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """Yield this thread's connection in a transaction: committed and synced, or rolled back."""
        connection = self._connection()
        connection.execute("BEGIN IMMEDIATE")
        with connection:
            yield connection

    def close(self) -> None:
        """Close the connections of all threads; none may be in use."""
        with self._lock:
            for connection in self._connections:
                connection.close()
            self._connections.clear()
        self._local = threading.local()

    def _connection(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._connect()
            self._local.connection = connection
            with self._lock:
                self._connections.append(connection)
        return connection

    def _connect(self) -> sqlite3.Connection:
        try:
            connection = sqlite3.connect(
                self.path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
            )
            self.path.chmod(0o600)
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")
        except sqlite3.DatabaseError as error:
            raise StoreError(
                self.path, f"can't be opened ({error}). Move it away to begin with an empty one"
            ) from error
        return connection

    def _prepare(self, connection: sqlite3.Connection) -> None:
        version = int(connection.execute("PRAGMA user_version").fetchone()[0])
        if version > SCHEMA_VERSION:
            raise StoreError(
                self.path,
                f"has schema {version}, this Doorward knows up to {SCHEMA_VERSION}. "
                "Install the newer Doorward again",
            )
        if version == 0:
            for statement in SCHEMA.split(";"):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


class Library:
    """Clips, by id and by age."""

    def __init__(
        self, database: Database, clips_dir: Path, *, keep_days: int, keep_bytes: int
    ) -> None:
        self._database = database
        self._clips_dir = clips_dir
        self._keep_days = keep_days
        self._keep_bytes = keep_bytes
        clips_dir.mkdir(mode=0o700, exist_ok=True)

    def path_of(self, clip_id: str) -> Path:
        """Return where the clip's fragmented MP4 lies."""
        return self._clips_dir / f"{clip_id}.mp4"

    def save_open(self, start: ClipStart) -> None:
        """Write down that a clip is being recorded, or that another trigger prolonged it."""
        with self._database.write() as connection:
            connection.execute(
                "INSERT INTO clips (clip_id, state, start_json, started_ms, pre_roll_ms,"
                " trigger_event_id) VALUES (?, 'open', ?, ?, ?, ?)"
                " ON CONFLICT (clip_id) DO UPDATE SET start_json = excluded.start_json"
                " WHERE state = 'open'",
                (
                    start.clip_id,
                    start.encode(),
                    start.started_ms,
                    ms_of(start.pre_roll_90k),
                    start.triggers[0].event_id,
                ),
            )

    def finish(self, clip_id: str, end: ClipEnd, signed: SignedManifest) -> ClipRecord:
        """Write down that a clip is finished, with its signed manifest."""
        with self._database.write() as connection:
            connection.execute(
                "UPDATE clips SET state = 'finished', duration_ms = ?, size_bytes = ?,"
                " is_cut_short = ?, manifest_digest = ?, manifest_json = ?"
                " WHERE clip_id = ? AND state = 'open'",
                (
                    ms_of(end.duration_90k),
                    end.size_bytes,
                    end.ended == "cut_short",
                    sha256_hex(signed.manifest.encode()),
                    signed.encode(),
                    clip_id,
                ),
            )
        record = self.find(clip_id)
        if record is None:
            raise StoreError(self._database.path, f"has no clip {clip_id}")
        return record

    def find(self, clip_id: str) -> ClipRecord | None:
        """Return one finished clip."""
        with self._database.read() as connection:
            row = connection.execute(
                f"SELECT {_COLUMNS} FROM clips WHERE clip_id = ? AND state = 'finished'",  # noqa: S608 (a constant)
                (clip_id,),
            ).fetchone()
        return None if row is None else self._record(row)

    def finished(self, *, from_ms: int = 0, to_ms: int = 2**62) -> list[ClipRecord]:
        """Return the finished clips that touch these times, oldest first."""
        with self._database.read() as connection:
            rows = connection.execute(
                f"SELECT {_COLUMNS} FROM clips WHERE state = 'finished' AND started_ms <= ?"  # noqa: S608 (a constant)
                " AND started_ms + duration_ms >= ? ORDER BY started_ms, clip_id",
                (to_ms, from_ms),
            ).fetchall()
        return [self._record(row) for row in rows]

    def count(self) -> int:
        """Return how many finished clips there are."""
        with self._database.read() as connection:
            row = connection.execute("SELECT count(*) FROM clips WHERE state = 'finished'")
            return int(row.fetchone()[0])

    def open_starts(self) -> list[ClipStart]:
        """Return the clips that are being recorded, or were when the process died."""
        with self._database.read() as connection:
            rows = connection.execute(
                "SELECT start_json FROM clips WHERE state = 'open' ORDER BY started_ms"
            ).fetchall()
        return [decode(ClipStart, row[0]) for row in rows]

    def untold(self) -> list[ClipRecord]:
        """Return the finished clips whose event isn't known to be accepted, oldest first."""
        with self._database.read() as connection:
            rows = connection.execute(
                f"SELECT {_COLUMNS} FROM clips WHERE state = 'finished' AND is_told = 0"  # noqa: S608 (a constant)
                " ORDER BY started_ms, clip_id"
            ).fetchall()
        return [self._record(row) for row in rows]

    def mark_told(self, clip_id: str) -> None:
        """Write down that a clip's event is accepted."""
        with self._database.write() as connection:
            connection.execute("UPDATE clips SET is_told = 1 WHERE clip_id = ?", (clip_id,))

    def set_held(self, clip_id: str, *, is_held: bool) -> None:
        """Keep a clip from retention, or let it go again."""
        with self._database.write() as connection:
            connection.execute("UPDATE clips SET is_held = ? WHERE clip_id = ?", (is_held, clip_id))

    def remove(self, clip_id: str) -> None:
        """Remove a clip: first its file, then its row."""
        self.path_of(clip_id).unlink(missing_ok=True)
        sync_directory(self._clips_dir)
        with self._database.write() as connection:
            connection.execute("DELETE FROM clips WHERE clip_id = ?", (clip_id,))

    def apply_retention(self, now_ms: int) -> list[str]:
        """Remove what is too old or too much, oldest first; held and open clips stay."""
        oldest_kept_ms = now_ms - self._keep_days * DAY_MS
        with self._database.read() as connection:
            rows = connection.execute(
                "SELECT clip_id, started_ms + duration_ms, size_bytes, is_held FROM clips"
                " WHERE state = 'finished' ORDER BY started_ms, clip_id"
            ).fetchall()
        total_bytes = sum(size_bytes for _, _, size_bytes, _ in rows)
        removed: list[str] = []
        for clip_id, ended_ms, size_bytes, is_held in rows:
            if is_held or (ended_ms >= oldest_kept_ms and total_bytes <= self._keep_bytes):
                continue
            self.remove(clip_id)
            total_bytes -= size_bytes
            removed.append(clip_id)
        return removed

    def _record(self, row: Row) -> ClipRecord:
        return ClipRecord(
            clip_id=row[0],
            path=self.path_of(row[0]),
            started_ms=row[1],
            duration_ms=row[2],
            pre_roll_ms=row[3],
            size_bytes=row[4],
            is_cut_short=bool(row[5]),
            is_held=bool(row[6]),
            trigger_event_id=row[7],
            manifest_digest=row[8],
            signed_manifest=decode(SignedManifest, row[9], max_bytes=2 * MAX_MANIFEST_BYTES),
        )
