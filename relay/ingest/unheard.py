"""Watch over doorbells that count as online and aren't: the broker never published their will.

A will is published by the broker that holds the connection, once. If that broker is killed, or the
stream of states has no leader at that moment, the will is lost. A healthy doorbell reports its
health each minute, so here each process looks, once a minute, for those of its own partitions that
have reported nothing for OFFLINE_AFTER_S, and stores that they are offline as a will would, unless
a broker holds a connection of theirs.

Nobody is offline because the broker, the database or this process was away: a look counts only
after all looks of the last OFFLINE_AFTER_S found them there. Doorbells that never reported their
health are left alone. Two processes that both look for the same partition are told apart by its
row (relay/ingest/fence.py), and what came meanwhile is read in the same transaction.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from relay.base.clock import Clock
from relay.bus import partition_of
from relay.errors import BusUnavailable, PartitionLost, said
from relay.ingest.fence import Fence, Owned
from relay.store import silences, statuses
from relay.store.database import AWAY, Database

log = logging.getLogger(__name__)

EACH_S = 60.0
OFFLINE_AFTER_S = 300.0
"""Five reports of its health that didn't come."""
OVERLAP_MS = 180_000
"""A doorbell may have told something else after its last report, and stamps may be late."""
ALL_EACH_S = 3600.0
"""All who are silent are looked at so often, otherwise only those who fell silent since."""
AT_ONCE = 16
MOST_APART_MS = 30_000
"""Wall clock and monotonic clock between two looks; by more one of them was set."""


class Brokers(Protocol):
    """The broker, as this watch needs it."""

    @property
    def is_hearing(self) -> bool:
        """Whether a broker answers right now."""
        ...

    def on_reconnected(self, handler: Callable[[], Awaitable[None]]) -> None:
        """Call `handler` each time a lost connection is back."""
        ...

    async def check_statuses(self) -> None:
        """Raise BusUnavailable unless the stream of states has a leader."""
        ...

    async def has_doorbell(self, device: str) -> bool:
        """Return whether a broker holds a connection of this doorbell, or raise BusUnavailable."""
        ...


class Notices(Protocol):
    """The hub's notice that this watch sends."""

    def state_changed(self, device: str, state: str) -> None:
        """Notify that a doorbell went online or offline."""
        ...


class UnheardDoorbells:
    """The task that stores which doorbells are offline though no will came."""

    def __init__(
        self,
        *,
        bus: Brokers,
        database: Database,
        clock: Clock,
        notices: Notices,
        partitions: Owned,
        offline_after_s: float = OFFLINE_AFTER_S,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._bus = bus
        self._database = database
        self._fence = Fence(database, partitions)
        self._partitions = partitions
        self._clock = clock
        self._notices = notices
        self._offline_after_s = offline_after_s
        self._each_s = min(EACH_S, offline_after_s / 2)
        self._monotonic_s = monotonic_s
        self._hearing_since_s: float | None = None
        self._last_s, self._last_ms = 0.0, 0
        self._before_ms = 0
        """Whose last report was before this, and OVERLAP_MS, was looked at; 0: nobody."""
        self._all_looked_at_s = 0.0
        self._looked_for: frozenset[int] = frozenset()
        bus.on_reconnected(self._begin_anew)

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(self._each_s)

    async def _begin_anew(self) -> None:
        self._hearing_since_s = None

    async def look(self) -> None:
        """Look once; what can't be done now is done by a later look."""
        try:
            await self._look()
        except PartitionLost:
            self._before_ms = 0
        except (BusUnavailable, *AWAY) as error:
            log.warning("doorbells that may be offline aren't looked for: %s", said(error))
            self._hearing_since_s = None

    async def _look(self) -> None:
        now_s, now_ms = self._monotonic_s(), self._clock.wall_ms()
        if self._was_away(now_s, now_ms):
            self._hearing_since_s = None
        self._last_s, self._last_ms = now_s, now_ms
        if not self._bus.is_hearing:
            raise BusUnavailable("the broker is away")
        await self._bus.check_statuses()
        if self._hearing_since_s is None:
            self._hearing_since_s, self._before_ms = now_s, 0
        owned = self._partitions.owned
        async with self._database.read() as tx:  # also a look that can't count yet: is it there?
            if now_s - self._hearing_since_s < self._offline_after_s:
                await statuses.unheard(tx, since_ms=0, before_ms=0)
                return
            if owned != self._looked_for or now_s - self._all_looked_at_s >= ALL_EACH_S:
                self._before_ms = 0
            before_ms = now_ms - round(self._offline_after_s * 1000)
            since_ms = max(0, self._before_ms - OVERLAP_MS)
            found = await statuses.unheard(tx, since_ms=since_ms, before_ms=before_ms)
        ours = [device for device in found if partition_of(device) in owned]
        for first in range(0, len(ours), AT_ONCE):
            await self._set_offline(ours[first : first + AT_ONCE], before_ms)
        if self._before_ms == 0:
            self._all_looked_at_s = now_s
        self._before_ms, self._looked_for = before_ms, owned

    def _was_away(self, now_s: float, now_ms: int) -> bool:
        """Return whether this process was suspended since its last look, or a clock was set."""
        passed_s = now_s - self._last_s
        apart_ms = abs(now_ms - self._last_ms - passed_s * 1000)
        return passed_s > 2 * self._each_s + 1 or apart_ms > MOST_APART_MS

    async def _set_offline(self, devices: Sequence[str], before_ms: int) -> None:
        are_there = await asyncio.gather(*map(self._bus.has_doorbell, devices))
        gone = [device for device, is_there in zip(devices, are_there, strict=True) if not is_there]
        if self._hearing_since_s is None:
            raise BusUnavailable("the broker was away")  # who connects again isn't there yet
        if not gone:
            return
        now_ms = self._clock.wall_ms()
        async with self._fence.begin(gone) as tx:
            gone = await statuses.unheard(tx, since_ms=0, before_ms=before_ms, among=gone)
            await statuses.set_states(tx, dict.fromkeys(gone, "offline"), since_ms=now_ms)
            await silences.set_offline(tx, gone, since_ms=now_ms)
        for device in gone:
            log.warning("doorbell %s is offline, and its will was lost", device)
            self._notices.state_changed(device, "offline")
