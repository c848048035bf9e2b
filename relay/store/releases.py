"""Table of release commitments: which doorbell committed to what, until that expires.

A commitment is the digest of a record that names its doorbell, so a row of another doorbell that
repeats a published commitment is of no use to it, and in nobody's way.
"""

from dataclasses import dataclass

from sqlalchemy import Row, delete, func, insert, select, update

from relay.store.database import Transaction
from relay.store.schema import log_entries, log_heads, release_commitments


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseCommitment:
    """One doorbell's commitment; `number` is its entry's in the custody log."""

    commitment: str
    device: str
    number: int
    committed_ms: int
    """When it came first."""
    told_ms: int | None
    """When its proof was sent last; None: it is to be sent."""


async def add(tx: Transaction, release: ReleaseCommitment) -> None:
    """Store a new commitment."""
    await tx.execute(
        insert(release_commitments).values(
            commitment=release.commitment,
            device=release.device,
            number=release.number,
            committed_ms=release.committed_ms,
            told_ms=release.told_ms,
        )
    )


async def find(tx: Transaction, commitment: str, device: str) -> ReleaseCommitment | None:
    """Return a doorbell's own commitment."""
    query = select(release_commitments).where(
        release_commitments.c.commitment == commitment, release_commitments.c.device == device
    )
    row = (await tx.execute(query)).first()
    return None if row is None else _commitment(row)


async def count_since(tx: Transaction, device: str, since_ms: int) -> int:
    """Return how many commitments came from a doorbell after a time."""
    query = (
        select(func.count())
        .select_from(release_commitments)
        .where(
            release_commitments.c.device == device, release_commitments.c.committed_ms > since_ms
        )
    )
    return int((await tx.execute(query)).scalar_one())


async def list_pending(tx: Transaction) -> list[ReleaseCommitment]:
    """Return the commitments whose proof is to be sent, in the order of the log."""
    query = (
        select(release_commitments)
        .where(release_commitments.c.told_ms.is_(None))
        .order_by(release_commitments.c.number)
    )
    return [_commitment(row) for row in await tx.execute(query)]


async def set_told(tx: Transaction, commitment: str, device: str, told_ms: int | None) -> None:
    """Store when the proof was sent; None: it is to be sent again."""
    change = (
        update(release_commitments)
        .where(
            release_commitments.c.commitment == commitment, release_commitments.c.device == device
        )
        .values(told_ms=told_ms)
    )
    await tx.execute(change)


async def is_logged(tx: Transaction, release: ReleaseCommitment) -> bool:
    """Return whether a commitment's entry is published with the witnesses' signatures."""
    entries, heads = log_entries.c, log_heads.c
    query = (
        select(entries.number)
        .join(log_heads, heads.log == entries.log)
        .where(
            entries.log == "custody",
            entries.number == release.number,
            entries.leaf_index < heads.published_size,
        )
    )
    return (await tx.execute(query)).first() is not None


async def forget(tx: Transaction, *, before_ms: int) -> None:
    """Delete the commitments that came before a time."""
    await tx.execute(
        delete(release_commitments).where(release_commitments.c.committed_ms < before_ms)
    )


def _commitment(row: Row[tuple[object, ...]]) -> ReleaseCommitment:
    return ReleaseCommitment(
        commitment=row.commitment,
        device=row.device,
        number=row.number,
        committed_ms=row.committed_ms,
        told_ms=row.told_ms,
    )
