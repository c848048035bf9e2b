"""Relays that share a log, one of them slow or cut off: still one history, and never a smaller one.

Each fault was seen to show with the check that it names taken out.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, select, update

from firmware.protocol.tlog.checkpoint import parse_checkpoint
from firmware.protocol.tlog.signed_note import parse_note
from relay.custody.errors import LogContradicts, LogUnavailable
from relay.custody.logs import Logs
from relay.custody.sequencer import Sequencer
from relay.errors import ObjectStoreError
from relay.store import logs as rows
from relay.store.database import Database
from relay.store.schema import log_checkpoints, log_entries, log_heads
from relay.tools.monitor.log_reader import LogReader, ReadLog
from tests.fakes.bad_lines import BreakingDatabase, Line, SlowBucket, http_with_a_slow_witness
from tests.fakes.clock import ManualClock
from tests.fakes.log_house import NAME, LogKeys, MemoryBucket, make_keys, make_logs
from tests.fakes.waiting import PATIENCE_S
from tests.relay.databases import place_of

TURN_OVER_S = 7
CHECKPOINT, COUNT = "custody/checkpoint", "custody/stamps/count"


class Killed(BaseException):
    """As if the program had ended there."""


@dataclass
class One:
    """One relay of several, as far as its custody log goes."""

    database: BreakingDatabase
    logs: Logs

    @property
    def writer(self) -> Sequencer:
        return self.logs._writers["custody"]

    async def add(self, *entries: str, not_before_ms: int = 0) -> None:
        async with self.database.begin() as tx:
            for text in entries:
                await self.logs.add(
                    tx, "custody", text.encode(), key=text, not_before_ms=not_before_ms
                )

    async def step(self) -> None:
        await self.writer.step()


@dataclass
class Shared:
    """What relays share: a database, a bucket, the witnesses, and the time."""

    path: Path
    keys: LogKeys
    clock: ManualClock
    bucket: MemoryBucket = field(default_factory=MemoryBucket)
    opened: list[Database] = field(default_factory=list)

    async def turn_lasts_until(self, wall_ms: int) -> None:
        """Wait until a relay has taken or renewed the turn for so long."""
        query = select(log_heads.c.held_until_ms).where(log_heads.c.log == "custody")
        async with asyncio.timeout(PATIENCE_S):
            while True:
                async with self.opened[0].read() as tx:
                    if (await tx.execute(query)).scalar_one() == wall_ms:
                        return
                await asyncio.sleep(0.02)

    async def relay(self, **lines: Any) -> One:
        database = await BreakingDatabase.open(place_of(self.path))
        self.opened.append(database)
        bucket = lines.pop("bucket", self.bucket)
        lines.setdefault("clock", self.clock)
        logs = make_logs(self.keys, database, bucket, **lines)
        assert isinstance(database, BreakingDatabase)
        return One(database, logs)

    def fetch(self, path: str, *, max_bytes: int) -> bytes | None:  # noqa: ARG002 (as a Source)
        return self.bucket.files.get(path)

    def read(self, before: bytes | None = None) -> ReadLog:
        """Read the log as a monitor does, which finds any contradiction."""
        reader = LogReader(self, self.keys.policy, name="custody", origin=f"{NAME}/custody")
        return reader.read(before)

    async def stamped_sizes(self) -> list[int]:
        async with self.opened[0].read() as tx:
            notes = await rows.stamps(tx, "custody", 0, 1000)
        return [parse_checkpoint(parse_note(note).text).size for note in notes]


@pytest.fixture
async def shared(tmp_path: Path) -> AsyncIterator[Shared]:
    clock = ManualClock()
    keys = make_keys(tmp_path / "witnesses", clock=clock)
    shared = Shared(tmp_path / "relay.sqlite3", keys, clock)
    yield shared
    for database in shared.opened:
        await database.close()


@asynccontextmanager
async def late(step: Callable[[], Awaitable[None]], line: Line) -> AsyncIterator[asyncio.Task[Any]]:
    """Have a step wait at a bad line within the block, and then go on."""
    task = asyncio.ensure_future(step())
    async with asyncio.timeout(PATIENCE_S):
        await line.has_come.wait()
        yield task
        line.is_open.set()
        await asyncio.wait([task])


# --- places ------------------------------------------------------------------------------------


async def place_and_fail(shared: Shared, cut_off: One, other: One) -> None:
    """Have a relay choose an order whose commit fails, before another chooses another order."""
    await cut_off.add("zero")
    await cut_off.step()
    await other.add("owner's doing", not_before_ms=shared.clock.wall_ms() + 5_000)
    await other.add("slot")
    cut_off.database.is_breaking = True
    with pytest.raises(ConnectionError):
        await cut_off.writer._place()
    cut_off.database.is_breaking = False
    shared.clock.advance(TURN_OVER_S)


async def test_after_a_commit_that_failed_the_tree_is_read_anew(shared: Shared) -> None:
    """Without the `try` around the commit and the look at the root: no quorum, for ever."""
    cut_off, other = await shared.relay(), await shared.relay()
    await place_and_fail(shared, cut_off, other)
    await other.step()
    await other.add("next")
    for one in (cut_off, other):
        shared.clock.advance(TURN_OVER_S)
        await one.step()
    assert shared.read().entries == (b"zero", b"owner's doing", b"slot", b"next")


async def test_no_root_is_signed_that_is_not_of_the_entries(shared: Shared) -> None:
    """Without the same: a quorum signs four entries, of which two are in another order."""

    def die(point: str) -> None:
        if point == "placed and committed":
            raise Killed

    cut_off, other = await shared.relay(), await shared.relay(reach=die)
    await place_and_fail(shared, cut_off, other)
    with pytest.raises(Killed):
        await other.step()
    await cut_off.add("next")
    shared.clock.advance(TURN_OVER_S)
    await cut_off.step()
    assert shared.read().entries == (b"zero", b"owner's doing", b"slot", b"next")
    fresh = await shared.relay()
    await fresh.add("last")
    shared.clock.advance(TURN_OVER_S)
    await fresh.step()
    assert shared.read().size == 5


async def test_a_tree_that_is_not_the_one_decided_on_is_read_anew(shared: Shared) -> None:
    """However it came to be wrong. Without the look at the root in `_read_tree`: no quorum."""
    one = await shared.relay()
    await one.add("zero", "one")
    await one.step()
    tree = one.writer._tree = type(one.writer._tree)()
    tree.append(bytes(32))
    await one.add("two")
    await one.step()
    assert shared.read().entries == (b"zero", b"one", b"two")


async def test_entries_that_stand_elsewhere_than_they_were_placed_are_not_signed(
    shared: Shared,
) -> None:
    """Without the look at the rows: the database's entries are never those of its root again."""
    one = await shared.relay()
    await one.add("zero", "stray", "one")
    async with one.database.begin() as tx:
        stray = log_entries.c.key == "stray"
        await tx.execute(update(log_entries).where(stray).values(leaf_index=7))
    with pytest.raises(LogContradicts, match="aren't those of its root"):
        await one.step()
    assert shared.bucket.files == {}
    async with one.database.read() as tx:
        assert (await rows.get_head(tx, "custody")).size == 0


