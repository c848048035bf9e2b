"""What has to be told once, kept in the library's database from the commit of its fact on.

A promise is written in the very transaction that makes its fact durable, so that neither is there
without the other. It goes once the outbox has it. A promise with a `holder` isn't due yet: it tells
of what isn't so yet: a statement that is still to be carried out, by its digest, or a pairing.
"""

import logging
from collections.abc import Sequence

from firmware.protocol.encoding import MAX_MQTT_BYTES, Document, Id, WireError, decode, new_id
from firmware.protocol.events import EventBody
from firmware.store.database import Connection, Database

log = logging.getLogger(__name__)


class DeferredEvent(Document, frozen=True, kw_only=True):
    """A fact to tell, under the one id that it will ever have."""

    event_id: Id
    body: EventBody


def deferred_event_of(body: EventBody) -> DeferredEvent:
    """Return a new promise to tell this."""
    return DeferredEvent(event_id=new_id(), body=body)


def put_deferred_events(
    connection: Connection, promises: Sequence[DeferredEvent], *, holder: str | None = None
) -> None:
    """Write promises within a transaction; with a `holder` they wait for it."""
    connection.executemany(
        "INSERT INTO promises VALUES (?, ?, ?)",
        [(one.event_id, one.encode(), holder) for one in promises],
    )


def drop_held(connection: Connection, holder: str) -> None:
    """What these promises told of won't be so, or was told otherwise."""
    connection.execute("DELETE FROM promises WHERE holder = ?", (holder,))


def wake_held(connection: Connection, holder: str) -> None:
    """What these promises tell of is so: they are due."""
    connection.execute("UPDATE promises SET holder = NULL WHERE holder = ?", (holder,))


class DeferredEventStore:
    """The promises of one doorbell. Writing methods return once it is synced to disk."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def due(self) -> list[DeferredEvent]:
        """Return what is to be told now, in the order in which it was promised."""
        with self._database.read() as connection:
            rows = connection.execute(
                "SELECT event_id, promise_json FROM promises WHERE holder IS NULL ORDER BY rowid"
            ).fetchall()
        return [kept for kept in (self._parse(*row) for row in rows) if kept is not None]

    def hold(self, promises: Sequence[DeferredEvent], holder: str) -> None:
        """Keep promises that aren't due until `wake`; what was held there is forgotten."""
        with self._database.write() as connection:
            drop_held(connection, holder)
            put_deferred_events(connection, promises, holder=holder)

    def held(self, holder: str) -> list[DeferredEvent]:
        """Return what is held there."""
        with self._database.read() as connection:
            rows = connection.execute(
                "SELECT event_id, promise_json FROM promises WHERE holder = ? ORDER BY rowid",
                (holder,),
            ).fetchall()
        return [kept for kept in (self._parse(*row) for row in rows) if kept is not None]

    def wake(self, holder: str, promises: Sequence[DeferredEvent]) -> None:
        """What is held there is so: it is due, and these promises after it."""
        with self._database.write() as connection:
            wake_held(connection, holder)
            put_deferred_events(connection, promises)

    def forget(self, event_id: str) -> None:
        """It is in the outbox."""
        with self._database.write() as connection:
            connection.execute("DELETE FROM promises WHERE event_id = ?", (event_id,))

    def _parse(self, event_id: str, data: bytes) -> DeferredEvent | None:
        try:
            return decode(DeferredEvent, data, max_bytes=MAX_MQTT_BYTES)
        except WireError as error:  # of another version: it mustn't hold up all else
            log.warning("a promise of another version is dropped: %s", error)
        self.forget(event_id)
        return None
