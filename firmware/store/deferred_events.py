"""Storage of deferred events (a transactional outbox) in the library's database.

A deferred event is written in the very transaction that makes its fact durable, so that neither is
there without the other. It is deleted once the outbox has it. One with a `holder` isn't due yet, as
its fact isn't durable: a statement still to be carried out, by its digest, or a pairing.
"""

import logging
from collections.abc import Sequence

from firmware.protocol.encoding import MAX_MQTT_BYTES, Document, Id, WireError, decode, new_id
from firmware.protocol.events import EventBody, Note
from firmware.store.database import Connection, Database

log = logging.getLogger(__name__)


class DeferredEvent(Document, frozen=True, kw_only=True):
    """An event to publish exactly once, under its final id."""

    event_id: Id
    body: EventBody


def deferred_event_of(body: EventBody) -> DeferredEvent:
    """Return a new deferred event with this body."""
    return DeferredEvent(event_id=new_id(), body=body)


def put_deferred_events(
    connection: Connection, promises: Sequence[DeferredEvent], *, holder: str | None = None
) -> None:
    """Write deferred events within a transaction; with a `holder` they aren't due until woken."""
    connection.executemany(
        "INSERT INTO promises VALUES (?, ?, ?)",
        [(one.event_id, one.encode(), holder) for one in promises],
    )


def drop_held(connection: Connection, holder: str) -> None:
    """Delete a holder's deferred events: their fact won't be, or was published otherwise."""
    connection.execute("DELETE FROM promises WHERE holder = ?", (holder,))


def wake_held(connection: Connection, holder: str) -> None:
    """Make a holder's deferred events due: their fact is durable."""
    connection.execute("UPDATE promises SET holder = NULL WHERE holder = ?", (holder,))


def wake_unheard(connection: Connection, holder: str, told: Sequence[DeferredEvent]) -> None:
    """Make those notes of a holder due that are for a browser which is told nothing in `told`.

    It was ended before a crash, and can't be told any more but by what was sealed to it before.
    """
    heard = {one.body.browser for one in told if isinstance(one.body, Note)}
    rows = connection.execute(
        "SELECT event_id, promise_json FROM promises WHERE holder = ?", (holder,)
    ).fetchall()
    for event_id, data in rows:
        try:
            body = decode(DeferredEvent, data, max_bytes=MAX_MQTT_BYTES).body
        except WireError as error:  # of another version: it mustn't keep the statement from ending
            log.warning("a deferred note of another version is dropped: %s", error)
            continue
        if isinstance(body, Note) and body.browser not in heard:
            connection.execute("UPDATE promises SET holder = NULL WHERE event_id = ?", (event_id,))


class DeferredEventStore:
    """The deferred events of one doorbell. Writing methods return once synced to disk."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def due(self) -> list[DeferredEvent]:
        """Return the events that are due, in the order in which they were deferred."""
        with self._database.read() as connection:
            rows = connection.execute(
                "SELECT event_id, promise_json FROM promises WHERE holder IS NULL ORDER BY rowid"
            ).fetchall()
        return [kept for kept in (self._parse(*row) for row in rows) if kept is not None]

    def put(self, promises: Sequence[DeferredEvent]) -> None:
        """Store events that are due."""
        with self._database.write() as connection:
            put_deferred_events(connection, promises)

    def hold(self, promises: Sequence[DeferredEvent], holder: str) -> None:
        """Store events that aren't due until `wake`, in place of the holder's earlier ones."""
        with self._database.write() as connection:
            drop_held(connection, holder)
            put_deferred_events(connection, promises, holder=holder)

    def held(self, holder: str) -> list[DeferredEvent]:
        """Return a holder's events."""
        with self._database.read() as connection:
            rows = connection.execute(
                "SELECT event_id, promise_json FROM promises WHERE holder = ? ORDER BY rowid",
                (holder,),
            ).fetchall()
        return [kept for kept in (self._parse(*row) for row in rows) if kept is not None]

    def wake(self, holder: str, promises: Sequence[DeferredEvent]) -> None:
        """Make a holder's events due, and `promises` after them."""
        with self._database.write() as connection:
            wake_held(connection, holder)
            put_deferred_events(connection, promises)

    def forget(self, event_id: str) -> None:
        """Delete an event that is in the outbox."""
        with self._database.write() as connection:
            connection.execute("DELETE FROM promises WHERE event_id = ?", (event_id,))

    def _parse(self, event_id: str, data: bytes) -> DeferredEvent | None:
        try:
            return decode(DeferredEvent, data, max_bytes=MAX_MQTT_BYTES)
        except WireError as error:  # of another version: it mustn't hold up all else
            log.warning("a deferred event of another version is dropped: %s", error)
        self.forget(event_id)
        return None
