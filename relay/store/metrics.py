"""Counts over all tables for the operator's metrics: totals only, nothing of individuals."""

from dataclasses import dataclass

from sqlalchemy import func, select, text

from relay.store.database import Transaction
from relay.store.requests import list_waiting
from relay.store.schema import claims, commands, doorbells, pushes

ENDING_MS = 14 * 24 * 3600 * 1000
"""A doorbell that is online has long been renewed by then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """The number of rows by kind."""

    commands_waiting: int
    pushes_waiting: int
    doorbells: int
    doorbells_online: int
    doorbells_cloned: int
    certificates_ending: int
    claims_replayed: int
    moderation_waiting: int
    moderation_since_ms: int | None
    """When the oldest request came to the moderators' desk."""


async def database_bytes(tx: Transaction) -> int:
    """Return how large the database is."""
    if tx.dialect.name == "postgresql":
        query = text("SELECT pg_database_size(current_database())")
    else:
        query = text("SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()")
    return int((await tx.execute(query)).scalar_one())


async def count_all(tx: Transaction, now_ms: int) -> Counts:
    """Return all counts."""
    enrolled = select(func.count()).where(doorbells.c.revoked_ms.is_(None))
    waiting = await list_waiting(tx, now_ms)
    queries = {
        "commands_waiting": select(func.count()).where(
            commands.c.answered_ms.is_(None), commands.c.expires_ms > now_ms
        ),
        "pushes_waiting": select(func.count()).select_from(pushes),
        "doorbells": enrolled.select_from(doorbells),
        "doorbells_online": enrolled.where(doorbells.c.state == "online"),
        "doorbells_cloned": enrolled.where(doorbells.c.cloned_ms.is_not(None)),
        "certificates_ending": enrolled.where(doorbells.c.certificate_ends_ms < now_ms + ENDING_MS),
        "claims_replayed": select(func.count()).where(claims.c.replays > 0),
    }
    counts = {name: int((await tx.execute(query)).scalar_one()) for name, query in queries.items()}
    return Counts(
        moderation_waiting=len(waiting),
        moderation_since_ms=waiting[0].changed_ms if waiting else None,
        **counts,
    )
