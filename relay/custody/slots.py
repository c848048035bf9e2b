"""Slots of time: in each, every doorbell commits to its recordings, or to none, all alike.

When a slot is over, a tree over the commitments is made (firmware.protocol.slot_trees): its root is
one entry of the custody log, and neither it nor a path shows how many doorbells there are. Each
doorbell that was in time gets its path; then the tree's seed is deleted.

In a town whose slots are short, several are closed at once while the logs have no other entries: a
demo that is left running would else make a checkpoint, and several files, every ten seconds.

A slot in which no doorbell was heard has its entry too. One that is told too late, or of a time
that isn't yet, isn't taken: its notes are carried all the same.
"""

import asyncio
import logging
import secrets
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from firmware.protocol.commands import SlotLogged
from firmware.protocol.custody import slot_entry
from firmware.protocol.events import SlotCommitted
from firmware.protocol.slot_trees import SEED_BYTES, SlotTree
from relay.base.clock import Clock
from relay.custody.log_entries import LogEntries, Pending, charter_delays
from relay.store import logs as rows
from relay.store.database import Database, Transaction
from relay.store.logs import ClosedSlot

if TYPE_CHECKING:  # a backup reads entries' names here, and needs neither bucket nor broker
    from relay.custody.logs import Logs
    from relay.fleet.commands import Commands

MAX_GRACE_MS = 60_000
MAX_CATCH_UP = 144
"""A relay that was away makes up for so many slots; doorbells' words for them may have waited. Of
older ones those have an entry in which a doorbell has committed to something."""
AT_ONCE = 120
"""Of one transaction: each commit is a checkpoint, and so several files."""
LONGEST_WRITE_S, OTHERS_S = 1.0, 0.25
"""On a slow machine it is fewer: so long others' transactions wait, and so long they have then."""
MIN_TOLD_LIFE_MS = 10_000
SHORTEST_WAIT_S = 0.02
LONG_SLOT_MS = 60_000
"""Slots of that length, and longer ones, are each closed in time."""
REST_S = 1200.0
"""Of shorter ones, those that are over in that time, or AT_ONCE, are closed together."""
QUIET_S = 60.0
REST_PART = 4
"""They wait for a quarter of the time, after QUIET_S, in which nothing else was added to a log."""
SLOT_DIGITS = 16

log = logging.getLogger(__name__)


