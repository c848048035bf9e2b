"""Batches of events: what breaks one, whose partition it is, and what makes an event once only."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from firmware.protocol.encoding import new_id
from firmware.protocol.events import (
    Event,
    EventBody,
    GuestGone,
    Pressed,
    PushMessage,
    PushWanted,
    ReleaseCommitted,
)
from firmware.protocol.topics import subject
from relay.bus import PARTITIONS, partition_of
from relay.errors import DatabaseLost, ObjectStoreError
from relay.ingest.carried_events import NoCustody
from relay.ingest.event_batches import EventBatches, ReceivedEvent, Sorted, by_turn
from relay.ingest.event_quota import EVENTS, PUSHES, EventQuota
from relay.ingest.events import EventIngest
from relay.ingest.fence import Fence
from relay.store import event_ids, events, partitions
from relay.store.database import Database, Transaction
from tests.fakes.clock import ManualClock
from tests.fakes.live_relay import NoPusher, QueueBus, QueuedMessage
from tests.fakes.waiting import PATIENCE_S, in_time
from tests.relay import databases
from tests.relay.http_world import World, open_world

MINUTE_MS = 60_000
DAY_S = 24 * 3600


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path) as world:
        yield world


class BreakingCustody(NoCustody):
    """Breaks at every commitment, by a fault that nobody foresaw."""

    async def take(self, tx: Transaction, event: Event) -> None:  # noqa: ARG002 (as Custody has it)
        raise ValueError(event.id)


class LosingCustody(BreakingCustody):
    """Loses the database at one event's commitment, and breaks at the others."""

    def __init__(self, event_id: str) -> None:
        self._event_id = event_id

    async def take(self, tx: Transaction, event: Event) -> None:
        if event.id == self._event_id:
            raise DatabaseLost("the database was lost")
        await super().take(tx, event)


class Owned:
    """The partitions of a process that says it has all."""

    def __init__(self, member: str) -> None:
        self.member = member
        self.owned = frozenset(range(PARTITIONS))

    def on_change(self, handler: Any) -> None:
        handler(self.owned)

    def lost(self, partition: int) -> None:
        self.owned -= {partition}


def told(device: str, seq: int, **changes: Any) -> ReceivedEvent:
    fields = {
        "id": new_id(),
        "device": device,
        "seq": seq,
        "time_ms": 1,
        "is_clock_trusted": True,
        "body": Pressed(),
    }
    event = Event(**(fields | changes))
    return ReceivedEvent(delivery=Delivered(event), event=event, canonical=event.encode())  # type: ignore[arg-type]


class Delivered:
    """An event as the broker hands it out; nothing settles it here."""

    def __init__(self, event: Event) -> None:
        self.subject, self.data = subject(event.device, "event"), event.encode()


def batches(world: World, *, clock: ManualClock | None = None, **parts: Any) -> EventBatches:
    return EventBatches(
        fence=parts.get("fence", Fence(world.database, None)),
        clock=clock or world.clock,
        custody=parts.get("custody", NoCustody()),
        quota=parts.get("quota"),
    )


async def stored(world: World, device: str) -> list[events.EventRow]:
    async with world.database.read() as tx:
        rows = await events.newest(tx, [device], credential_ids=[], limit=500)
    return sorted(rows, key=lambda row: row.relay_seq)


def ids_of(result: Sorted) -> set[str]:
    return {one.event.id for one in result.committed}


async def test_what_breaks_a_batch_is_discarded_alone(world: World) -> None:
    devices = [await world.enrol() for _ in range(5)]
    batch = [told(device, seq) for device in devices for seq in (1, 2, 3)]
    broken = told(devices[2], 4, body=ReleaseCommitted(commitment="a" * 64))
    # Seen to fail (ValueError) without the halves in EventBatches._commit_what_can_be.
    result = await batches(world, custody=BreakingCustody()).commit([broken, *batch])
    assert ids_of(result) == {one.event.id for one in batch}
    assert result.refused == [broken.delivery]
    for device in devices:
        assert [row.event.seq for row in await stored(world, device)] == [1, 2, 3]


async def test_what_is_of_another_processs_partition_is_left_to_it(world: World) -> None:
    devices = [await world.enrol() for _ in range(6)]
    lost = partition_of(devices[0])
    async with world.database.begin_partition() as tx:
        for partition in range(PARTITIONS):
            await partitions.claim(tx, partition, "other" if partition == lost else "this")
    owned = Owned("this")
    batch = [told(device, 1) for device in devices]
    fence = Fence(world.database, owned)
    # Seen to fail (all are committed) without hold_all in Fence.begin.
    result = await batches(world, fence=fence).commit(batch)
    ours = [one for one in batch if partition_of(one.event.device) != lost]
    assert ids_of(result) == {one.event.id for one in ours}
    assert [*result.refused, *result.early, *result.excess] == []
    # Seen to fail (none) while the broker had to miss an acknowledgement first, for 20 s.
    theirs = [one.delivery for one in batch if partition_of(one.event.device) == lost]
    assert sorted(result.unclaimed, key=id) == sorted(theirs, key=id)
    assert owned.owned == frozenset(range(PARTITIONS)) - {lost}
    assert await stored(world, devices[0]) == []