async def test_nothing_is_placed_behind_a_size_without_a_root(shared: Shared) -> None:
    """Without `root_of` in `_place_in`: whatever entries the database has are gone on from."""
    one = await shared.relay()
    await one.add("zero")
    await one.step()
    async with one.database.begin() as tx:
        await tx.execute(delete(log_checkpoints))
    await one.add("one")
    with pytest.raises(LogContradicts, match="aren't those of its root"):
        await one.step()
    assert shared.read().size == 1


# --- stamps ------------------------------------------------------------------------------------


async def test_a_late_stamp_never_stands_behind_a_larger_one(shared: Shared) -> None:
    """Without the look at the turn, and at what is stamped: sizes 2, 1, and they stay."""
    line = Line()
    slow = await shared.relay(http=http_with_a_slow_witness(shared.keys, line, "bea"))
    other = await shared.relay()
    shared.keys.away.add("cem")
    await slow.add("one")
    async with late(slow.step, line) as step:
        shared.keys.away.clear()
        shared.clock.advance(TURN_OVER_S)
        await other.add("two")
        await other.step()
    with pytest.raises(LogUnavailable, match="taken the turn"):
        await step
    assert await shared.stamped_sizes() == [2]
    for text in ("three", "four"):
        await other.add(text)
        await other.step()
    assert await shared.stamped_sizes() == [2, 3, 4]
    assert shared.read().size == 4


