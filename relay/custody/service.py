"""The custody service: accepts commitments for the logs, and runs both sequencers.

ingest ─► take (in its transaction) ─► releases, slots, refusals ─► the custody log
a larger tree is published ─► the doorbells that wait are told; all are told of the register's
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from firmware.protocol.commands import RegisterGrew
from firmware.protocol.events import (
    Event,
    KeyChangeCommitted,
    RefusalsCounted,
    ReleaseCommitted,
    SlotCommitted,
)
from firmware.protocol.tlog.signed_note import NoteSigner
from relay.base.clock import Clock
from relay.base.signals import LOOK_S
from relay.config.settings import LogConfig
from relay.custody.agreement_texts import AgreementTexts
from relay.custody.entries import Record
from relay.custody.errors import KeyTaken, contradiction_in
from relay.custody.file_server import LogFileServer
from relay.custody.key_changes import KeyChanges
from relay.custody.keys import read_key_file, read_policy_file
from relay.custody.log_entries import LogName
from relay.custody.logs import Logs, refreshing
from relay.custody.refusals import Refusals
from relay.custody.releases import Releases
from relay.custody.sequencer import Sequencer
from relay.custody.slots import Slots
from relay.custody.tile_store import Bucket, Retention, TileStore
from relay.custody.witnesses import Witnesses
from relay.errors import DatabaseLost
from relay.fleet.commands import Commands
from relay.fleet.members import Members
from relay.store import fleet
from relay.store.cache_file import CacheFile
from relay.store.database import Database, Transaction

GREW_LIFE_MS = 10 * 60 * 1000
"""A doorbell looks by itself every ten minutes."""
TEXTS_AGAIN_S = 10.0
"""After the bucket didn't take an agreement's text."""
REFUSALS_EACH_S = 3600.0
DATABASE_AWAY_S = 1.0

log = logging.getLogger(__name__)


class CustodyService:
    """Both logs, with releases, slots, refusals and key changes."""

    def __init__(
        self,
        *,
        logs: Logs,
        shelf: TileStore,
        database: Database,
        commands: Commands,
        clock: Clock,
        public_url: str = "",
        members: Members | None = None,
    ) -> None:
        """`public_url` is where the logs are read, if not from this relay."""
        self.logs = logs
        self.record = Record(logs)
        self.files = LogFileServer(shelf, public_url=public_url)
        self._shelf = shelf
        self._database = database
        self._commands = commands
        self._clock = clock
        self._releases = Releases(logs=logs, database=database, commands=commands, clock=clock)
        self._slots = Slots(logs=logs, database=database, commands=commands, clock=clock)
        self._refusals = Refusals(logs=logs, database=database, clock=clock)
        self._key_changes = KeyChanges(logs=logs, clock=clock)
        self._texts = AgreementTexts(shelf=shelf, database=database)
        self._waiter = database.signals.waiter("texts", "releases")
        self._members = members
        if members is not None:
            members.on_change(self._waiter.wake)
        self._register_size = self._told_size = 0
        self._is_prepared = False
        logs.on_published("register", self._on_register)
        logs.on_published("custody", self._on_custody)

    async def take(self, tx: Transaction, event: Event) -> None:
        """Add a doorbell's commitment to the log, in the transaction that commits the event."""
        match event.body:
            case ReleaseCommitted() as told:
                await self._releases.take(tx, event.device, told)
            case SlotCommitted() as told:
                await self._slots.take(tx, event.device, told)
            case KeyChangeCommitted() as told:
                await self._key_changes.take(tx, event.device, told)
            case RefusalsCounted() as told:
                await self._refusals.take(tx, event.device, told)
            case _:
                pass

    async def compare(self) -> None:
        """Raise LogContradicts if the bucket shows that the logs mustn't go on."""
        await self._shelf.prepare()
        self._is_prepared = True
        await self.logs.compare()

    async def run(self) -> None:
        """Run both logs until cancelled; raises LogContradicts if they mustn't go on."""
        if not self._is_prepared:
            await self._shelf.prepare()
        self._is_prepared = False
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self.logs.run(), name="logs")
                group.create_task(_patiently("slots", self._slots.run), name="slots")
                telling = _patiently("telling doorbells of logs", self._tell)
                group.create_task(telling, name="telling of logs")
                group.create_task(_patiently("refusals", self._sum_up), name="refusals")
        except BaseExceptionGroup as group:
            raise contradiction_in(group) or group from group

    async def follow(self) -> None:
        """Hear of what other processes publish, without keeping a log here, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.logs.follow(), name="following logs")
            group.create_task(self._send_refusals(), name="refusals of releases")

    async def _on_register(self, size: int) -> None:
        self._register_size = size
        self._waiter.wake()

    async def _on_custody(self, _size: int) -> None:
        self._waiter.wake()

    async def _send_refusals(self) -> None:
        while True:
            self._releases.send_refusals()
            await self._waiter.wait()

    async def _tell(self) -> None:
        while True:
            self._releases.send_refusals()
            if self._members is not None and not self._members.leads("log"):
                await self._waiter.wait()  # another process tells, or does so once this one is gone
                continue
            if (size := self._register_size) > self._told_size:  # first: slots may take their time
                await self._tell_all(size)
                self._told_size = size
            await self._releases.tell()
            await self._slots.tell()
            has_published = await self._texts.publish()
            await self._waiter.wait(LOOK_S if has_published else TEXTS_AGAIN_S)

    async def _tell_all(self, size: int) -> None:
        """Send every doorbell the register's new size; only the newest is repeated."""
        async with self._database.read() as tx:
            devices = await fleet.active_devices(tx)
        expires_ms = self._clock.wall_ms() + GREW_LIFE_MS
        await self._commands.send_to_each(
            dict.fromkeys(devices, RegisterGrew(size=size)), expires_ms
        )

    async def _sum_up(self) -> None:
        while True:
            try:
                await self._refusals.log_due()
            except KeyTaken as error:  # no reason to end both logs
                log.error("doorbells' refusals aren't summed up: %s", error)
            await asyncio.sleep(REFUSALS_EACH_S)


async def _patiently(name: str, part: Callable[[], Awaitable[None]]) -> None:
    """Run a part until cancelled, again once the database is back: the others beside it go on."""
    while True:
        try:
            await part()
        except DatabaseLost as error:
            log.warning("%s: waits for the database: %s", name, error)
            await asyncio.sleep(DATABASE_AWAY_S)


def open_custody(
    config: LogConfig,
    *,
    bucket: Bucket,
    database: Database,
    commands: Commands,
    clock: Clock,
    members: Members | None = None,
    saved_stamps: CacheFile | None = None,
) -> CustodyService:
    """Build the custody service from the settings, or raise LogError."""
    policy = read_policy_file(config)
    shelf = TileStore(bucket, clock, Retention(mode=config.retention, days=config.retention_days))
    witnesses = Witnesses(policy)
    signers: dict[LogName, NoteSigner] = {
        "register": read_key_file(config.register_key_path, f"{config.name}/register", policy),
        "custody": read_key_file(config.custody_key_path, f"{config.name}/custody", policy),
    }
    writers = {
        name: Sequencer(
            name,
            signer=signer,
            database=database,
            shelf=shelf,
            witnesses=witnesses,
            clock=clock,
            refresh_ms=refreshing(database),
        )
        for name, signer in signers.items()
    }
    logs = Logs(database=database, writers=writers, policy=policy, saved_stamps=saved_stamps)
    return CustodyService(
        logs=logs,
        shelf=shelf,
        database=database,
        commands=commands,
        clock=clock,
        public_url=config.public_url,
        members=members,
    )
