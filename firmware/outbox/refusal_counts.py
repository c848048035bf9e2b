"""Quarterly count of refused statements, by the check that failed (R11).

Every doorbell tells it, refused or not, on the quarter's first day at a moment of its own: so that
it has to do with no statement. The relay sums up and publishes what at least five doorbells told.
After a restart within `TELL_FOR_MS` it is told again, since what was told isn't remembered; the
relay counts a doorbell's quarter once.
"""

import asyncio
import random
from datetime import UTC, datetime

from firmware.outbox.publisher import FactPublisher
from firmware.protocol.custody import quarter_of
from firmware.protocol.events import RefusalsCounted
from firmware.protocol.refused_checks import MAX_COUNTED
from firmware.store.household import HouseholdStore
from firmware.system.clock import Clock

DAY_MS = 24 * 3600 * 1000
TELL_FOR_MS = 13 * DAY_MS
"""The relay sums up two weeks after the quarter's end."""


class RefusalCounts:
    """The counts of one doorbell. Call `publish_due` now and then, while the time is known."""

    def __init__(
        self,
        *,
        household: HouseholdStore,
        clock: Clock,
        events: FactPublisher,
        chance: random.Random,
    ) -> None:
        self._household = household
        self._clock = clock
        self._events = events
        self._after_ms = round(chance.random() * DAY_MS)
        self._told: str | None = None

    async def publish_due(self) -> None:
        """Tell of the quarter before this one, if that is due; forget what was before it."""
        now_ms = self._clock.wall_ms()
        begin_ms = quarter_begin_ms(now_ms)
        quarter = quarter_of(begin_ms - 1)
        is_due = self._after_ms <= now_ms - begin_ms < TELL_FOR_MS
        if not is_due or self._told == quarter:
            return
        counted = await asyncio.to_thread(self._household.refusals, quarter)
        counts = {check: min(count, MAX_COUNTED) for check, count in counted.items()}
        await self._events.publish(RefusalsCounted(quarter=quarter, counts=counts))
        self._told = quarter
        await asyncio.to_thread(self._household.forget_refusals_before, quarter)


def quarter_begin_ms(wall_ms: int) -> int:
    """Return when the quarter (UTC) of a wall time began."""
    when = datetime.fromtimestamp(wall_ms / 1000, UTC)
    month = (when.month - 1) // 3 * 3 + 1
    return round(datetime(when.year, month, 1, tzinfo=UTC).timestamp() * 1000)
