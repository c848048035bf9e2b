"""The outbox: events in SQLite, from the moment they are accepted until the relay's receipt.

WAL with synchronous=FULL: when `append` returns, the event survives a power cut. `seq` rises by
one an event and is never given twice, also not after all events were forgotten. Of an event
whose time isn't trusted, the monotonic time is kept beside it until it could be dated; this
outlives the receipt, as do the times of presses and motions, which the daily summary counts. Every
method may be called from any thread.
"""

import asyncio
import logging
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from firmware.errors import EventRefused, StoreError
from firmware.protocol.encoding import MAX_MQTT_BYTES, WireError, decode, new_id
from firmware.protocol.events import ClockSet, Event, EventBody, Motion, Pressed

MIGRATIONS = (
    """
CREATE TABLE last_given (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    seq INTEGER NOT NULL  -- of the newest event that was ever appended
);
INSERT INTO last_given VALUES (1, 0);
CREATE TABLE event (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    document BLOB NOT NULL  -- canonical JSON of protocol.events.Event
);
""",
    """
CREATE TABLE undated (
    seq INTEGER PRIMARY KEY,
    boot TEXT NOT NULL,  -- the kernel's id of the boot that monotonic_ms belongs to
    time_ms INTEGER NOT NULL,  -- the untrusted wall time ...
    monotonic_ms INTEGER NOT NULL  -- ... and the monotonic time of the same moment
);
""",
    """
CREATE TABLE told_once (
    place INTEGER PRIMARY KEY,  -- rises; the lowest are forgotten first
    id TEXT NOT NULL UNIQUE  -- of an event that may be asked for again after a crash
);
""",
    """
CREATE TABLE counted (
    seq INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,  -- pressed or motion
    time_ms INTEGER NOT NULL,
    is_clock_trusted INTEGER NOT NULL
);
""",
)
"""Each leads from one schema version to the next."""
MAX_UNDATED = 10_000
"""More events than that without ever knowing the time: the oldest stay undated."""
MAX_TOLD_ONCE = 1000
"""Only the newest few can be asked for again: each is told before the next."""
MAX_COUNTED = 10_000
"""More presses and motions than that in a day are counted as so many."""
MAX_EVENT_BYTES = MAX_MQTT_BYTES - 1024
"""The broker counts its own headers into its limit, and would cut the connection."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Undated:
    """The time of an event with an untrusted time, by both clocks."""

    seq: int
    time_ms: int
    monotonic_ms: int


class Outbox:
    """The queue of one doorbell."""

    def __init__(
        self,
        path: Path,
        device: str,
        *,
        boot: str = "",
        most_counted: int = MAX_COUNTED,
    ) -> None:
        self._path = path
        self._boot = boot
        self._most_counted = most_counted
        self._device = device
        self._lock = threading.Lock()
        self._waiting: set[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = set()
        self._db = _open(path)
        self._drop_unreadable()
        self._last_seq = int(self._db.execute("SELECT seq FROM last_given").fetchone()[0])

    @property
    def last_seq(self) -> int:
        """The seq of the newest event that was ever appended."""
        return self._last_seq

    def append(
        self,
        body: EventBody,
        *,
        time_ms: int,
        is_clock_trusted: bool,
        monotonic_ms: int | None = None,
        event_id: str | None = None,
        is_once: bool = False,
    ) -> Event:
        """Make an event of `body`, under this id if there is one; store it durably; return it.

        With `monotonic_ms`, of the same moment as `time_ms`, an untrusted time can be put right.
        `is_once`: `has_event` answers for its id from then on, also after its receipt.
        """
        with self._lock:
            event = Event(
                id=event_id or new_id(),
                device=self._device,
                seq=self._last_seq + 1,
                time_ms=time_ms,
                is_clock_trusted=is_clock_trusted,
                body=body,
            )
            document = event.encode()
            if len(document) > MAX_EVENT_BYTES:
                raise EventRefused(len(document), MAX_EVENT_BYTES)
            with self._transaction():
                self._db.execute("UPDATE last_given SET seq = ?", (event.seq,))
                self._db.execute(
                    "INSERT INTO event VALUES (?, ?, ?)", (event.seq, event.id, document)
                )
                if is_once:
                    self._remember_told(event.id)
                self._count(event)
                if not is_clock_trusted and monotonic_ms is not None:
                    self._keep_undated(event.seq, time_ms, monotonic_ms)
            self._last_seq = event.seq
        self._wake()
        return event

    def has_event(self, event_id: str) -> bool:
        """Tell whether something was appended once under this id."""
        query = "SELECT 1 FROM told_once WHERE id = ?"
        with self._lock:
            try:
                return self._db.execute(query, (event_id,)).fetchone() is not None
            except sqlite3.DatabaseError as error:
                raise StoreError(self._path, f"can't be read: {error}") from error

    def count(self, from_ms: int, to_ms: int) -> tuple[int, int]:
        """Return how many presses and motions were appended of this time, with or without receipt.

        What happened while the time wasn't known counts once a correction has dated it.
        """
        query = (
            "SELECT kind, count(*) FROM counted"
            " WHERE is_clock_trusted AND time_ms >= ? AND time_ms < ? GROUP BY kind"
        )
        with self._lock:
            try:
                found = dict(self._db.execute(query, (from_ms, to_ms)).fetchall())
            except sqlite3.DatabaseError as error:
                raise StoreError(self._path, f"can't be read: {error}") from error
        return found.get("pressed", 0), found.get("motion", 0)

    def pending(self, limit: int, *, after_seq: int = 0) -> list[Event]:
        """Return the events that still wait for their receipt, in order."""
        query = "SELECT document FROM event WHERE seq > ? ORDER BY seq LIMIT ?"
        with self._lock:
            try:
                rows = self._db.execute(query, (after_seq, limit)).fetchall()
            except sqlite3.DatabaseError as error:
                raise StoreError(self._path, f"can't be read: {error}") from error
        events = []
        for row in rows:
            try:
                events.append(decode(Event, row[0], max_bytes=MAX_MQTT_BYTES))
            except WireError as error:  # it mustn't hold up the others; the next start drops it
                log.error("an event is unreadable and isn't told: %s", error)
        return events

    def forget(self, event_ids: Sequence[str]) -> int:
        """Drop events that the relay has committed; unknown ids are ignored. Return how many."""
        with self._lock, self._transaction():
            return sum(
                self._db.execute("DELETE FROM event WHERE id = ?", (event_id,)).rowcount
                for event_id in event_ids
            )

    def still_waiting(self, event_ids: Sequence[str]) -> int:
        """Return how many of these events have no receipt yet."""
        marks = ", ".join("?" * len(event_ids))
        query = f"SELECT count(*) FROM event WHERE id IN ({marks})"  # noqa: S608 - question marks
        with self._lock:
            try:
                return int(self._db.execute(query, tuple(event_ids)).fetchone()[0])
            except sqlite3.DatabaseError as error:
                raise StoreError(self._path, f"can't be read: {error}") from error

    def _drop_unreadable(self) -> None:
        """Drop what an older version wrote and this one can't tell: it would hold up all else."""
        try:
            rows = self._db.execute("SELECT seq, document FROM event").fetchall()
        except sqlite3.DatabaseError as error:
            raise StoreError(self._path, f"can't be read: {error}") from error
        for seq, document in rows:
            try:
                decode(Event, document, max_bytes=MAX_MQTT_BYTES)
            except WireError as error:
                log.warning("event %d of another version is dropped: %s", seq, error)
                with self._lock, self._transaction():
                    self._db.execute("DELETE FROM event WHERE seq = ?", (seq,))

    def undated(self, boot: str) -> list[Undated]:
        """Return this boot's events with an untrusted time that weren't dated yet, in order."""
        query = "SELECT seq, time_ms, monotonic_ms FROM undated WHERE boot = ? ORDER BY seq"
        with self._lock:
            try:
                rows = self._db.execute(query, (boot,)).fetchall()
            except sqlite3.DatabaseError as error:
                raise StoreError(self._path, f"can't be read: {error}") from error
        return [Undated(seq=seq, time_ms=wall, monotonic_ms=mono) for seq, wall, mono in rows]

    def forget_undated(self, to_seq: int) -> None:
        """Drop what is kept for dating up to `to_seq`, also of boots that nothing can date."""
        with self._lock, self._transaction():
            self._db.execute("DELETE FROM undated WHERE seq <= ?", (to_seq,))

    async def wait_beyond(self, seq: int) -> None:
        """Return once an event with a higher `seq` was ever appended."""
        news = asyncio.Event()
        entry = (asyncio.get_running_loop(), news)
        self._waiting.add(entry)
        try:
            if self._last_seq <= seq:
                await news.wait()
        finally:
            self._waiting.discard(entry)

    def close(self) -> None:
        """Close the database."""
        with self._lock:
            self._db.close()

    def _remember_told(self, event_id: str) -> None:
        self._db.execute("INSERT INTO told_once (id) VALUES (?)", (event_id,))
        self._db.execute(
            "DELETE FROM told_once WHERE place NOT IN "
            "(SELECT place FROM told_once ORDER BY place DESC LIMIT ?)",
            (MAX_TOLD_ONCE,),
        )

    def _count(self, event: Event) -> None:
        match event.body:
            case Pressed() | Motion():
                kind = "pressed" if isinstance(event.body, Pressed) else "motion"
                self._db.execute(
                    "INSERT INTO counted VALUES (?, ?, ?, ?)",
                    (event.seq, kind, event.time_ms, event.is_clock_trusted),
                )
                self._db.execute(
                    "DELETE FROM counted WHERE seq <= (SELECT seq FROM counted"
                    " ORDER BY seq DESC LIMIT 1 OFFSET ?)",
                    (self._most_counted,),
                )
            case ClockSet() as told:
                self._db.execute(
                    "UPDATE counted SET time_ms = time_ms + ?, is_clock_trusted = 1"
                    " WHERE seq BETWEEN ? AND ? AND NOT is_clock_trusted",
                    (told.offset_ms, told.from_seq, told.to_seq),
                )
            case _:
                pass

    def _keep_undated(self, seq: int, time_ms: int, monotonic_ms: int) -> None:
        self._db.execute(
            "INSERT INTO undated VALUES (?, ?, ?, ?)", (seq, self._boot, time_ms, monotonic_ms)
        )
        self._db.execute(
            "DELETE FROM undated WHERE seq NOT IN "
            "(SELECT seq FROM undated ORDER BY seq DESC LIMIT ?)",
            (MAX_UNDATED,),
        )

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        try:
            with self._db:
                self._db.execute("BEGIN IMMEDIATE")
                yield
        except sqlite3.DatabaseError as error:
            is_readonly = getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_READONLY
            if is_readonly or isinstance(error, sqlite3.ProgrammingError):
                self._open_anew()
            raise StoreError(self._path, f"can't be written: {error}") from error

    def _open_anew(self) -> None:
        """Close the file and open it again for the next event (under the lock).

        SQLite opens for reading only what the card once refused to open for writing, and would
        stay with that while any connection is open. If it can't be opened now either, the closed
        connection raises ProgrammingError at the next event, and it is tried again.
        """
        self._db.close()
        with suppress(StoreError, OSError):
            self._db = _open(self._path)

    def _wake(self) -> None:
        for loop, news in tuple(self._waiting):
            if not loop.is_closed():
                loop.call_soon_threadsafe(news.set)


def _open(path: Path) -> sqlite3.Connection:
    try:
        db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        path.chmod(0o600)
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        with closing(db.execute("PRAGMA user_version")) as cursor:
            version = int(cursor.fetchone()[0])
        for number, statements in enumerate(MIGRATIONS[version:], start=version + 1):
            db.executescript(f"BEGIN; {statements} PRAGMA user_version = {number}; COMMIT;")
    except sqlite3.DatabaseError as error:
        raise StoreError(path, f"isn't a readable outbox: {error}") from error
    if version > len(MIGRATIONS):
        db.close()
        raise StoreError(
            path, f"has schema version {version}, this Doorward knows {len(MIGRATIONS)}"
        )
    return db
