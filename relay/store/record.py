"""Queries of witnessed checkpoints for the public record."""

from sqlalchemy import select

from relay.store.database import Transaction
from relay.store.schema import log_checkpoints


async def stamps_of(
    tx: Transaction, log: str, from_index: int, to_index: int
) -> list[tuple[int, bytes]]:
    """Return size and note of the first witnessed checkpoints that hold the entries of a range.

    By size, and so many that each entry of the range is in one, as far as it is witnessed.
    """
    rows = log_checkpoints
    is_stamp = (rows.c.log == log) & rows.c.stamp.is_not(None)
    last = (
        select(rows.c.size)
        .where(is_stamp, rows.c.size >= to_index)
        .order_by(rows.c.size)
        .limit(1)
        .scalar_subquery()
    )
    query = (
        select(rows.c.size, rows.c.witnessed)
        .where(is_stamp, rows.c.size > from_index)
        .where((rows.c.size <= to_index) | (rows.c.size == last))
        .order_by(rows.c.size)
    )
    return [(row.size, row.witnessed.encode()) for row in await tx.execute(query)]


async def newest_stamps(tx: Transaction, log: str, *, limit: int) -> list[bytes]:
    """Return the newest witnessed checkpoints, the newest first."""
    rows = log_checkpoints
    query = (
        select(rows.c.witnessed)
        .where(rows.c.log == log, rows.c.stamp.is_not(None))
        .order_by(rows.c.stamp.desc())
        .limit(limit)
    )
    return [note.encode() for note in (await tx.execute(query)).scalars()]
