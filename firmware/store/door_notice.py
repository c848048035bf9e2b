"""Storage of the notice for passers-by: its key, its id, and when it was told last.

What it says is told in the same commit, so that relay and doorbell can't differ for long.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from firmware.store.database import Database
from firmware.store.deferred_events import DeferredEvent, put_deferred_events


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredNotice:
    """The notice that is put up; `key` is its private key (PKCS #8, DER)."""

    notice_id: str
    key: bytes
    since_ms: int
    told_ms: int
    told_digest: str


class DoorNoticeStore:
    """The one notice of a doorbell. Writing methods return once synced to disk."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self) -> StoredNotice | None:
        """Return the notice that is put up, if there is one."""
        with self._database.read() as connection:
            row = connection.execute(
                "SELECT notice_id, key, since_ms, told_ms, told_digest FROM door_notice"
            ).fetchone()
        if row is None:
            return None
        return StoredNotice(
            notice_id=row[0], key=row[1], since_ms=row[2], told_ms=row[3], told_digest=row[4]
        )

    def put(self, notice: StoredNotice, promises: Sequence[DeferredEvent]) -> None:
        """Store the notice in place of any other, and defer its events, in one commit."""
        with self._database.write() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO door_notice VALUES (1, ?, ?, ?, ?, ?)",
                (
                    notice.notice_id,
                    notice.key,
                    notice.since_ms,
                    notice.told_ms,
                    notice.told_digest,
                ),
            )
            put_deferred_events(connection, promises)

    def end(self, promises: Sequence[DeferredEvent]) -> None:
        """Forget the notice and its key, and defer its withdrawal, in one commit."""
        with self._database.write() as connection:
            connection.execute("DELETE FROM door_notice")
            put_deferred_events(connection, promises)
