"""What the probes and the metrics say of a process: which of the parts that it needs answer."""

import asyncio
import logging
import math
import time
from collections.abc import Awaitable, Callable

from relay.app.drain import Drain
from relay.app.probes import Health, Readiness
from relay.bus import Bus
from relay.errors import ObjectStoreError, StoreError
from relay.fleet.members import Members
from relay.store.database import Database
from relay.store.objects import ObjectStore

log = logging.getLogger(__name__)

ANSWERS_S = 3.0
"""A part that doesn't answer within it is away; Prometheus gives up after ten seconds."""
LOOK_S = 0.5
"""A balancer waits for a second."""


class HealthChecks:
    """Asks the parts of one relay process whether they answer."""

    def __init__(
        self,
        *,
        bus: Bus,
        objects: ObjectStore,
        database: Database,
        members: Members,
        drain: Drain,
    ) -> None:
        self._bus = bus
        self._objects = objects
        self._database = database
        self._members = members
        self._drain = drain
        self._asking: asyncio.Task[bool] | None = None
        self._answered_s = -math.inf

    async def check_ready(self) -> Readiness:
        """Return whether this process may be sent requests."""
        return Readiness(
            is_broker_up=self._bus.is_connected,
            is_database_up=await self._serves_database(),
            is_serving=self._members.is_settled and not self._drain.has_begun,
        )

    async def check_health(self) -> Health:
        """Return which parts answer now."""
        is_bucket_up, is_database_up = await asyncio.gather(
            _answers(self._check_bucket), self._has_database(ANSWERS_S)
        )
        return Health(
            is_broker_up=self._bus.is_connected,
            is_bucket_up=is_bucket_up,
            is_database_up=is_database_up,
        )

    async def _serves_database(self) -> bool:
        """Return whether the database answers, or did so lately enough that a request waits for it.

        During a failover they wait (`Database.failover_s`), and would wait at every other process.
        """
        patience_s = self._database.failover_s
        if await self._has_database(LOOK_S if patience_s else ANSWERS_S):
            return True
        return time.monotonic() - self._answered_s < patience_s

    async def _has_database(self, within_s: float) -> bool:
        """Ask the database, once for all who ask at a time: a line that is dead may take long."""
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._ask_database(), name="health")
        asking = self._asking
        await asyncio.wait({asking}, timeout=within_s)
        if not asking.done():
            log.warning("health: the database doesn't answer within %s s", within_s)
            return False
        return asking.result()

    async def _ask_database(self) -> bool:
        is_up = await _answers(self._database.check)
        if is_up:
            self._answered_s = time.monotonic()
        return is_up

    async def _check_bucket(self) -> None:
        async with asyncio.timeout(ANSWERS_S):
            await self._objects.check()


async def _answers(check: Callable[[], Awaitable[None]]) -> bool:
    try:
        await check()
    except (ObjectStoreError, StoreError, TimeoutError) as error:
        log.warning("health: %s", str(error) or "no answer in time")
        return False
    return True
