"""One log's sequencer: gives entries their indexes, and publishes cosigned checkpoints.

    waiting entries ─► places, size and root in one transaction ─► tiles ─► cosignatures
                    ─► stamp ─► checkpoint ─► published in the database: now whoever waits may act

Nothing polls. A signal (relay/base/signals.py) or a time that is known ends the wait; a look in a
read transaction says whether anything is to be done; only then the turn is taken, and kept until
nothing is.

Each step can be done again and gives the same: a crash between any two of them loses nothing, and
makes no second tree of a size. Of several relays on one database one at a time has the turn; the
database itself refuses a place that is taken, and the bucket a checkpoint in the place of another
than the one that was looked at.

Invariants: only a root that is in the database is signed; the tree goes on only from the leaves of
the root that was decided on last; stamps are in the order of size; tiles are there before the
checkpoint that needs them; what was published never gets smaller.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable

from firmware.protocol.encoding import new_id
from firmware.protocol.tlog.checkpoint import Checkpoint, parse_checkpoint, sign_checkpoint
from firmware.protocol.tlog.merkle import Tree
from firmware.protocol.tlog.proof import TlogProof
from firmware.protocol.tlog.signed_note import NoteSigner, parse_note
from firmware.protocol.tlog.tiles import TILE_WIDTH, bundles_grown, tiles_grown
from relay.base.clock import Clock
from relay.base.signals import LOOK_S
from relay.custody.errors import LogContradicts, LogUnavailable
from relay.custody.log_entries import LogName
from relay.custody.tile_store import TileStore
from relay.custody.witnesses import Witnesses
from relay.errors import DatabaseLost, ObjectStoreError
from relay.store import logs
from relay.store.database import Database, Transaction
from relay.store.logs import Head

MAX_BATCH = 1024
TURN_MS = 6_000
"""So long after a relay was killed at work another, or itself, goes on. It is renewed as long as a
step takes, and nothing depends on its being kept: places, tiles, stamps and checkpoints are refused
where another relay was first."""
BESIDE_S = 0.5
"""While there is work, and another relay has the turn, this one looks again so soon."""
SHORTEST_WAIT_S = 0.02
KEPT_PARTIALS_NS = 3600 * 10**9
"""So long partial tiles stay after the full one is there."""
FIRST_RETRY_S = 0.25
LAST_RETRY_S = 10.0

log = logging.getLogger(__name__)

Published = Callable[[int], Awaitable[None]]
"""Is called with the size after a larger tree was published, or found published by another."""


class Sequencer:
    """The sequencer of one log; `name` is register or custody."""

    def __init__(
        self,
        name: LogName,
        *,
        signer: NoteSigner,
        database: Database,
        shelf: TileStore,
        witnesses: Witnesses,
        clock: Clock,
        refresh_ms: Callable[[], Awaitable[int]],
        reach: Callable[[str], None] = lambda _point: None,
        turn_ms: int = TURN_MS,
    ) -> None:
        self.name = name
        self.origin = signer.key.name
        self._signer = signer
        self._database = database
        self._shelf = shelf
        self._witnesses = witnesses
        self._clock = clock
        self._refresh_ms = refresh_ms
        self._reach = reach  # tests stop the program at named points
        self._turn_ms = turn_ms
        self._holder = new_id()
        self._tree = Tree()
        self._growing = asyncio.Lock()
        self._has_turn = False
        self._waiter = database.signals.waiter(name, "published")
        self._changed = asyncio.Condition()
        self._listeners: list[Published] = []
        self._told_size = 0
        self._swept_tiles = -1
        self._full_ns: int | None = None
        self._is_checked = False

    @property
    def published_size(self) -> int:
        """The published size that this relay's listeners were told last."""
        return self._told_size

    def on_published(self, listener: Published) -> None:
        """Call `listener(size)` whenever the published tree has grown."""
        self._listeners.append(listener)

    async def run(self) -> None:
        """Sequence until cancelled; raises LogContradicts if going on would fork the log."""
        retry_s = FIRST_RETRY_S
        try:
            while True:
                try:
                    wait_s = await self.step()
                    retry_s = FIRST_RETRY_S
                except (DatabaseLost, ObjectStoreError, LogUnavailable) as error:
                    log.warning("sequencer of log %s waits: %s", self.origin, error)
                    await asyncio.sleep(retry_s)
                    retry_s = min(2 * retry_s, LAST_RETRY_S)
                    continue
                if wait_s > 0:
                    await self._waiter.wait(wait_s)
        finally:
            with contextlib.suppress(Exception):
                await self._let_go()

    async def follow(self) -> None:
        """Tell the listeners here of what others publish, until cancelled."""
        while True:
            async with self._database.read() as tx:
                head = await logs.get_head(tx, self.name)
            await self._tell(head.published_size)
            await self._waiter.wait()

    async def compare(self) -> None:
        """Raise LogContradicts if this database is older than the published log.

        Only looks, so it needs no turn: another relay may publish meanwhile. What the bucket has is
        read first, since the database is never behind it.
        """
        note = await self._shelf.checkpoint(self.name)
        async with self._database.read() as tx:
            head = await logs.get_head(tx, self.name)
        if note is None and head.published is not None:
            note = await self._shelf.checkpoint(self.name)
        await self._check_checkpoint(note, head)

    async def step(self) -> float:
        """Do one round of what is due; return for how many seconds nothing will be."""
        wait_s = await self._idle_s()
        if wait_s > 0:
            await self._let_go()
            return wait_s
        async with self._database.begin() as tx:
            self._has_turn = await self._hold(tx)
            head = await logs.get_head(tx, self.name)
        if self._has_turn:
            async with self._renewing():
                if not self._is_checked:
                    await self._check_published(head)
                head = await self._place()
                if head.size > head.published_size or await self._is_stale(head):
                    await self._publish(head)
        async with self._database.read() as tx:
            head = await logs.get_head(tx, self.name)
        await self._tell(head.published_size)
        await self._sweep(head.published_size)
        return 0.0 if self._has_turn else BESIDE_S

    async def proof(self, index: int) -> tuple[Head, bytes] | None:
        """Return a published entry's proof with the newest checkpoint; None if it isn't there."""
        async with self._database.read() as tx:
            head = await logs.get_head(tx, self.name)
        if index >= head.published_size or head.published is None:
            return None
        tree = await self._grown(head.published_size)
        hashes = tree.inclusion_proof(index, head.published_size)
        note = head.published.encode()
        return head, TlogProof(index=index, hashes=tuple(hashes), note=note).encode()

    async def grown(self, seen_size: int, timeout_s: float) -> None:
        """Wait until more than `seen_size` entries are published, or for so long."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s), self._changed:
                await self._changed.wait_for(lambda: self._told_size > seen_size)

    # --- the turn ---

    async def _idle_s(self) -> float:
        """Look without the turn; return for how long nothing is due, 0 if something is now."""
        async with self._database.read() as tx:
            head = await logs.get_head(tx, self.name)
            place_ms = await logs.next_place_ms(tx, self.name)
        await self._tell(head.published_size)
        now_ms = self._clock.wall_ms()
        times_ms = [] if place_ms is None else [place_ms]
        if head.published is not None:
            times_ms.append(head.published_ms + await self._refresh_ms())
        if not self._is_checked or head.size > head.published_size:
            times_ms.append(now_ms)
        due_s = (min(times_ms) - now_ms) / 1000 if times_ms else LOOK_S
        return 0.0 if due_s <= 0 else max(due_s, SHORTEST_WAIT_S)

    async def _let_go(self) -> None:
        if self._has_turn:
            async with self._database.begin() as tx:
                await logs.let_go(tx, self.name, holder=self._holder)
            self._has_turn = False

    async def _hold(self, tx: Transaction) -> bool:
        now_ms = self._clock.wall_ms()
        until_ms = now_ms + self._turn_ms
        return await logs.hold(tx, self.name, holder=self._holder, now_ms=now_ms, until_ms=until_ms)

    @contextlib.asynccontextmanager
    async def _renewing(self) -> AsyncIterator[None]:
        """Renew the lease for as long as the block takes; callers check again that it was kept."""
        done = asyncio.Event()
        task = asyncio.create_task(self._renew(done), name=f"turn at log {self.name}")
        try:
            yield
        finally:
            done.set()
            await asyncio.gather(
                task, return_exceptions=True
            )  # one that failed lets the turn run out

    async def _renew(self, done: asyncio.Event) -> None:
        while not done.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._turn_ms / 3000):
                    await done.wait()
                return
            async with self._database.begin() as tx:
                await self._hold(tx)

    def _too_late(self) -> LogUnavailable:
        return LogUnavailable(f"{self.origin}: another relay has taken the turn")

    def _overtaken(self, what: str) -> LogUnavailable:
        return LogUnavailable(
            f"{self.origin}: the bucket has {what} that another relay or an earlier try has put "
            "there; it is looked at again"
        )

    # --- places ---

    async def _place(self) -> Head:
        """Give waiting entries their indexes; return the head."""
        async with self._growing:
            try:
                async with self._database.begin() as tx:
                    head, count = await self._place_in(tx)
            except BaseException:
                self._tree = Tree()  # nobody knows what was committed; it is read anew
                raise
        if count:
            self._reach("placed and committed")
        return head

    async def _place_in(self, tx: Transaction) -> tuple[Head, int]:
        head = await logs.get_head(tx, self.name)
        now_ms = self._clock.wall_ms()
        waiting = await logs.waiting(tx, self.name, now_ms=now_ms, limit=MAX_BATCH)
        if not waiting:
            return head, 0
        if self._tree.size > head.size:
            self._tree = Tree()
        await self._read_tree(tx, head.size)
        if head.size and await logs.root_of(tx, self.name, head.size) is None:
            raise self._not_its_root()
        hashes = [bytes.fromhex(entry.leaf_hash) for entry in waiting]
        for hashed in hashes:
            self._tree.append(hashed)
        is_placed = await logs.place(
            tx,
            self.name,
            [entry.number for entry in waiting],
            old_size=head.size,
            root=self._tree.root().hex(),
        )
        if not is_placed:
            raise LogUnavailable(f"{self.origin}: another relay has placed entries")
        if await logs.leaf_hashes(tx, self.name, head.size) != hashes:
            raise self._not_its_root()
        self._reach("placed")
        return await logs.get_head(tx, self.name), len(waiting)

    async def _grown(self, size: int) -> Tree:
        """Return the tree, with at least `size` leaves; who waits for it has no connection."""
        async with self._growing:
            if self._tree.size < size:
                async with self._database.read() as tx:
                    await self._read_tree(tx, size)
            return self._tree

    async def _read_tree(self, tx: Transaction, size: int) -> None:
        """Read `size` leaves or more: those of the stored root, if there is one."""
        root = await logs.root_of(tx, self.name, size)
        await self._read_on(tx, size)
        if root not in (None, self._tree.root(size)):
            self._tree = Tree()
            await self._read_on(tx, size)
            if self._tree.root(size) != root:
                raise self._not_its_root()

    async def _read_on(self, tx: Transaction, size: int) -> None:
        for hashed in await logs.leaf_hashes(tx, self.name, self._tree.size, size):
            self._tree.append(hashed)
        if self._tree.size < size:
            raise LogContradicts(
                f"{self.origin}: the database has {self._tree.size} entries of {size}"
            )

    def _not_its_root(self) -> LogContradicts:
        return LogContradicts(f"{self.origin}: the database's entries aren't those of its root")

    # --- publishing ---

    async def _check_published(self, head: Head) -> None:
        """Raise LogContradicts if the database is older than the published log."""
        await self._check_checkpoint(await self._shelf.checkpoint(self.name), head)
        if head.published is not None:
            await self._finish_stamps()
        self._is_checked = True

    async def _check_checkpoint(self, note: bytes | None, head: Head) -> None:
        if note is not None:
            await self._check_against(parse_checkpoint(parse_note(note).text), head)
        elif head.published is not None:
            raise LogContradicts(
                f"{self.origin}: {head.published_size} entries were published, and the bucket has "
                "none of them. If it is lost, nobody knows whether this database is the newest: "
                "doorward-relay backup and then restore ask the witnesses and make the files again"
            )

    async def _check_against(self, seen: Checkpoint, head: Head) -> None:
        restored = (
            "Was the database restored from an old backup, or is the bucket another relay's? "
            "Restore the newest database. Signing on would show the world two histories, so this "
            "relay doesn't start"
        )
        if seen.origin != self.origin:
            raise LogContradicts(f"the bucket holds the log {seen.origin}, not {self.origin}")
        if seen.size > head.size:
            raise LogContradicts(
                f"{self.origin}: {seen.size} entries were published, and the database has "
                f"{head.size}. {restored}"
            )
        tree = await self._grown(seen.size)
        if tree.root(seen.size) != seen.root:
            raise LogContradicts(
                f"{self.origin}: the first {seen.size} entries were published as others. {restored}"
            )

    async def _is_stale(self, head: Head) -> bool:
        if head.published is None:
            return False
        return self._clock.wall_ms() - head.published_ms >= await self._refresh_ms()

    async def _publish(self, head: Head) -> None:
        """Publish the tree of the head's size."""
        size = head.size
        async with self._database.read() as tx:
            root = await logs.root_of(tx, self.name, size)
        tree = await self._grown(size)
        if root is None or tree.root(size) != root:
            raise self._not_its_root()
        await self._put_files(head.published_size, size, tree)
        self._reach("tiles written")
        checkpoint = Checkpoint(origin=self.origin, size=size, root=root)
        signed = sign_checkpoint(checkpoint, self._signer)
        note = await self._witnesses.cosign(signed, tree, size)
        self._reach("cosigned")
        async with self._database.begin() as tx:
            is_mine = await self._hold(tx)
            if not is_mine or not await logs.stamp(tx, self.name, size, note.decode()):
                raise self._too_late()
        self._reach("stamped")
        await self._finish_stamps()
        await self._show(size, note)

    async def _show(self, size: int, note: bytes) -> None:
        """Publish the checkpoint, unless a larger tree is published."""
        now_ms = self._clock.wall_ms()
        async with self._database.begin() as tx:
            is_mine = await self._hold(tx)
            head = await logs.get_head(tx, self.name)
        if not is_mine or head.published_size > size:
            raise self._too_late()
        seen = await self._shelf.checkpoint(self.name)
        if seen is not None and parse_checkpoint(parse_note(seen).text).size > size:
            raise self._overtaken("a larger checkpoint")
        if not await self._shelf.put_checkpoint(self.name, note, seen=seen):
            raise self._overtaken("another checkpoint")
        self._reach("checkpoint written")
        async with self._database.begin() as tx:
            is_newest = await logs.publish(
                tx, self.name, size=size, note=note.decode(), now_ms=now_ms
            )
        if not is_newest:
            await self._put_back(note)
        self._reach("published")

    async def _put_back(self, older: bytes) -> None:
        """Undo a late PUT of an older checkpoint that the store accepted."""
        async with self._database.read() as tx:
            head = await logs.get_head(tx, self.name)
        if head.published is not None:
            await self._shelf.put_checkpoint(self.name, head.published.encode(), seen=older)
        raise self._too_late()

    async def _put_files(self, old_size: int, size: int, tree: Tree) -> None:
        for bundle in bundles_grown(old_size, size):
            async with self._database.read() as tx:
                start = bundle.start
                entries = await logs.entries(tx, self.name, start, start + bundle.width)
            await self._shelf.put_bundle(self.name, bundle, entries)
        for tile in tiles_grown(old_size, size):
            await self._shelf.put_tile(self.name, tile, tree)

    async def _finish_stamps(self) -> None:
        """Write the stamps that aren't in the bucket yet."""
        there = await self._shelf.stamps_count(self.name)
        async with self._database.read() as tx:
            count = await logs.count_stamps(tx, self.name)
        if there > count:
            raise LogContradicts(
                f"{self.origin}: {there} stamps were published, and the database has {count}"
            )
        for bundle in bundles_grown(there, count):
            async with self._database.read() as tx:
                start = bundle.start
                notes = await logs.stamps(tx, self.name, start, start + bundle.width)
            await self._shelf.put_stamps(self.name, bundle, notes)
        if count > there and not await self._shelf.put_stamps_count(self.name, count, there=there):
            raise self._overtaken("another count of stamps")

    async def _sweep(self, size: int) -> None:
        """Delete what a tile that has become full has made superfluous; at the start, all of it.

        Not at once: whoever has the checkpoint of before may be about to read a partial tile, and
        not everybody's program looks for the full one instead.
        """
        if not self._has_turn or size // TILE_WIDTH == self._swept_tiles:
            return
        now_ns = time.monotonic_ns()
        if self._full_ns is None:
            self._full_ns = now_ns
        if self._swept_tiles >= 0 and now_ns - self._full_ns < KEPT_PARTIALS_NS:
            return
        self._full_ns = None
        self._swept_tiles = size // TILE_WIDTH  # what fails is done with the next full tile
        try:
            await self._shelf.sweep(self.name)
        except ObjectStoreError as error:
            log.warning("log %s: partial tiles stay for now: %s", self.origin, error)

    async def _tell(self, size: int) -> None:
        if size <= self._told_size:
            return
        self._told_size = size
        async with self._changed:
            self._changed.notify_all()
        for listener in self._listeners:
            await listener(size)
