"""A log: added in a transaction, placed once, witnessed, published, and only then acted on."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import update

from firmware.protocol.tlog.checkpoint import parse_checkpoint
from firmware.protocol.tlog.merkle import ProofRefused, Tree, leaf_hash
from firmware.protocol.tlog.proof import check_proof
from firmware.protocol.tlog.signed_note import NoteRefused, parse_note
from firmware.protocol.tlog.tiles import bundles_grown, parse_bundle, tiles_grown
from relay.backup.log_files import save_log
from relay.custody.errors import KeyTaken, LogContradicts, LogUnavailable
from relay.custody.logs import Logs, refresh_ms_of
from relay.custody.service import CustodyService
from relay.custody.tile_store import Retention, TileStore, is_path, stamps_path
from relay.fleet.commands import Commands
from relay.store import logs as rows
from relay.store.database import Database
from relay.store.schema import log_entries
from relay.tools.monitor.log_reader import LogReader
from tests.fakes.bus import RememberingBus
from tests.fakes.clock import ManualClock
from tests.fakes.log_house import LogKeys, MemoryBucket, make_keys, make_logs
from tests.fakes.waiting import PATIENCE_S
from tests.fakes.witness_log import WitnessedLog
from tests.relay.databases import ON_SQLITE_ONLY, open_database

ORIGIN = "example.lakeland/custody"


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a busy machine log for longer than who asks at a relay is let wait."""
    defaults = Logs.logged.__kwdefaults__ or {}
    monkeypatch.setitem(defaults, "timeout_s", PATIENCE_S)


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    database = await open_database(tmp_path / "relay.sqlite3")
    yield database
    await database.close()


@pytest.fixture
def keys(tmp_path: Path) -> LogKeys:
    return make_keys(tmp_path / "witnesses")


@dataclass
class Shelf:
    """Implements `relay.tools.monitor.source.Source`."""

    bucket: MemoryBucket

    def fetch(self, path: str, *, max_bytes: int) -> bytes | None:  # noqa: ARG002
        return self.bucket.files.get(path)


@contextlib.asynccontextmanager
async def running(logs: Logs) -> AsyncIterator[Logs]:
    task = asyncio.create_task(logs.run())
    try:
        yield logs
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def add(database: Database, logs: Logs, *entries: str) -> list:
    async with database.begin() as tx:
        return [await logs.add(tx, "custody", text.encode(), key=text) for text in entries]


async def is_placed(database: Database, count: int) -> bool:
    async with database.read() as tx:
        return (await rows.get_head(tx, "custody")).size == count


def published_entries(bucket: MemoryBucket, log: str = "custody") -> list[bytes]:
    """Read the log as anybody can, and check its root."""
    checkpoint = parse_checkpoint(parse_note(bucket.files[f"{log}/checkpoint"]).text)
    entries = []
    for bundle in bundles_grown(0, checkpoint.size):
        entries += bundle.new_entries(bucket.files[f"{log}/{bundle.path}"])
    tree = Tree(map(leaf_hash, entries))
    assert tree.root() == checkpoint.root
    for tile in tiles_grown(0, checkpoint.size):
        assert bucket.files[f"{log}/{tile.path}"] == tile.hashes_in(tree)
    return entries


async def test_an_entry_gets_a_place_and_a_proof_that_anybody_can_check(
    database: Database, keys: LogKeys
) -> None:
    bucket = MemoryBucket()
    async with running(make_logs(keys, database, bucket)) as logs:
        pending = await add(database, logs, "one", "two", "three")
        for index, (item, text) in enumerate(zip(pending, ("one", "two", "three"), strict=True)):
            logged = await logs.logged(item)
            assert logged.index == index
            witnessed = check_proof(
                logged.proof, entry=text.encode(), policy=keys.policy, origin=ORIGIN
            )
            assert witnessed.checkpoint.size == 3
    assert published_entries(bucket) == [b"one", b"two", b"three"]


async def test_the_proof_is_of_this_entry_alone(database: Database, keys: LogKeys) -> None:
    async with running(make_logs(keys, database, MemoryBucket())) as logs:
        (pending, _) = await add(database, logs, "one", "two")
        logged = await logs.logged(pending)
    with pytest.raises(ProofRefused):
        check_proof(logged.proof, entry=b"two", policy=keys.policy, origin=ORIGIN)
    with pytest.raises(NoteRefused):
        check_proof(
            logged.proof, entry=b"one", policy=keys.policy, origin="example.lakeland/register"
        )


