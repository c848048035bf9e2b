"""Doorbells that count as online and aren't, since the broker lost their will."""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, Literal

import pytest

from firmware.protocol.encoding import new_id
from firmware.protocol.events import CheckedIn, Event, Health, Pressed, SilenceMessage, Status
from relay.base.clock import SystemClock
from relay.bus import PARTITIONS, partition_of
from relay.errors import BusUnavailable, DatabaseLost
from relay.ingest.carried_events import NoCustody
from relay.ingest.event_batches import EventBatches, ReceivedEvent
from relay.ingest.fence import Fence
from relay.ingest.statuses import StatusIngest
from relay.ingest.unheard import UnheardDoorbells
from relay.store import fleet, partitions, silences
from tests.fakes.bus import RememberingBus
from tests.fakes.live_relay import QueueBus
from tests.fakes.waiting import PATIENCE_S, eventually
from tests.relay.doorbells import Connection, enrol
from tests.relay.http_world import World, open_world
from tests.relay.servers import Broker, run_relay
from tests.relay.test_status_batches import Delivered, Owned

MINUTE_S = 60.0


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path) as world:
        yield world


class FakeBrokers(RememberingBus):
    """Brokers that hold some connections, and may be away."""

    def __init__(self) -> None:
        super().__init__()
        self.connected: set[str] = set()
        self.has_leader = self.is_there = True
        self.meanwhile: Callable[[], Any] | None = None

    @property
    def is_hearing(self) -> bool:
        return self.is_there

    async def check_statuses(self) -> None:
        if not self.has_leader:
            raise BusUnavailable("no leader")

    async def has_doorbell(self, device: str) -> bool:
        if self.meanwhile is not None:
            await self.meanwhile()
        return device in self.connected

    async def come_back(self) -> None:
        for handler in self._reconnected:
            await handler()


class Reported(Delivered):
    """A state as the broker hands it out, with the doorbell's health."""

    def __init__(self, device: str, state: Literal["online", "offline"] = "online") -> None:
        super().__init__(device, state)
        health = Health(
            measured_ms=1, camera="working", fps_milli=1, max_fps=1, is_clock_trusted=True
        )
        status = Status(
            device=device, state=state, time_ms=1, boot_id=new_id(), version="1", health=health
        )
        self.data = status.encode()


class Home:
    """A process that ingests states and watches, and the doorbells that it hears."""

    def __init__(self, world: World) -> None:
        self.world, self.bus, self.owned = world, FakeBrokers(), Owned("this")
        self.news: list[tuple[str, str]] = []
        self.statuses = StatusIngest(
            bus=QueueBus(), database=world.database, clock=world.clock, notices=world.hub
        )
        self.watch = self.watching()

    def watching(self, database: Any = None) -> UnheardDoorbells:
        return UnheardDoorbells(
            bus=self.bus,
            database=database or self.world.database,
            clock=self.world.clock,
            notices=self,
            partitions=self.owned,
            monotonic_s=lambda: self.world.clock.monotonic_ns() / 1e9,
        )

    def state_changed(self, device: str, state: str) -> None:
        self.news.append((device, state))

    async def claim(self) -> None:
        async with self.world.database.begin_partition() as tx:
            for partition in range(PARTITIONS):
                await partitions.claim(tx, partition, "this")

    async def says(self, *told: Delivered) -> None:
        await self.statuses.take(told)  # type: ignore[arg-type]

    async def passes(self, minutes: int, *reporting: str) -> None:
        """Let time pass, with a look each minute; these report their health meanwhile."""
        for _ in range(minutes):
            self.world.clock.advance(MINUTE_S)
            await self.says(*map(Reported, reporting))
            await self.watch.look()

    async def states(self, *devices: str) -> list[str]:
        async with self.world.database.read() as tx:
            rows = [await fleet.get(tx, device) for device in devices]
        return [row.state for row in rows if row is not None]


