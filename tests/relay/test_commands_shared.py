"""Commands of several relay processes on one database: each is repeated by one, and ended for all.

Each process has its own connection to the broker and the database, as two on two machines would.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from firmware.protocol.commands import (
    Accepted,
    CardCloned,
    CloseSession,
    LiveNonce,
    NonceWanted,
    PackageNotTaken,
)
from firmware.protocol.encoding import new_id
from firmware.protocol.topics import topic
from relay.base.clock import SystemClock
from relay.bus import PARTITIONS, partition_of
from relay.store import commands
from tests.fakes.waiting import PATIENCE_S
from tests.relay.doorbells import Doorbell, enrol
from tests.relay.servers import Broker, Relay, run_relay
from tests.relay.test_commands import in_a_minute_ms, put_repeats_off, reply_to

pytestmark = pytest.mark.services


@contextlib.asynccontextmanager
async def two_relays(
    broker: Broker,
) -> AsyncIterator[tuple[Relay, Relay, contextlib.AsyncExitStack]]:
    """Two processes that know each other, and what ends the first without a goodbye."""
    async with contextlib.AsyncExitStack() as last, contextlib.AsyncExitStack() as first:
        one = await first.enter_async_context(run_relay(broker.config))
        other = await last.enter_async_context(run_relay(broker.config))
        async with asyncio.timeout(PATIENCE_S):
            while len(one.partitions.owned) + len(other.partitions.owned) != PARTITIONS:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
            while one.partitions.is_alone or other.partitions.is_alone:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        yield one, other, first


async def a_doorbell_of(relay: Relay, folder: Path) -> Doorbell:
    """Enrol until one is in a partition of this process."""
    while True:
        doorbell = await enrol(relay, folder)
        if relay.partitions.owns(doorbell.device):
            return doorbell


async def state_of(relay: Relay, command_id: str) -> str:
    async with relay.database.read() as tx:
        row = await commands.get(tx, command_id)
    assert row is not None
    return row.state(SystemClock().wall_ms())


async def answered(relay: Relay, *command_ids: str) -> None:
    async with asyncio.timeout(PATIENCE_S):
        for command_id in command_ids:
            while await state_of(relay, command_id) != "answered":  # noqa: ASYNC110
                await asyncio.sleep(0.02)


async def nothing_waits(*relays: Relay) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while any(len(relay.commands._pending) for relay in relays):  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def test_an_answered_command_is_repeated_by_nobody(
    own_broker: Broker, tmp_path: Path
) -> None:
    async with two_relays(own_broker) as (one, other, _):
        doorbell = await a_doorbell_of(one, tmp_path)
        line = await asyncio.to_thread(doorbell.open)
        await asyncio.to_thread(line.subscribe, topic(doorbell.device, "command"))
        ids = [
            await relay.commands.send(
                doorbell.device, CloseSession(session_id=new_id()), in_a_minute_ms()
            )
            for relay in (one, other) * 4
        ]

        def answer_each() -> Counter[str]:
            heard: Counter[str] = Counter()
            while len(heard) < len(ids):
                command = line.next_command()
                heard[command.id] += 1
                line.publish("reply", reply_to(command, Accepted()).encode())
            return heard

        heard = await asyncio.to_thread(answer_each)
        assert heard.keys() == set(ids)
        await answered(one, *ids)
        # Half of the replies came to the process that doesn't repeat. Seen to fail with the signal
        # "ended" taken out of Commands._store.
        await nothing_waits(one, other)
        await asyncio.to_thread(line.commands, 0.5)
        assert await asyncio.to_thread(line.commands, 1.1) == []
        line.close()


async def test_a_reply_that_came_while_nobody_said_so_ends_it_at_the_next(
    own_broker: Broker, tmp_path: Path
) -> None:
    async with two_relays(own_broker) as (one, other, _):
        doorbell = await a_doorbell_of(one, tmp_path)
        body = CloseSession(session_id=new_id())
        command_id = await one.commands.send(doorbell.device, body, in_a_minute_ms())
        async with one.database.read() as tx:
            row = await commands.get(tx, command_id)
        assert row is not None
        reply = reply_to(row.command, Accepted())
        async with other.database.begin() as tx:  # stored, and then that process ended
            await commands.answer(tx, reply, answered_ms=1)
        assert command_id in one.commands._pending
        await other.commands.take_reply(f"dw.{doorbell.device}.reply", reply.encode())
        await nothing_waits(one, other)


async def test_commands_of_a_process_that_dies_are_taken_over(
    own_broker: Broker, tmp_path: Path
) -> None:
    async with two_relays(own_broker) as (one, other, first):
        doorbell = await a_doorbell_of(one, tmp_path)
        asleep = await a_doorbell_of(one, tmp_path)
        ids = {
            await one.commands.send(device, CloseSession(session_id=new_id()), in_a_minute_ms())
            for device in (doorbell.device, asleep.device)
        }
        await asyncio.sleep(0.1)
        await first.aclose()
        line = await asyncio.to_thread(doorbell.open)
        await asyncio.to_thread(line.subscribe, topic(doorbell.device, "command"))
        # Seen to fail with _take_over taken out of Commands.run: nobody sends it.
        command = await asyncio.to_thread(line.next_command)
        assert command.id in ids
        await asyncio.to_thread(line.publish, "reply", reply_to(command, Accepted()).encode())
        await answered(other, command.id)

        def come_online() -> str:
            with asleep.connect() as waking:
                waking.subscribe(topic(asleep.device, "command"))
                waking.publish("status", asleep.status("online").encode())
                return str(waking.next_command().id)

        assert {command.id, await asyncio.to_thread(come_online)} == ids
        line.close()


async def test_a_command_from_elsewhere_is_repeated_by_the_owner(
    own_broker: Broker, tmp_path: Path
) -> None:
    async with two_relays(own_broker) as (one, other, first):
        doorbell = await a_doorbell_of(other, tmp_path)
        about = new_id()
        bodies = [PackageNotTaken(package_id=about, reason="form") for _ in range(2)]
        replaced, newest = [
            await one.commands.send(doorbell.device, body, in_a_minute_ms()) for body in bodies
        ]
        async with asyncio.timeout(PATIENCE_S):
            while newest not in other.commands._pending:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        assert replaced not in other.commands._pending
        assert len(one.commands._pending) == 0
        await first.aclose()  # who sent it needn't be there any more
        line = await asyncio.to_thread(doorbell.open)
        await asyncio.to_thread(line.subscribe, topic(doorbell.device, "command"))
        assert (await asyncio.to_thread(line.next_command)).id == newest
        line.close()


async def test_what_is_asked_or_told_is_answered_where_it_was(
    own_broker: Broker, tmp_path: Path
) -> None:
    async with two_relays(own_broker) as (one, other, _):
        doorbell = await enrol(one, tmp_path)
        line = await asyncio.to_thread(doorbell.open)
        await asyncio.to_thread(line.subscribe, topic(doorbell.device, "command"))

        def answer(count: int) -> None:
            for _ in range(count):
                command = line.next_command()
                nonce = LiveNonce(nonce=command.id)
                line.publish("reply", reply_to(command, nonce).encode())

        answering = asyncio.create_task(asyncio.to_thread(answer, 16))
        for relay in (one, other) * 8:
            # Seen to fail (half of them go unanswered) with the forwarding taken out of take_reply.
            reply = await relay.commands.ask(doorbell.device, NonceWanted(), PATIENCE_S)
            assert isinstance(reply, LiveNonce)
        await answering
        for relay in (one, other):
            await relay.commands.tell(doorbell.device, CardCloned(), in_a_minute_ms())
        for _ in range(2):
            command = await asyncio.to_thread(line.next_command)
            await asyncio.to_thread(line.publish, "reply", reply_to(command, Accepted()).encode())
        await nothing_waits(one, other)
        line.close()


async def test_a_doorbell_that_comes_online_is_told_by_each_process_at_once(
    own_broker: Broker, tmp_path: Path
) -> None:
    async with two_relays(own_broker) as (one, other, _):
        doorbell = await enrol(one, tmp_path)
        for relay in (one, other):
            await relay.commands.tell(doorbell.device, CardCloned(), in_a_minute_ms())
            put_repeats_off(relay, doorbell)

        def come_online() -> None:
            told: set[str] = set()
            with doorbell.connect() as line:
                line.subscribe(topic(doorbell.device, "command"))
                line.publish("status", doorbell.status("online").encode())
                while len(told) < 2:  # it is repeated until it is answered
                    told.add(line.next_command().id)

        await asyncio.to_thread(come_online)
        assert partition_of(doorbell.device) in one.partitions.owned | other.partitions.owned
