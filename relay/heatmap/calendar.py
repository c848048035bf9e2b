"""The months that are open for reports: each is opened once, with a secret of its own.

A month is published on the 8th of the next one, at 00:00 UTC.
"""

import secrets

from firmware.protocol.encoding import b64u
from relay.base.months import month_begin_ms, month_of, months_through, shifted
from relay.store import heatmap as store
from relay.store.database import Database, Transaction
from relay.store.heatmap import OpenMonth

MOST_MISSED = 24
"""After a longer gap the months before it are left out: nobody could report in them."""
_SECRET_BYTES = 32
_PUBLISHED_AFTER_MS = 7 * 24 * 3600 * 1000


def due_ms(month: str) -> int:
    """Return when a month is published, in milliseconds since the epoch."""
    return month_begin_ms(shifted(month, 1)) + _PUBLISHED_AFTER_MS


async def current_months(database: Database, now_ms: int) -> list[OpenMonth]:
    """Return the months that aren't published; writes only where this month isn't open yet."""
    async with database.read() as tx:
        months = await store.open_months(tx)
    if months and months[-1].month >= month_of(now_ms):
        return months
    async with database.begin() as tx:
        return await open_due_months(tx, now_ms)


async def open_due_months(tx: Transaction, now_ms: int) -> list[OpenMonth]:
    """Open the months up to now that aren't yet; return all that aren't published.

    The first time, that is this month, and the last one until its day of publication.
    """
    now = month_of(now_ms)
    newest = await store.newest_month(tx)
    if newest is None:
        last = shifted(now, -1)
        first = last if due_ms(last) > now_ms else now
    else:
        first = max(shifted(newest, 1), shifted(now, -MOST_MISSED))
    for month in months_through(first, now):
        secret = b64u(secrets.token_bytes(_SECRET_BYTES))
        await store.add_month(tx, OpenMonth(month=month, secret=secret))
    return await store.open_months(tx)
