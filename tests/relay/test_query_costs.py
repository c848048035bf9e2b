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

from firmware.protocol.encoding import new_id
from firmware.protocol.events import Event, Pressed
from firmware.protocol.topics import subject
from relay.feed.pushes import FeedPushes
from relay.ingest.events import EventIngest
from relay.notify.push_sender import Outcome
from relay.store import events, metrics
from tests.fakes.live_relay import NoPusher, QueueBus, QueuedMessage
from tests.relay.databases import ON_SQLITE_ONLY
from tests.relay.feed_people import FOLLOWING, member, published_post
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
        async with asyncio.timeout(5):
            await message.settled.wait()
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
    # Seen to fail while each batch read the whole fleet.
    doorbells = [step for step in await steps(world, run) if "doorbells" in step]
    assert len(doorbells) == 1
    assert "COVERING INDEX" in doorbells[0]  # their certificates stay unread
    assert "(device=?" in doorbells[0]


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
    with noted(world) as run:
        async with world.database.begin() as tx:
            await events.forget_old(tx, [device], before_ms=world.clock.wall_ms())
    planned = await steps(world, run)
    searched = [step for step in planned if "events" in step]
    assert searched
    assert all("(device=? AND relay_seq<?)" in step for step in searched)
