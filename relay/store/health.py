"""Table of doorbells' health: only each one's last report, and its time of arrival."""

from dataclasses import dataclass

from sqlalchemy import select

from firmware.protocol.encoding import decode
from firmware.protocol.events import Health
from relay.store.database import Transaction
from relay.store.schema import doorbell_health


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthRow:
    """A doorbell's last health report; `received_ms` is by the relay's clock."""

    received_ms: int
    health: Health


async def get(tx: Transaction, device: str) -> HealthRow | None:
    """Return a doorbell's last report, if there is one."""
    query = select(doorbell_health).where(doorbell_health.c.device == device)
    row = (await tx.execute(query)).mappings().one_or_none()
    return None if row is None else health_row(row["received_ms"], row["health"])


def health_row(received_ms: int, text: str) -> HealthRow:
    """Return a row of the table, parsed."""
    return HealthRow(received_ms=received_ms, health=decode(Health, text.encode()))
