"""Follower of the register: fetches new entries, and accepts them once they are proved.

One read at a time: the checkpoint, by the policy; each new entry; the root over all of them; then
the cosigned times. A long read goes in parts, each of which the log's tiles show to be how the
checkpoint's log begins. Whatever fails, the entries read before stay. A checkpoint that contradicts
them is kept as proof, and from then on the facts aren't fresh: nothing is released until a later
checkpoint of the log that was read before is seen.

Long work is done in a thread; `facts` and the rest are for the loop.
"""

import asyncio
import logging
import random
import threading
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NoReturn

from firmware.protocol.commands import Accepted, RegisterGrew, ReplyBody
from firmware.protocol.encoding import WireError
from firmware.protocol.register.chain import make_extract
from firmware.protocol.register.extract import RegisterExtract
from firmware.protocol.register.facts import RegisterFacts, no_register
from firmware.protocol.requests import MAX_LIFE_MS, MAX_SKEW_MS
from firmware.protocol.tlog.checkpoint import Checkpoint
from firmware.protocol.tlog.policy import Policy, Witnessed
from firmware.protocol.tlog.prefixes import joined_root, subtrees_between, subtrees_in
from firmware.protocol.tlog.tiles import MAX_BUNDLE_BYTES, bundles_grown
from firmware.system.backoff import Backoff
from firmware.system.clock import Clock
from firmware.system.listeners import Listeners
from firmware.transparency import reader
from firmware.transparency.contradictions import Contradictions
from firmware.transparency.errors import FollowError, LogContradicts, LogUnreachable, LogUnreadable
from firmware.transparency.log_files import ENTRIES, STAMPS, LogFiles
from firmware.transparency.log_source import LogSource
from firmware.transparency.policy_file import Logs
from firmware.transparency.register_store import Contradiction, RegisterStore
from firmware.transparency.snapshots import StateSnapshots
from firmware.transparency.state import PendingGrowth, RegisterState
from firmware.transparency.state_signature import IdentitySigner
from firmware.transparency.unproved import UnprovedCheckpoints

