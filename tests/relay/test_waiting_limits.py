"""How much waits for one doorbell, how long it is kept, and how often one account listens."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from firmware.protocol.commands import Accepted, CloseSession, Command, Reply, SealedStatement
from firmware.protocol.encoding import new_id
from relay.api.audience import Audience
from relay.base.allowances import RateExceeded
from relay.ingest.expiry import COMMAND_LIFE_MS, Expiry
from relay.notify.hub import MAX_STREAMS
from relay.store import commands
from relay.store.commands import MAX_STATEMENTS
from relay.store.database import Transaction
from tests.fakes.waiting import PATIENCE_S
from tests.relay.http_people import Owner, account_of, paired_owner
from tests.relay.http_world import DAY_MS, World, open_world
from tests.relay.open_pages import is_hello, page_of

STATEMENT = SealedStatement(sealed="AAAA")


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path) as world:
        yield world


async def fill(world: World, device: str) -> list[str | BaseException]:
    """Send a few more statements than may wait, all at once."""
    expires_ms = world.clock.wall_ms() + DAY_MS
    sending = (
        world.commands.send(device, STATEMENT, expires_ms) for _ in range(MAX_STATEMENTS + 6)
    )
    return await asyncio.gather(*sending, return_exceptions=True)


async def test_a_bounded_number_of_statements_waits_for_a_doorbell(world: World) -> None:
    """One session could fill the database, and every doorbell's way down, without the count."""
    device, other = await world.enrol(), await world.enrol()
    owner = await paired_owner(world, device)
    sent = await fill(world, device)
    assert [type(one) for one in sent if not isinstance(one, str)] == [RateExceeded] * 6
    path = f"/doorbells/{device}/statements"
    refused = await owner.post(path, {"sealed": "AAAA"})
    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "60")
    # Neither another doorbell nor what else is sent to this one has to wait.
    expires_ms = world.clock.wall_ms() + DAY_MS
    await world.commands.send(other, STATEMENT, expires_ms)
    await world.commands.send(device, CloseSession(session_id=new_id()), expires_ms)
    await world.answer(device)
    assert (await owner.post(path, {"sealed": "AAAA"})).status_code == 202


async def test_statements_that_are_over_make_room(world: World) -> None:
    device = await world.enrol()
    await fill(world, device)
    world.clock.advance(24 * 3600)
    assert isinstance((await fill(world, device))[0], str)


async def add(tx: Transaction, world: World, device: str, *, life_ms: int = DAY_MS) -> Command:
    now_ms = world.clock.wall_ms()
    command = Command(
        id=new_id(), device=device, time_ms=now_ms, expires_ms=now_ms + life_ms, body=STATEMENT
    )
    await commands.add(tx, command)
    return command


async def test_a_relay_that_starts_takes_up_no_more_than_may_wait(world: World) -> None:
    """What an older relay took in without counting doesn't fill this one's memory."""
    device, other = await world.enrol(), await world.enrol()
    expires_ms = world.clock.wall_ms() + DAY_MS
    await world.commands.send(device, CloseSession(session_id=new_id()), expires_ms)
    async with world.database.begin() as tx:
        for _ in range(MAX_STATEMENTS + 6):
            await add(tx, world, device)
        await add(tx, world, other)
        left = await commands.unanswered(tx, now_ms=world.clock.wall_ms())
    told = [(one.device, type(one.body)) for one in left]
    assert told.count((device, SealedStatement)) == MAX_STATEMENTS
    assert told.count((other, SealedStatement)) == 1
    assert told.count((device, CloseSession)) == 1


async def test_commands_are_forgotten_a_week_after_they_are_over(world: World) -> None:
    device = await world.enrol()
    async with world.database.begin() as tx:
        answered = await add(tx, world, device, life_ms=30 * DAY_MS)
        expired = await add(tx, world, device)
        waiting = await add(tx, world, device, life_ms=30 * DAY_MS)
        now_ms = world.clock.wall_ms()
        reply = Reply(
            id=new_id(), device=device, in_reply_to=answered.id, time_ms=now_ms, body=Accepted()
        )
        await commands.answer(tx, reply, answered_ms=now_ms)

    async def kept() -> list[str]:
        await Expiry(world.database, world.clock).forget()
        async with world.database.read() as tx:
            all_of_them = (answered, expired, waiting)
            return [one.id for one in all_of_them if await commands.get(tx, one.id) is not None]

    world.clock.advance(COMMAND_LIFE_MS / 1000)
    assert await kept() == [answered.id, expired.id, waiting.id]
    world.clock.advance(1)
    assert await kept() == [expired.id, waiting.id]
    world.clock.advance(24 * 3600)
    assert await kept() == [waiting.id]


async def test_an_account_listens_a_bounded_number_of_times_at_once(world: World) -> None:
    """Each stream is a place in the hub that its account's notices are copied to."""
    owner, other = Owner(world), Owner(world, "Eve")
    await owner.register()
    await other.register()
    account_id = await account_of(world, owner)

    async def audience() -> Audience:
        return Audience(own=frozenset(), credential_ids=frozenset())

    streams = [page_of(world, audience, account_id=account_id) for _ in range(MAX_STREAMS + 5)]
    # All at once: those that came in between get an empty stream, and come again.
    hellos = await asyncio.gather(*(anext(one, None) for one in streams))
    assert sum(is_hello(one or "") for one in hellos) == MAX_STREAMS
    assert hellos.count(None) == 5
    refused = await owner.get("/stream")
    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "15")
    assert not world.hub.is_full(await account_of(world, other))
    await streams[0].aclose()
    assert not world.hub.is_full(account_id)
    for one in streams:
        await one.aclose()
    heard = [asyncio.create_task(owner.get("/stream")) for _ in range(MAX_STREAMS)]
    async with asyncio.timeout(PATIENCE_S):
        while not world.hub.is_full(account_id):  # noqa: ASYNC110 - it has no event
            await asyncio.sleep(0.01)
    for task in heard:
        task.cancel()  # as when a browser hangs up
    await asyncio.wait(heard)
    await asyncio.sleep(0)
    assert not world.hub.is_full(account_id)
