"""Storage of owners' statements, with their confirmations and proofs, and of spent digests.

It is in the library's database, so that one commit makes a fact durable. Nothing is judged here:
that is firmware.consent's.
"""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from firmware.protocol.encoding import WireError, decode
from firmware.protocol.grants import GrantTerms, SignedStatement, Statement
from firmware.protocol.releases import ReleaseOpening
from firmware.store.database import Connection, Database
from firmware.store.deferred_events import (
    DeferredEvent,
    drop_held,
    put_deferred_events,
    wake_held,
    wake_unheard,
)

MAX_STATEMENT_BYTES = 128 * 1024

log = logging.getLogger(__name__)

StatementState = Literal["waiting", "confirmed", "refused", "done"]
Way = Literal["door_page", "approver", "knock"]
Row = tuple[Any, ...]  # Any: SQLite's values
_COLUMNS = (
    "digest, kind, statement, received_ms, expires_ms, state,"
    " way, confirmed_ms, approval, release_record, release_proof"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredConfirmation:
    """The way and the time of an owner's confirmation outside the relay."""

    way: Way
    confirmed_ms: int
    approval: SignedStatement | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingStatement:
    """An owner's statement whose checks held when it came, with its later state."""

    digest: str
    kind: str
    """The tag of its terms."""
    statement: SignedStatement
    received_ms: int
    expires_ms: int
    state: StatementState
    confirmed: StoredConfirmation | None = None
    release: ReleaseOpening | None = None
    """What a grant's release commits to, with its salts; durable before it is published."""
    release_proof: bytes | None = None


class StatementStore:
    """One doorbell's stored statements. Writing methods return once synced to disk."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def spend(self, digest: str, now_ms: int, *, planned: Sequence[DeferredEvent] = ()) -> bool:
        """Mark a statement as used; False if it was used before.

        `planned` is told if it turns out after a crash that it was carried out.
        """
        with self._database.write() as connection:
            drop_held(connection, digest)
            put_deferred_events(connection, planned, holder=digest)
            return _spend(connection, digest, now_ms)

    def spent(self) -> frozenset[str]:
        """Return the digests of all used statements."""
        with self._database.read() as connection:
            rows = connection.execute("SELECT digest FROM spent_statements").fetchall()
        return frozenset(row[0] for row in rows)

    def is_spent(self, digest: str) -> bool:
        """Return whether a statement was used."""
        with self._database.read() as connection:
            row = connection.execute(
                "SELECT 1 FROM spent_statements WHERE digest = ?", (digest,)
            ).fetchone()
        return row is not None

    def is_known(self, digest: str) -> bool:
        """Return whether a statement was used, or ever waited here, whatever became of it."""
        with self._database.read() as connection:
            row = connection.execute(
                "SELECT EXISTS (SELECT 1 FROM spent_statements WHERE digest = :digest)"
                " OR EXISTS (SELECT 1 FROM waiting_statements WHERE digest = :digest)",
                {"digest": digest},
            ).fetchone()
        return bool(row[0])

    def add_waiting(
        self,
        statement: WaitingStatement,
        *,
        promises: Sequence[DeferredEvent] = (),
        planned: Sequence[DeferredEvent] = (),
    ) -> bool:
        """Keep a statement until it is decided; False if its digest is here already.

        One grant at a time waits (R10b): another that does is refused. `promises` are told, and
        `planned` if it turns out after a crash that the statement was carried out.
        """
        with self._database.write() as connection:
            cursor = connection.execute(
                "INSERT OR IGNORE INTO waiting_statements"
                " (digest, kind, statement, received_ms, expires_ms, state)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                (
                    statement.digest,
                    statement.kind,
                    statement.statement.encode(),
                    statement.received_ms,
                    statement.expires_ms,
                    statement.state,
                ),
            )
            if cursor.rowcount != 1:
                return False
            if statement.kind == "grant":
                connection.execute(
                    "UPDATE waiting_statements SET state = 'refused'"
                    " WHERE kind = 'grant' AND state = 'waiting' AND digest != ?",
                    (statement.digest,),
                )
            put_deferred_events(connection, promises)
            put_deferred_events(connection, planned, holder=statement.digest)
            return True

    def waiting(self, now_ms: int) -> list[WaitingStatement]:
        """Return the statements that wait for a decision and aren't expired, oldest first."""
        with self._database.read() as connection:
            rows = connection.execute(
                f"SELECT {_COLUMNS} FROM waiting_statements"  # noqa: S608 - a constant
                " WHERE state = 'waiting' AND expires_ms > ?"
                " ORDER BY received_ms, digest",
                (now_ms,),
            ).fetchall()
        return _readable(rows)

    def statement(self, digest: str) -> WaitingStatement | None:
        """Return one statement in whatever state; None also if it can't be read any more."""
        with self._database.read() as connection:
            row = connection.execute(
                f"SELECT {_COLUMNS} FROM waiting_statements WHERE digest = ?",  # noqa: S608
                (digest,),
            ).fetchone()
        return None if row is None else next(iter(_readable([row])), None)

    def state_of(self, digest: str) -> StatementState | None:
        """Return the state of one statement, also of one that can't be read."""
        with self._database.read() as connection:
            row = connection.execute(
                "SELECT state FROM waiting_statements WHERE digest = ?", (digest,)
            ).fetchone()
        return None if row is None else row[0]

    def released(self) -> frozenset[str]:
        """Return the digests of the grants whose package was released, taken back or not."""
        with self._database.read() as connection:
            rows = connection.execute(
                "SELECT digest FROM waiting_statements WHERE kind = 'grant' AND state = 'done'"
            ).fetchall()
        return frozenset(row[0] for row in rows)

    def confirm(self, digest: str, confirmed: StoredConfirmation) -> bool:
        """Store the owner's confirmation; False if it doesn't wait any more (a race was lost)."""
        approval = None if confirmed.approval is None else confirmed.approval.encode()
        with self._database.write() as connection:
            cursor = connection.execute(
                "UPDATE waiting_statements"
                " SET state = 'confirmed', way = ?, confirmed_ms = ?, approval = ?"
                " WHERE digest = ? AND state = 'waiting'",
                (confirmed.way, confirmed.confirmed_ms, approval, digest),
            )
            return cursor.rowcount == 1

    def commit_to(self, digest: str, opening: ReleaseOpening) -> None:
        """Store what the release of a grant commits to."""
        with self._database.write() as connection:
            connection.execute(
                "UPDATE waiting_statements SET release_record = ? WHERE digest = ?",
                (opening.encode(), digest),
            )

    def set_proof(self, digest: str, proof: bytes | None) -> None:
        """Store the public log's proof of the commitment; None: it is too old by now."""
        with self._database.write() as connection:
            connection.execute(
                "UPDATE waiting_statements SET release_proof = ? WHERE digest = ?", (proof, digest)
            )

    def move_statement(
        self,
        digest: str,
        *,
        from_state: StatementState,
        to: StatementState,
        promises: Sequence[DeferredEvent] = (),
    ) -> bool:
        """Change a statement's state; False if it wasn't in `from_state` (a race was lost)."""
        with self._database.write() as connection:
            if not move(connection, digest, from_state=from_state, to=to):
                return False
            put_deferred_events(connection, promises)
            return True

    def finish(
        self,
        digest: str,
        now_ms: int,
        promises: Sequence[DeferredEvent],
        *,
        is_resumed: bool = False,
    ) -> None:
        """Store that a statement is done, spend its digest and defer its events, in one commit.

        `is_resumed`: it was carried out before a crash, so what was planned is told as well;
        otherwise only to browsers that a crash left ended, of a decision carried out in part.
        """
        with self._database.write() as connection:
            if is_resumed:
                wake_held(connection, digest)
            else:
                wake_unheard(connection, digest, promises)
            _spend(connection, digest, now_ms)
            move(connection, digest, from_state="confirmed", to="done")
            put_deferred_events(connection, promises)

    def forget_statement(self, digest: str) -> None:
        """Delete a statement that failed without a refusal: if it comes again, it counts."""
        with self._database.write() as connection:
            drop_held(connection, digest)
            connection.execute("DELETE FROM waiting_statements WHERE digest = ?", (digest,))

    def granted_requests(self) -> frozenset[str]:
        """Return the digests of the requests for which an owner signed a grant, done or not."""
        return frozenset(terms.request_digest for _, terms in self.grants())

    def grants(self) -> list[tuple[WaitingStatement, GrantTerms]]:
        """Return every grant whose checks held when it came, done or not, the oldest first."""
        with self._database.read() as connection:
            rows = connection.execute(
                f"SELECT {_COLUMNS} FROM waiting_statements"  # noqa: S608
                " WHERE kind = 'grant' ORDER BY received_ms, digest"
            ).fetchall()
        found = []
        for row in rows:
            try:
                statement = _waiting(row)
                terms = decode(Statement, statement.statement.statement.encode()).terms
            except WireError as error:  # of another version: it mustn't keep all else untold
                log.warning("an earlier grant can't be read: %s", error)
                continue
            if isinstance(terms, GrantTerms):
                found.append((statement, terms))
        return found

    def statements_in(self, state: StatementState) -> list[WaitingStatement]:
        """Return all statements in one state, oldest first."""
        return _readable(self._rows_in(state))

    def newest(self, limit: int) -> list[WaitingStatement]:
        """Return at most `limit` statements in any state, oldest first."""
        with self._database.read() as connection:
            rows = connection.execute(
                f"SELECT {_COLUMNS} FROM waiting_statements"  # noqa: S608
                " ORDER BY received_ms DESC, digest LIMIT ?",
                (limit,),
            ).fetchall()
        return _readable(reversed(rows))

    def unreadable_in(self, state: StatementState) -> list[str]:
        """Return the digests of unreadable statements: damaged, or of another version."""
        rows = self._rows_in(state)
        readable = {one.digest for one in _readable(rows)}
        return [row[0] for row in rows if row[0] not in readable]

    def _rows_in(self, state: StatementState) -> list[Row]:
        with self._database.read() as connection:
            return connection.execute(
                f"SELECT {_COLUMNS} FROM waiting_statements WHERE state = ?"  # noqa: S608
                " ORDER BY received_ms, digest",
                (state,),
            ).fetchall()


def move(
    connection: Connection, digest: str, *, from_state: StatementState, to: StatementState
) -> bool:
    """Change a statement's state within a transaction; what was only planned is dropped."""
    cursor = connection.execute(
        "UPDATE waiting_statements SET state = ? WHERE digest = ? AND state = ?",
        (to, digest, from_state),
    )
    if cursor.rowcount == 1:
        drop_held(connection, digest)
    return cursor.rowcount == 1


def _spend(connection: Connection, digest: str, now_ms: int) -> bool:
    cursor = connection.execute(
        "INSERT OR IGNORE INTO spent_statements VALUES (?, ?)", (digest, now_ms)
    )
    return cursor.rowcount == 1


def _readable(rows: Iterable[Row]) -> list[WaitingStatement]:
    """Return the readable statements: an unreadable one mustn't keep back all others."""
    found = []
    for row in rows:
        try:
            found.append(_waiting(row))
        except WireError as error:
            log.warning("statement %s can't be read: %s", row[0], error)
    return found


def _waiting(row: Row) -> WaitingStatement:
    digest, kind, statement, received_ms, expires_ms, state, *confirmed = row
    way, confirmed_ms, approval, record, proof = confirmed
    signed = decode(SignedStatement, statement, max_bytes=MAX_STATEMENT_BYTES)
    decode(Statement, signed.statement.encode())  # its text can be read, too
    return WaitingStatement(
        digest=digest,
        kind=kind,
        statement=signed,
        received_ms=received_ms,
        expires_ms=expires_ms,
        state=state,
        confirmed=None
        if way is None
        else StoredConfirmation(
            way=way,
            confirmed_ms=confirmed_ms,
            approval=None
            if approval is None
            else decode(SignedStatement, approval, max_bytes=MAX_STATEMENT_BYTES),
        ),
        release=None if record is None else decode(ReleaseOpening, record),
        release_proof=proof,
    )
