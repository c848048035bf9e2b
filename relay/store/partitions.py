"""Table of the partitions' owners: the lock by which one process at a time writes for a partition.

Who is told to work on a partition claims it; from then on nobody else's transaction holds it. A
claim waits for the transaction under way, so what that commits is seen by the new owner.
"""

from collections.abc import Collection, Iterable

from sqlalchemy import select
from sqlalchemy.exc import DBAPIError

from relay.errors import PartitionLost, StoreError, said
from relay.store.database import Database, Transaction
from relay.store.schema import partition_owners
from relay.store.upserts import upsert


async def claim(tx: Transaction, partition: int, member: str) -> int:
    """Make a process the owner of a partition; return its epoch, which rises with each claim.

    Several are claimed in ascending order, in `Database.begin_partition`.
    """
    insert = upsert(tx, partition_owners).values(partition=partition, owner=member, epoch=1)
    change = insert.on_conflict_do_update(
        index_elements=[partition_owners.c.partition],
        set_={"owner": member, "epoch": partition_owners.c.epoch + 1},
    ).returning(partition_owners.c.epoch)
    return int((await tx.execute(change)).scalar_one())


async def claim_all(database: Database, wanted: Iterable[int], member: str) -> None:
    """Claim several partitions at once, or none: StoreError."""
    try:
        async with database.begin_partition() as tx:
            for partition in sorted(wanted):
                await claim(tx, partition, member)
    except (DBAPIError, OSError) as error:
        raise StoreError(f"can't claim partitions: {said(error)}") from error


async def hold(tx: Transaction, partition: int, member: str) -> None:
    """Lock a partition until the transaction ends, or raise PartitionLost: it is another's now."""
    query = (
        select(partition_owners.c.owner)
        .where(partition_owners.c.partition == partition)
        .with_for_update()
    )
    if (await tx.execute(query)).scalar_one_or_none() != member:
        raise PartitionLost(partition)


async def hold_all(tx: Transaction, wanted: Collection[int], member: str) -> None:
    """Do as `hold` for several, in ascending order as everybody does."""
    query = (
        select(partition_owners.c.partition, partition_owners.c.owner)
        .where(partition_owners.c.partition.in_(sorted(wanted)))
        .order_by(partition_owners.c.partition)
        .with_for_update()
    )
    owners = {row.partition: row.owner for row in await tx.execute(query)}
    for partition in sorted(wanted):
        if owners.get(partition) != member:
            raise PartitionLost(partition)


async def lock_all(tx: Transaction, wanted: Collection[int]) -> None:
    """Have ingest of these partitions wait until the transaction ends, whoever owns them.

    For who changes several rows that ingest changes too: of two that wait for each other the
    database would break off one. Before any of these rows, in `Database.begin_partition`, or in
    `Database.begin` if it may pause for over 3 s, as to sync a file.
    """
    query = (
        select(partition_owners.c.partition)
        .where(partition_owners.c.partition.in_(sorted(wanted)))
        .order_by(partition_owners.c.partition)
        .with_for_update()
    )
    await tx.execute(query)
