"""The fence of ingest: a transaction for doorbells whose partitions this process holds.

Two processes may both think that a partition is theirs, as when one was suspended: what the earlier
one still has of it isn't committed any more, but given back to the broker, which hands it to the
other.
"""

import logging
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Protocol

from relay.bus import partition_of
from relay.errors import PartitionLost
from relay.fleet.partitions import Handler
from relay.store.database import Database, Transaction
from relay.store.partitions import hold_all

log = logging.getLogger(__name__)


class Owned(Protocol):
    """The partitions of this process, as ingest needs them."""

    member: str
    owned: frozenset[int]

    def on_change(self, handler: Handler) -> None:
        """Call `handler(owned)` with each change."""
        ...

    def lost(self, partition: int) -> None:
        """Take note that another process has claimed a partition."""
        ...


class Fence:
    """Opens transactions; without partitions, for the one process that a database has."""

    def __init__(self, database: Database, partitions: Owned | None) -> None:
        self._database = database
        self._partitions = partitions

    @asynccontextmanager
    async def begin(
        self, devices: Iterable[str], *, is_in_turn: bool = False
    ) -> AsyncIterator[Transaction]:
        """Open a write transaction for these doorbells, or raise PartitionLost.

        `is_in_turn`: in its turn among all writers, for what isn't the doorbells' own.
        """
        wanted = {partition_of(device) for device in devices}
        if self._partitions is None:
            async with self._database.begin() as tx:
                yield tx
            return
        for partition in wanted - self._partitions.owned:
            raise PartitionLost(partition)
        try:
            async with self._database.begin_partition(
                is_in_turn=is_in_turn, is_patient=False
            ) as tx:
                await hold_all(tx, wanted, self._partitions.member)
                yield tx
        except PartitionLost as error:
            log.warning("%s", error)
            self._partitions.lost(error.partition)
            raise
