"""The months of events on PostgreSQL: made ahead of time, and dropped once nobody keeps them.

Each is made before it begins, and without a gap since the oldest one that is there: what is of no
month is older than all of them, or in a future that the relay's clock hasn't come to.
"""

import logging
from collections.abc import Awaitable, Callable, Sequence

from relay.base.months import month_of, months_through, shifted
from relay.store import event_months, events
from relay.store.database import AWAY, Database, Transaction, reason_of
from relay.store.event_months import EventMonth, named, seq_of
from relay.store.schema import SEQ_BITS

log = logging.getLogger(__name__)

MONTHS_AHEAD = 2
DAY_MS = 24 * 3600 * 1000


class EventMonths:
    """Keeps the months that are needed, for events that are kept for `most_days` at most."""

    def __init__(self, database: Database, *, most_days: int) -> None:
        self._database = database
        self._most_days = most_days

    async def keep(self, now_ms: int) -> int | None:
        """Make the months that are missing and drop those that are over.

        Return since when on events go with their month, by the wall time; None: none do, or one
        that is over couldn't be dropped, so that what is in it goes row by row.
        """
        over_ms = now_ms - self._most_days * DAY_MS
        found = await self._list()
        if found is None:
            return None
        for month in _missing(found, over_ms=over_ms, now_ms=now_ms):
            await self._change("made", month, self._add)
        for month in _over(found, over_ms):
            await self._change("dropped", month, self._drop)
        found = await self._list() or []
        return None if _over(found, over_ms) else _since_ms(found, now_ms)

    async def _change(
        self, what: str, month: EventMonth, change: Callable[[EventMonth], Awaitable[None]]
    ) -> None:
        """Change one month: one that can't be changed keeps no other."""
        try:
            await change(month)
        except AWAY as error:  # tried again in an hour; meanwhile the default one takes all
            log.warning("%s can't be %s now: %s", month.name, what, reason_of(error))

    async def _add(self, month: EventMonth) -> None:
        async with self._database.begin() as tx:
            if month not in await _found(tx):  # by another process
                await event_months.add(tx, month, lasting=events.LASTING)

    async def _drop(self, month: EventMonth) -> None:
        async with self._database.begin_partition() as tx:  # it copies first
            await event_months.drop(tx, month, but_kinds=events.LASTING)

    async def _list(self) -> list[EventMonth] | None:
        async with self._database.read() as tx:
            return await event_months.months(tx)


async def _found(tx: Transaction) -> list[EventMonth]:
    return await event_months.months(tx) or []


def _over(found: Sequence[EventMonth], over_ms: int) -> list[EventMonth]:
    return [one for one in found if one.end_seq <= seq_of(over_ms) and not one.is_kept]


def _missing(found: Sequence[EventMonth], *, over_ms: int, now_ms: int) -> list[EventMonth]:
    """Return the months from the oldest one that is kept until some time ahead, without gaps."""
    # What is older than all months ends where the first of them begins.
    begun_ms = [(one.begin_seq or one.end_seq) >> SEQ_BITS for one in found]
    first = max(month_of(over_ms), month_of(min([*begun_ms, now_ms])))
    wanted = months_through(first, shifted(month_of(now_ms), MONTHS_AHEAD))
    return [one for one in map(named, wanted) if not any(_covers(part, one) for part in found)]


def _covers(part: EventMonth, month: EventMonth) -> bool:
    return part.begin_seq <= month.begin_seq and month.end_seq <= part.end_seq


def _since_ms(found: Sequence[EventMonth], now_ms: int) -> int | None:
    """Return the beginning of the oldest month from which on none is missing until now."""
    by_end = {one.end_seq: one.begin_seq for one in found if not one.is_kept}
    begin_seq = next((one.begin_seq for one in found if _holds(one, seq_of(now_ms))), 0)
    while by_end.get(begin_seq):  # not what is older than all months
        begin_seq = by_end[begin_seq]
    return begin_seq >> SEQ_BITS if begin_seq else None


def _holds(month: EventMonth, seq: int) -> bool:
    return month.begin_seq <= seq < month.end_seq
