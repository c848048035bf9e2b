"""Pages of doorbells with their state and last health, for those who operate the relay.

Every view starts at an index and reads one page, however large the fleet is.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from sqlalchemy import ColumnElement, Select, func, or_, select
from sqlalchemy.engine import RowMapping

from relay.store.database import Transaction
from relay.store.health import HealthRow, health_row
from relay.store.schema import doorbell_health, doorbells

FleetView: TypeAlias = Literal["all", "offline", "cloned", "ending"]
"""All by id; offline, the longest first; cloned cards; certificates that end soon."""
FLEET_VIEWS: tuple[FleetView, ...] = get_args(FleetView)


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetRow:
    """One doorbell as its operator may know it: no owner, no place and no event."""

    device: str
    is_online: bool
    state_since_ms: int
    enrolled_ms: int
    certificate_ends_ms: int
    cloned_ms: int | None
    health: HealthRow | None


async def page(
    tx: Transaction, view: FleetView, *, after: tuple[int, str] | None, ending_ms: int, limit: int
) -> list[FleetRow]:
    """Return at most `limit` doorbells of a view that follow `after` (`place_of` of a row)."""
    order, condition = _VIEWS[view]
    where = [_IS_ACTIVE if order is None else doorbells.c.revoked_ms.is_(None)]
    if condition is not None:
        where.append(condition)
    if view == "ending":
        where.append(doorbells.c.certificate_ends_ms < ending_ms)
    if after is not None:
        number, device = after
        beyond = doorbells.c.device > device
        if order is None:
            where.append(beyond)
        else:  # the first is for the index
            where += [order >= number, or_(order > number, beyond)]
    columns = [doorbells.c.device] if order is None else [order, doorbells.c.device]
    query = _select().where(*where).order_by(*columns).limit(limit)
    return _rows((await tx.execute(query)).mappings().all())


async def find(tx: Transaction, start: str, *, limit: int) -> list[FleetRow]:
    """Return doorbells whose id begins with a text, revoked ones left out."""
    query = (
        _select()
        .where(
            _IS_ACTIVE,
            doorbells.c.device >= start,
            doorbells.c.device < start + "\U0010ffff",
        )
        .order_by(doorbells.c.device)
        .limit(limit)
    )
    return _rows((await tx.execute(query)).mappings().all())


def place_of(view: FleetView, row: FleetRow) -> tuple[int, str]:
    """Return where a row stands in a view, to go on after it."""
    numbers = {
        "all": 0,
        "offline": row.state_since_ms,
        "cloned": row.cloned_ms or 0,
        "ending": row.certificate_ends_ms,
    }
    return numbers[view], row.device


_IS_ACTIVE: ColumnElement[bool] = func.coalesce(doorbells.c.revoked_ms, 0) == 0
"""For what goes by id: an index that begins with revoked_ms would have all doorbells sorted."""
_VIEWS: dict[FleetView, tuple[ColumnElement[int] | None, ColumnElement[bool] | None]] = {
    "all": (None, None),
    "offline": (doorbells.c.state_since_ms, doorbells.c.state == "offline"),
    "cloned": (doorbells.c.cloned_ms, doorbells.c.cloned_ms.is_not(None)),
    "ending": (doorbells.c.certificate_ends_ms, None),
}


def _select() -> Select[tuple[object, ...]]:
    return select(
        doorbells.c.device,
        doorbells.c.state,
        doorbells.c.state_since_ms,
        doorbells.c.enrolled_ms,
        doorbells.c.certificate_ends_ms,
        doorbells.c.cloned_ms,
        doorbell_health.c.received_ms,
        doorbell_health.c.health,
    ).select_from(doorbells.outerjoin(doorbell_health))


def _rows(rows: Sequence[RowMapping]) -> list[FleetRow]:
    return [
        FleetRow(
            device=row["device"],
            is_online=row["state"] == "online",
            state_since_ms=row["state_since_ms"],
            enrolled_ms=row["enrolled_ms"],
            certificate_ends_ms=row["certificate_ends_ms"],
            cloned_ms=row["cloned_ms"],
            health=None if row["health"] is None else health_row(row["received_ms"], row["health"]),
        )
        for row in rows
    ]
