"""The publisher of the theft map: on the 8th it reduces a month's reports to what is shown.

Counting, publication and erasure are one transaction, which the second of two relays finds done.
A missed day is made up for at the next start, each month by itself and in order.
"""

import logging

from relay.base.clock import Clock
from relay.base.months import shifted
from relay.base.signals import LOOK_S
from relay.heatmap.calendar import current_months, due_ms
from relay.heatmap.households import Report, count_households
from relay.heatmap.publication import LONGEST_LAYER, edition_of, shown_counts
from relay.map.address_counts import AddressCounts
from relay.store import heatmap as store
from relay.store.database import Database, Transaction

log = logging.getLogger(__name__)


class TheftMapPublisher:
    """The background task that publishes due months."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        addresses: AddressCounts | None,
        *,
        is_example: bool,
    ) -> None:
        """Without `addresses` every cell stays blank."""
        self._database = database
        self._clock = clock
        self._addresses = addresses
        self._is_example = is_example

    async def run(self) -> None:
        """Publish until cancelled; asleep until a month is due, or a clock was wound."""
        waiter = self._database.signals.waiter("theft_map")
        while True:
            wait_s = await self.publish_due()
            await waiter.wait(wait_s)

    async def publish_due(self) -> float:
        """Publish the months that are due; return for how many seconds none is."""
        while True:
            now_ms = self._clock.wall_ms()
            months = await current_months(self._database, now_ms)
            due = [one.month for one in months if due_ms(one.month) <= now_ms]
            if not due:
                return min(LOOK_S, (due_ms(months[0].month) - now_ms) / 1000)
            async with self._database.begin() as tx:
                await self._publish(tx, due[0], now_ms)

    async def _publish(self, tx: Transaction, month: str, now_ms: int) -> None:
        reports = [
            Report(cell=row.cell, account=row.account_tag, doorbells=row.doorbell_tags)
            for row in await store.reports_of(tx, month)
        ]
        counts = shown_counts(count_households(reports), self._addresses)
        before = await store.shown_counts(tx, since=shifted(month, 1 - LONGEST_LAYER))
        edition = edition_of(
            month,
            {**before, month: counts},
            published_ms=now_ms,
            is_example=self._is_example,
        )
        body = edition.encode().decode()
        if await store.close_month(tx, month, counts, body, published_ms=now_ms):
            log.info("the theft map of %s is published", month)