async def test_the_same_key_is_the_same_entry(database: Database, keys: LogKeys) -> None:
    async with running(make_logs(keys, database, MemoryBucket())) as logs:
        first = await add(database, logs, "one")
        await logs.logged(first[0])
        assert await add(database, logs, "one") == first
        assert (await logs.logged(first[0])).size == 1
        async with database.begin() as tx:
            with pytest.raises(KeyTaken):
                await logs.add(tx, "custody", b"another", key="one")


async def test_what_is_rolled_back_is_not_logged(database: Database, keys: LogKeys) -> None:
    async with running(make_logs(keys, database, MemoryBucket())) as logs:
        with contextlib.suppress(RuntimeError):
            async with database.begin() as tx:
                await logs.add(tx, "custody", b"undone", key="undone")
                raise RuntimeError
        (pending,) = await add(database, logs, "done")
        assert (await logs.logged(pending)).index == 0
        async with database.read() as tx:
            assert await logs.added(tx, "custody", 0) == [b"done"]


async def test_entries_are_placed_in_the_order_in_which_they_came(
    database: Database, keys: LogKeys
) -> None:
    texts = [f"{number:05}" for number in range(700)]
    bucket = MemoryBucket()
    async with running(make_logs(keys, database, bucket)) as logs:
        for start in range(0, 700, 50):
            pending = await add(database, logs, *texts[start : start + 50])
            await asyncio.sleep(0)
        await logs.logged(pending[-1])
    assert published_entries(bucket) == [text.encode() for text in texts]


async def test_files_are_there_before_the_checkpoint_that_needs_them(
    database: Database, keys: LogKeys
) -> None:
    bucket = MemoryBucket()
    async with running(make_logs(keys, database, bucket)) as logs:
        await logs.logged((await add(database, logs, "one", "two"))[1])
    names = [name for name in bucket.written if name.startswith("custody/")]
    assert names.count("custody/checkpoint") == 1
    assert names[-1] == "custody/checkpoint"


async def test_each_size_has_one_stamp_the_first_that_a_quorum_signed(
    tmp_path: Path, database: Database
) -> None:
    clock = ManualClock()
    keys = make_keys(tmp_path / "own", clock=clock)
    bucket = MemoryBucket()
    async with running(make_logs(keys, database, bucket, clock=clock)) as logs:
        first_ms = clock.wall_ms()
        await logs.logged((await add(database, logs, "one"))[0])
        clock.advance(3600)
        await logs.logged((await add(database, logs, "two"))[0])
        second_ms = clock.wall_ms()
        clock.advance(3600)  # the same tree is cosigned again: no new stamp
        before = bucket.files["custody/checkpoint"]
        async with asyncio.timeout(PATIENCE_S):
            while bucket.files["custody/checkpoint"] == before:
                database.signals.hear("custody")
                await asyncio.sleep(0.02)
        async with database.read() as tx:
            stamps = await logs.stamps(tx, "custody")
    assert bucket.files["custody/stamps/count"] == b"2\n"
    (bundle,) = bundles_grown(0, 2)
    notes = parse_bundle(bucket.files[f"custody/{stamps_path(bundle)}"])
    sizes = [keys.policy.check(note, origin=ORIGIN).checkpoint.size for note in notes]
    assert sizes == [1, 2]
    assert (stamps.seen_ms(0), stamps.seen_ms(1)) == (first_ms, second_ms)
    newest = keys.policy.check(bucket.files["custody/checkpoint"], origin=ORIGIN)
    assert (newest.checkpoint.size, newest.fresh_ms) == (2, clock.wall_ms())


async def test_without_a_quorum_nothing_is_published_and_nothing_is_lost(
    database: Database, keys: LogKeys
) -> None:
    bucket = MemoryBucket()
    keys.away |= {"ann", "bea"}
    async with running(make_logs(keys, database, bucket)) as logs:
        (pending,) = await add(database, logs, "one")
        with pytest.raises(LogUnavailable, match="ask again"):
            await logs.logged(pending, timeout_s=1.0)
        assert "custody/checkpoint" not in bucket.files
        keys.away.clear()
        assert (await logs.logged(pending)).index == 0
    assert published_entries(bucket) == [b"one"]


async def test_one_witness_may_be_away(database: Database, keys: LogKeys) -> None:
    async with running(make_logs(keys, database, MemoryBucket())) as logs:
        await logs.logged((await add(database, logs, "one"))[0])
        keys.away.add("ann")
        await logs.logged((await add(database, logs, "two"))[0])
        keys.away.clear()  # and comes back a step behind: it is sent what it needs
        keys.away.add("bea")
        assert (await logs.logged((await add(database, logs, "three"))[0])).size == 3


