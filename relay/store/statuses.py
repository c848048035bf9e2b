"""What is kept of doorbells' states: read and written for many doorbells at once.

Online or offline is in the doorbell's own row, and written when it changes; the last health report
and the history of starts have tables of their own, and are written with each status.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import msgspec
from sqlalchemy import bindparam, func, select, update

from relay.store.database import Transaction
from relay.store.health import HealthRow, health_row
from relay.store.schema import SEQ_BITS, doorbell_boots, doorbell_health, doorbells, event_cursors
from relay.store.upserts import upsert

_READ = (
    select(
        doorbells.c.device,
        doorbells.c.state,
        doorbells.c.cloned_ms,
        doorbell_health.c.received_ms,
        doorbell_health.c.health,
        doorbell_boots.c.history,
    )
    .outerjoin(doorbell_health, doorbell_health.c.device == doorbells.c.device)
    .outerjoin(doorbell_boots, doorbell_boots.c.device == doorbells.c.device)
    .where(doorbells.c.device.in_(bindparam("devices", expanding=True)))
)
_SET_STATE = (
    update(doorbells)
    .where(doorbells.c.device == bindparam("of_device"))
    .values(state=bindparam("new_state"), state_since_ms=bindparam("since_ms"))
)


@dataclass(slots=True, kw_only=True)
class StatusRow:
    """The last that a doorbell, which may be a revoked one, said of itself."""

    state: str
    is_cloned: bool
    health: HealthRow | None
    history: str | None
    """JSON of fleet.boots.BootHistory."""


async def read(tx: Transaction, devices: Collection[str]) -> dict[str, StatusRow]:
    """Return what is kept of these doorbells, by their ids; of unknown ones nothing."""
    found = await tx.execute(_READ, {"devices": sorted(devices)})
    return {
        row.device: StatusRow(
            state=row.state,
            is_cloned=row.cloned_ms is not None,
            health=None if row.health is None else health_row(row.received_ms, row.health),
            history=row.history,
        )
        for row in found
    }


async def unheard(
    tx: Transaction, *, since_ms: int, before_ms: int, among: Collection[str] | None = None
) -> list[str]:
    """Return who counts as online, and reported its health last in this time, and nothing later.

    Neither those who never reported their health, nor who went online or told an event since.
    """
    query = (
        select(doorbell_health.c.device)
        .join(doorbells, doorbells.c.device == doorbell_health.c.device)
        .outerjoin(event_cursors, event_cursors.c.device == doorbell_health.c.device)
        .where(
            doorbell_health.c.received_ms >= since_ms,
            doorbell_health.c.received_ms < before_ms,
            doorbells.c.state == "online",
            doorbells.c.state_since_ms < before_ms,
            func.coalesce(event_cursors.c.last_relay_seq, 0) < before_ms << SEQ_BITS,
        )
    )
    if among is not None:
        query = query.where(doorbell_health.c.device.in_(sorted(among)))
    return list((await tx.execute(query)).scalars())


async def set_states(tx: Transaction, states: Mapping[str, str], *, since_ms: int) -> None:
    """Store that doorbells went online or offline."""
    rows = [
        {"of_device": device, "new_state": state, "since_ms": since_ms}
        for device, state in sorted(states.items())
    ]
    if rows:
        await tx.execute(_SET_STATE, rows)


async def put_health(tx: Transaction, reports: Mapping[str, HealthRow]) -> None:
    """Store enrolled doorbells' reports in place of their last."""
    rows = [
        {"device": device, "received_ms": row.received_ms, "health": _json_of(row)}
        for device, row in sorted(reports.items())
    ]
    if not rows:
        return
    change = upsert(tx, doorbell_health)
    change = change.on_conflict_do_update(
        index_elements=["device"],
        set_={"received_ms": change.excluded.received_ms, "health": change.excluded.health},
    )
    await tx.execute(change, rows)


async def put_histories(tx: Transaction, histories: Mapping[str, str]) -> None:
    """Store what is known of enrolled doorbells' starts."""
    rows = [{"device": device, "history": history} for device, history in sorted(histories.items())]
    if not rows:
        return
    change = upsert(tx, doorbell_boots)
    change = change.on_conflict_do_update(
        index_elements=["device"], set_={"history": change.excluded.history}
    )
    await tx.execute(change, rows)


def _json_of(row: HealthRow) -> str:
    return msgspec.json.encode(row.health, order="sorted").decode()
