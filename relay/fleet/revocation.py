"""Revocation of doorbells: refused from now on, and disconnected from the broker.

First the database, then a word to every relay: each takes the doorbell into its set in memory and
throws it off, before all whom it has still to throw off. So the callout never waits for the
database, and a doorbell that slipped in between is thrown off too. A relay that lost the broker, or
wasn't running, may have missed the word while the doorbell stayed connected: when it is back it
reads the set anew, and throws off whom it didn't know of. What can't be read or thrown off now is
tried again. A word that comes while the set is read isn't lost. The set is read each hour, too, and
each minute beside other brokers: a command that was killed has announced nothing, and between two
brokers words may be lost that nobody misses. A doorbell leaves the set only by such a reading: one
that another shard gave back, of which `relay.fleet.shards` tells every relay.

A broker that hangs or is cut off closes nobody's connection. Until each broker that relay.toml
names has answered since a doorbell was revoked, it counts as one that may be connected there, and
is thrown off whenever one answers that hadn't.

Each broker is asked for each doorbell; for more than FEW, as at a relay's start, once for all its
connections. Those who are revoked meanwhile are asked for beside that.
"""

import asyncio
import contextlib
import logging

from relay.base.clock import Clock
from relay.bus import Bus
from relay.errors import BusUnavailable, DatabaseLost, UnknownDoorbell, said
from relay.store import fleet
from relay.store.database import AWAY, Database

AT_ONCE = 16
FEW = 48
FIRST_AGAIN_S = 0.5
AGAIN_S = 5.0
BROKER_S = 10.0
LOOK_S = 5.0
LONGEST_LOOK_S = 60.0
"""Between two looks whether brokers answer that didn't, while none does."""
RELOAD_EVERY_S = 3600.0
RELOAD_BESIDE_OTHERS_S = 60.0
TAKEN_BACK = "taken_back"
"""What relays are told when doorbells that were revoked here are this shard's again, or may be
revoked: nobody knows whether it was committed."""

log = logging.getLogger(__name__)


