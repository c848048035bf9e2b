"""Storage of slots: the doorbell's commitments and request notices, and the public log's proofs.

It is in the library's database: the salts are durable before a commitment is published, and a
clip's commitment is deleted with it. firmware/transparency/slots.py decides a slot's content.
"""

from dataclasses import dataclass

from firmware.protocol.commands import SlotLogged
from firmware.protocol.custody import (
    MAX_CLIPS_IN_SLOT,
    CaptureProof,
    IdentityProof,
    SlotRecord,
)
from firmware.protocol.encoding import b64u, decode
from firmware.store.database import Connection, Database

MAX_UNLOGGED = 8
"""So many slots wait for the log's answer; older ones get none any more."""
SLOTS_A_GROUP = 36
KEPT_GROUPS = 260
"""Of each group (six hours, of slots of ten minutes) one slot is kept without a clip, for 65 days:
a month before a recording of a month ago."""

KEPT_EMERGENCIES = 144
"""So many slots an emergency is remembered: longer than it is news (a day, of ten minutes each)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotClip:
    """A finished clip that is committed to in a slot, with its salt."""

    clip_id: str
    manifest_digest: str
    salt: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnouncedRequest:
    """A request's notice to one browser, the first or a reminder."""

    digest: str
    browser: str
    is_reminder: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredSlot:
    """The record of one slot, with its clips and notices."""

    record: SlotRecord
    event_id: str
    clips: tuple[SlotClip, ...]
    told: tuple[AnnouncedRequest, ...]
    emergencies: tuple[str, ...] = ()
    """The digests of emergency requests that are pushed with it."""


class SlotStore:
    """One doorbell's stored slots. Writing methods return once synced to disk."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def newest_slot(self) -> int | None:
        """Return the newest slot that was committed to."""
        with self._database.read() as connection:
            row = connection.execute("SELECT max(slot) FROM slots").fetchone()
        return None if row[0] is None else int(row[0])

    def event_ids(self, *, count: int) -> list[str]:
        """Return the ids of the newest slots' events, newest first."""
        with self._database.read() as connection:
            rows = connection.execute(
                "SELECT event_id FROM slots ORDER BY slot DESC LIMIT ?", (count,)
            ).fetchall()
        return [row[0] for row in rows]

    def uncommitted(self, *, awaited_from: int) -> list[tuple[str, str]]:
        """Return id and manifest digest of clips that no slot has, in the order of recording.

        A clip is in a slot that is logged, or whose answer is still awaited: from `awaited_from`.
        """
        with self._database.read() as connection:
            rows = connection.execute(
                "SELECT clip_id, manifest_digest FROM clips WHERE state = 'finished'"
                " AND NOT EXISTS (SELECT 1 FROM slot_clips AS known JOIN slots USING (slot)"
                "  WHERE known.clip_id = clips.clip_id"
                "  AND known.manifest_digest = clips.manifest_digest"
                "  AND (slots.logged_json IS NOT NULL OR slots.slot >= ?))"
                " ORDER BY counter, clip_id LIMIT ?",
                (awaited_from, MAX_CLIPS_IN_SLOT),
            ).fetchall()
        return [(row[0], row[1]) for row in rows]

    def keep(self, kept: StoredSlot) -> None:
        """Store a slot before it is published; prune old ones."""
        slot = kept.record.slot
        with self._database.write() as connection:
            connection.execute(
                "INSERT INTO slots VALUES (?, ?, ?, NULL)",
                (slot, kept.record.encode(), kept.event_id),
            )
            connection.executemany(
                "INSERT INTO slot_clips VALUES (?, ?, ?, ?)",
                [(slot, clip.clip_id, clip.manifest_digest, clip.salt) for clip in kept.clips],
            )
            connection.executemany(
                "INSERT INTO slot_requests VALUES (?, ?, ?, ?)",
                [(slot, one.digest, one.browser, one.is_reminder) for one in kept.told],
            )
            connection.executemany(
                "INSERT OR IGNORE INTO pushed_emergencies VALUES (?, ?)",
                [(digest, slot) for digest in kept.emergencies],
            )
            _prune(connection)

    def forget_after(self, slot: int) -> None:
        """Forget all later slots: the clock had leapt ahead, and their clips have no true one."""
        with self._database.write() as connection:
            connection.execute("DELETE FROM slots WHERE slot > ?", (slot,))
            _prune(connection)

    def record(self, slot: int) -> SlotRecord | None:
        """Return the commitments of a slot."""
        with self._database.read() as connection:
            row = connection.execute(
                "SELECT record_json FROM slots WHERE slot = ?", (slot,)
            ).fetchone()
        return None if row is None else _record(row[0])

    def set_logged(self, logged: SlotLogged, now_ms: int) -> None:
        """Store the log's checked proof: the notices in the slot's notes count from now on."""
        with self._database.write() as connection:
            connection.execute(
                "UPDATE slots SET logged_json = ? WHERE slot = ? AND logged_json IS NULL",
                (logged.encode(), logged.slot),
            )
            connection.execute(
                "INSERT OR IGNORE INTO told_requests"
                " SELECT digest, browser, is_reminder, ? FROM slot_requests WHERE slot = ?",
                (now_ms, logged.slot),
            )
            connection.execute("DELETE FROM slot_requests WHERE slot = ?", (logged.slot,))

    def capture_proof(self, clip_id: str) -> CaptureProof | None:
        """Return that a clip, as its manifest is now, was committed to; the earliest slot's."""
        with self._database.read() as connection:
            row = connection.execute(
                "SELECT known.salt, slots.record_json, slots.logged_json"
                " FROM slot_clips AS known JOIN slots USING (slot) JOIN clips USING (clip_id)"
                " WHERE clip_id = ? AND known.manifest_digest = clips.manifest_digest"
                " AND slots.logged_json IS NOT NULL ORDER BY slot LIMIT 1",
                (clip_id,),
            ).fetchone()
        if row is None:
            return None
        logged = decode(SlotLogged, row[2])
        return CaptureProof(
            clip_salt=b64u(row[0]),
            record=_record(row[1]),
            index=logged.index,
            hashes=logged.hashes,
            proof=logged.proof,
        )

    def identity_proof(self, *, first: int, last: int) -> IdentityProof | None:
        """Return the newest logged slot from `first` to `last`; never the first that there was.

        The first would tell when somebody moved in; the newest tells no more than it has to.
        """
        with self._database.read() as connection:
            row = connection.execute(
                "SELECT record_json, logged_json FROM slots WHERE logged_json IS NOT NULL"
                " AND slot BETWEEN ? AND ? AND slot > (SELECT min(slot) FROM slots)"
                " ORDER BY slot DESC LIMIT 1",
                (first, last),
            ).fetchone()
        if row is None:
            return None
        logged = decode(SlotLogged, row[1])
        return IdentityProof(
            record=_record(row[0]), index=logged.index, hashes=logged.hashes, proof=logged.proof
        )

    def announced(self) -> dict[tuple[str, str, bool], int]:
        """Return the times of request notices, by (digest, browser, is_reminder)."""
        with self._database.read() as connection:
            rows = connection.execute(
                "SELECT digest, browser, is_reminder, told_ms FROM told_requests"
            ).fetchall()
        return {(row[0], row[1], bool(row[2])): row[3] for row in rows}

    def pushed_emergencies(self) -> frozenset[str]:
        """Return the digests of the emergency requests that were pushed."""
        with self._database.read() as connection:
            rows = connection.execute("SELECT digest FROM pushed_emergencies").fetchall()
        return frozenset(row[0] for row in rows)

    def forget_announced_before(self, told_ms: int) -> None:
        """Delete the notices of requests that are long over."""
        with self._database.write() as connection:
            connection.execute("DELETE FROM told_requests WHERE told_ms < ?", (told_ms,))