async def test_what_was_committed_before_the_database_was_lost_counts(world: World) -> None:
    devices = sorted([await world.enrol() for _ in range(4)])
    broken, lost = (
        told(devices[place], 1, body=ReleaseCommitted(commitment=name * 64))
        for place, name in ((1, "a"), (3, "b"))
    )
    first, third = told(devices[0], 1), told(devices[2], 1)
    custody = LosingCustody(lost.event.id)
    # Seen to fail (DatabaseLost, and the first is forgotten) while halves were lost with the rest.
    result = await batches(world, custody=custody).commit([first, broken, third, lost])
    assert ids_of(result) == {first.event.id}
    assert result.refused == [broken.delivery]
    assert result.unclaimed == [third.delivery, lost.delivery]
    with pytest.raises(DatabaseLost):  # nothing of it counts
        await batches(world, custody=custody).commit([third, lost])
    assert await stored(world, devices[2]) == []


async def test_what_is_rolled_back_uses_up_no_allowance(world: World) -> None:
    device = await world.enrol()
    broken = told(device, 1, body=ReleaseCommitted(commitment="a" * 64))
    wanted = PushWanted(
        for_event_id=new_id(),
        expires_ms=world.clock.wall_ms() + MINUTE_MS,
        messages=[PushMessage(browser="b" * 20, encrypted="AAAA")],
    )
    push = told(device, 2, body=wanted)
    quota = EventQuota(monotonic_s=lambda: 0.0)
    here = batches(world, custody=BreakingCustody(), quota=quota)
    lost = batches(world, custody=LosingCustody(broken.event.id), quota=quota)
    for _ in range(PUSHES.at_once):
        assert (await here.commit([broken])).refused == [broken.delivery]
        with pytest.raises(DatabaseLost):
            await lost.commit([broken, push])
    # Seen to fail (all are used up) while the attempts were counted.
    for _ in range(PUSHES.at_once):
        assert quota.take_push(device)
    for _ in range(EVENTS.at_once - PUSHES.at_once):  # what is discarded counts once
        assert quota.take(device, 1)
    assert not quota.take(device, 1)


async def test_the_numbers_of_a_doorbell_rise_at_relays_whose_clocks_differ(world: World) -> None:
    device, now_ms = await world.enrol(), world.clock.wall_ms()
    seqs = iter(range(1, 100))
    for ahead_ms in (0, MINUTE_MS, 0, -MINUTE_MS, MINUTE_MS):
        clock = ManualClock(wall_ms=now_ms + ahead_ms)
        await batches(world, clock=clock).commit([told(device, next(seqs)) for _ in range(3)])
    # Seen to fail with the time alone in Cursor.next_relay_seq.
    assert [row.event.seq for row in await stored(world, device)] == list(range(1, 16))


async def test_a_kept_event_whose_id_was_forgotten_comes_no_second_time(world: World) -> None:
    device, here = await world.enrol(), batches(world)
    first = told(device, 1)
    await here.commit([first, told(device, 2)])
    async with world.database.begin() as tx:
        await event_ids.forget(tx, before_ms=world.clock.wall_ms() + 1)
    # Seen to fail (committed anew) without events.known in event_batches._look_up.
    result = await here.commit([first])
    assert [one.row is None for one in result.committed] == [False]
    assert len(await stored(world, device)) == 2


async def test_an_event_that_comes_twice_in_one_batch_is_committed_once(world: World) -> None:
    device = await world.enrol()
    once = told(device, 1)
    result = await batches(world).commit([once, once])
    assert len(result.committed) == 2
    assert result.committed[0].row == result.committed[1].row
    assert len(await stored(world, device)) == 1


async def test_the_doorbells_that_need_no_turn_come_first_and_each_keeps_its_order() -> None:
    a, b, c = "a" * 26, "b" * 26, "c" * 26
    commitment = ReleaseCommitted(commitment="c" * 64)
    batch = [
        told(b, 1),
        told(a, 1),
        told(b, 2, body=commitment),
        told(a, 2),
        told(b, 3),
        told(c, 1),
    ]
    pieces = [[(one.event.device, one.event.seq) for one in piece] for piece in by_turn(batch)]
    assert pieces == [[(a, 1), (a, 2), (c, 1)], [(b, 1), (b, 2), (b, 3)]]
    assert by_turn([]) == []