POLL_EVERY_S = 600.0
POLLS_IN_FRESHNESS = 4
"""Where a register must be fresher than usual, it is read so often in that time."""
FIRST_RETRY_S = 5.0
UNREADABLE_MAX_RETRY_S = 3600.0
"""A log whose files don't fit together costs a part of a long read a try, on the card too."""
PLACE_EVERY_NS = 24 * 3600 * 10**9
"""So often a doorbell asks the relay where its logs are read."""
LEAST_PAUSE_S = 1.0
GROWN_JITTER_S = 1.0
"""Spread of the reads, so that a fleet notified of an entry doesn't fetch at the same moment."""
LOOK_AGAIN_S = 5.0
LEAP_MS = 60_000
"""A clock that was set ahead by more makes what was read older than it was: it is read anew."""
PROGRESS_EVERY = 16
"""Bundles between two lines in the doorbell's log."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadProgress:
    """Progress of a long read."""

    read: int
    size: int


class RegisterFollower:
    """Follows one register. `start` once, then `run`."""

    def __init__(
        self,
        *,
        folder: Path,
        logs: Logs,
        source: LogSource,
        clock: Clock,
        signer: IdentitySigner | None,
        chance: random.Random,
        poll_every_s: float = POLL_EVERY_S,
    ) -> None:
        """`signer` is the doorbell's identity, or None where nothing is kept for a next start."""
        self.witnessed = Listeners[int]()
        """The newest time, in milliseconds, that witnesses signed: it is never earlier."""
        self._folder = folder
        self._logs = logs
        self._source = source
        self._clock = clock
        self._chance = chance
        self._poll_every_s = poll_every_s
        self._store: RegisterStore | None = None
        self._followed = RegisterState(policy=logs.policy, origin=logs.register_origin)
        self._contradictions = Contradictions()
        self._unproved = UnprovedCheckpoints()
        self._saving = StateSnapshots(clock, signer)
        self._facts = no_register(logs.register_origin)
        self._one_at_a_time = asyncio.Lock()
        self._lock = threading.Lock()  # of `_followed`, between threads
        self._is_wanted = asyncio.Event()
        self._look_up_ns = 0
        self._progress: ReadProgress | None = None

    @property
    def progress(self) -> ReadProgress | None:
        """Progress of the read under way; None if there is none."""
        return self._progress

    @property
    def has_contradiction(self) -> bool:
        """Whether the register contradicts itself, or may, so that nothing is released."""
        return self._contradictions.is_any_standing or self._unproved.is_full

    @property
    def contradictions(self) -> tuple[Contradiction, ...]:
        """The stored proofs of contradictions."""
        return self._contradictions.found

    @property
    def slot_ms(self) -> int | None:
        """Length of a slot of the custody log; None as long as the register wasn't read."""
        return self._followed.slot_ms

    @property
    def newest_checkpoint(self) -> str | None:
        """The newest checkpoint that was accepted, with the signatures that count, as text."""
        return self._followed.newest_note

    def facts(self) -> RegisterFacts:
        """Return the register's facts for the rules. Cheap: made when something changed."""
        return self._facts

    @property
    def policy(self) -> Policy:
        """The policy of logs and witnesses that this doorbell trusts."""
        return self._logs.policy

    @property
    def custody_origin(self) -> str:
        """The name of the town's other log."""
        return self._logs.custody_origin

    def extract(self, request_digest: str) -> RegisterExtract:
        """Return the register's part of a package for a request.

        Raises FollowError if it isn't there, or no agreement of its agency is in force.
        """
        with self._lock:
            now_ms = self._clock.wall_ms()
            places = self._followed.places(request_digest, now_ms=now_ms)
            if places is None:
                raise FollowError("the register has no such request that could be answered now")
            if self._followed.is_between:
                raise FollowError("the register is being read")
            return make_extract(
                places,
                self._followed.entries_at(places.all),
                prove=lambda index: self._followed.proof(index).decode(),
                ages=self._followed.earlier_checkpoints(places),
            )

    async def check_successor(self, first: bytes) -> None:
        """Raise WireError unless the register that begins so succeeds this one.

        It may take tiles of this one's log: FollowError if those can't be had.
        """
        if self.has_contradiction:
            raise WireError("the register that is followed contradicts itself, or may")
        if not self._clock.is_trusted():
            raise WireError("this doorbell doesn't know the time, nor so how old its register is")
        unproved = await asyncio.to_thread(self._check_successor, first)
        if unproved is None:
            return
        named, newest = unproved
        files = LogFiles(self._source, size=newest.size)
        is_beginning = await files.is_beginning(named, newest)
        if is_beginning is None:
            raise LogUnreadable("the register's tiles aren't those of its checkpoint")
        if not is_beginning:
            raise WireError(f"it succeeds another {named.origin} than is known here")

    async def start(self) -> None:
        """Load the stored register, checked anew."""
        async with self._one_at_a_time:
            await asyncio.to_thread(self._load)
            await asyncio.to_thread(self._save)

    async def run(self) -> None:
        """Read at intervals, and when the relay announces growth, until cancelled.

        After a log that doesn't fit together no word of the relay's makes it read sooner.
        """
        if self._store is None:
            await self.start()
        backoff = Backoff(first_s=FIRST_RETRY_S, max_s=self._poll_every_s, source=self._chance)
        unreadable = Backoff(
            first_s=FIRST_RETRY_S, max_s=UNREADABLE_MAX_RETRY_S, source=self._chance
        )
        stale = Backoff(first_s=FIRST_RETRY_S, max_s=self._poll_every_s, source=self._chance)
        while True:
            self._is_wanted.clear()
            ahead_ms = self._ahead_ms()
            try:
                await self._look_up()
                await self.read()
            except (LogUnreadable, LogContradicts) as error:
                log.warning("the register isn't as it should be: %s", error)
                self._source.go_home()  # a copy of the logs may be old, or no log at all
                await asyncio.sleep(unreadable.next_s())
                continue
            except (FollowError, OSError) as error:
                log.warning("the register couldn't be read: %s", error)
                self._source.go_home()
                wait_s = backoff.next_s()
            else:
                backoff.reset()
                unreadable.reset()
                wait_s = self._poll_s() * (0.5 + self._chance.random() / 2)
                if self._is_stale():
                    wait_s = min(wait_s, stale.next_s())  # witnesses may sign again any moment
                else:
                    stale.reset()
            await self._pause(max(wait_s, LEAST_PAUSE_S), ahead_ms)

    async def _look_up(self) -> None:
        """Ask the relay, now and then, where its logs are read: nothing from there is believed."""
        now_ns = self._clock.monotonic_ns()
        if now_ns >= self._look_up_ns:
            self._look_up_ns = now_ns + PLACE_EVERY_NS
            with suppress(FollowError):
                await self._source.look_up()

    async def on_grown(self, command: RegisterGrew) -> ReplyBody:
        """Read soon, as the relay announces growth; nothing else of its message is trusted."""
        if command.size > self._followed.size:
            self._is_wanted.set()
        return Accepted()

    async def read(self) -> None:
        """Read the new entries once; raises FollowError, or OSError if storage fails."""
        async with self._one_at_a_time:
            if self._store is None:
                await asyncio.to_thread(self._load)
            try:
                await self._read()
            except LogContradicts as error:
                await asyncio.to_thread(self._keep_proof, error)
                raise
            finally:
                self._progress = None
                await asyncio.to_thread(self._refresh)
                await asyncio.to_thread(self._save)

    async def _pause(self, wait_s: float, ahead_ms: int) -> None:
        """Wait; less, if the relay announces growth or the clock leaps ahead.

        `ahead_ms` is from before the last reading: a leap during it counts as well.
        """
        ends_ns = self._clock.monotonic_ns() + round(wait_s * 1e9)
        while self._ahead_ms() - ahead_ms <= LEAP_MS:
            left_s = (ends_ns - self._clock.monotonic_ns()) / 1e9
            if left_s <= 0:
                return
            with suppress(TimeoutError):
                async with asyncio.timeout(min(left_s, LOOK_AGAIN_S)):
                    await self._is_wanted.wait()
                await asyncio.sleep(LEAST_PAUSE_S + self._chance.random() * GROWN_JITTER_S)
                return

    def _ahead_ms(self) -> int:
        """Wall time minus monotonic time: it changes when somebody sets the clock."""
        return self._clock.wall_ms() - self._clock.monotonic_ns() // 1_000_000

    def _is_stale(self) -> bool:
        """Return whether witnesses last signed so long ago that nothing is released by it."""
        newest, followed = self._followed.newest, self._followed
        now_ms = self._clock.wall_ms()
        return newest is not None and now_ms - newest.fresh_ms > followed.freshness_ms

    # --- one read ---

    async def _read(self) -> None:
        note = await self._source.fetch("checkpoint", max_bytes=reader.MAX_CHECKPOINT_BYTES)
        witnessed = await asyncio.to_thread(self._followed.check, note)
        await self._check_known(witnessed)
        known = self._followed.known
        size = self._followed.size if known is None else known.checkpoint.size
        size = max(size, self._followed.size)
        if witnessed.checkpoint.size < size:
            raise LogUnreadable(
                f"the register has {witnessed.checkpoint.size} entries, but {size} were read "
                "before: an old copy is served"
            )
        files = LogFiles(self._source, size=witnessed.checkpoint.size)
        if witnessed.checkpoint.size > self._followed.size:
            try:
                await self._grow(witnessed, files)
            except (LogUnreachable, LogUnreadable):
                await asyncio.to_thread(self._unproved.add, witnessed, self._opened())
                raise
        else:
            await asyncio.to_thread(self._accept, witnessed)
        await self._judge_unproved(witnessed, files)
        await self._read_stamps(files)

    async def _check_known(self, witnessed: Witnessed) -> None:
        """Raise LogContradicts for a checkpoint that isn't larger, and not of the log read before.

        How a much smaller one's tree began isn't known here any more. The log's tiles can show it,
        whoever serves them; who hides them can't pass for a log that is older and still grows.
        """
        await asyncio.to_thread(self._followed.check_known, witnessed)
        newest = self._followed.newest
        if newest is None or not self._followed.is_too_old(witnessed):
            return
        if witnessed.checkpoint.size > newest.checkpoint.size:
            return  # a read goes on that is longer than what was witnessed: it is shown there
        files = LogFiles(self._source, size=newest.checkpoint.size)
        try:
            is_beginning = await files.is_beginning(witnessed.checkpoint, newest.checkpoint)
        except (LogUnreachable, LogUnreadable):
            is_beginning = None
        if is_beginning is None and self._followed.is_rolled_back(witnessed):
            is_beginning = False
        if is_beginning is None:
            await asyncio.to_thread(self._unproved.add, witnessed, self._opened())
        if is_beginning is False:
            raise LogContradicts(newest, witnessed)

    async def _judge_unproved(self, newest: Witnessed, files: LogFiles) -> None:
        """Forget the unproved checkpoints of this log, and keep as proof those of another.

        The largest come first: of those the roots are known here. One whose tiles are out of reach
        holds no other up.
        """
        for one in self._unproved.up_to(newest.checkpoint.size):
            root = self._followed.root(one.checkpoint.size)
            is_beginning = None if root is None else root == one.checkpoint.root
            if root is None:
                with suppress(LogUnreachable, LogUnreadable):
                    is_beginning = await files.is_beginning(one.checkpoint, newest.checkpoint)
            if is_beginning is not None:
                await asyncio.to_thread(self._end_unproved, one, newest, is_beginning)

    def _end_unproved(self, one: Witnessed, newest: Witnessed, is_beginning: bool) -> None:
        """Forget an unproved checkpoint once its contradiction, if it is one, is kept."""
        if not is_beginning:
            self._keep_proof(LogContradicts(newest, one))
            self._contradictions.end_before(newest, self._opened())
        self._unproved.remove(one, self._opened())

    async def _grow(self, witnessed: Witnessed, files: LogFiles) -> None:
        store, size = self._opened(), witnessed.checkpoint.size
        growth = await asyncio.to_thread(reader.pending, store, self._followed, size=size)
        while growth.size < size and reader.is_part(store, self._followed, growth):
            growth = await self._go_on(growth, witnessed, files)  # what a power cut has left
        bundles = bundles_grown(growth.size, size) if growth.size < size else ()
        for number, bundle in enumerate(bundles, start=1):
            self._progress = ReadProgress(read=growth.size, size=size)
            if number % PROGRESS_EVERY == 0:
                log.info("reading the register: %d of %d entries", growth.size, size)
            entries = await files.bundle(
                bundle, ENTRIES, known_bytes=growth.end.size_bytes, max_bytes=MAX_BUNDLE_BYTES
            )
            await asyncio.to_thread(reader.keep_pending, store, growth, entries)
            if growth.size < size and reader.is_part(store, self._followed, growth):
                growth = await self._go_on(growth, witnessed, files)
        if not growth.matches(witnessed):
            await self._refuse(witnessed, files)
        self._check_bound(growth, witnessed)
        await asyncio.to_thread(self._accept, witnessed)

    async def _go_on(
        self, growth: PendingGrowth, witnessed: Witnessed, files: LogFiles
    ) -> PendingGrowth:
        """Take a part and its stamps, while those are still to be compared; return the next."""
        await self._take_part(growth, witnessed, files)
        await self._read_stamps(files)
        size = witnessed.checkpoint.size
        return await asyncio.to_thread(reader.pending, self._opened(), self._followed, size=size)

    async def _take_part(
        self, growth: PendingGrowth, witnessed: Witnessed, files: LogFiles
    ) -> None:
        """Take what was read up to here, if the checkpoint's log begins with it."""
        known = self._followed.known
        if known is not None and growth.size < known.checkpoint.size:
            await self._check_leads_past(known, witnessed, files)
        rest = await files.roots(subtrees_between(growth.size, witnessed.checkpoint.size))
        if joined_root([*subtrees_in(growth.frontier), *rest]) != witnessed.checkpoint.root:
            await self._refuse(witnessed, files)
        self._check_bound(growth, witnessed)
        await asyncio.to_thread(self._take_and_save, growth, witnessed)

    def _check_bound(self, growth: PendingGrowth, witnessed: Witnessed) -> None:
        """Raise for entries of a witnessed log that doesn't begin with what was read and lost."""
        known = self._followed.known
        if known is not None and growth.is_other:
            raise LogContradicts(known, witnessed)

    async def _refuse(self, witnessed: Witnessed, files: LogFiles) -> NoReturn:
        """Raise for new entries that don't lead to the checkpoint: another log, or a bad copy."""
        await asyncio.to_thread(self._opened().drop_pending)
        known = self._followed.known
        is_other = known is not None and (
            await files.is_beginning(known.checkpoint, witnessed.checkpoint) is False
        )
        if known is not None and is_other:
            raise LogContradicts(known, witnessed)
        if self._followed.lacks_entries and self._followed.size:
            own = self._followed.as_checkpoint()
            if await files.is_beginning(own, witnessed.checkpoint) is False:
                await asyncio.to_thread(self._begin_anew)
        raise LogUnreadable("the register's entries aren't those of its checkpoint")

    async def _check_leads_past(
        self, known: Witnessed, witnessed: Witnessed, files: LogFiles
    ) -> None:
        """Raise unless a checkpoint's log begins with what was read, of which the entries are lost.

        Before any part of it counts: one that ends before what was read can't be compared with it.
        """
        is_beginning = await files.is_beginning(known.checkpoint, witnessed.checkpoint)
        if is_beginning is False:
            raise LogContradicts(known, witnessed)
        if is_beginning is None:
            raise LogUnreadable("the register's tiles aren't those of its checkpoint")

    async def _read_stamps(self, files: LogFiles) -> None:
        count = await files.stamps_count()
        while self._followed.taken < count:
            if not files.stamps:
                (bundle, *_) = bundles_grown(self._followed.taken, count)
                files.stamps += await files.bundle(
                    bundle,
                    STAMPS,
                    known_bytes=self._followed.stamps_end.size_bytes,
                    max_bytes=reader.MAX_STAMPS_BYTES,
                )
            await asyncio.to_thread(self._take_stamps, files.stamps)
            if files.stamps:
                return  # the next is of a larger tree

    # --- what blocks ---

    def _check_successor(self, first: bytes) -> tuple[Checkpoint, Checkpoint] | None:
        """Return what the log's tiles are to prove, if anything: that one begins the other."""
        with self._lock:
            named = self._followed.check_successor(first, now_ms=self._clock.wall_ms())
            newest = self._followed.newest
        return None if named is None or newest is None else (named, newest.checkpoint)

    def _opened(self) -> RegisterStore:
        if self._store is None:
            raise LogUnreachable("the register wasn't opened yet")
        return self._store

    def _load(self) -> None:
        with self._lock:
            self._load_locked()

    def _load_locked(self) -> None:
        store = RegisterStore(self._folder)
        self._contradictions.load(store)
        self._unproved.load(store, self._followed)
        self._followed = reader.load(
            store,
            policy=self._logs.policy,
            origin=self._logs.register_origin,
            saving=self._saving,
        )
        self._store = store
        self._refresh_locked()

    def _begin_anew(self) -> None:
        """Drop a state that isn't how the register begins, and was left of what storage lost."""
        with self._lock:
            log.error("what storage has kept of the register isn't of it: all is read again")
            self._opened().forget_log()
            self._followed = self._followed.emptied()

    def _accept(self, witnessed: Witnessed) -> None:
        with self._lock:
            try:
                with self._saving.replaying():
                    reader.accept(self._opened(), self._followed, witnessed)
            except (OSError, LogUnreadable):
                self._load_locked()  # half of it may have been taken
                raise
        self._contradictions.end_before(witnessed, self._opened())

    def _take_and_save(self, growth: PendingGrowth, witnessed: Witnessed) -> None:
        store = self._opened()
        with self._lock:
            try:
                with self._saving.replaying():
                    reader.take_part(store, self._followed, growth, witnessed)
            except (OSError, LogUnreadable):
                self._load_locked()
                raise
        self._saving.save_if_due(store, self._followed, is_long_read=True)

    def _take_stamps(self, notes: deque[bytes]) -> None:
        """Add the cosigned times from the front of a queue that are of sizes that are here."""
        store = self._opened()
        reader.check_room(store, notes)
        taken: list[bytes] = []
        try:
            with self._lock, self._saving.replaying():
                taken.extend(reader.take_stamps(self._followed, notes, iter(())))
        finally:
            if taken:
                store.stamps.append(taken)
                store.stamps.sync()

    def _keep_proof(self, error: LogContradicts) -> None:
        self._contradictions.add(error, self._opened(), found_ms=self._clock.wall_ms())

    def _save(self) -> None:
        self._saving.save_if_due(self._opened(), self._followed)

    def _refresh(self) -> None:
        """Make the facts anew."""
        with self._lock:
            self._refresh_locked()

    def _refresh_locked(self) -> None:
        newest = self._followed.newest
        if newest is not None:
            self.witnessed.notify(newest.fresh_ms)
        since_ms = self._clock.wall_ms() - MAX_LIFE_MS - MAX_SKEW_MS
        facts = self._followed.facts(requests_since_ms=max(0, since_ms))
        is_unsure = self.has_contradiction or self._followed.is_between
        self._facts = replace(facts, fresh_ms=0) if is_unsure else facts

    def _poll_s(self) -> float:
        return min(self._poll_every_s, self._followed.freshness_ms / 1000 / POLLS_IN_FRESHNESS)