def _prune(connection: Connection) -> None:
    """Delete the records of deleted clips, slots too old for a proof, and all but a few others."""
    connection.execute(
        "DELETE FROM pushed_emergencies WHERE slot < (SELECT max(slot) FROM slots) - ?",
        (KEPT_EMERGENCIES,),
    )
    connection.execute("DELETE FROM slot_clips WHERE clip_id NOT IN (SELECT clip_id FROM clips)")
    connection.execute(
        "DELETE FROM slots WHERE slot < (SELECT max(slot) FROM slots) AND logged_json IS NOT NULL"
        " AND NOT EXISTS (SELECT 1 FROM slot_clips WHERE slot_clips.slot = slots.slot)"
        " AND (slot NOT IN (SELECT max(slot) FROM slots WHERE logged_json IS NOT NULL"
        "  GROUP BY slot / :group)"
        " OR slot / :group <= (SELECT max(slot) FROM slots) / :group - :kept)",
        {"group": SLOTS_A_GROUP, "kept": KEPT_GROUPS},
    )
    connection.execute(
        "DELETE FROM slots WHERE logged_json IS NULL AND slot NOT IN"
        " (SELECT slot FROM slots WHERE logged_json IS NULL ORDER BY slot DESC LIMIT ?)",
        (MAX_UNLOGGED,),
    )
    for table in ("slot_clips", "slot_requests"):
        connection.execute(
            f"DELETE FROM {table} WHERE slot NOT IN (SELECT slot FROM slots)"  # noqa: S608
        )


def _record(data: bytes) -> SlotRecord:
    return decode(SlotRecord, data)
