"""The set of revoked doorbells in memory: what is announced or decided while it is read."""

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Set
from pathlib import Path
from typing import Any

import pytest

from relay.bus import Kicked, MessageHandler
from relay.errors import BusUnavailable, DatabaseLost
from relay.fleet import revocation
from relay.fleet.revocation import Revocations, announce_taken_back
from relay.store import fleet
from relay.store.database import Transaction
from relay.store.schema import doorbells
from tests.fakes.bus import RememberingBus
from tests.fakes.waiting import eventually
from tests.relay.http_world import World, open_world


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path) as world:
        yield world


async def nothing() -> None:
    """Nothing happens meanwhile."""


class KickingBus(RememberingBus):
    """A broker's client that says who is thrown off; `before` happens just before it listens."""

    def __init__(
        self, before: Callable[[], Awaitable[None]] = nothing, *, brokers: int = 1
    ) -> None:
        super().__init__()
        self._urls = [f"nats://127.0.0.1:{number + 1}" for number in range(brokers)]
        self.kicked: list[str] = []
        self.here = {"1"}
        self.may_kick = asyncio.Event()
        self.may_kick.set()
        self.looks = 0
        self.answered: defaultdict[str, set[str]] = defaultdict(set)
        self.told: dict[str, MessageHandler] = {}
        self.lists: list[frozenset[str]] = []
        self.may_list = asyncio.Event()
        self.may_list.set()
        self._before = before

    async def on_revocation(self, handler: Callable[[str], Awaitable[None]]) -> None:
        await self._before()
        self.announce = handler

    async def on_relays(self, name: str, handler: MessageHandler) -> None:
        self.told[name] = handler

    async def publish_to_relays(self, name: str, data: bytes) -> None:
        await self.told[name](name, data)

    async def kick(self, device: str) -> Kicked:
        self.kicked.append(device)
        await self.may_kick.wait()
        await asyncio.sleep(0)
        if not self.here:
            raise BusUnavailable("the broker is away")
        self.answered[device] |= self.here
        return Kicked(1, frozenset(self.here))

    async def kick_all(self, devices: Set[str]) -> Kicked:
        self.lists.append(frozenset(devices))
        await self.may_list.wait()
        return Kicked(len(devices), frozenset(self.here))

    async def ask_elsewhere(self) -> None:
        self.looks += 1

    async def reconnect(self) -> None:
        for handler in self._reconnected:
            await handler()


class SlowDatabase:
    """A database that is away for the first `failures` reads after the start, and then slow."""

    def __init__(self, world: World, failures: int = 0) -> None:
        self._database, self._left = world.database, failures
        self.is_read, self.may_go_on = asyncio.Event(), asyncio.Event()

    @contextlib.asynccontextmanager
    async def read(self) -> AsyncIterator[Transaction]:
        if self.is_read.is_set() and self._left:
            self._left -= 1
            raise DatabaseLost("the database was lost")
        async with self._database.read() as tx:
            yield tx
        self.is_read.set()
        await self.may_go_on.wait()


async def revoke(world: World, device: str) -> None:
    async with world.database.begin() as tx:
        await fleet.revoke(tx, device, revoked_ms=world.clock.wall_ms())


async def revoke_many(world: World) -> frozenset[str]:
    """Revoke so many doorbells that brokers are asked for lists."""
    many = frozenset([await world.enrol() for _ in range(revocation.FEW + 2)])
    for device in many:
        await revoke(world, device)
    return many


def revocations(world: World, bus: KickingBus, database: Any = None) -> Revocations:
    return Revocations(bus=bus, database=database or world.database, clock=world.clock)


@contextlib.asynccontextmanager
async def running(here: Revocations) -> AsyncIterator[None]:
    task = asyncio.create_task(here.run())
    yield
    task.cancel()
    await asyncio.wait([task])


async def test_a_look_that_failed_after_the_broker_was_away_is_tried_again(world: World) -> None:
    device, bus, database = await world.enrol(), KickingBus(), SlowDatabase(world, failures=1)
    database.may_go_on.set()
    here = revocations(world, bus, database)
    await here.start()
    async with running(here):
        await revoke(world, device)  # and whoever did so couldn't say it
        # Seen to fail (DatabaseLost, and it stays connected) while the look was tried once.
        await bus.reconnect()
        await eventually(lambda: bus.kicked == [device])
    assert here.is_revoked(device)


async def test_what_was_said_while_another_relay_was_not_heard_is_read(world: World) -> None:
    device, bus, database = await world.enrol(), KickingBus(), SlowDatabase(world)
    database.may_go_on.set()
    here = revocations(world, bus, database)
    await here.start()
    async with running(here):
        await revoke(world, device)  # and the word of it went to a broker that was cut off
        here.may_have_missed()
        await eventually(lambda: bus.kicked == [device])
    assert here.is_revoked(device)