async def test_on_postgresql_a_press_does_not_wait_for_who_hangs_in_the_writers_turn(
    postgres: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("LOCK_TIMEOUT_MS", "IDLE_TIMEOUT_MS"):  # else all goes on by itself
        monkeypatch.setattr(f"relay.store.postgresql.{name}", int(2_000 * PATIENCE_S))
    with databases.all_on(postgres):
        async with open_world(tmp_path) as world:
            other = await databases.open_database(tmp_path / "relay.sqlite3")
            try:
                await press_while_another_hangs(world, other)
            finally:
                await other.close()


async def press_while_another_hangs(world: World, other: Database) -> None:
    pressing, releasing = [await world.enrol() for _ in range(2)]
    async with world.database.begin_partition() as tx:
        for partition in range(PARTITIONS):
            await partitions.claim(tx, partition, "this")
    bus = QueueBus()
    ingest = EventIngest(
        bus=bus,
        database=world.database,
        clock=world.clock,
        notices=world.hub,
        pusher=NoPusher(),
        partitions=Owned("this"),
    )
    bus.work_on = lambda _owned: None  # type: ignore[attr-defined]

    def tell(device: str, seq: int, **changes: Any) -> QueuedMessage:
        event = told(device, seq, **changes).event
        message = QueuedMessage(subject(device, "event"), event.encode(), bus)
        bus.queue.put_nowait(message)
        return message

    running = asyncio.create_task(ingest.run())
    async with other.begin():  # and hangs
        release = tell(releasing, 1, body=ReleaseCommitted(commitment="c" * 64))
        press = tell(pressing, 1)
        # Seen to fail while the whole batch waited for its turn.
        await in_time(press.settled.wait())
        await asyncio.sleep(0.1)  # now it waits for the release's turn
        later = tell(pressing, 2)
        # Seen to fail with the patience of other writers.
        await in_time(later.settled.wait())
        assert not release.settled.is_set()
    await in_time(release.settled.wait())
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running


async def test_a_hook_that_waited_too_long_for_the_database_is_called_again(world: World) -> None:
    calls: list[str] = []

    async def hook(row: events.EventRow) -> None:
        calls.append(row.event.id)
        if len(calls) == 1:
            raise OperationalError("", {}, Exception("canceling statement due to lock timeout"))

    bus = QueueBus()
    ingest = EventIngest(
        bus=bus,
        database=world.database,
        clock=world.clock,
        notices=world.hub,
        pusher=NoPusher(),
        hooks=[hook],
    )
    event = told(await world.enrol(), 1).event
    message = QueuedMessage(subject(event.device, "event"), event.encode(), bus)
    bus.queue.put_nowait(message)
    running = asyncio.create_task(ingest.run())
    await in_time(message.settled.wait())
    running.cancel()
    await asyncio.wait([running])
    # Seen to fail (once, and the event counts as done) without AWAY in RETRYABLE.
    assert calls == [event.id] * 2


@pytest.mark.parametrize(
    ("body", "days", "attempts", "calls_made"),
    [
        (Pressed(), 0, 1000, 3),
        (Pressed(), 7, 1000, 1),
        (Pressed(), 7, 1, 3),
        (GuestGone(browser="a" * 20), 30, 1000, 3),
    ],
    ids=["lately stored", "stored a week ago", "the clock was set", "ends a right"],
)
async def test_a_follow_up_is_given_up_by_its_age_and_one_that_ends_a_right_never(
    world: World, body: EventBody, days: int, attempts: int, calls_made: int
) -> None:
    """Seen to fail while sixty deliveries were the most, as many come of a database's failover."""
    calls: list[str] = []

    async def hook(row: events.EventRow) -> None:
        calls.append(row.event.id)
        world.clock.advance(days * DAY_S)
        if len(calls) < 3:
            raise ObjectStoreError("the bucket doesn't answer")

    bus = QueueBus()
    ingest = EventIngest(
        bus=bus,
        database=world.database,
        clock=world.clock,
        notices=world.hub,
        pusher=NoPusher(),
        hooks=[hook],
    )
    event = told(await world.enrol(), 1, body=body).event
    message = QueuedMessage(subject(event.device, "event"), event.encode(), bus, attempts=attempts)
    bus.queue.put_nowait(message)
    running = asyncio.create_task(ingest.run())
    await in_time(message.settled.wait())
    running.cancel()
    await asyncio.wait([running])
    assert len(calls) == calls_made
