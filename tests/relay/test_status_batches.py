"""Batches of doorbells' states: whose partition they are, and what breaks one."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal

import pytest

from firmware.protocol.encoding import new_id
from firmware.protocol.events import Status
from firmware.protocol.topics import subject
from relay.bus import PARTITIONS, partition_of
from relay.errors import DatabaseLost
from relay.fleet.partitions import Handler
from relay.ingest.events import UNCLAIMED_RETRY_S
from relay.ingest.statuses import StatusIngest
from relay.store import fleet, partitions
from relay.store.database import Database, Transaction
from tests.fakes.live_relay import QueueBus
from tests.relay.http_world import World, open_world


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path) as world:
        yield world


class Owned:
    """The partitions of a process that says it has all."""

    def __init__(self, member: str) -> None:
        self.member = member
        self.owned = frozenset(range(PARTITIONS))

    def on_change(self, handler: Handler) -> None:
        handler(self.owned)

    def lost(self, partition: int) -> None:
        self.owned -= {partition}


class Delivered:
    """A state as the broker hands it out, and what became of it."""

    def __init__(self, device: str, state: Literal["online", "offline"]) -> None:
        status = Status(device=device, state=state, time_ms=1, boot_id=new_id(), version="1")
        self.device, self.outcome = device, ""
        self.subject, self.data, self.stored_ms = subject(device, "status"), status.encode(), 1

    async def ack(self) -> None:
        self.outcome = "acknowledged"

    async def discard(self) -> None:
        self.outcome = "discarded"

    async def retry(self, delay_s: float) -> None:
        self.outcome = f"again in {delay_s} s"


class FailingDatabase:
    """A database whose first write transactions fail, those for which there is a fault."""

    def __init__(self, database: Database, *faults: Exception | None) -> None:
        self._database, self._faults = database, iter(faults)

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[Transaction]:
        fault = next(self._faults, None)
        if fault is not None:
            raise fault
        async with self._database.begin() as tx:
            yield tx


AGAIN = f"again in {UNCLAIMED_RETRY_S} s"


def status_ingest(world: World, owned: Owned | None = None, database: Any = None) -> StatusIngest:
    return StatusIngest(
        bus=QueueBus(),
        database=database or world.database,
        clock=world.clock,
        notices=world.hub,
        partitions=owned,
    )


async def state_of(world: World, device: str) -> str:
    async with world.database.read() as tx:
        row = await fleet.get(tx, device)
    assert row is not None
    return row.state


async def test_what_is_of_another_processs_partition_is_given_back(world: World) -> None:
    devices = [await world.enrol() for _ in range(6)]
    lost = partition_of(devices[0])
    async with world.database.begin_partition() as tx:
        for partition in range(PARTITIONS):
            await partitions.claim(tx, partition, "other" if partition == lost else "this")
    told = [Delivered(device, "online") for device in devices]
    await status_ingest(world, Owned("this")).take(told)  # type: ignore[arg-type]
    for one in told:
        # Seen to fail ("") while the broker had to miss an acknowledgement first, for 20 s.
        is_lost = partition_of(one.device) == lost
        assert one.outcome == (AGAIN if is_lost else "acknowledged")


async def test_what_was_committed_before_the_database_was_lost_counts(world: World) -> None:
    told = [Delivered(await world.enrol(), "online") for _ in range(4)]
    # All four break together; of the halves, the first is committed.
    database = FailingDatabase(world.database, ValueError(), None, DatabaseLost("it was lost"))
    # Seen to fail (DatabaseLost, nothing is settled) while halves were lost with the rest.
    await status_ingest(world, database=database).take(told)  # type: ignore[arg-type]
    assert [one.outcome for one in told] == ["acknowledged"] * 2 + [AGAIN] * 2
    states = [await state_of(world, one.device) for one in told]
    assert states == ["online"] * 2 + ["offline"] * 2
