"""A silent doorbell: what it left with the relay is pushed after the owner's time, and once."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from firmware.notes.check_ins import CheckIns
from firmware.protocol.encoding import decode, new_id, unb64u
from firmware.protocol.events import CheckedIn, Event, SilenceMessage, Status
from firmware.protocol.live import SILENT_LIFE_MS, PushText, SilentPush
from firmware.protocol.topics import subject
from relay.config.settings import PushConfig
from relay.ingest.carried_events import NoCustody
from relay.ingest.statuses import StatusIngest
from relay.notify.silences import Silences
from relay.store import silences
from relay.store.push import PushRow
from tests.fakes.live_relay import QueueBus
from tests.fakes.push_service import PushService, run_push_service
from tests.fakes.push_subscription import PushSubscription
from tests.fakes.slot_house import SlotHouse
from tests.relay.carrying import carry
from tests.relay.databases import ON_SQLITE_ONLY
from tests.relay.http_people import Owner, paired_owner
from tests.relay.http_world import World, open_world
from tests.relay.test_push import Household as PushedHousehold
from tests.relay.test_push import pushing, until_empty

MINUTE_S = 60.0


@dataclass
class Delivered:
    """A status as the broker hands it over."""

    subject: str
    data: bytes
    stored_ms: int

    async def ack(self) -> None:
        return

    async def discard(self) -> None:
        raise AssertionError("refused")


@dataclass
class Kept:
    """A pusher that keeps what it is given."""

    rows: list[PushRow] = field(default_factory=list)

    def send(self, rows: Sequence[PushRow]) -> None:
        self.rows += rows


class Home:
    """One doorbell with an owner, whose browser wants to hear of its silence."""

    def __init__(self, world: World, device: str, owner: Owner) -> None:
        self.world, self.device, self.owner = world, device, owner
        self.household = PushedHousehold(world, device, owner)
        self.pusher = Kept()
        self.silences = Silences(database=world.database, clock=world.clock, pusher=self.pusher)
        self.statuses = StatusIngest(
            bus=QueueBus(), database=world.database, clock=world.clock, notices=world.hub
        )

    async def says(self, state: str) -> None:
        status = Status(
            device=self.device,
            state=state,  # type: ignore[arg-type]
            time_ms=self.world.clock.wall_ms(),
            boot_id=new_id(),
            version="1",
        )
        topic = subject(self.device, "status")
        delivered = Delivered(topic, status.encode(), self.world.clock.wall_ms())
        await self.statuses.take([delivered])  # type: ignore[list-item]

    async def checks_in(self, *after_minutes: int, mark: str = "AAAA") -> str:
        """Leave a message for each of the times; the first is the owner's browser's."""
        browsers = [self.household.browser, "b" * 20, "c" * 20]
        told = CheckedIn(
            messages=[
                SilenceMessage(browser=browser, after_minutes=minutes, encrypted=mark)
                for browser, minutes in zip(browsers, after_minutes, strict=False)
            ]
        )
        return await self.tells(told)

    async def tells(self, body: CheckedIn) -> str:
        now_ms = self.world.clock.wall_ms()
        told = Event(
            id=new_id(),
            device=self.device,
            seq=1,
            time_ms=now_ms,
            is_clock_trusted=True,
            body=body,
        )
        async with self.world.database.begin() as tx:
            await carry(tx, told, received_ms=now_ms, custody=NoCustody())
        return told.id

    async def passes(self, minutes: float) -> list[PushRow]:
        """Let time pass; return what is pushed."""
        self.world.clock.advance(minutes * MINUTE_S)
        before = len(self.pusher.rows)
        await self.silences.push_due()
        return self.pusher.rows[before:]


@pytest.fixture
def service() -> Iterator[PushService]:
    with run_push_service() as service:
        yield service


@pytest.fixture
async def home(tmp_path: Path, service: PushService) -> AsyncIterator[Home]:
    async with open_world(tmp_path, push=PushConfig(is_loopback_allowed=True)) as world:
        device = await world.enrol()
        home = Home(world, device, await paired_owner(world, device))
        await home.household.subscribe(service)
        await home.says("online")
        yield home


async def test_the_message_is_pushed_after_the_owners_time_and_once(home: Home) -> None:
    check_in = await home.checks_in(15)
    await home.says("offline")
    assert await home.passes(14.9) == []
    (row,) = await home.passes(0.2)
    assert (row.event_id, row.browser, row.device) == (
        check_in,
        home.household.browser,
        home.device,
    )
    assert row.expires_ms == home.world.clock.wall_ms() + SILENT_LIFE_MS
    assert await home.passes(60) == []


async def test_a_doorbell_that_is_back_in_time_pushes_nothing(home: Home) -> None:
    await home.checks_in(15)
    await home.says("offline")
    assert await home.passes(14) == []
    await home.says("online")
    assert await home.passes(60) == []
    await home.says("offline")  # and its time begins anew
    assert await home.passes(14) == []
    assert len(await home.passes(2)) == 1


async def test_only_the_newest_check_in_is_kept(home: Home) -> None:
    await home.checks_in(15, mark="AAAA")
    newest = await home.checks_in(15, mark="BBBB")
    await home.says("offline")
    (row,) = await home.passes(16)
    assert (row.event_id, row.encrypted) == (newest, "BBBB")


async def test_who_wants_no_message_any_more_gets_none(home: Home) -> None:
    await home.checks_in(15)
    await home.checks_in()
    await home.says("offline")
    assert await home.passes(60) == []


async def test_each_browser_has_its_own_time_and_a_strangers_gets_nothing(home: Home) -> None:
    await home.checks_in(60, 15)  # the second is of nobody's account
    await home.says("offline")
    assert await home.passes(16) == []
    assert [row.browser for row in await home.passes(50)] == [home.household.browser]


async def test_a_check_in_that_comes_after_the_end_counts_from_then(home: Home) -> None:
    await home.says("offline")
    await home.passes(30)
    await home.checks_in(15)
    assert await home.passes(14) == []
    assert len(await home.passes(2)) == 1


async def test_two_relays_that_look_at_once_push_one(home: Home) -> None:
    await home.checks_in(15)
    await home.says("offline")
    home.world.clock.advance(20 * MINUTE_S)
    other = Kept()
    twin = Silences(database=home.world.database, clock=home.world.clock, pusher=other)
    await asyncio.gather(home.silences.push_due(), twin.push_due())
    assert len(home.pusher.rows) + len(other.rows) == 1


async def test_the_task_wakes_when_a_doorbell_goes_and_sleeps_until_it_is_due(home: Home) -> None:
    assert await home.silences.push_due() == pytest.approx(60)
    await home.checks_in(15)
    waiter = home.world.database.signals.waiter("silences")
    await home.says("offline")
    assert await waiter.wait(5) is True
    assert await home.silences.push_due() == pytest.approx(900)


@dataclass
class Online:
    """A line to the relay that is there."""

    is_online: bool = True


class LeavingHere:
    """Publishes a doorbell's events straight to the relay."""

    def __init__(self, home: Home) -> None:
        self.home = home

    async def publish(self, body: CheckedIn, *, event_id: str | None = None) -> Event:  # noqa: ARG002
        await self.home.tells(body)
        return None  # type: ignore[return-value]


