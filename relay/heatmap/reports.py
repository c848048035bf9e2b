"""Reports of taken parcels by signed-in owners: make, list and take back, until publication.

No answer says anything about somebody else's report. A report names no account in the database
(relay/store/heatmap.py), and nothing here returns one but to the account that made it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from relay.base.clock import Clock
from relay.base.months import is_month, month_of, shifted
from relay.heatmap.calendar import current_months, due_ms, open_due_months
from relay.heatmap.errors import ReportRefused
from relay.map.cells import is_coarse_cell
from relay.store import heatmap as store
from relay.store.database import Database
from relay.store.heatmap import OpenMonth
from relay.store.people import Account

MOST_CELLS = 5
"""So many cells an account may report in a month: parcels are taken at home, or nearby."""
MOST_BACK = 2
"""Months before this one in which a report may be made, unless they are published."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportableMonth:
    """A month that is open; until `until_ms` reports are made and taken back."""

    month: str
    until_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnReport:
    """A report of the account that asks."""

    month: str
    cell: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnReports:
    """An account's reports that aren't published, and where it may make more; newest first."""

    months: Sequence[ReportableMonth]
    reports: Sequence[OwnReport]


class TheftReports:
    """Takes reports of owners' accounts."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def list_own(self, account: Account) -> OwnReports:
        """Return the account's reports of the open months."""
        now_ms = self._clock.wall_ms()
        months = _reportable(await current_months(self._database, now_ms), now_ms)
        async with self._database.read() as tx:
            reports = [
                OwnReport(month=month.month, cell=cell)
                for month in months
                for cell in await store.cells_of(tx, month, account.id)
            ]
        return OwnReports(
            months=[ReportableMonth(month=one.month, until_ms=due_ms(one.month)) for one in months],
            reports=reports,
        )

    async def report(self, account: Account, *, cell: str, month: str) -> None:
        """Note that a parcel was taken in a cell; once more is as once. ReportRefused."""
        if not is_coarse_cell(cell):
            raise ReportRefused("theft_cell", "that isn't a map cell of resolution 8")
        now_ms = self._clock.wall_ms()
        async with self._database.begin() as tx:
            found = _find(await open_due_months(tx, now_ms), month, now_ms)
            known = await store.cells_of(tx, found, account.id)
            if cell not in known and len(known) >= MOST_CELLS:
                words = f"you have reported {MOST_CELLS} places this month, the most there are"
                raise ReportRefused("theft_too_many", words)
            await store.add_report(tx, found, cell, account.id)

    async def take_back(self, account: Account, *, cell: str, month: str) -> None:
        """Delete the account's report, if there is one. ReportRefused once it is published."""
        now_ms = self._clock.wall_ms()
        async with self._database.begin() as tx:
            found = _find(await open_due_months(tx, now_ms), month, now_ms)
            await store.delete_report(tx, found, cell, account.id)


def _reportable(months: Iterable[OpenMonth], now_ms: int) -> list[OpenMonth]:
    oldest = shifted(month_of(now_ms), -MOST_BACK)
    return [one for one in months if one.month >= oldest and due_ms(one.month) > now_ms][::-1]


def _find(months: Iterable[OpenMonth], month: str, now_ms: int) -> OpenMonth:
    for one in _reportable(months, now_ms):
        if one.month == month:
            return one
    if not is_month(month) or month > month_of(now_ms):
        raise ReportRefused("theft_month", "that isn't this month, nor one before it")
    raise ReportRefused("theft_published", "that month is published, and doesn't change any more")
