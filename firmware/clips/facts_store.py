"""What the doorbell must not forget between two decisions: spent, waiting and known documents.

Lies in the library's database, so that one commit makes a fact durable. Only storing and finding
belong here; what the facts mean is judged in firmware.consent.
"""

from dataclasses import dataclass
from typing import Literal

from firmware.clips.database import Database
from firmware.protocol.encoding import decode
from firmware.protocol.grants import SignedStatement
from firmware.protocol.requests import SignedRequest

MAX_REQUEST_BYTES = 128 * 1024
MAX_STATEMENT_BYTES = 128 * 1024

StatementKind = Literal["grant", "add_owner", "session"]
StatementState = Literal["waiting", "confirmed", "refused", "done"]


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingStatement:
    """An owner's statement whose checks held when it came, and what became of it."""

    digest: str
    kind: StatementKind
    statement: SignedStatement
    received_ms: int
    expires_ms: int
    state: StatementState


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownRequest:
    """A published request as this doorbell received it."""

    request_id: str
    digest: str
    signed: SignedRequest
    received_ms: int


class FactsStore:
    """Writing methods return once the fact is synced to disk."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def spend(self, digest: str, now_ms: int) -> bool:
        """Mark a statement as used; False if it was used before."""
        with self._database.write() as connection:
            cursor = connection.execute(
                "INSERT OR IGNORE INTO spent_statements VALUES (?, ?)", (digest, now_ms)
            )
            return cursor.rowcount == 1

    def spent(self) -> frozenset[str]:
        """Return the digests of all used statements."""
        with self._database.read() as connection:
            rows = connection.execute("SELECT digest FROM spent_statements").fetchall()
        return frozenset(row[0] for row in rows)

    def add_waiting(self, statement: WaitingStatement) -> bool:
        """Keep a statement until it is decided; False if its digest is here already."""
        with self._database.write() as connection:
            cursor = connection.execute(
                "INSERT OR IGNORE INTO waiting_statements VALUES (?, ?, ?, ?, ?, ?)",
                (
                    statement.digest,
                    statement.kind,
                    statement.statement.encode(),
                    statement.received_ms,
                    statement.expires_ms,
                    statement.state,
                ),
            )
            return cursor.rowcount == 1

    def waiting(self, now_ms: int) -> list[WaitingStatement]:
        """Return the statements that wait for a decision and aren't expired, oldest first."""
        with self._database.read() as connection:
            rows = connection.execute(
                "SELECT * FROM waiting_statements WHERE state = 'waiting' AND expires_ms > ?"
                " ORDER BY received_ms, digest",
                (now_ms,),
            ).fetchall()
        return [_waiting(row) for row in rows]

    def statement(self, digest: str) -> WaitingStatement | None:
        """Return one statement in whatever state."""
        with self._database.read() as connection:
            row = connection.execute(
                "SELECT * FROM waiting_statements WHERE digest = ?", (digest,)
            ).fetchone()
        return None if row is None else _waiting(row)

    def move_statement(
        self, digest: str, *, from_state: StatementState, to: StatementState
    ) -> bool:
        """Change a statement's state; False if it wasn't in `from_state` (somebody was faster)."""
        with self._database.write() as connection:
            cursor = connection.execute(
                "UPDATE waiting_statements SET state = ? WHERE digest = ? AND state = ?",
                (to, digest, from_state),
            )
            return cursor.rowcount == 1

    def statements_in(self, state: StatementState) -> list[WaitingStatement]:
        """Return all in one state, oldest first: `confirmed` ones are to be carried out still."""
        with self._database.read() as connection:
            rows = connection.execute(
                "SELECT * FROM waiting_statements WHERE state = ? ORDER BY received_ms, digest",
                (state,),
            ).fetchall()
        return [_waiting(row) for row in rows]

    def add_request(self, request: KnownRequest) -> bool:
        """Keep a published request; False if one with this id or digest is here already."""
        with self._database.write() as connection:
            cursor = connection.execute(
                "INSERT OR IGNORE INTO known_requests VALUES (?, ?, ?, ?)",
                (request.request_id, request.digest, request.signed.encode(), request.received_ms),
            )
            return cursor.rowcount == 1

    def requests(self) -> list[KnownRequest]:
        """Return all known requests, oldest first."""
        with self._database.read() as connection:
            rows = connection.execute(
                "SELECT request_id, digest, signed_json, received_ms FROM known_requests"
                " ORDER BY received_ms, request_id"
            ).fetchall()
        return [
            KnownRequest(
                request_id=row[0],
                digest=row[1],
                signed=decode(SignedRequest, row[2], max_bytes=MAX_REQUEST_BYTES),
                received_ms=row[3],
            )
            for row in rows
        ]

    def forget_requests_before(self, received_ms: int) -> None:
        """Remove requests that came before this time (they are long expired)."""
        with self._database.write() as connection:
            connection.execute("DELETE FROM known_requests WHERE received_ms < ?", (received_ms,))


def _waiting(row: tuple[str, StatementKind, bytes, int, int, StatementState]) -> WaitingStatement:
    digest, kind, statement, received_ms, expires_ms, state = row
    return WaitingStatement(
        digest=digest,
        kind=kind,
        statement=decode(SignedStatement, statement, max_bytes=MAX_STATEMENT_BYTES),
        received_ms=received_ms,
        expires_ms=expires_ms,
        state=state,
    )