@pytest.fixture
async def home(world: World) -> Home:
    home = Home(world)
    await home.claim()
    await home.watch.look()
    return home


async def test_who_falls_silent_without_a_will_is_offline_after_five_minutes(home: Home) -> None:
    gone, well = [await home.world.enrol() for _ in range(2)]
    await home.says(Reported(gone), Reported(well))
    await home.passes(5, well)
    assert await home.states(gone, well) == ["online", "online"]
    # Seen to fail ("online" for ever) without the watch.
    await home.passes(1, well)
    assert await home.states(gone, well) == ["offline", "online"]
    assert home.news == [(gone, "offline")]
    async with home.world.database.read() as tx:
        row = await fleet.get(tx, gone)
    assert row is not None
    assert row.state_since_ms == home.world.clock.wall_ms()
    await home.passes(10, well)
    assert home.news == [(gone, "offline")]
    await home.says(Reported(gone))  # it is there after all
    assert await home.states(gone) == ["online"]
    await home.passes(6, well)
    assert await home.states(gone) == ["offline"]


async def test_its_silence_is_due(home: Home) -> None:
    device, clock = await home.world.enrol(), home.world.clock
    await home.says(Reported(device))
    async with home.world.database.begin() as tx:
        message = SilenceMessage(browser="b" * 20, after_minutes=30, encrypted="AAAA")
        await silences.replace(
            tx, device, new_id(), CheckedIn(messages=[message]), now_ms=clock.wall_ms()
        )
        assert await silences.next_due_ms(tx) is None
    await home.passes(6)
    async with home.world.database.read() as tx:
        # Seen to fail (None: it is never pushed) without set_offline in the watch.
        assert await silences.next_due_ms(tx) == clock.wall_ms() + 30 * 60_000


async def test_who_is_connected_or_never_reported_its_health_is_left_alone(home: Home) -> None:
    mute, older, ringing = [await home.world.enrol() for _ in range(3)]
    home.bus.connected = {mute}
    await home.says(Reported(mute), Delivered(older, "online"), Reported(ringing))
    batches = EventBatches(
        fence=Fence(home.world.database, None), clock=home.world.clock, custody=NoCustody()
    )
    for seq in range(1, 9):
        await home.passes(1)
        event = Event(
            id=new_id(), device=ringing, seq=seq, time_ms=1, is_clock_trusted=True, body=Pressed()
        )
        told = ReceivedEvent(delivery=Delivered(ringing, "online"), event=event, canonical=b"{}")  # type: ignore[arg-type]
        await batches.commit([told])
    # Seen to fail ("offline") without the question who is connected, and without the cursors of
    # events.
    assert await home.states(mute, older, ringing) == ["online"] * 3
    await home.passes(60)
    assert await home.states(mute, older, ringing) == ["online", "online", "offline"]


@pytest.mark.parametrize("what", ["broker", "leader", "suspended", "clock set", "back"])
async def test_nobody_is_offline_because_something_else_was_away(home: Home, what: str) -> None:
    back, gone = [await home.world.enrol() for _ in range(2)]
    await home.says(Reported(back), Reported(gone))
    await home.passes(6, back, gone)
    match what:
        case "broker" | "leader":
            name = "is_there" if what == "broker" else "has_leader"
            setattr(home.bus, name, False)
            await home.passes(60)
            setattr(home.bus, name, True)
        case "suspended":
            home.world.clock.advance(60 * MINUTE_S)
        case "clock set":
            home.world.clock.set_wall_ms(home.world.clock.wall_ms() + 3_600_000)
        case "back":  # between two looks, and doorbells take their time
            await home.passes(5)
            await home.bus.come_back()
    # Seen to fail (both are offline at the first look) without what resets _hearing_since_s.
    await home.passes(2)
    assert await home.states(back, gone) == ["online"] * 2
    await home.passes(5, back)
    assert await home.states(back, gone) == ["online", "offline"]


