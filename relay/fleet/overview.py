"""The fleet as its operator looks after it: states, health and what needs a hand.

Nothing here reaches a picture, an event, an owner or a place.
"""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from relay.base.clock import Clock
from relay.store import fleet_overview
from relay.store.database import Database
from relay.store.fleet_overview import FleetRow, FleetView
from relay.store.metrics import ENDING_MS

PAGE = 50
SILENT_MS = 60 * 60 * 1000
HOT_MILLI_C = 80_000
"""A Raspberry Pi slows its processor from 80 °C. Source: Raspberry Pi documentation."""
LOW_CARD_BYTES = 200_000_000
WEAK_DBM = -75
MANY_GAPS = 20

Concern: TypeAlias = Literal[
    "silent",
    "cloned",
    "certificate",
    "camera",
    "weak_power",
    "hot",
    "card_full",
    "clock",
    "signal",
    "gaps",
]
"""What an operator may want to ask its owner about."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Doorbell:
    """One doorbell and what about it needs a look."""

    row: FleetRow
    concerns: tuple[Concern, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetPage:
    """One page of doorbells; `next` goes on after it."""

    doorbells: list[Doorbell]
    next: tuple[int, str] | None = None


class FleetOverview:
    """Reads the fleet a page at a time."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def page(self, view: FleetView, after: tuple[int, str] | None = None) -> FleetPage:
        """Return one page of a view."""
        now_ms = self._clock.wall_ms()
        async with self._database.read() as tx:
            rows = await fleet_overview.page(
                tx, view, after=after, ending_ms=now_ms + ENDING_MS, limit=PAGE + 1
            )
        shown = rows[:PAGE]
        return FleetPage(
            doorbells=[_judged(row, now_ms) for row in shown],
            next=fleet_overview.place_of(view, shown[-1]) if len(rows) > PAGE else None,
        )

    async def find(self, start: str) -> FleetPage:
        """Return the first doorbells whose id begins with a text."""
        now_ms = self._clock.wall_ms()
        async with self._database.read() as tx:
            rows = await fleet_overview.find(tx, start, limit=PAGE)
        return FleetPage(doorbells=[_judged(row, now_ms) for row in rows])


def _judged(row: FleetRow, now_ms: int) -> Doorbell:
    return Doorbell(row=row, concerns=concerns_of(row, now_ms))


def concerns_of(row: FleetRow, now_ms: int) -> tuple[Concern, ...]:
    """Return what needs a look; what is unknown is no concern."""
    found: list[Concern] = []
    if not row.is_online and now_ms - row.state_since_ms > SILENT_MS:
        found.append("silent")
    if row.cloned_ms is not None:
        found.append("cloned")
    if row.certificate_ends_ms < now_ms + ENDING_MS:
        found.append("certificate")
    if row.health is None or not row.is_online:  # a report of before says nothing of now
        return tuple(found)
    health = row.health.health
    checks: dict[Concern, bool] = {
        "camera": health.camera not in {"working", "starting", "off"},
        "weak_power": bool(health.has_weak_power or health.had_weak_power),
        "hot": health.temperature_milli_c is not None and health.temperature_milli_c >= HOT_MILLI_C,
        "card_full": health.card_free_bytes is not None and health.card_free_bytes < LOW_CARD_BYTES,
        "clock": not health.is_clock_trusted,
        "signal": health.signal_dbm is not None and health.signal_dbm < WEAK_DBM,
        "gaps": health.gap_count >= MANY_GAPS,
    }
    return (*found, *(concern for concern, holds in checks.items() if holds))
