"""Gives custody entries their places, as the sequencer does, where a test has no log at work.

Entries that wait for the end of their batch are left waiting. What is faked are the signatures: a
stamp is a line with the time in it, which `time_of` reads. The real writer is in log_house.py.
"""

from firmware.protocol.encoding import WireError
from firmware.protocol.tlog.merkle import Tree
from relay.base.clock import Clock
from relay.custody.log_entries import LogName
from relay.store import logs
from relay.store.database import Database


async def place_entries(
    database: Database, clock: Clock, log: LogName = "custody", *, at_ms: int | None = None
) -> int:
    """Place what may have its place by now, and show it to the world; return the log's size.

    `at_ms` is when that was, if not now.
    """
    now_ms = clock.wall_ms() if at_ms is None else at_ms
    async with database.begin() as tx:
        await logs.ensure_head(tx, log)
        old_size = (await logs.get_head(tx, log)).size
        waiting = await logs.waiting(tx, log, now_ms=now_ms, limit=10_000)
        if not waiting:
            return old_size
        hashes = await logs.leaf_hashes(tx, log, 0)
        tree = Tree([*hashes, *(bytes.fromhex(one.leaf_hash) for one in waiting)])
        numbers = [one.number for one in waiting]
        await logs.place(tx, log, numbers, old_size=old_size, root=tree.root().hex())
        note = f"stamped {now_ms}\n"
        await logs.stamp(tx, log, tree.size, note)
        await logs.publish(tx, log, size=tree.size, note=note, now_ms=now_ms)
        return tree.size


def time_of(_log: LogName, note: bytes) -> int:
    """Return the time of a stamp that was made here."""
    word, _, time_text = note.decode().strip().partition(" ")
    if word != "stamped":
        raise WireError("no stamp of this test")
    return int(time_text)