async def test_a_look_that_found_no_database_waits_anew(home: Home) -> None:
    class Lost:
        def __getattr__(self, name: str) -> Any:
            raise DatabaseLost("it was lost")

    device = await home.world.enrol()
    await home.says(Reported(device))
    await home.passes(3)
    database, home.watch._database = home.watch._database, Lost()  # type: ignore[assignment]
    await home.passes(5)
    home.watch._database = database
    await home.passes(5)
    # Seen to fail ("offline": what waits at the broker isn't read yet) without the reset.
    assert await home.states(device) == ["online"]
    await home.passes(1)
    assert await home.states(device) == ["offline"]


async def test_what_comes_during_a_look_counts(home: Home) -> None:
    device = await home.world.enrol()
    await home.says(Reported(device))

    async def reports() -> None:
        await home.says(Reported(device))

    home.bus.meanwhile = reports
    await home.passes(6)
    # Seen to fail ("offline") without the second question, in the transaction.
    assert await home.states(device) == ["online"]
    assert home.news == []

    home.bus.meanwhile = home.bus.come_back
    await home.passes(6)
    # Seen to fail ("offline") without the look at _hearing_since_s after the brokers' answers.
    assert await home.states(device) == ["online"]


async def test_a_process_that_lost_a_partition_writes_nothing(home: Home) -> None:
    device = await home.world.enrol()
    await home.says(Reported(device))
    async with home.world.database.begin_partition() as tx:
        await partitions.claim(tx, partition_of(device), "other")
    await home.passes(6)
    # Seen to fail ("offline") without the fence.
    assert await home.states(device) == ["online"]
    assert home.news == []


async def test_a_process_that_takes_a_partition_over_looks_for_who_was_silent_before(
    home: Home,
) -> None:
    device = await home.world.enrol()
    await home.says(Reported(device))
    home.owned.owned -= {partition_of(device)}
    await home.passes(12)
    assert await home.states(device) == ["online"]
    home.owned.owned = frozenset(range(PARTITIONS))
    await home.passes(1)
    # Seen to fail ("online" for an hour) without the comparison of whose it looked for.
    assert await home.states(device) == ["offline"]


@pytest.mark.services
async def test_a_doorbell_that_vanishes_with_its_broker_is_offline(
    own_broker: Broker, tmp_path: Path
) -> None:
    async with run_relay(own_broker.config) as relay:
        gone, well = await enrol(relay, tmp_path), await enrol(relay, tmp_path)

        async def states() -> list[str]:
            async with relay.database.read() as tx:
                rows = [await fleet.get(tx, one.device) for one in (gone, well)]
            return [row.state for row in rows if row is not None]

        async def reports(line: Connection) -> None:
            told = Reported(line.doorbell.device).data
            await asyncio.to_thread(line.publish, "status", told)

        async def until(wanted: list[str]) -> None:
            async with asyncio.timeout(PATIENCE_S):
                while await states() != wanted:  # noqa: ASYNC110 (the database sets no event)
                    await asyncio.sleep(0.05)

        gone_line = await asyncio.to_thread(gone.open)
        well_line = await asyncio.to_thread(well.open)
        for line in (gone_line, well_line):
            await reports(line)
        await until(["online", "online"])
        own_broker.stop(signal.SIGKILL)
        for line in (gone_line, well_line):
            await asyncio.to_thread(line.close)
        own_broker.start()
        await eventually(lambda: relay.bus.is_connected)
        well_line = await asyncio.to_thread(well.open)
        await reports(well_line)
        watch = UnheardDoorbells(
            bus=relay.bus,
            database=relay.database,
            clock=SystemClock(),
            notices=relay.hub,
            partitions=relay.partitions,
            offline_after_s=2.0,
        )
        watching = asyncio.create_task(watch.run())
        # Seen to fail ("online" for ever) without the watch. The other one is silent, too, but
        # the broker has its connection.
        await until(["offline", "online"])
        watching.cancel()
        await asyncio.to_thread(well_line.close)