async def test_the_bucket_may_be_away_for_a_while(database: Database, keys: LogKeys) -> None:
    bucket = MemoryBucket()
    async with running(make_logs(keys, database, bucket)) as logs:
        await logs.logged((await add(database, logs, "one"))[0])
        bucket.is_away = True
        (pending,) = await add(database, logs, "two")
        with pytest.raises(LogUnavailable):
            await logs.logged(pending, timeout_s=0.5)
        bucket.is_away = False
        assert (await logs.logged(pending)).index == 1
    assert published_entries(bucket) == [b"one", b"two"]


async def test_two_relays_on_one_database_make_one_log(
    tmp_path: Path, database: Database, keys: LogKeys
) -> None:
    bucket = MemoryBucket()
    other_database = await open_database(tmp_path / "relay.sqlite3")
    try:
        async with (
            running(make_logs(keys, database, bucket)) as one,
            running(make_logs(keys, other_database, bucket)) as other,
        ):
            waits = []
            for number in range(40):
                at = (one, database) if number % 2 else (other, other_database)
                (pending,) = await add(at[1], at[0], f"{number}")
                waits.append(at[0].logged(pending))
            logged = await asyncio.gather(*waits)
        assert sorted(entry.index for entry in logged) == list(range(40))
        assert sorted(published_entries(bucket)) == sorted(str(n).encode() for n in range(40))
    finally:
        await other_database.close()


async def test_a_relay_that_is_gone_is_followed_by_another(
    database: Database, keys: LogKeys
) -> None:
    clock = ManualClock()
    bucket = MemoryBucket()
    async with running(make_logs(keys, database, bucket, clock=clock)) as logs:
        await logs.logged((await add(database, logs, "one"))[0])
    async with database.begin() as tx:  # as if it had been killed: it still has the turn
        assert await rows.hold(
            tx, "custody", holder="gone", now_ms=clock.wall_ms(), until_ms=clock.wall_ms() + 9_000
        )
    async with running(make_logs(keys, database, bucket, clock=clock)) as logs:
        (pending,) = await add(database, logs, "two")
        with pytest.raises(LogUnavailable):
            await logs.logged(pending, timeout_s=0.3)
        clock.advance(10)
        assert (await logs.logged(pending)).index == 1


async def test_places_that_another_relay_has_given_are_not_given_again(
    database: Database, keys: LogKeys
) -> None:
    logs = make_logs(keys, database, MemoryBucket())
    pending = await add(database, logs, "one", "two")
    async with database.begin() as tx:
        assert await rows.place(tx, "custody", [pending[0].number], old_size=0, root="00")
    async with database.begin() as tx:
        assert not await rows.place(tx, "custody", [pending[1].number], old_size=0, root="11")
        assert await rows.root_of(tx, "custody", 1) == b"\x00"


async def test_what_the_world_has_seen_never_gets_smaller(
    database: Database, keys: LogKeys
) -> None:
    bucket = MemoryBucket()
    async with running(make_logs(keys, database, bucket)) as logs:
        await logs.logged((await add(database, logs, "one"))[0])
        older = bucket.files["custody/checkpoint"]
        await logs.logged((await add(database, logs, "two"))[0])
        newest = bucket.files["custody/checkpoint"]
        with pytest.raises(LogUnavailable):  # as by a relay that was asleep meanwhile
            await logs._writers["custody"]._show(1, older)
        async with database.begin() as tx:
            assert not await rows.publish(tx, "custody", size=1, note="old", now_ms=9)
            assert not await rows.publish(tx, "custody", size=3, note="never placed", now_ms=9)
    assert bucket.files["custody/checkpoint"] == newest


@ON_SQLITE_ONLY
async def test_a_database_older_than_what_was_published_is_refused_with_words(
    tmp_path: Path, keys: LogKeys
) -> None:
    bucket = MemoryBucket()
    old, new = tmp_path / "relay.sqlite3", tmp_path / "newer.sqlite3"
    database = await open_database(old)
    async with running(make_logs(keys, database, bucket)) as logs:
        await logs.logged((await add(database, logs, "one"))[0])
    await database.close()
    new.write_bytes(old.read_bytes())
    database = await open_database(new)
    async with running(make_logs(keys, database, bucket)) as logs:
        await logs.logged((await add(database, logs, "two"))[0])
    await database.close()
    before = dict(bucket.files)
    database = await open_database(old)  # "restored"
    logs = make_logs(keys, database, bucket)
    await add(database, logs, "something else")
    with pytest.RaisesGroup(pytest.RaisesExc(LogContradicts, match="old backup")):
        await logs.run()
    assert bucket.files == before
    await database.close()


