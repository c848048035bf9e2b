"""What is asked at each scrape and for each batch costs the same, however large fleet and history.

SQLite says of each statement how it would run: SCAN reads a table or an index from end to end.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from firmware.protocol.commands import CloseSession
from firmware.protocol.encoding import new_id
from firmware.protocol.events import Event, Note, Pressed, PushMessage, PushWanted
from firmware.protocol.topics import subject
from relay.bus import partition_of
from relay.feed.pushes import FeedPushes
from relay.fleet.commands import Commands
from relay.fleet.partitions import WholeFleet
from relay.ingest.events import EventIngest
from relay.ingest.expiry import Expiry
from relay.notify.push_sender import Outcome
from relay.notify.pusher import Pusher
from relay.store import (
    account_deletion,
    event_cursors,
    events,
    metrics,
    people,
    push,
    routing,
    statuses,
)
from relay.store.people import Account
from relay.store.schema import metadata
from tests.fakes.bus import RememberingBus
from tests.fakes.live_relay import NoPusher, QueueBus, QueuedMessage
from tests.fakes.waiting import PATIENCE_S
from tests.relay.databases import ON_SQLITE_ONLY
from tests.relay.feed_people import FOLLOWING, member, published_post
from tests.relay.http_people import paired_owner
from tests.relay.http_world import World, open_world

pytestmark = ON_SQLITE_ONLY


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path) as world:
        yield world


class NoSender:
    """Nobody here has subscribed."""

    async def send(self, url: str, message: bytes, *, ttl_s: int, topic: str) -> Outcome:
        raise AssertionError(url, message, ttl_s, topic)


@contextmanager
def noted(world: World) -> Iterator[list[tuple[str, Any]]]:
    """Note every statement that is run meanwhile, with its values."""
    run: list[tuple[str, Any]] = []
    engine = world.database._engine.sync_engine

    def note(_c: object, _cur: object, statement: str, values: Any, *_more: object) -> None:
        run.append((statement, values))

    event.listen(engine, "before_cursor_execute", note)
    try:
        yield run
    finally:
        event.remove(engine, "before_cursor_execute", note)


async def steps(world: World, run: list[tuple[str, Any]]) -> list[str]:
    """Return how SQLite goes about these statements."""
    found = []
    async with world.database.read() as tx:
        for statement, values in run:
            if statement.startswith(("SELECT", "UPDATE", "DELETE")):
                plan = await tx.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)
                found += [str(row[-1]) for row in plan]
    return found


async def test_a_scrape_reads_no_table_from_end_to_end(world: World) -> None:
    with noted(world) as run:
        async with world.database.read() as tx:
            await metrics.count_all(tx, world.clock.wall_ms())
    # Seen to fail (SCAN events) while the events were counted.
    planned = await steps(world, run)
    scans = {step.split()[1] for step in planned if step.startswith("SCAN")}
    assert scans.isdisjoint({"events", "doorbells", "commands", "requests"})
    doorbells = [step for step in planned if "doorbells" in step]
    assert len(doorbells) == 4
    assert all("COVERING INDEX" in step for step in doorbells)  # their certificates stay unread


async def test_a_batch_of_events_reads_only_the_doorbells_that_sent_it(world: World) -> None:
    device, bus = await world.enrol(), QueueBus()
    ingest = EventIngest(
        bus=bus, database=world.database, clock=world.clock, notices=world.hub, pusher=NoPusher()
    )
    told = Event(
        id=new_id(), device=device, seq=1, time_ms=1, is_clock_trusted=True, body=Pressed()
    )
    message = QueuedMessage(subject(device, "event"), told.encode(), bus.queue)
    with noted(world) as run:
        bus.queue.put_nowait(message)
        running = asyncio.create_task(ingest.run())
        async with asyncio.timeout(PATIENCE_S):
            await message.settled.wait()
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
    # Seen to fail while each batch read the whole fleet.
    doorbells = [step for step in await steps(world, run) if "doorbells" in step]
    assert len(doorbells) == 1
    assert "COVERING INDEX" in doorbells[0]  # their certificates stay unread
    assert "(device=?" in doorbells[0]


async def test_a_look_for_pushes_takes_those_that_nobody_has_taken_by_an_index(
    world: World,
) -> None:
    device, account_id, now_ms = await world.enrol(), new_id(), world.clock.wall_ms()
    pusher = Pusher(database=world.database, clock=world.clock, sender=NoSender())

    async def queue(many: int) -> None:
        expires_ms = now_ms + 60_000
        message = PushMessage(browser="b" * 20, encrypted="AAAA")
        wanted = PushWanted(for_event_id=new_id(), expires_ms=expires_ms, messages=[message])
        async with world.database.begin() as tx:
            for _ in range(many):
                await push.queue(tx, device, new_id(), wanted, now_ms=now_ms, expires_ms=expires_ms)

    async with world.database.begin() as tx:
        mary = Account(id=account_id, role="owner", agency=None, name="Mary")
        await people.add_account(tx, mary, now_ms)
        await routing.link(tx, account_id, device)
        await push.subscribe(
            tx,
            account_id=account_id,
            browser="b" * 20,
            endpoint="https://push.example/1",
            now_ms=now_ms,
            expires_ms=None,
        )
    await queue(20)
    assert await pusher.take_due() == 20
    await queue(1)
    with noted(world) as run:
        # Seen to fail (21) while each look read the whole queue.
        assert await pusher.take_due() == 1
    planned = [step for step in await steps(world, run) if "pushes" in step]
    assert planned
    assert not [step for step in planned if step.startswith("SCAN")], planned
    assert any("pushes_by_due (due_ms<?)" in step for step in planned), planned


class SomePartitions(WholeFleet):
    """The partitions of one of two processes."""

    def __init__(self, owned: frozenset[int]) -> None:
        super().__init__()
        self.owned = owned

    def owns(self, device: str) -> bool:
        return partition_of(device) in self.owned


async def test_a_look_for_commands_reads_those_of_its_own_partitions_by_an_index(
    world: World,
) -> None:
    devices = [await world.enrol() for _ in range(8)]
    ours = SomePartitions(frozenset({partition_of(devices[0])}))
    here = Commands(
        bus=RememberingBus(), database=world.database, clock=world.clock, partitions=ours
    )
    expires_ms = world.clock.wall_ms() + 60_000
    for device in devices:
        async with world.database.begin() as tx:
            await here.add(tx, device, CloseSession(session_id=new_id()), expires_ms)
    here._take_over(ours.owned)
    for is_first in (True, False):
        here._look_at = 0.0
        with noted(world) as run:
            await here._look()
        planned = [step for step in await steps(world, run) if "commands" in step]
        # Seen to fail (commands_unanswered, of the whole fleet) without the partition.
        how = "(partition=? AND answered_ms=?" + (")" if is_first else " AND created_ms>?)")
        assert planned
        assert all(f"commands_by_partition {how}" in step for step in planned), planned
    assert {one.device for one in here._pending.kept()} == {
        device for device in devices if ours.owns(device)
    }
    with noted(world) as run:
        await here._look_for(devices[0])
    planned = [step for step in await steps(world, run) if "commands" in step]
    assert planned
    assert all("commands_by_device (device=? AND answered_ms=?)" in step for step in planned)


async def test_a_look_for_silent_doorbells_reads_only_who_fell_silent_since(world: World) -> None:
    devices, now_ms = [await world.enrol() for _ in range(8)], world.clock.wall_ms()
    async with world.database.begin() as tx:
        await statuses.set_states(tx, dict.fromkeys(devices, "online"), since_ms=0)
    with noted(world) as run:
        async with world.database.read() as tx:
            await statuses.unheard(tx, since_ms=now_ms - 60_000, before_ms=now_ms)
    planned = await steps(world, run)
    # Seen to fail (SCAN) without the index.
    assert not [step for step in planned if step.startswith("SCAN")], planned
    assert any("doorbell_health_by_age (received_ms>? AND" in step for step in planned), planned


async def test_a_post_costs_the_followers_in_its_district_and_nobody_else(world: World) -> None:
    pushes = FeedPushes(database=world.database, clock=world.clock, sender=NoSender())
    ben = await member(world, "Ben")
    for name, district in (("Ada", "lake-morton"), ("Cleo", "dixieland"), ("Dan", "dixieland")):
        follower = await member(world, name, district)
        assert (await follower.put("/feed/following", FOLLOWING)).is_success
    world.clock.set_wall_ms(world.clock.wall_ms() + 1000)
    await published_post(ben)
    with noted(world) as run:
        await pushes.push_due()
    # Seen to fail (SCAN feed_pushes) while every follower was looked at for each post.
    tables = ("feed_pushes", "feed_members", "feed_posts", "feed_batches")
    planned = [step for step in await steps(world, run) if any(name in step for name in tables)]
    assert planned
    assert not [step for step in planned if step.startswith("SCAN")]
    seen = [values for statement, values in run if statement.startswith("UPDATE feed_pushes")]
    assert len(seen) == 1, "only Ada's row is touched"
    with noted(world) as run:
        await pushes.push_due()
    touched = [step for step in await steps(world, run) if "feed_members" in step]
    assert not touched, "between two batches nobody is looked at"


async def test_deleting_old_events_looks_at_no_newer_ones(world: World) -> None:
    device = await world.enrol()
    ada, ben = await paired_owner(world, device), await paired_owner(world, device, name="Ben")
    for owner, days in ((ada, 30), (ben, 90)):
        assert (await owner.put("/account/events", {"days": days})).is_success
    await world.tell(device, Pressed())
    world.clock.advance(91 * 24 * 3600)
    with noted(world) as run:
        await Expiry(world.database, world.clock).forget()
    asked = ("relay_seq", "keep_event_days")
    planned = await steps(world, [one for one in run if any(name in one[0] for name in asked)])
    found = [step for step in planned if "SEARCH events" in step and "relay_seq<" in step]
    assert len(found) == 2, "those of all, and the notes of whoever keeps them for less"
    assert all("(device=? AND relay_seq<?)" in step for step in found)
    assert [step for step in planned if "(device=? AND relay_seq=?)" in step]
    assert [step for step in planned if "accounts" in step]
    assert not [step for step in planned if step.startswith("SCAN")]


async def test_deleting_an_account_reads_its_own_doorbells_events_alone(world: World) -> None:
    device = await world.enrol()
    ada = await paired_owner(world, device)
    with noted(world) as run:
        assert (await ada.get("/account/deletion")).is_success
        begun = (await ada.post("/account/deletion/options", {})).json()
        credential = ada.passkey.log_in(begun["options"])
        confirmed = {"session": begun["session"], "credential": credential}
        assert (await ada.post("/account/deletion", confirmed)).is_success
    planned = [step for step in await steps(world, run) if " events" in step]
    # Seen to fail (SCAN events) while the notes were looked for by their passkey alone.
    assert planned
    assert all("(device=?" in step for step in planned), planned


async def test_the_notes_of_slots_are_looked_for_doorbell_by_doorbell_and_by_an_index(
    world: World,
) -> None:
    device = await world.enrol()
    await tell_slot(world, device, 1)
    world.clock.advance(8 * 24 * 3600)
    with noted(world) as run:
        await Expiry(world.database, world.clock).forget()
    # Seen to fail (SCAN events) while all doorbells' events were read.
    of_slots = [one for one in run if "events.kind = ?" in one[0]]
    assert of_slots
    planned = [step for step in await steps(world, of_slots) if "events" in step]
    assert planned
    assert all("events_by_kind (device=? AND kind=?)" in step for step in planned), planned
    assert all(one[0].startswith("SELECT") for one in of_slots), "none deletes as it looks"
    async with world.database.read() as tx:
        assert not await events.notes_for(tx, [device], credential_ids=["annA"])


async def test_the_next_looks_for_notes_of_slots_read_an_hour_of_them(world: World) -> None:
    device, expiry = await world.enrol(), Expiry(world.database, world.clock)
    await tell_slot(world, device, 1)
    await expiry.forget()
    world.clock.advance(6.9 * 24 * 3600)
    await tell_slot(world, device, 2)
    await expiry.forget()
    world.clock.advance(3 * 3600)
    with noted(world) as run:
        await expiry.forget()
    asked = [one for one in run if "events.kind = ?" in one[0]]
    planned = [step for step in await steps(world, asked) if "events" in step]
    # Seen to fail (by their kind) while each note of the week was read each hour.
    assert planned
    assert all("(device=? AND relay_seq>? AND relay_seq<?)" in step for step in planned), planned
    async with world.database.read() as tx:
        left = await events.notes_for(tx, [device], credential_ids=["annA"])
    assert [row.event.seq for row in left] == [2] * 3


async def test_who_has_several_browsers_is_no_crowded_doorbell(world: World) -> None:
    device = await world.enrol()
    for seq in (1, 2):
        await tell_slot(world, device, seq)
    async with world.database.read() as tx:
        with noted(world) as run:
            assert not await events.crowded_slot_notes(tx, [device], slots=2, limit=9)
        # Seen to fail (one more for each such doorbell) while notes were counted, not slots.
        assert len([one for one in run if one[0].startswith("SELECT")]) == 1
        crowded = await events.crowded_slot_notes(tx, [device], slots=1, limit=9)
    assert len(crowded) == 3


async def tell_slot(world: World, device: str, seq: int) -> None:
    """Store the notes of a slot for three browsers."""
    note = Note(credential_id="annA", browser="b" * 20, sealed="AAAA")
    now_ms = world.clock.wall_ms()
    told = Event(
        id=new_id(), device=device, seq=seq, time_ms=now_ms, is_clock_trusted=True, body=note
    )
    async with world.database.begin() as tx:
        cursors = await event_cursors.read(tx, [device])
        await events.add_slot_notes(
            tx, told, [note] * 3, received_ms=now_ms, cursor=cursors[device]
        )
        await event_cursors.write(tx, cursors)


async def test_an_accounts_deletion_reads_no_table_from_end_to_end(world: World) -> None:
    account_id = new_id()
    async with world.database.begin() as tx:
        mary = Account(id=account_id, role="owner", agency=None, name="Mary")
        await people.add_account(tx, mary, world.clock.wall_ms())
    with noted(world) as run:
        async with world.database.begin() as tx:
            own = await account_deletion.rows_of(tx, account_id)
            found = await account_deletion.delete_rows(tx, own)
    assert found["accounts"] == 1
    # Seen to fail while pairings, joins and silences had no index by account or browser.
    scans = [step for step in await steps(world, run) if step.startswith("SCAN")]
    tables = {step.split()[1] for step in scans} & set(metadata.tables)
    assert tables <= {"ceremonies", "theft_months"}  # those of five minutes; one row a month
