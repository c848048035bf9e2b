"""Entries of the two public logs: added in a transaction and read, without the logs' keys.

A command that adds an entry imports this module alone. `relay.custody.logs` sequences and publishes
the entries; it needs the bucket and the witnesses, and so their clients.
"""

from dataclasses import dataclass

from firmware.protocol.encoding import WireError, decode_canonical
from firmware.protocol.register.changes import parse_change
from firmware.protocol.register.entries import (
    MAX_LEAF_BYTES,
    ChangeLeaf,
    Charter,
    Delays,
    Leaf,
)
from firmware.protocol.tlog.merkle import leaf_hash
from firmware.protocol.tlog.tiles import MAX_ENTRY_BYTES
from relay.custody.errors import KeyTaken
from relay.store import logs
from relay.store.database import Transaction

LogName = logs.Log
LOGS: tuple[LogName, ...] = ("register", "custody")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """An added entry that may not have its index yet."""

    log: LogName
    number: int


class LogEntries:
    """Adds entries and reads added ones: the part that needs no keys."""

    async def add(
        self, tx: Transaction, log: LogName, entry: bytes, *, key: str, not_before_ms: int = 0
    ) -> Pending:
        """Add an entry in the caller's transaction; the same `key` is the same entry.

        It gets no place before `not_before_ms`; others may overtake it, so not in the register.
        """
        if len(entry) > MAX_ENTRY_BYTES:
            raise ValueError(f"an entry has at most {MAX_ENTRY_BYTES} bytes, not {len(entry)}")
        text = entry.decode()
        known = await logs.find_by_key(tx, log, key)
        if known is not None:
            if known.entry != text:
                raise KeyTaken(f"another entry was added to the {log} log as {key}")
            return Pending(log=log, number=known.number)
        hashed = leaf_hash(entry).hex()
        number = await logs.add_entry(
            tx, log, key=key, entry=text, leaf_hash=hashed, not_before_ms=not_before_ms
        )
        return Pending(log=log, number=number)

    async def added(self, tx: Transaction, log: LogName, since: int) -> list[bytes]:
        """Return the entries from index `since` on, sequenced or not."""
        return await logs.added(tx, log, since)


async def charter_delays(tx: Transaction) -> Delays | None:
    """Return the delays of the register's charter; None as long as there is none."""
    for entry in await logs.entries(tx, "register", 0, 1):
        try:
            leaf = decode_canonical(Leaf, entry, max_bytes=MAX_LEAF_BYTES)
            if isinstance(leaf.body, ChangeLeaf):
                change = parse_change(leaf.body)
                if isinstance(change.body, Charter):
                    return change.body.delays
        except WireError:
            break
    return None