async def test_a_database_with_other_entries_than_were_published_is_refused(
    tmp_path: Path, keys: LogKeys
) -> None:
    bucket = MemoryBucket()
    for name in ("one", "other"):
        database = await open_database(tmp_path / f"{name}.sqlite3")
        logs = make_logs(keys, database, bucket)
        (pending,) = await add(database, logs, name)
        if name == "one":
            async with running(logs):
                await logs.logged(pending)
            before = dict(bucket.files)
        else:
            async with database.begin() as tx:
                root = leaf_hash(b"other").hex()
                assert await rows.place(tx, "custody", [pending.number], old_size=0, root=root)
            with pytest.RaisesGroup(pytest.RaisesExc(LogContradicts, match="as others")):
                await logs.run()
            assert bucket.files == before
        await database.close()


async def test_a_database_of_another_log_is_refused(database: Database, keys: LogKeys) -> None:
    bucket = MemoryBucket()
    bucket.files["custody/checkpoint"] = WitnessedLog([b"x"], origin="other.log").signed()
    with pytest.RaisesGroup(pytest.RaisesExc(LogContradicts, match=r"holds the log other\.log")):
        await make_logs(keys, database, bucket).run()


async def test_entries_that_changed_after_they_had_their_places_are_not_signed(
    database: Database, keys: LogKeys
) -> None:
    bucket = MemoryBucket()
    keys.away |= {"ann", "bea"}
    async with running(make_logs(keys, database, bucket)) as logs:
        (pending,) = await add(database, logs, "one")
        async with asyncio.timeout(PATIENCE_S):
            while not await is_placed(database, 1):  # noqa: ASYNC110 (no event for it)
                await asyncio.sleep(0.02)
        with pytest.raises(LogUnavailable):
            await logs.logged(pending, timeout_s=0.1)
    keys.away.clear()
    async with database.begin() as tx:
        other = {"entry": "another", "leaf_hash": leaf_hash(b"another").hex()}
        await tx.execute(update(log_entries).values(**other))
    with pytest.RaisesGroup(pytest.RaisesExc(LogContradicts, match="aren't those of its root")):
        await make_logs(keys, database, bucket).run()
    assert "custody/checkpoint" not in bucket.files


async def test_an_old_database_and_a_new_bucket_are_stopped_by_the_witnesses(
    tmp_path: Path, keys: LogKeys
) -> None:
    old = tmp_path / "relay.sqlite3"
    database = await open_database(old)
    async with running(make_logs(keys, database, MemoryBucket())) as logs:
        await logs.logged((await add(database, logs, "one", "two"))[1])
    await database.close()
    database = await open_database(tmp_path / "new.sqlite3")
    async with running(make_logs(keys, database, MemoryBucket())) as logs:
        (pending,) = await add(database, logs, "another")
        with pytest.raises(LogUnavailable):
            await logs.logged(pending, timeout_s=1.0)
        more = await add(database, logs, "and", "more", "than before")
        with pytest.raises(LogUnavailable):
            await logs.logged(more[-1], timeout_s=1.5)
    await database.close()


async def test_what_never_changes_is_locked_and_what_changes_is_not(
    database: Database, keys: LogKeys
) -> None:
    bucket = MemoryBucket()
    logs = make_logs(keys, database, bucket, retention=Retention(mode="governance", days=400))
    for writer in logs._writers.values():
        await writer._shelf.prepare()
    async with running(logs):
        texts = [str(number) for number in range(256)]
        await logs.logged((await add(database, logs, *texts))[-1])
    assert set(bucket.locks) == {
        "custody/tile/entries/000",
        "custody/tile/0/000",
        "custody/tile/1/000.p/1",
        "custody/stamps/000.p/1",
    }
    days = {name: round((lock.until_ms / 1000 - 0) / 86400) for name, lock in bucket.locks.items()}
    assert days["custody/tile/0/000"] - days["custody/tile/1/000.p/1"] == 370


async def test_a_partial_tile_stays_a_while_after_the_full_one_is_there(
    database: Database, keys: LogKeys
) -> None:
    """For who has read the checkpoint of before; seen to fail where it is swept at once."""
    bucket = MemoryBucket()
    async with running(make_logs(keys, database, bucket)) as logs:
        await logs.logged((await add(database, logs, "0"))[0])
        await logs.logged((await add(database, logs, *map(str, range(1, 256))))[-1])
        await logs.logged((await add(database, logs, "next"))[0])
    assert bucket.files.keys() >= {"custody/tile/entries/000", "custody/tile/entries/000.p/1"}
    assert not bucket.dropped


