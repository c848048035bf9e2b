"""Storage of owners' decisions: settings, holds, refusals, approvers, recovery keys.

It is in the library's database, so that one commit makes a decision durable. Whether it may be made
is judged in firmware.consent. Owners and their browsers are in enrolment/.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

from firmware.protocol.custody import KeyChangeRecord
from firmware.protocol.decisions import OwnerSettings, Preferences, RecoveryKeys
from firmware.protocol.encoding import Document, decode
from firmware.protocol.passkeys import PasskeyKey
from firmware.store.database import Database
from firmware.store.deferred_events import DeferredEvent, put_deferred_events
from firmware.store.door_notice import DoorNoticeStore
from firmware.store.statements import move

D = TypeVar("D", bound=Document)
Column = Literal["settings_json", "recovery_json", "preferences_json"]
MAX_TOLD_REFUSALS = 10_000
"""Each cost its owner a touch of their passkey; of more, the oldest would be notified once more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldTime:
    """A hold (R12) on the clips of one period."""

    digest: str
    from_ms: int
    to_ms: int
    until_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Approver:
    """A key that may confirm its owner's statements from anywhere."""

    credential_id: str
    name: str
    key: PasskeyKey


class HouseholdStore:
    """One doorbell's stored decisions. Writing methods return once synced to disk."""

    def __init__(self, database: Database, *, max_told_refusals: int = MAX_TOLD_REFUSALS) -> None:
        self._database = database
        self.door_notice = DoorNoticeStore(database)
        self._max_told_refusals = max_told_refusals

    def settings(self) -> OwnerSettings | None:
        """Return the owners' settings, or None if none came yet."""
        return self._document(OwnerSettings, "settings_json")

    def set_settings(self, settings: OwnerSettings, *, at_ms: int = 0) -> None:
        """Replace the owners' settings, which count since `at_ms`; 0: not known."""
        with self._database.write() as connection:
            connection.execute(
                "UPDATE household SET settings_json = ?, settings_ms = ?",
                (settings.encode(), at_ms),
            )

    def since_ms(self) -> tuple[int, int]:
        """Return since when settings and preferences count; 0: not known, or there are none."""
        with self._database.read() as connection:
            row = connection.execute("SELECT settings_ms, preferences_ms FROM household").fetchone()
        return int(row[0]), int(row[1])

    def preferences(self) -> Preferences:
        """Return what owners' browsers set without a passkey."""
        return self._document(Preferences, "preferences_json") or Preferences()

    def set_preferences(self, preferences: Preferences, *, at_ms: int = 0) -> None:
        """Replace the preferences, which count since `at_ms`; 0: not known."""
        with self._database.write() as connection:
            connection.execute(
                "UPDATE household SET preferences_json = ?, preferences_ms = ?",
                (preferences.encode(), at_ms),
            )

    def file_notice(self) -> str | None:
        """Return the digest of the doorbell's own file that the owners were told of last."""
        with self._database.read() as connection:
            told: str | None = connection.execute("SELECT told_file FROM household").fetchone()[0]
        return told

    def set_file_notice(self, digest: str) -> None:
        """Store of which file they were told."""
        with self._database.write() as connection:
            connection.execute("UPDATE household SET told_file = ?", (digest,))

    def recovery(self) -> RecoveryKeys | None:
        """Return the recovery key that counts."""
        return self._document(RecoveryKeys, "recovery_json")

    def set_recovery(self, keys: RecoveryKeys | None) -> None:
        """Replace the recovery key; None: none."""
        data = None if keys is None else keys.encode()
        with self._database.write() as connection:
            connection.execute("UPDATE household SET recovery_json = ?", (data,))

    def begin_recovery(self, record: KeyChangeRecord, begun: bytes) -> None:
        """Begin a recovery and spend the recovery key, in one commit.

        `begun` is all that is needed to go on after a crash.
        """
        with self._database.write() as connection:
            connection.execute("UPDATE household SET recovery_json = NULL")
            connection.execute("INSERT OR REPLACE INTO recoveries VALUES (1, ?)", (begun,))
            connection.execute(
                "INSERT INTO key_changes VALUES (?, ?)", (record.changed_ms, record.encode())
            )

    def recovery_in_progress(self) -> bytes | None:
        """Return what is needed to go on with a recovery; None: none is under way."""
        with self._database.read() as connection:
            row = connection.execute("SELECT begun_json FROM recoveries").fetchone()
        return None if row is None else bytes(row[0])

    def finish_recovery(self, promises: Sequence[DeferredEvent]) -> None:
        """End a recovery that succeeded, and defer its events, in one commit."""
        with self._database.write() as connection:
            connection.execute("DELETE FROM recoveries")
            put_deferred_events(connection, promises)

    def undo_recovery(self, record: KeyChangeRecord, keys: RecoveryKeys) -> None:
        """End a recovery that failed: its key counts again, unless there is a new one."""
        with self._database.write() as connection:
            connection.execute("DELETE FROM recoveries")
            connection.execute("DELETE FROM key_changes WHERE record_json = ?", (record.encode(),))
            connection.execute(
                "UPDATE household SET recovery_json = ? WHERE recovery_json IS NULL",
                (keys.encode(),),
            )

    def key_changes(self) -> list[KeyChangeRecord]:
        """Return the records of recoveries, oldest first."""
        with self._database.read() as connection:
            rows = connection.execute(
                "SELECT record_json FROM key_changes ORDER BY rowid"
            ).fetchall()
        return [decode(KeyChangeRecord, row[0]) for row in rows]

    def refused_agencies(self) -> frozenset[str]:
        """Return the agencies that may never ask here."""
        with self._database.read() as connection:
            rows = connection.execute("SELECT agency FROM refused_agencies").fetchall()
        return frozenset(row[0] for row in rows)

    def refuse_agency(self, agency: str, *, is_refused: bool) -> None:
        """Refuse all requests of this agency, or allow them again."""
        with self._database.write() as connection:
            if is_refused:
                connection.execute("INSERT OR IGNORE INTO refused_agencies VALUES (?)", (agency,))
            else:
                connection.execute("DELETE FROM refused_agencies WHERE agency = ?", (agency,))

    def declined(self) -> frozenset[str]:
        """Return the digests of the requests that owners declined."""
        with self._database.read() as connection:
            rows = connection.execute("SELECT request_digest FROM declined_requests").fetchall()
        return frozenset(row[0] for row in rows)

    def decline(self, request_digest: str, now_ms: int) -> None:
        """Store that a request was declined, for longer than any request stands."""
        with self._database.write() as connection:
            connection.execute(
                "INSERT OR IGNORE INTO declined_requests VALUES (?, ?)", (request_digest, now_ms)
            )

    def forget_declined_before(self, declined_ms: int) -> None:
        """Delete the records of requests that were declined long ago."""
        with self._database.write() as connection:
            connection.execute(
                "DELETE FROM declined_requests WHERE declined_ms < ?", (declined_ms,)
            )

    def approvers(self) -> dict[str, Approver]:
        """Return the keys that may confirm, by their own credential id."""
        with self._database.read() as connection:
            rows = connection.execute(
                "SELECT key_id, credential_id, name, key_json FROM approvers ORDER BY rowid"
            ).fetchall()
        return {
            row[0]: Approver(credential_id=row[1], name=row[2], key=decode(PasskeyKey, row[3]))
            for row in rows
        }

    def add_approver(self, approver: Approver) -> None:
        """Let this key confirm its owner's statements."""
        with self._database.write() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO approvers VALUES (?, ?, ?, ?)",
                (
                    approver.key.credential_id,
                    approver.credential_id,
                    approver.name,
                    approver.key.encode(),
                ),
            )

    def end_approver(self, key_id: str) -> None:
        """Let this key confirm nothing more."""
        with self._database.write() as connection:
            connection.execute("DELETE FROM approvers WHERE key_id = ?", (key_id,))

    def end_approvers_of(self, credential_id: str) -> None:
        """Let no key of this owner confirm any more."""
        with self._database.write() as connection:
            connection.execute("DELETE FROM approvers WHERE credential_id = ?", (credential_id,))

    def holds(self) -> list[HeldTime]:
        """Return the holds, those that are over too, the earliest end first."""
        with self._database.read() as connection:
            rows = connection.execute(
                "SELECT digest, from_ms, to_ms, until_ms FROM holds ORDER BY until_ms, digest"
            ).fetchall()
        return [HeldTime(digest=r[0], from_ms=r[1], to_ms=r[2], until_ms=r[3]) for r in rows]

    def add_hold(self, hold: HeldTime) -> None:
        """Keep the recordings of this time."""
        with self._database.write() as connection:
            connection.execute(
                "INSERT OR IGNORE INTO holds VALUES (?, ?, ?, ?)",
                (hold.digest, hold.from_ms, hold.to_ms, hold.until_ms),
            )

    def date_hold(self, digest: str, until_ms: int) -> None:
        """Let a hold end at this time."""
        with self._database.write() as connection:
            connection.execute("UPDATE holds SET until_ms = ? WHERE digest = ?", (until_ms, digest))

    def end_hold(self, digest: str) -> None:
        """Let a hold end."""
        with self._database.write() as connection:
            connection.execute("DELETE FROM holds WHERE digest = ?", (digest,))

    def revoked(self) -> frozenset[str]:
        """Return the digests of the grants that were taken back."""
        with self._database.read() as connection:
            rows = connection.execute("SELECT grant_digest FROM revoked_grants").fetchall()
        return frozenset(row[0] for row in rows)

    def revoke(self, grant_digest: str, now_ms: int) -> None:
        """Take a grant back, whether it has come yet or not."""
        with self._database.write() as connection:
            connection.execute(
                "INSERT OR IGNORE INTO revoked_grants VALUES (?, ?)", (grant_digest, now_ms)
            )

    def was_told_refused(self, digest: str) -> bool:
        """Return whether the owner was notified of this statement's refusal."""
        with self._database.read() as connection:
            row = connection.execute(
                "SELECT 1 FROM refused_statements WHERE digest = ?", (digest,)
            ).fetchone()
        return row is not None

    def note_refusal(
        self,
        digest: str,
        *,
        quarter: str,
        reason: str,
        now_ms: int,
        promises: Sequence[DeferredEvent],
    ) -> bool:
        """Count a refused statement by the check that failed (R11), and defer its owner's note.

        Once for each: False if that was done before. One that was confirmed ends here.
        """
        with self._database.write() as connection:
            move(connection, digest, from_state="confirmed", to="refused")
            cursor = connection.execute(
                "INSERT OR IGNORE INTO refused_statements VALUES (?, ?)", (digest, now_ms)
            )
            if cursor.rowcount != 1:
                return False
            connection.execute(
                "DELETE FROM refused_statements WHERE rowid NOT IN"
                " (SELECT rowid FROM refused_statements ORDER BY rowid DESC LIMIT ?)",
                (self._max_told_refusals,),
            )
            connection.execute(
                "INSERT INTO refusals VALUES (?, ?, 1)"
                " ON CONFLICT (quarter, reason) DO UPDATE SET count = count + 1",
                (quarter, reason),
            )
            put_deferred_events(connection, promises)
            return True

    def refusals(self, quarter: str) -> dict[str, int]:
        """Return the counts of a quarter by check."""
        with self._database.read() as connection:
            rows = connection.execute(
                "SELECT reason, count FROM refusals WHERE quarter = ? ORDER BY reason", (quarter,)
            ).fetchall()
        return {row[0]: row[1] for row in rows}

    def forget_refusals_before(self, quarter: str) -> None:
        """Forget the counts of earlier quarters."""
        with self._database.write() as connection:
            connection.execute("DELETE FROM refusals WHERE quarter < ?", (quarter,))

    def _document(self, kind: type[D], column: Column) -> D | None:
        with self._database.read() as connection:
            row = connection.execute(f"SELECT {column} FROM household").fetchone()  # noqa: S608
        return None if row[0] is None else decode(kind, row[0])
