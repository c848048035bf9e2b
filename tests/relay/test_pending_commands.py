"""Commands that wait, for ten thousand doorbells: each is published when it is due, in one pass."""

import asyncio
import time
from pathlib import Path

import pytest
from sqlalchemy import insert

from firmware.protocol.commands import Accepted, Command, RegisterGrew, Reply, SlotLogged
from firmware.protocol.encoding import new_id
from relay.fleet.commands import Commands
from relay.fleet.pending_commands import LAST_REPEAT_S, PendingCommands
from relay.store import fleet
from relay.store.schema import doorbells
from tests.fakes.bus import RememberingBus
from tests.fakes.clock import ManualClock
from tests.fakes.names import device_names
from tests.relay.databases import open_database

MANY = 10_000


def a_doorbell(device: str) -> dict[str, object]:
    texts = ("identity_key", "sealing_key", "certificate_pem", "evidence_certificate_pem")
    numbers = {"enrolled_ms": 0, "revoked_ms": None, "state_since_ms": 0}
    return {"device": device, "state": "online", **dict.fromkeys(texts, ""), **numbers}


def a_command(device: str = "a" * 20, *, size: int = 1) -> Command:
    return Command(
        id=new_id(), device=device, time_ms=1, expires_ms=2, body=RegisterGrew(size=size)
    )


def test_each_is_due_at_once_and_then_after_longer_and_longer() -> None:
    pending = PendingCommands()
    command = a_command()
    pending.add(command)
    now, gaps, last = 100.0, [], None
    for _ in range(8):
        (one,) = pending.take_due(now)
        assert one.command == command
        assert list(pending.take_due(now)) == []
        if last is not None:
            gaps.append(now - last)
        last, now = now, pending.next_at() or 0.0
    assert gaps == [1, 2, 4, 8, 16, LAST_REPEAT_S, LAST_REPEAT_S]


def test_one_that_is_dropped_is_published_no_more_and_leaves_nothing() -> None:
    pending = PendingCommands()
    first, second = a_command(size=1), a_command(size=2)
    for one in (first, second):
        pending.add(one)
    pending.drop(first.id)
    pending.drop(first.id)
    assert [one.command for one in pending.take_due(1.0)] == [second]
    assert pending.of_device("a" * 20) == [second]
    pending.drop(second.id)
    assert pending.next_at() is None
    assert (len(pending), pending.of_device("a" * 20)) == (0, [])


def test_those_of_one_doorbell_are_hastened_and_nobody_elses() -> None:
    pending = PendingCommands()
    mine, others = a_command("a" * 20), a_command("b" * 20)
    for one in (mine, others):
        pending.add(one)
    assert len(list(pending.take_due(1.0))) == 2
    pending.hasten("a" * 20)
    assert [one.command for one in pending.take_due(1.0)] == [mine]


async def test_ten_thousand_doorbells_are_told_in_one_pass(tmp_path: Path) -> None:
    """With a transaction for each it took more than 100 s on a busy machine."""
    database = await open_database(tmp_path / "relay.sqlite3")
    bus, clock = RememberingBus(), ManualClock()
    commands = Commands(bus=bus, database=database, clock=clock)
    devices = device_names(MANY)
    async with database.begin() as tx:
        await tx.execute(insert(doorbells), [a_doorbell(device) for device in devices[:-1]])
        await fleet.revoke(tx, devices[0], revoked_ms=1)
    bodies = {
        device: SlotLogged(slot=7, index=number, hashes=["A" * 43] * 20, proof="proof")
        for number, device in enumerate(devices)
    }
    task = asyncio.create_task(commands.run())
    begun_s = time.thread_time()
    await commands.send_to_each(bodies, clock.wall_ms() + 60_000)
    async with asyncio.timeout(60):
        while len(bus.commands) < MANY - 2:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    took_s = time.thread_time() - begun_s
    told = {one.device: one for one in bus.commands.values()}
    assert told.keys() == set(devices[1:-1])  # not who is revoked, nor who never was enrolled
    assert took_s < 10
    for one in bus.commands.values():
        reply = Reply(
            id=new_id(), device=one.device, in_reply_to=one.id, time_ms=1, body=Accepted()
        )
        await commands.take_reply(f"dw.{one.device}.reply", reply.encode())
    assert len(commands._pending) == 0
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await database.close()


@pytest.mark.parametrize("count", [1, 2])
async def test_the_newest_of_what_is_told_replaces_the_older(tmp_path: Path, count: int) -> None:
    database = await open_database(tmp_path / "relay.sqlite3")
    bus, clock = RememberingBus(), ManualClock()
    async with database.begin() as tx:
        await tx.execute(insert(doorbells), [a_doorbell("a" * 20)])
    commands = Commands(bus=bus, database=database, clock=clock)
    for size in range(1, count + 1):
        await commands.send_to_each({"a" * 20: RegisterGrew(size=size)}, clock.wall_ms() + 1000)
    assert [one.body for one in commands._pending.of_device("a" * 20)] == [RegisterGrew(size=count)]
    await database.close()
