"""Queries for restoring a database: signed trees, packages, and deletion of one-time secrets.

Only what nothing else asks for is here; placing entries and publishing is logs.py's.
"""

from dataclasses import dataclass
from typing import Literal

from sqlalchemy import delete, insert, select, update

from relay.store.database import Transaction
from relay.store.packages import ARRIVED_STATES, Package
from relay.store.schema import (
    ceremonies,
    claims,
    invitations,
    log_checkpoints,
    log_heads,
    packages,
    sessions,
    viewer_tokens,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedTree:
    """One signed tree size; `stamp` and `witnessed` once a quorum had cosigned it."""

    size: int
    root: bytes
    stamp: int | None
    witnessed: bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptPackage:
    """A package whose object has to be in the bucket."""

    package_id: str
    object_key: str
    size_bytes: int
    state: str


async def signed_trees(tx: Transaction, log: str) -> list[SignedTree]:
    """Return every signed tree, smallest first."""
    query = (
        select(log_checkpoints).where(log_checkpoints.c.log == log).order_by(log_checkpoints.c.size)
    )
    return [
        SignedTree(
            size=row.size,
            root=bytes.fromhex(row.root),
            stamp=row.stamp,
            witnessed=None if row.witnessed is None else row.witnessed.encode(),
        )
        for row in await tx.execute(query)
    ]


async def put_stamp(
    tx: Transaction, log: str, *, size: int, root: bytes, number: int, witnessed: str
) -> None:
    """Store a stamp from the bucket, also of a size that another database signed."""
    row = (log_checkpoints.c.log == log) & (log_checkpoints.c.size == size)
    if (await tx.execute(select(log_checkpoints.c.size).where(row))).first() is None:
        await tx.execute(insert(log_checkpoints).values(log=log, size=size, root=root.hex()))
    await tx.execute(update(log_checkpoints).where(row).values(stamp=number, witnessed=witnessed))


async def kept_packages(tx: Transaction) -> list[KeptPackage]:
    """Return the packages that arrived and aren't erased."""
    query = (
        select(packages)
        .where(packages.c.state.in_(ARRIVED_STATES), packages.c.object_key.is_not(None))
        .order_by(packages.c.package_id)
    )
    return [
        KeptPackage(
            package_id=row.package_id,
            object_key=row.object_key,
            size_bytes=row.size_bytes,
            state=row.state,
        )
        for row in await tx.execute(query)
    ]


async def set_come_to(
    tx: Transaction, package: Package, state: Literal["downloaded", "erasing"]
) -> None:
    """Set a package's state from after the backup; one that is being erased stays so."""
    change = (
        update(packages)
        .where(
            packages.c.package_id == package.package_id,
            packages.c.state.not_in(("erasing", "erased")),
        )
        .values(state=state, object_key=package.own_key)
    )
    await tx.execute(change)


async def end_one_time_things(tx: Transaction) -> None:
    """Delete sessions, tokens, invitations and claims, which may be used up since the backup.

    Nobody's turn at a log is kept either: the relay that had it is gone.
    """
    for table in (ceremonies, sessions, viewer_tokens, invitations, claims):
        await tx.execute(delete(table))
    await tx.execute(update(log_heads).values(holder=None, held_until_ms=0))