async def test_a_partial_tile_goes_once_the_full_one_is_there_and_never_before(
    tmp_path: Path, database: Database, keys: LogKeys, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seen to fail with `& keys` taken out of TileStore.sweep, and without the sweep."""
    monkeypatch.setattr("relay.custody.sequencer.KEPT_PARTIALS_NS", 0)
    bucket = MemoryBucket()
    async with running(make_logs(keys, database, bucket)) as logs:
        for number in range(3):
            await logs.logged((await add(database, logs, str(number)))[0])
        partial = {key for key in bucket.files if ".p/" in key and key.startswith("custody/")}
        assert len(partial) == 9  # of hashes, entries and stamps
        older = bucket.files["custody/checkpoint"]
        await logs.logged((await add(database, logs, *map(str, range(3, 256))))[-1])
        await logs.logged((await add(database, logs, "next"))[0])
    assert set(bucket.dropped) == {key for key in partial if "stamps" not in key}
    assert bucket.files.keys() >= {"custody/tile/0/000", "custody/tile/entries/000"}
    assert len(published_entries(bucket)) == 257
    reader = LogReader(Shelf(bucket), keys.policy, name="custody", origin=ORIGIN)
    bucket.files["custody/checkpoint"] = older  # as one sees it who began to read before
    assert reader.read().entries == (b"0", b"1", b"2")
    bucket.files["custody/stamps/count"] = b"3\n"
    assert await save_log("custody", bucket, tmp_path / "backup") == 3
    assert (tmp_path / "backup/custody/tile/entries/000").exists()


async def test_what_was_left_goes_at_the_next_start_and_a_bucket_that_refuses_stops_nothing(
    database: Database, keys: LogKeys
) -> None:
    bucket = MemoryBucket()
    async with running(make_logs(keys, database, bucket)) as logs:
        await logs.logged((await add(database, logs, *map(str, range(256))))[-1])
    bucket.files["custody/tile/0/000.p/7"] = b"left"
    bucket.away_keys.add("custody/")
    async with running(make_logs(keys, database, bucket)) as logs:
        await logs.logged((await add(database, logs, "more"))[-1])
        assert "custody/tile/0/000.p/7" in bucket.files
    bucket.away_keys.clear()
    async with running(make_logs(keys, database, bucket)) as logs:
        async with asyncio.timeout(PATIENCE_S):
            while "custody/tile/0/000.p/7" in bucket.files:  # noqa: ASYNC110
                await asyncio.sleep(0.02)


@pytest.mark.parametrize(
    "path",
    [
        "register/checkpoint",
        "custody/stamps/count",
        "custody/stamps/000.p/3",
        "register/tile/0/000",
        "register/tile/0/x001/x234/067",
        "register/tile/entries/000.p/255",
        "texts/" + "0" * 64,
    ],
)
def test_paths_of_a_log(path: str) -> None:
    assert is_path(path)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "register",
        "register/../evidence",
        "evidence/agency/package",
        "register/tile/0/000/../../checkpoint",
        "register/tile/entries/0",
        "register/tile/0/000.p/0",
        "register/tile/0/000.p/2560",
        "register/checkpoint\n",
        "texts/../register/checkpoint",
        "other/checkpoint",
    ],
)
def test_nothing_else_of_the_bucket_is_served(path: str) -> None:
    assert not is_path(path)


def test_an_example_town_is_cosigned_within_what_counts_as_fresh() -> None:
    from firmware.protocol.register.entries import Delays

    assert refresh_ms_of(Delays()) == 15 * 60 * 1000
    assert refresh_ms_of(Delays(freshness_ms=8000)) == 2000


async def test_a_desk_whose_log_contradicts_itself_ends_with_words(
    database: Database, keys: LogKeys
) -> None:
    bucket = MemoryBucket()
    logs = make_logs(keys, database, bucket)
    clock = ManualClock()
    desk = CustodyService(
        logs=logs,
        shelf=TileStore(bucket, clock, Retention()),
        database=database,
        commands=Commands(bus=RememberingBus(), database=database, clock=clock),
        clock=clock,
    )
    bucket.files["custody/checkpoint"] = WitnessedLog([b"x"], origin=ORIGIN).signed()
    with pytest.raises(LogContradicts, match="doesn't start"):
        async with asyncio.timeout(PATIENCE_S):
            await desk.run()