async def test_the_browser_reads_what_the_doorbell_left_and_the_relay_cant(
    home: Home, service: PushService, tmp_path: Path
) -> None:
    """The doorbell's own check-in, kept by the relay's tables, sent to a push service by HTTP."""
    (tmp_path / "house").mkdir()
    house = SlotHouse(tmp_path / "house")
    subscription: PushSubscription = home.household.subscription
    house.add_owner(phones=0)
    owner = house.owners.owners[0]
    house.browsers.enrol(
        home.owner.browser.keys, owner.passkey.credential_id, house.clock.wall_ms()
    )
    push = subscription.push
    fields = {name: getattr(push, name) for name in push.__struct_fields__}
    house.browsers.set_push(
        home.household.browser, type(push)(**{**fields, "silent_after_minutes": 15})
    )
    check_ins = CheckIns(
        device=home.device,
        browsers=house.browsers,
        clock=house.clock,
        events=LeavingHere(home),  # type: ignore[arg-type]
        link=Online(),
        kept=tmp_path / "check-in.json",
    )
    await check_ins.turn()
    await home.says("offline")
    rows = await home.passes(16)
    async with pushing(home.world) as pusher:
        pusher.send(rows)
        await until_empty(home.household)
    (sent,) = service.sent
    text = decode(PushText, subscription.decrypt(sent.body))
    assert text.body == SilentPush(after_minutes=15)
    assert (text.device, text.time_ms) == (home.device, house.clock.wall_ms())
    assert len(sent.body) == 16 + 4 + 1 + 65 + 1200 + 1 + 16  # as every other message
    assert unb64u(rows[0].encrypted) == sent.body


@ON_SQLITE_ONLY
async def test_to_find_what_is_due_reads_no_table_from_end_to_end(home: Home) -> None:
    """Seen to fail (SCAN silences) without the index."""
    run: list[tuple[str, Any]] = []
    engine = home.world.database._engine.sync_engine

    def note(_c: object, _cur: object, statement: str, values: Any, *_more: object) -> None:
        run.append((statement, values))

    event.listen(engine, "before_cursor_execute", note)
    async with home.world.database.begin() as tx:
        await silences.next_due_ms(tx)
        await silences.take_due(tx, now_ms=1, limit=1)
        await silences.set_offline(tx, home.device, since_ms=1)
        await silences.set_online(tx, home.device)
    event.remove(engine, "before_cursor_execute", note)
    async with home.world.database.read() as tx:
        for statement, values in run:
            if statement.startswith(("SELECT", "UPDATE", "DELETE")):
                plan = await tx.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)
                assert not [row for row in plan if str(row[-1]) == "SCAN silences"], statement