async def test_what_a_killed_command_revoked_and_announced_to_nobody_is_read(world: World) -> None:
    """Seen to fail: a doorbell that was moved to another shard stayed connected."""
    device, bus = await world.enrol(), KickingBus()
    here = Revocations(bus=bus, database=world.database, clock=world.clock, reload_every_s=0.05)
    await here.start()
    async with running(here):
        await revoke(world, device)
        await eventually(lambda: bus.kicked == [device])
    assert here.is_revoked(device)


async def test_who_may_be_connected_to_a_broker_that_is_away_is_thrown_off_when_it_answers(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(revocation, "LOOK_S", 0.05)
    monkeypatch.setattr(revocation, "LONGEST_LOOK_S", 0.05)
    devices, bus = {await world.enrol() for _ in range(6)}, KickingBus(brokers=3)
    bus.here = {"1", "3"}
    here = revocations(world, bus)
    await here.start()
    async with running(here):
        for device in devices:
            await bus.announce(device)
        await eventually(lambda: set(bus.kicked) == devices)
        bus.kicked.clear()
        await eventually(lambda: len(bus.kicked) >= 2)
        assert set(bus.kicked) == {min(devices)}  # one asks for all
        looks, bus.here = bus.looks, {"1", "2"}
        # Seen to take a look for each of them while all three had to answer at one moment.
        await eventually(lambda: all(bus.answered[one] == {"1", "2", "3"} for one in devices))
        assert bus.looks - looks <= 2
        bus.kicked.clear()
        await asyncio.sleep(0.2)
        assert bus.kicked == []


async def test_who_is_revoked_now_is_thrown_off_before_all_who_were_earlier(
    world: World,
) -> None:
    bus = KickingBus()
    here = revocations(world, bus)
    for _ in range(revocation.FEW):
        await revoke(world, await world.enrol())
    await here.start()
    bus.may_kick.clear()
    async with running(here):
        await eventually(lambda: len(bus.kicked) == revocation.AT_ONCE)
        await bus.announce("zzz")
        bus.may_kick.set()
        # Seen to come last, after all of them.
        await eventually(lambda: "zzz" in bus.kicked)
    assert bus.kicked.index("zzz") <= 2 * revocation.AT_ONCE


async def test_who_is_revoked_while_brokers_list_their_connections_is_thrown_off_beside_that(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(revocation, "AGAIN_S", 0.05)
    bus, many = KickingBus(), await revoke_many(world)
    here, again = revocations(world, bus), min(many)
    bus.may_list.clear()
    await here.start()
    async with running(here):
        await eventually(lambda: bus.lists == [many])
        bus.here = set()
        for device in ("zzz", again):  # that one was taken back, and has connected since
            await bus.announce(device)
        await eventually(lambda: set(bus.kicked) == {"zzz", again})
        bus.here = {"1"}
        bus.may_list.set()
        # Seen to stay connected when the list settles all whom it was begun for.
        await eventually(lambda: {"zzz", again} <= set(bus.answered))
    assert bus.lists == [many]


async def test_many_are_looked_for_in_a_list_when_a_broker_answers_that_was_away(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(revocation, "LOOK_S", 0.05)
    bus, many = KickingBus(brokers=2), await revoke_many(world)
    here = revocations(world, bus)
    await here.start()
    async with running(here):
        await eventually(lambda: len(bus.kicked) > 1)
        assert bus.lists == [many]  # and then one asks for all
        assert set(bus.kicked) == {min(many)}
        bus.here = {"1", "2"}
        await eventually(lambda: not here._unreached)  # shown nowhere else
        assert bus.lists[1:] == [many - {min(many)}]


async def test_who_is_revoked_while_the_set_is_read_stays_revoked(world: World) -> None:
    device, bus, database = await world.enrol(), KickingBus(), SlowDatabase(world)
    here = revocations(world, bus, database)
    starting = asyncio.create_task(here.start())
    await database.is_read.wait()
    await revoke(world, device)
    await here._take(device)
    database.may_go_on.set()
    await starting
    # Seen to fail (it is let in again) while what was read took the place of what was known.
    assert here.is_revoked(device)


async def test_who_is_revoked_just_before_a_relay_listens_is_known_to_it(world: World) -> None:
    device = await world.enrol()
    here = revocations(world, KickingBus(before=lambda: revoke(world, device)))
    # Seen to fail (it is let in until the broker is away once) with the set read first.
    await here.start()
    assert here.is_revoked(device)


async def test_a_doorbell_that_was_taken_back_is_let_in_again(world: World) -> None:
    device, other, bus = await world.enrol(), await world.enrol(), KickingBus()
    here = revocations(world, bus)
    await revoke(world, device)
    await here.start()
    async with running(here):
        assert here.is_revoked(device)
        async with world.database.begin() as tx:
            change = doorbells.update().where(doorbells.c.device == device)
            await tx.execute(change.values(revoked_ms=None))
        await revoke(world, other)  # and its word was lost
        # Seen to fail (it is refused until the relay starts again) while the set only grew.
        await announce_taken_back(bus)
        await eventually(lambda: not here.is_revoked(device))
    assert here.is_revoked(other)