class Revocations:
    """The revoked doorbells, as this relay knows them."""

    def __init__(
        self,
        *,
        bus: Bus,
        database: Database,
        clock: Clock,
        reload_every_s: float | None = None,
    ) -> None:
        self._bus = bus
        default_s = RELOAD_BESIDE_OTHERS_S if bus.broker_count > 1 else RELOAD_EVERY_S
        self._reload_every_s = reload_every_s or default_s
        self._database = database
        self._clock = clock
        self._devices: frozenset[str] = frozenset()
        self._announced: frozenset[str] = frozenset()
        """Since the set was last begun to be read."""
        self._connected: set[str] = set()
        """Who may be connected still."""
        self._urgent: set[str] = set()
        """Those of them whom nobody has tried to throw off since they were announced."""
        self._unreached: dict[str, frozenset[str]] = {}
        """Who may be connected still to a broker that hasn't answered; those that have."""
        self._listed: set[str] = set()
        """Whom the list of connections that is under way is for."""
        self._look_s = LOOK_S
        self._wake = asyncio.Event()
        self._is_unsure = asyncio.Event()

    def is_revoked(self, device: str) -> bool:
        """Return whether a doorbell is to be refused."""
        return device in self._devices

    async def start(self) -> None:
        """Listen for revocations, and load those before, until the callout may answer anything."""
        self._bus.on_reconnected(self._be_unsure)
        await self._bus.on_revocation(self._take)
        await self._bus.on_relays(TAKEN_BACK, self._on_taken_back)
        await self.reload()

    async def reload(self) -> None:
        """Read the set from the database, however long it takes; who is new in it is thrown off."""
        self._is_unsure.clear()
        wait_s = FIRST_AGAIN_S
        while True:
            self._announced = frozenset()
            try:
                async with self._database.read() as tx:
                    devices = await fleet.revoked_devices(tx)
            except AWAY as error:
                log.warning("who is revoked can't be read, tried again: %s", said(error))
                await asyncio.sleep(wait_s)
                wait_s = min(2 * wait_s, AGAIN_S)
            else:
                break
        new = devices - self._devices
        self._connected |= new
        self._listed -= new
        self._devices = devices | self._announced
        self._unreached = {
            device: had for device, had in self._unreached.items() if device in self._devices
        }
        self._wake.set()

    async def run(self) -> None:
        """Disconnect revoked doorbells until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._reload_if_unsure(), name="who is revoked")
            group.create_task(self._throw_off_all(), name="throwing off")

    async def _reload_if_unsure(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._reload_every_s):
                    await self._is_unsure.wait()
            await self.reload()

    async def _throw_off_all(self) -> None:
        while True:
            self._wake.clear()
            before = len(self._unreached)
            if len(self._connected) > FEW:
                await self._throw_off_listed()
            else:
                await self._throw_off_each()
            if len(self._unreached) > before:
                self._look_s = LOOK_S
                log.warning(
                    "not every broker answers: %d revoked doorbells may be connected to one",
                    len(self._unreached),
                )
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._next_try_s()):
                    await self._wake.wait()
            await self._look_for_brokers()

    async def _throw_off_each(self) -> None:
        """Have the brokers asked for each one, the urgent first, as long as those are few."""
        left = sorted(self._connected - self._urgent)
        while (self._urgent or left) and len(self._urgent) <= FEW:
            some = self._pop_urgent()
            some += [left.pop() for _ in range(min(AT_ONCE - len(some), len(left)))]
            await asyncio.gather(*map(self._throw_off, some))

    async def _throw_off_listed(self) -> None:
        """Have each broker asked for all its connections, and for the urgent one by one."""
        self._listed = set(self._connected)
        async with asyncio.TaskGroup() as group:
            listing = group.create_task(self._throw_off_many(), name="listing connections")
            listing.add_done_callback(lambda _: self._wake.set())
            while not listing.done():
                self._wake.clear()
                while self._urgent and not listing.done():
                    await asyncio.gather(*map(self._throw_off, self._pop_urgent()))
                await self._wake.wait()
        if self._connected <= self._listed:
            self._wake.clear()  # nobody came meanwhile
        self._listed = set()

    async def _throw_off_many(self) -> None:
        try:
            kicked = await self._bus.kick_all(frozenset(self._listed))
        except BusUnavailable as error:
            log.error("revoked doorbells may still be connected (%d): %s", len(self._listed), error)
            return
        self._urgent -= self._listed
        for device in self._listed:
            self._settle(device, kicked.brokers)
        if kicked.connections:
            log.info("revoked doorbells, connections closed: %d", kicked.connections)

    def _pop_urgent(self) -> list[str]:
        return [self._urgent.pop() for _ in range(min(AT_ONCE, len(self._urgent)))]

    def _next_try_s(self) -> float | None:
        if self._connected:
            return AGAIN_S
        return self._look_s if self._unreached else None

    async def _look_for_brokers(self) -> None:
        """Have those thrown off anew who may be connected to a broker that answers again."""
        if not self._unreached or self._urgent:
            return
        self._look_s = min(2 * self._look_s, LONGEST_LOOK_S)
        await self._bus.ask_elsewhere()
        device = min(self._unreached)
        here = await self._throw_off(device)
        back = {one for one, had in self._unreached.items() if here - had}
        if back:
            self._connected |= back
            self._look_s = LOOK_S

    async def revoke(self, device: str) -> None:
        """Revoke a doorbell for good, or raise UnknownDoorbell."""
        await revoke(device, bus=self._bus, database=self._database, clock=self._clock)

    def may_have_missed(self) -> None:
        """Read the set anew: another relay wasn't heard for a while."""
        self._is_unsure.set()

    async def _be_unsure(self) -> None:
        self._is_unsure.set()  # what was announced while the broker was away is lost

    async def _on_taken_back(self, _subject: str, _data: bytes) -> None:
        self._is_unsure.set()

    async def _take(self, device: str) -> None:
        self._devices |= {device}
        self._announced |= {device}
        self._listed.discard(device)  # it may have connected after its broker was asked
        self._connected.add(device)
        self._urgent.add(device)
        self._wake.set()

    async def _throw_off(self, device: str) -> frozenset[str]:
        """Close a doorbell's connections; return the brokers that answered."""
        try:
            kicked = await self._bus.kick(device)
        except BusUnavailable as error:
            log.error("revoked doorbell %s may still be connected: %s", device, error)
            return frozenset()
        self._settle(device, kicked.brokers)
        if kicked.connections:
            log.info("revoked doorbell %s, connections closed: %d", device, kicked.connections)
        return kicked.brokers

    def _settle(self, device: str, brokers: frozenset[str]) -> None:
        """Note that these brokers have thrown a doorbell off."""
        self._connected.discard(device)
        had = self._unreached.pop(device, frozenset()) | brokers
        if device in self._devices and len(had) < self._bus.broker_count:
            self._unreached[device] = had


async def revoke(device: str, *, bus: Bus, database: Database, clock: Clock) -> None:
    """Revoke a doorbell and publish it over a connected bus; UnknownDoorbell, BusUnavailable."""
    try:
        await _record(device, database=database, clock=clock)
    except DatabaseLost:  # it may be committed nevertheless
        with contextlib.suppress(BusUnavailable):
            await announce_taken_back(bus)
        raise
    await bus.announce_revocation(device)


async def revoke_beside(
    device: str, *, bus: Bus, database: Database, clock: Clock, timeout_s: float = BROKER_S
) -> None:
    """Revoke from another process than the relay's; the broker may be away (BusUnavailable)."""
    try:
        await _record(device, database=database, clock=clock)
    except DatabaseLost:  # it may be committed nevertheless
        with contextlib.suppress(BusUnavailable, TimeoutError):
            async with asyncio.timeout(timeout_s):
                await bus.connect()
                await announce_taken_back(bus)
        raise
    try:
        async with asyncio.timeout(timeout_s):
            await bus.connect()
    except TimeoutError as error:
        raise BusUnavailable(
            f"{device} is revoked in the database, but the broker doesn't answer, so a relay that "
            "runs doesn't know: start the broker and say this again"
        ) from error
    await bus.announce_revocation(device)


async def announce_taken_back(bus: Bus) -> None:
    """Have every relay read anew who is revoked: doorbells came back from another shard."""
    await bus.publish_to_relays(TAKEN_BACK, b"")


async def _record(device: str, *, database: Database, clock: Clock) -> None:
    async with database.begin() as tx:
        doorbell = await fleet.get(tx, device)
        if doorbell is None:
            raise UnknownDoorbell(f"no doorbell {device} is enrolled here")
        if doorbell.shard is not None:
            raise UnknownDoorbell(
                f"doorbell {device} was moved to shard {doorbell.shard}: revoke it there"
            )
        await fleet.revoke(tx, device, revoked_ms=clock.wall_ms())