async def test_a_smaller_size_is_not_stamped_by_whom_has_the_turn_again(shared: Shared) -> None:
    """As when the other relay died behind its stamp. Without the look at what is stamped: 2, 1."""

    def die(point: str) -> None:
        if point == "stamped":
            raise Killed

    line = Line()
    slow = await shared.relay(http=http_with_a_slow_witness(shared.keys, line, "bea"))
    other = await shared.relay(reach=die)
    shared.keys.away.add("cem")
    await slow.add("one")
    async with late(slow.step, line) as step:
        shared.keys.away.clear()
        shared.clock.advance(TURN_OVER_S)
        await other.add("two")
        with pytest.raises(Killed):
            await other.step()
        shared.clock.advance(TURN_OVER_S)
    with pytest.raises(LogUnavailable, match="taken the turn"):
        await step
    assert CHECKPOINT not in shared.bucket.files
    await slow.step()
    assert await shared.stamped_sizes() == [2]
    assert shared.read().size == 2


async def test_the_turn_is_kept_for_as_long_as_witnesses_take(shared: Shared) -> None:
    """Without `_renewing`: the other relay takes it meanwhile."""
    line, turn_ms = Line(), 600
    slow_http = http_with_a_slow_witness(shared.keys, line, "bea")
    slow = await shared.relay(http=slow_http, turn_ms=turn_ms)
    other = await shared.relay(turn_ms=turn_ms)
    shared.keys.away.add("cem")
    await slow.add("one")
    async with late(slow.step, line) as step:
        await other.add("two")
        for _ in range(4):
            shared.clock.advance(turn_ms / 2 / 1000)
            await shared.turn_lasts_until(shared.clock.wall_ms() + turn_ms)
            await other.step()
        assert shared.bucket.files.keys() == {
            "custody/tile/entries/000.p/1",
            "custody/tile/0/000.p/1",
        }
    await step
    assert shared.read().size == 1


async def test_a_stamp_that_the_bucket_missed_is_there_before_its_checkpoint(
    shared: Shared,
) -> None:
    """With stamps written only by whoever made one: nothing says since when the entry is public."""
    one = await shared.relay()
    await one.add("zero")
    await one.step()
    await one.add("one")
    shared.bucket.away_keys.add(COUNT)
    with pytest.raises(ObjectStoreError):
        await one.step()
    assert await shared.stamped_sizes() == [1, 2]
    shared.bucket.away_keys.clear()
    await one.step()
    assert shared.read().size == 2


# --- the checkpoint ----------------------------------------------------------------------------


@pytest.mark.parametrize("is_comparing", [True, False])
async def test_a_late_checkpoint_takes_no_newer_ones_place(
    shared: Shared, *, is_comparing: bool
) -> None:
    """Without `_put_back`, and in a store that can compare without its doing so: a rollback."""
    shared.bucket.is_comparing = is_comparing
    line = Line()
    slow = await shared.relay(bucket=SlowBucket(shared.bucket, line, slow_swaps=[CHECKPOINT]))
    other = await shared.relay()
    await slow.add("one")
    async with late(slow.step, line) as step:
        shared.clock.advance(TURN_OVER_S)
        await other.add("two")
        await other.step()
        seen = shared.read().newest.note
    why = "the bucket has another checkpoint" if is_comparing else "taken the turn"
    with pytest.raises(LogUnavailable, match=why):
        await step
    assert shared.read(seen).size == 2


async def test_a_checkpoint_that_only_the_bucket_knows_stays_too(shared: Shared) -> None:
    """Without the look at the bucket in `_show`: a rollback by whoever had the turn before."""

    def die(point: str) -> None:
        if point == "checkpoint written":
            raise Killed

    line = Line()
    bucket = SlowBucket(shared.bucket, line)
    slow, other = await shared.relay(bucket=bucket), await shared.relay(reach=die)
    await slow.add("zero")
    await slow.step()
    bucket.slow_reads = [CHECKPOINT]
    await slow.add("one")
    async with late(slow.step, line) as step:
        shared.clock.advance(TURN_OVER_S)
        await other.add("two")
        with pytest.raises(Killed):
            await other.step()
        seen = shared.read().newest.note
    with pytest.raises(LogUnavailable, match="larger checkpoint"):
        await step
    assert shared.read(seen).size == 3
    shared.clock.advance(TURN_OVER_S)
    await slow.step()
    assert shared.read(seen).size == 3


async def test_a_late_count_of_stamps_takes_no_larger_ones_place(shared: Shared) -> None:
    """In a store that only stores: nothing says since when the newest entries are public."""
    line = Line()
    slow = await shared.relay(bucket=SlowBucket(shared.bucket, line, slow_swaps=[COUNT]))
    other = await shared.relay()
    await slow.add("one")
    async with late(slow.step, line) as step:
        shared.clock.advance(TURN_OVER_S)
        await other.add("two")
        await other.step()
    with pytest.raises(LogUnavailable, match="another count"):
        await step
    assert shared.read().size == 2
