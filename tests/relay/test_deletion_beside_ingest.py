"""An account's deletion beside a batch of its doorbell's events, on PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import text

from firmware.protocol.encoding import new_id
from firmware.protocol.events import CheckedIn, PushMessage, PushWanted, SilenceMessage
from relay.bus import partition_of
from relay.people.account_deletion import AccountDeletion
from relay.store import partitions, people, push, routing, silences
from relay.store.database import Transaction
from relay.store.people import Account
from tests.relay import databases
from tests.relay.http_world import World, open_world

BROWSER = "b" * 20
MINUTE_MS = 60_000


@pytest.fixture
async def world(postgres: str, tmp_path: Path) -> AsyncIterator[World]:
    with databases.all_on(postgres):
        async with open_world(tmp_path) as world:
            yield world


async def check_in(tx: Transaction, device: str, now_ms: int) -> None:
    message = SilenceMessage(browser=BROWSER, after_minutes=15, encrypted="AAAA")
    await silences.replace(tx, device, new_id(), CheckedIn(messages=[message]), now_ms=now_ms)


async def something_waits(world: World) -> None:
    """Wait until a transaction waits for a lock."""
    waiting = text(
        "SELECT count(*) FROM pg_stat_activity "
        "WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    while True:
        async with world.database.read() as tx:
            if (await tx.execute(waiting)).scalar_one():
                return
        await asyncio.sleep(0.02)


async def test_neither_breaks_off(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("relay.store.postgresql.PARTITION_IDLE_TIMEOUT_MS", 120_000)
    device, now_ms = await world.enrol(), world.clock.wall_ms()
    mary = Account(id=new_id(), role="owner", agency=None, name="Mary")
    async with world.database.begin() as tx:
        await people.add_account(tx, mary, now_ms)
        await routing.link(tx, mary.id, device)
        await push.subscribe(
            tx,
            account_id=mary.id,
            browser=BROWSER,
            endpoint="https://push.example/1",
            now_ms=now_ms,
            expires_ms=None,
        )
        await check_in(tx, device, now_ms)
        await partitions.claim(tx, partition_of(device), "this")
    deletion = AccountDeletion(world.database, world.clock, relay_url="https://relay.example")
    expires_ms = now_ms + MINUTE_MS
    message = PushMessage(browser=BROWSER, encrypted="AAAA")
    wanted = PushWanted(for_event_id=new_id(), expires_ms=expires_ms, messages=[message])
    async with world.database.begin_partition() as tx:
        await partitions.hold(tx, partition_of(device), "this")
        await check_in(tx, device, now_ms)
        deleting = asyncio.create_task(deletion.delete(mary))
        await something_waits(world)
        # Seen to fail (deadlock detected) with lock_all taken out of AccountDeletion.delete.
        queued = await push.queue(
            tx, device, new_id(), wanted, now_ms=now_ms, expires_ms=expires_ms
        )
        assert len(queued) == 1
    receipt = await deleting
    assert receipt is not None
    assert receipt.deleted["waiting_pushes"] == 1
