"""Revocation of doorbells: refused from now on, and disconnected from the broker.

First the database, then a word to every relay: each takes the doorbell into its set in memory
and throws it off. So the callout never waits for the database, and a doorbell that slipped in
between is thrown off too. A relay that lost the broker, or wasn't running, may have missed the word
while the doorbell stayed connected: when it is back it reads the set anew, and throws off whom it
didn't know of. What can't be thrown off now is tried again.
"""

import asyncio
import contextlib
import logging

from relay.base.clock import Clock
from relay.bus import Bus
from relay.errors import BusUnavailable, UnknownDoorbell
from relay.store import fleet
from relay.store.database import Database

AT_ONCE = 16
AGAIN_S = 5.0
BROKER_S = 10.0

log = logging.getLogger(__name__)


class Revocations:
    """The revoked doorbells, as this relay knows them."""

    def __init__(self, *, bus: Bus, database: Database, clock: Clock) -> None:
        self._bus = bus
        self._database = database
        self._clock = clock
        self._devices: frozenset[str] = frozenset()
        self._connected: set[str] = set()
        """Who may be connected still."""
        self._wake = asyncio.Event()

    def is_revoked(self, device: str) -> bool:
        """Return whether a doorbell is to be refused."""
        return device in self._devices

    async def start(self) -> None:
        """Load the set, before the callout answers anything, and listen for more."""
        await self.reload()
        self._bus.on_reconnected(self.reload)
        await self._bus.on_revocation(self._take)

    async def reload(self) -> None:
        """Read the set from the database; newly revoked doorbells are queued for disconnection."""
        async with self._database.read() as tx:
            devices = await fleet.revoked_devices(tx)
        self._connected |= devices - self._devices
        self._devices = devices
        self._wake.set()

    async def run(self) -> None:
        """Disconnect revoked doorbells until cancelled."""
        while True:
            self._wake.clear()
            left = sorted(self._connected)
            for first in range(0, len(left), AT_ONCE):
                await asyncio.gather(*map(self._throw_off, left[first : first + AT_ONCE]))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(AGAIN_S if self._connected else None):
                    await self._wake.wait()

    async def revoke(self, device: str) -> None:
        """Revoke a doorbell for good, or raise UnknownDoorbell."""
        await revoke(device, bus=self._bus, database=self._database, clock=self._clock)

    async def _take(self, device: str) -> None:
        self._devices |= {device}
        self._connected.add(device)
        self._wake.set()

    async def _throw_off(self, device: str) -> None:
        try:
            kicked = await self._bus.kick(device)
        except BusUnavailable as error:
            log.error("revoked doorbell %s may still be connected: %s", device, error)
            return
        self._connected.discard(device)
        if kicked:
            log.info("revoked doorbell %s, connections closed: %d", device, kicked)


async def revoke(device: str, *, bus: Bus, database: Database, clock: Clock) -> None:
    """Revoke a doorbell and publish it over a connected bus."""
    await _record(device, database=database, clock=clock)
    await bus.announce_revocation(device)


async def revoke_beside(
    device: str, *, bus: Bus, database: Database, clock: Clock, timeout_s: float = BROKER_S
) -> None:
    """Revoke from another process than the relay's; the broker may be away (BusUnavailable)."""
    await _record(device, database=database, clock=clock)
    try:
        async with asyncio.timeout(timeout_s):
            await bus.connect()
    except TimeoutError as error:
        raise BusUnavailable(
            f"{device} is revoked in the database, but the broker doesn't answer, so a relay that "
            "runs doesn't know: start the broker and say this again"
        ) from error
    await bus.announce_revocation(device)


async def _record(device: str, *, database: Database, clock: Clock) -> None:
    async with database.begin() as tx:
        if await fleet.get(tx, device) is None:
            raise UnknownDoorbell(f"no doorbell {device} is enrolled here")
        await fleet.revoke(tx, device, revoked_ms=clock.wall_ms())
