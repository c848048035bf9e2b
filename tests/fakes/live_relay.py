"""A relay that hears doorbells, with both public logs, three witnesses, and a monitor.

All of it is the relay's own code but the broker (a queue), the bucket of packages and the web. The
town in its register has an agency with an agreement, and one published request.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from firmware.protocol.commands import CommandBody
from firmware.protocol.custody import (
    CustodyBody,
    KeyChangedLeaf,
    ReleaseLeaf,
    SlotLeaf,
    parse_custody_leaf,
)
from firmware.protocol.encoding import new_id
from firmware.protocol.events import (
    Event,
    EventBody,
    OwnerGone,
    PackageReady,
    PackageUploaded,
    PackageWithdrawn,
    Paired,
    PairingAnswered,
)
from firmware.protocol.register.entries import Delays
from firmware.protocol.requests import EvidenceRequest, SignedRequest, parse_request
from firmware.protocol.topics import subject
from relay.agency.agencies import Agencies
from relay.agency.register import RelayRegister
from relay.backup.derived_rows import restore_request_rows
from relay.base.clock import Clock
from relay.base.signals import TOPICS
from relay.custody.service import CustodyService
from relay.custody.tile_store import Retention, TileStore
from relay.evidence.delivery import Delivery
from relay.fleet.commands import Commands
from relay.ingest.events import EventIngest
from relay.notify.hub import Hub
from relay.people.pairing import Pairings
from relay.store import fleet, logs, people, requests, routing
from relay.store.database import Database
from relay.store.events import EventRow
from relay.store.fleet import DoorbellRow
from relay.store.people import Account
from relay.store.push import PushRow
from relay.tools.monitor.inspection import Inspection, inspect_logs
from relay.tools.monitor.seen_checkpoints import SeenCheckpoints
from tests.fakes.bus import RememberingBus
from tests.fakes.clock import ManualClock
from tests.fakes.log_house import MemoryBucket, make_keys, make_logs
from tests.fakes.log_town import NOW_MS, Town, make_town
from tests.fakes.objects import RememberingBucket
from tests.relay.databases import open_database

DELAYS = Delays(
    key_age_ms=0, agreement_age_ms=0, freshness_ms=3600_000, slot_ms=1_800_000, batch_ms=0
)
"""An example town in which everything counts at once, and a day has 48 slots."""
LONG_AGO_MS = 0


@dataclass(eq=False)
class QueuedMessage:
    """A message of the broker's stream; once it is settled it isn't handed out again."""

    subject: str
    data: bytes
    bus: QueueBus
    attempts: int = 1
    settled: asyncio.Event = field(default_factory=asyncio.Event)

    async def ack(self) -> None:
        self.settled.set()

    async def discard(self) -> None:
        self.settled.set()

    async def retry(self, delay_s: float) -> None:
        self.attempts += 1
        self.bus.waited_s += delay_s
        await self.bus.queue.put(self)


class QueueBus(RememberingBus):
    """A broker between doorbells and relay in memory.

    A message that is put off comes again at once, and so long goes by on the broker's own clock.
    """

    def __init__(self) -> None:
        super().__init__()
        self.queue: asyncio.Queue[QueuedMessage] = asyncio.Queue()
        self.waited_s = 0.0

    def monotonic_s(self) -> float:
        """Return the seconds that messages were put off for."""
        return self.waited_s

    async def events(self) -> Any:  # Any: stands for a Puller
        return self

    async def next(self) -> list[QueuedMessage]:
        found = [await self.queue.get()]
        while not self.queue.empty() and len(found) < 100:
            found.append(self.queue.get_nowait())
        return found


class NoPusher:
    """Sends nothing."""

    def send(self, rows: Sequence[PushRow]) -> None:
        pass


@dataclass(eq=False)
class LiveRelay:
    """One relay, and what a test does at it."""

    folder: Path
    database: Database
    commands: Commands
    clock: Clock
    town: Town
    seqs: dict[str, int] = field(default_factory=dict)
    breaking: set[str] = field(default_factory=set)
    """Doorbells whose commitments break the relay, as if by a fault that nobody knows."""

    def __post_init__(self) -> None:
        self.shelf = MemoryBucket()
        self.keys = make_keys(self.folder / "witnesses", clock=self.clock)
        self.logs = make_logs(self.keys, self.database, self.shelf, clock=self.clock)
        self.objects = RememberingBucket()
        self.register = RelayRegister(
            self.logs, self.database, self.clock, origin=self.logs.origin("register")
        )
        self.pairings = Pairings(self.database, self.clock, self.commands)
        self.open_parts()

    def open_parts(self) -> None:
        """Build the parts that keep anything in memory: again, as a second process has them."""
        self.custody = CustodyService(
            logs=self.logs,
            shelf=TileStore(self.shelf, self.clock, Retention()),
            database=self.database,
            commands=self.commands,
            clock=self.clock,
        )
        self.delivery = Delivery(
            self.database,
            self.clock,
            self.objects,
            self.commands,
            record=self.custody.record,
            agreements=Agencies(self.register, self.database, self.clock),
        )

    async def begin_logs(self) -> None:
        """Begin both logs: the town's register, its agreement's text, and a first slot."""
        async with self.database.begin() as tx:
            for sha256, text in self.town.texts.items():
                await requests.put_agreement_text(tx, sha256, text.decode())
        await self.publish_register()
        await self.custody._slots.close_due()
        await self.published()

    async def take(self, tx: Any, event: Event) -> None:
        """Take what is for the logs, as ingest's custody: by whichever process it is now."""
        if event.device in self.breaking:
            raise ValueError("year 0 is out of range")
        await self.custody.take(tx, event)

    async def on_event(self, row: EventRow) -> None:
        """Hand an event on, as relay/app/relay.py does."""
        match row.event.body:
            case PairingAnswered() as answer:
                await self.pairings.take_answer(row.device, answer)
            case Paired() as paired:
                await self.pairings.take_paired(row.device, paired)
            case OwnerGone() as gone:
                await self.pairings.take_gone(row.device, gone)
            case PackageReady() as ready:
                await self.delivery.take_ready(row.device, ready)
            case PackageUploaded() as uploaded:
                await self.delivery.take_uploaded(row.device, uploaded)
            case PackageWithdrawn() as withdrawn:
                await self.delivery.take_withdrawn(row.device, withdrawn)
            case _:
                pass

    # --- who is there ---

    async def enrol(self, *, has_owner: bool, enrolled_ms: int = LONG_AGO_MS) -> str:
        """Enrol a doorbell, by default long ago; return its id."""
        device = new_id()[:20]
        row = DoorbellRow(
            device=device,
            identity_key="",
            sealing_key="",
            certificate_pem="",
            evidence_certificate_pem="",
            certificate_ends_ms=0,
            enrolled_ms=enrolled_ms,
            revoked_ms=None,
            state="online",
            state_since_ms=0,
        )
        async with self.database.begin() as tx:
            await fleet.add(tx, row)
        if has_owner:
            await self.give_owner(device)
        return device

    async def give_owner(self, device: str, account_id: str | None = None) -> str:
        """Let an account own a doorbell, by default a new one; return the account's id."""
        async with self.database.begin() as tx:
            if account_id is None:
                account_id = new_id()
                account = Account(id=account_id, role="owner", agency=None, name="Mary")
                await people.add_account(tx, account, self.clock.wall_ms())
            await routing.link(tx, account_id, device)
        return account_id

    async def publish_register(self) -> None:
        """Put the town's newest entries into the relay's own register."""
        async with self.database.begin() as tx:
            known = await self.logs.added(tx, "register", 0)
            newest = self.town.register_log.entries[len(known) :]
            for number, entry in enumerate(newest, len(known)):
                await self.logs.add(tx, "register", entry, key=f"entry {number}")
            await restore_request_rows(tx, newest, self.clock.wall_ms())
        await self.published("register")

    async def ask(self, **changes: Any) -> EvidenceRequest:
        """Publish a request, whose time began a moment after doorbells were enrolled."""
        self.town.now_ms = self.clock.wall_ms()
        signed = self.town.publish(**changes)
        await self.publish_register()
        return parsed(signed)

    # --- what doorbells say ---

    def event(self, device: str, body: EventBody) -> Event:
        """Return a doorbell's next event."""
        self.seqs[device] = self.seqs.get(device, 0) + 1
        return Event(
            id=new_id(),
            device=device,
            seq=self.seqs[device],
            time_ms=self.clock.wall_ms(),
            is_clock_trusted=True,
            body=body,
        )

    async def hear(self, device: str, *bodies: EventBody) -> None:
        """Let a doorbell say this, one thing after the other, and the relay deal with it."""
        await self.hear_bytes(device, *(self.event(device, body).encode() for body in bodies))

    async def hear_bytes(self, device: str, *data: bytes) -> None:
        """Let a doorbell publish any bytes as events."""
        await self.hear_all([(device, one) for one in data])

    async def hear_all(self, said: Sequence[tuple[str, bytes]]) -> None:
        """Let several doorbells publish at once."""
        bus = self.bus
        messages = [
            QueuedMessage(subject=subject(device, "event"), data=one, bus=bus)
            for device, one in said
        ]
        for message in messages:
            await bus.queue.put(message)
        async with asyncio.timeout(300):  # only a failure takes so long
            for message in messages:
                await message.settled.wait()

    @property
    def bus(self) -> QueueBus:
        bus = self.commands._bus
        assert isinstance(bus, QueueBus)
        return bus

    def commands_to(self, device: str, kind: type) -> list[CommandBody]:
        """Return what a doorbell was sent of a kind."""
        return [
            one.body
            for one in self.bus.commands.values()
            if one.device == device and isinstance(one.body, kind)
        ]

    async def pass_time(self, *, hours: float) -> None:
        """Let time pass, and each slot that is over get its entry."""
        clock = self.clock
        assert isinstance(clock, ManualClock)
        clock.advance(hours * 3600)
        self.database.signals.hear(*TOPICS)
        await self.custody._slots.close_due()
        await self.published("register")
        await self.published()

    # --- what everybody can see ---

    async def published(self, log: Any = "custody") -> None:
        """Wait until all that was added to a log is published."""
        self.database.signals.hear(log)
        async with asyncio.timeout(300):
            while True:
                async with self.database.read() as tx:
                    head = await logs.get_head(tx, log)
                    left = await logs.waiting(tx, log, now_ms=self.clock.wall_ms(), limit=1)
                if not left and head.size == head.published_size:
                    return
                await asyncio.sleep(0.01)

    async def custody_bodies(self) -> list[CustodyBody]:
        """Return the published entries of the custody log."""
        await self.published()
        async with self.database.read() as tx:
            entries = await logs.entries(tx, "custody", 0, 1_000_000)
        return [parse_custody_leaf(entry).body for entry in entries]

    async def deeds(self) -> list[CustodyBody]:
        """Return the entries of what the relay did, without slots and doorbells' claims."""
        claims = (SlotLeaf, ReleaseLeaf, KeyChangedLeaf)
        return [one for one in await self.custody_bodies() if not isinstance(one, claims)]

    async def inspect(self) -> Inspection:
        """Return what `doorward-monitor` finds now."""
        await self.published()
        return inspect_logs(
            self, self.keys.policy, SeenCheckpoints(None), wall_ms=self.clock.wall_ms
        )

    def fetch(self, path: str, *, max_bytes: int) -> bytes | None:  # noqa: ARG002 (a Source)
        """Return a file of the logs, as everybody gets it."""
        return self.shelf.files.get(path)

    def fetch_page(self, path: str, *, max_bytes: int) -> bytes | None:  # noqa: ARG002 (a Site)
        """Return a page of the relay, which serves agreements' texts alone."""
        return self.town.page(path)