def grace_ms(slot_ms: int) -> int:
    """Return the grace: how long after its end a slot is still open, in milliseconds."""
    return min(MAX_GRACE_MS, slot_ms // 2)


class Slots:
    """Closes slots, logs them, and sends proofs to their doorbells."""

    def __init__(
        self,
        *,
        logs: "Logs",
        database: Database,
        commands: "Commands",
        clock: Clock,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._logs = logs
        self._database = database
        self._commands = commands
        self._clock = clock
        self._published = database.signals.waiter("published")
        self._added = database.signals.waiter("register")
        self._monotonic_s = monotonic_s
        self._slot_ms: int | None = None
        self._busy_s = 0.0
        self._known_count = 0
        self._told_slot: int | None = None
        """The last slot whose doorbells were told; it may be stored still as one to tell of."""

    async def take(self, tx: Transaction, device: str, told: SlotCommitted) -> None:
        """Keep a doorbell's commitment, unless its slot isn't open."""
        slot_ms = await self._length_ms(tx)
        if slot_ms is None:
            return
        newest = self._clock.wall_ms() // slot_ms + 1  # its clock may be a little ahead
        if self._newest_over(slot_ms) - MAX_CATCH_UP < told.slot <= newest:
            await rows.put_commitment(
                tx,
                slot=told.slot,
                device=device,
                commitment=told.commitment,
                closed_by=("custody", _key(told.slot), LAST_KEY),
            )

    async def run(self) -> None:
        """Close each slot when its time has come, until cancelled."""
        rests_until_s = 0.0
        is_woken = True
        while True:
            async with self._database.read() as tx:
                slot_ms = await self._length_ms(tx)
                rest_s = await self._rest_s(tx)
            if slot_ms is None:
                await self._published.wait()  # the first entry that is published is the charter
                continue
            if is_woken or rest_s == 0 or self._monotonic_s() >= rests_until_s:
                self._known_count += await self.close_due()
                longest_s = AT_ONCE * slot_ms / 1000 if slot_ms < LONG_SLOT_MS else 0.0
                rests_until_s = self._monotonic_s() + min(rest_s, longest_s)
            closes_ms = (self._newest_over(slot_ms) + 2) * slot_ms + grace_ms(slot_ms)
            wait_s = (closes_ms - self._clock.wall_ms()) / 1000
            wait_s = max(SHORTEST_WAIT_S, wait_s, rests_until_s - self._monotonic_s())
            is_woken = await self._added.wait(wait_s)

    async def _rest_s(self, tx: Transaction) -> float:
        """Return how long short slots may wait: the longer, the longer only slots were added."""
        count, now_s = await rows.count_added(tx), self._monotonic_s()
        if count > self._known_count:
            self._busy_s, self._known_count = now_s, count
        quiet_s = max(0.0, now_s - self._busy_s - QUIET_S)
        return min(REST_S, quiet_s / REST_PART)

    async def close_due(self) -> int:
        """Close every slot that is over and not closed yet; return how many."""
        async with self._database.read() as tx:
            slot_ms = await self._length_ms(tx)
            last = await last_closed(tx)
            committed = await rows.committed_slots(tx)
        if slot_ms is None:
            return 0
        over = self._newest_over(slot_ms)
        first = over if last is None else max(last + 1, over - MAX_CATCH_UP + 1)
        older = [] if last is None else [slot for slot in committed if last < slot < first]
        if last is not None and (missing := first - last - 1 - len(older)):
            log.warning("slots: %d slots weren't logged (the relay was down)", missing)
        due = deque([*older, *range(first, over + 1)])
        count = len(due)
        while due:
            async with self._database.begin() as tx:
                await self._close_some(tx, due)
            if due:
                await asyncio.sleep(OTHERS_S)
        return count

    async def _close_some(self, tx: Transaction, due: deque[int]) -> None:
        """Close the first slots that are due, and take them out."""
        now_s = asyncio.get_running_loop().time
        ends_s = now_s() + LONGEST_WRITE_S
        for _ in range(min(AT_ONCE, len(due))):
            await close(tx, self._logs, due.popleft())
            if now_s() > ends_s:
                return

    async def tell(self) -> None:
        """Send their paths to the doorbells of those slots that are logged by now.

        Slots without a commitment need no proof: after a long absence there are very many of them.
        """
        async with self._database.read() as tx:
            slots = await rows.list_closed_slots(tx)
            slot_ms = await self._length_ms(tx) or 0
        over: int | None = None
        for closed in slots:
            if closed.commitments:
                logged = await self._logs.find(Pending(log="custody", number=closed.number))
                if logged is None:
                    break
                if closed.slot != self._told_slot:
                    await self._tell(closed, logged.proof.decode(), slot_ms)
                    self._told_slot = closed.slot
                await self._forget(closed.slot)
            over = None if closed.commitments else closed.slot
        if over is not None:
            await self._forget(over)

    async def _forget(self, up_to: int) -> None:
        async with self._database.begin() as tx:
            await rows.forget_slots(tx, up_to=up_to)

    async def _tell(self, slot: ClosedSlot, proof: str, slot_ms: int) -> None:
        async with self._database.read() as tx:
            committed = await rows.commitments(tx, slot.slot)
        tree = await asyncio.to_thread(SlotTree, slot.commitments, slot.seed)
        bodies = await asyncio.to_thread(_told, slot.slot, tree, committed, proof)
        expires_ms = self._clock.wall_ms() + max(slot_ms, MIN_TOLD_LIFE_MS)
        await self._commands.send_to_each(bodies, expires_ms)

    async def _length_ms(self, tx: Transaction) -> int | None:
        """Return a slot's length; the charter, which says it, never changes."""
        if self._slot_ms is None:
            self._slot_ms = await slot_ms_of(tx)
        return self._slot_ms

    def _newest_over(self, slot_ms: int) -> int:
        """Return the newest slot whose end and grace have passed."""
        return (self._clock.wall_ms() - grace_ms(slot_ms)) // slot_ms - 1


def _told(
    slot: int, tree: SlotTree, committed: Mapping[str, str], proof: str
) -> dict[str, SlotLogged]:
    """Return what each doorbell is told.

    Not of a commitment that came between: the slot was closed by another relay.
    """
    return {
        device: SlotLogged(
            slot=slot, index=tree.index(commitment), hashes=tree.path(commitment), proof=proof
        )
        for device, commitment in committed.items()
        if commitment in tree
    }


async def slot_ms_of(tx: Transaction) -> int | None:
    """Return a slot's length in milliseconds; None before the register's charter sets it."""
    delays = await charter_delays(tx)
    return None if delays is None else delays.slot_ms


async def last_closed(tx: Transaction) -> int | None:
    """Return the newest slot that has its entry."""
    key = await rows.last_key(tx, "custody", _key(0), LAST_KEY)
    return None if key is None else int(key.removeprefix("slot:"))


async def close(tx: Transaction, logs: LogEntries, slot: int) -> None:
    """Make a slot's tree and add its entry, if that wasn't done."""
    key = _key(slot)
    if await rows.find_by_key(tx, "custody", key) is not None:
        return
    commitments = tuple((await rows.commitments(tx, slot)).values())
    seed = secrets.token_bytes(SEED_BYTES)
    tree = await asyncio.to_thread(SlotTree, commitments, seed)
    pending = await logs.add(tx, "custody", slot_entry(slot, tree.root()), key=key)
    closed = ClosedSlot(slot=slot, seed=seed, commitments=commitments, number=pending.number)
    await rows.put_closed_slot(tx, closed)


def _key(slot: int) -> str:
    return f"slot:{slot:0{SLOT_DIGITS}d}"


LAST_KEY = _key(10**SLOT_DIGITS - 1)
