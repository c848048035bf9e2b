"""Commands that wait, for ten thousand doorbells: each is published when it is due, in one pass."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from sqlalchemy import insert

from firmware.protocol.commands import (
    Accepted,
    CloseSession,
    Command,
    LiveNonce,
    NonceWanted,
    RegisterGrew,
    Reply,
    ReplyBody,
    SlotLogged,
)
from firmware.protocol.encoding import new_id
from relay.fleet.commands import MAX_STORING, Commands
from relay.fleet.pending_commands import LAST_REPEAT_S, PendingCommands
from relay.store import commands as command_rows
from relay.store import fleet
from relay.store.database import Database
from relay.store.schema import doorbells
from tests.fakes.bus import RememberingBus
from tests.fakes.clock import ManualClock
from tests.fakes.names import device_names
from tests.fakes.waiting import eventually, in_time
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


@asynccontextmanager
async def sent_to(
    folder: Path, count: int
) -> AsyncIterator[tuple[Database, Commands, RememberingBus, list[str]]]:
    """Commands that are kept for one doorbell, and published."""
    database = await open_database(folder / "relay.sqlite3")
    bus, clock = RememberingBus(), ManualClock()
    async with database.begin() as tx:
        await tx.execute(insert(doorbells), [a_doorbell("a" * 20)])
    commands = Commands(bus=bus, database=database, clock=clock)
    running = asyncio.create_task(commands.run())
    async with database.begin() as tx:
        body = CloseSession(session_id=new_id())
        sent = [await commands.add(tx, "a" * 20, body, 2**45) for _ in range(count)]
    for command in sent:
        commands.dispatch(command)
    ids = [command.id for command in sent]
    await eventually(lambda: set(ids) <= bus.commands.keys())
    try:
        yield database, commands, bus, ids
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        assert not commands._storing
        await database.close()


async def reply_of(commands: Commands, to: str, body: ReplyBody | None = None) -> None:
    reply = Reply(id=new_id(), device="a" * 20, in_reply_to=to, time_ms=1, body=body or Accepted())
    await in_time(commands.take_reply(f"dw.{'a' * 20}.reply", reply.encode()), 10)


async def states_of(database: Database, ids: list[str]) -> list[bool]:
    async with database.read() as tx:
        rows = [await command_rows.get(tx, one) for one in ids]
    return [row is not None and row.reply is not None for row in rows]


async def test_what_is_asked_is_answered_while_a_reply_cannot_be_stored(tmp_path: Path) -> None:
    """Seen to time out while `take_reply` waited until the reply was stored."""
    async with sent_to(tmp_path, 3) as (database, commands, bus, ids):
        async with database.begin():  # as while a commit waits for the standby
            for one in ids * 2:  # a doorbell answers each repeat
                await reply_of(commands, one)
            assert len(commands._storing) == len(ids)
            asking = asyncio.create_task(commands.ask("a" * 20, NonceWanted(), 30))
            await eventually(lambda: len(bus.commands) > len(ids))
            await reply_of(commands, next(reversed(bus.commands)), LiveNonce(nonce="a" * 26))
            assert await in_time(asking, 10) == LiveNonce(nonce="a" * 26)
            assert await states_of(database, ids) == [False] * 3
        await eventually(lambda: not commands._storing)
        assert await states_of(database, ids) == [True] * 3
        assert len(commands._pending) == 0


async def test_too_many_replies_that_cannot_be_stored_are_dropped_and_come_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Seen to hold all of them without the bound in Commands._begin_storing."""
    async with sent_to(tmp_path, MAX_STORING + 1) as (database, commands, _, ids):
        async with database.begin():
            for one in ids:
                await reply_of(commands, one)
            assert len(commands._storing) == MAX_STORING
        await eventually(lambda: not commands._storing)
        assert await states_of(database, ids) == [True] * MAX_STORING + [False]
        assert f"one to {ids[-1]} is dropped" in caplog.text
        await reply_of(commands, ids[-1])  # its command was repeated
        await eventually(lambda: not commands._storing)
        assert await states_of(database, ids[-1:]) == [True]


async def test_replies_that_cannot_be_stored_end_with_the_process(tmp_path: Path) -> None:
    """Seen to be left over without `_drop_storing`; `sent_to` looks."""
    async with sent_to(tmp_path, 1) as (database, commands, _, ids):
        hanging = await database._writer.acquire()
        assert hanging
        await reply_of(commands, ids[0])
        await asyncio.sleep(0.1)
        assert len(commands._storing) == 1