def parsed(signed: SignedRequest) -> EvidenceRequest:
    """Return a request's content."""
    return parse_request(signed)


@cache
def _town() -> Town:
    """Return the town that each relay's own is a copy of: its keys take a while to make."""
    return make_town(kind="example", delays=DELAYS)


@asynccontextmanager
async def live_relay(folder: Path) -> AsyncIterator[LiveRelay]:
    """Run a relay whose clock goes only when a test says so."""
    folder.mkdir(exist_ok=True)
    clock = ManualClock(wall_ms=NOW_MS)
    database = await open_database(folder / "relay.sqlite3")
    commands = Commands(bus=QueueBus(), database=database, clock=clock)
    town = _town().copy()
    relay = LiveRelay(folder, database, commands, clock, town)

    ingest = EventIngest(
        bus=relay.bus,
        database=database,
        clock=clock,
        notices=Hub(),
        pusher=NoPusher(),
        hooks=[relay.on_event],
        custody=relay,
        monotonic_s=relay.bus.monotonic_s,
    )
    tasks = [asyncio.create_task(part()) for part in (relay.custody.run, commands.run, ingest.run)]
    try:
        await relay.begin_logs()
        await relay.pass_time(hours=0.5)
        yield relay
    finally:
        for task in tasks:
            task.cancel()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        await database.close()
    broken = [one for one in outcomes if not isinstance(one, asyncio.CancelledError)]
    assert broken == []
