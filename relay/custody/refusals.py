"""Statistics of doorbells' refusals, as sums that reveal no single doorbell (R11).

A quarter's sum is logged once the quarter is over and its doorbells have had time to tell, and only
if at least five that have an owner did. A check's name comes from doorbells, and a hostile one must
not write into a public log: what isn't in the closed list, or was told by fewer than five, is
summed up as "other". Of one check a doorbell counts `MAX_COUNTED` at most.
"""

from collections import Counter

from firmware.protocol.custody import CustodyLeaf, RefusalsLeaf
from firmware.protocol.events import RefusalsCounted
from firmware.protocol.refused_checks import COUNTED_CHECKS, MAX_COUNTED, OTHER
from relay.base.clock import Clock
from relay.custody.entries import quarter_end_ms
from relay.custody.log_entries import LogEntries
from relay.store import custody, routing
from relay.store import logs as rows
from relay.store.database import Database, Transaction

MIN_DOORBELLS = 5
TELL_WITHIN_MS = 14 * 24 * 3600 * 1000
FORGET_AFTER_MS = 180 * 24 * 3600 * 1000


class Refusals:
    """Stores counts until their quarter may be summed up."""

    def __init__(self, *, logs: LogEntries, database: Database, clock: Clock) -> None:
        self._logs = logs
        self._database = database
        self._clock = clock

    async def take(self, tx: Transaction, device: str, told: RefusalsCounted) -> None:
        """Store a doorbell's counts of a quarter that is over, if they are still of use."""
        now_ms, end_ms = self._clock.wall_ms(), quarter_end_ms(told.quarter)
        if not await routing.has_owner(tx, device):
            return
        is_logged = await rows.find_by_key(tx, "custody", _key(told.quarter)) is not None
        if is_logged or not end_ms <= now_ms < end_ms + FORGET_AFTER_MS:
            return
        await custody.put_refusals(
            tx, quarter=told.quarter, device=device, counts=counted(told.counts)
        )

    async def log_due(self) -> None:
        """Log the sums of quarters that ended long enough ago."""
        now_ms = self._clock.wall_ms()
        async with self._database.begin() as tx:
            for quarter, told in (await custody.refusals(tx)).items():
                if await rows.find_by_key(tx, "custody", _key(quarter)) is not None:
                    await custody.forget_refusals(tx, [quarter])  # a restored relay's, long told
                    continue
                end_ms = quarter_end_ms(quarter)
                if now_ms < end_ms + TELL_WITHIN_MS:
                    continue
                if len(told) >= MIN_DOORBELLS:
                    leaf = RefusalsLeaf(quarter=quarter, counts=sum_refusals(told))
                    entry = CustodyLeaf(body=leaf).encode()
                    await self._logs.add(tx, "custody", entry, key=_key(quarter))
                elif now_ms < end_ms + FORGET_AFTER_MS:
                    continue
                await custody.forget_refusals(tx, [quarter])


def counted(told: dict[str, int]) -> dict[str, int]:
    """Return a doorbell's counts by the closed list of checks, each within its ceiling."""
    total: Counter[str] = Counter()
    for check, count in told.items():
        total[check if check in COUNTED_CHECKS else OTHER] += count
    return {check: min(count, MAX_COUNTED) for check, count in sorted(total.items())}


def sum_refusals(told: list[dict[str, int]]) -> dict[str, int]:
    """Return the sums by check; checks of fewer than five doorbells are merged into one."""
    named = Counter(check for counts in told for check, count in counts.items() if count)
    total: Counter[str] = Counter()
    for counts in told:
        for check, count in counts.items():
            total[check if named[check] >= MIN_DOORBELLS else OTHER] += count
    return {check: count for check, count in sorted(total.items()) if count}


def _key(quarter: str) -> str:
    return f"refusals:{quarter}"
