"""L1, growth: CPU time of the relay for an event, and for a status, by the fleet's size.

The relay's own ingest on its own database, without a broker: a batch is handed to it as if it had
been pulled. What the broker's client costs on top is measured with a broker (L1, L3).
"""

import asyncio
import logging
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from firmware.protocol.encoding import new_id
from firmware.protocol.events import Event, Health, Pressed, Status
from firmware.protocol.topics import subject
from relay.base.clock import SystemClock
from relay.ingest.events import EventIngest
from relay.ingest.statuses import StatusIngest
from relay.notify.hub import Hub
from relay.store.database import Database
from tests.bench.relay_rig import enrol_rows
from tests.fakes.bus import RememberingBus
from tests.fakes.live_relay import NoPusher

BATCH = 100
BATCHES = 20
FLEETS = (1_000, 10_000, 50_000)


class Handed:
    """A message as the broker's client has it."""

    attempts = 1

    def __init__(self, subject: str, data: bytes, settled: asyncio.Queue[None]) -> None:
        self.subject, self.data = subject, data
        self.stored_ms = int(time.time() * 1000)
        self._settled = settled

    async def ack(self) -> None:
        """Count it."""
        self._settled.put_nowait(None)

    async def discard(self) -> None:
        """Nothing here may be discarded."""
        raise AssertionError("discarded")

    async def retry(self, delay_s: float) -> None:
        """Nor put off."""
        raise AssertionError(f"put off by {delay_s} s")


class HandingBus(RememberingBus):
    """Hands out batches; receipts go nowhere."""

    def __init__(self) -> None:
        super().__init__()
        self.batches: asyncio.Queue[list[Handed]] = asyncio.Queue()
        self.settled: asyncio.Queue[None] = asyncio.Queue()

    async def publish_command(self, device: str, data: bytes) -> None:
        """Drop it."""

    async def events(self) -> Any:  # Any: stands for a Puller
        """Return this as the puller."""
        return self

    async def statuses(self) -> Any:
        """Return this as the puller."""
        return self

    async def next(self) -> list[Handed]:
        """Return the next batch."""
        return await self.batches.get()


async def fleet_of(database: Database, count: int) -> list[str]:
    """Enrol so many doorbells, each with certificates of the usual length."""
    devices = [new_id()[:20] for _ in range(count)]
    await enrol_rows(database, devices)
    return devices


async def cpu_ms_an_event(database: Database, devices: Sequence[str], batch: int) -> float:
    """Return the CPU milliseconds of this process for an event, in batches of so many."""
    bus, seqs = HandingBus(), defaultdict[str, int](int)
    ingest = EventIngest(
        bus=bus, database=database, clock=SystemClock(), notices=Hub(), pusher=NoPusher()
    )
    batches = []
    for number in range(BATCHES + 1):
        told = []
        for place in range(batch):
            device = devices[(number * batch + place) * 7 % len(devices)]
            seqs[device] += 1
            event = Event(
                id=new_id(),
                device=device,
                seq=seqs[device],
                time_ms=int(time.time() * 1000),
                is_clock_trusted=True,
                body=Pressed(),
            )
            told.append(Handed(subject(device, "event"), event.encode(), bus.settled))
        batches.append(told)
    return await _timed(bus, ingest.run, batches)


async def cpu_ms_a_status(database: Database, devices: Sequence[str], batch: int) -> float:
    """Return the same for a status with health."""
    bus, boots = HandingBus(), {device: new_id() for device in devices}
    statuses = StatusIngest(bus=bus, database=database, clock=SystemClock(), notices=Hub())
    batches = []
    for number in range(BATCHES + 1):
        told = []
        for place in range(batch):
            device = devices[(number * batch + place) * 7 % len(devices)]
            health = Health(
                measured_ms=1_764_000_000_000 + number,
                camera="working",
                fps_milli=30_000_000,
                max_fps=30,
                temperature_milli_c=51_000 + number,
                has_weak_power=False,
                had_weak_power=False,
                is_throttled=False,
                card_free_bytes=20_000_000_000,
                card_total_bytes=32_000_000_000,
                sync_p99_ms=12,
                signal_dbm=-60,
                is_clock_trusted=True,
                memory_free_bytes=200_000_000,
                clip_count=100,
                pre_roll_ms=5_000,
                pre_roll_set_ms=5_000,
                holds_days=9,
            )
            status = Status(
                device=device,
                state="online",
                time_ms=1_764_000_000_000,
                boot_id=boots[device],
                version="0.3.0",
                health=health,
            )
            told.append(Handed(subject(device, "status"), status.encode(), bus.settled))
        batches.append(told)
    return await _timed(bus, statuses.run, batches)


async def _timed(bus: HandingBus, run: Any, batches: Sequence[list[Handed]]) -> float:
    running = asyncio.create_task(run())
    first, *rest = batches
    begun_s = 0.0
    for told in (first, *rest):
        if told is rest[0]:
            begun_s = time.process_time()  # the first one fills the caches
        bus.batches.put_nowait(told)
        for _ in told:
            await bus.settled.get()
    spent_s = time.process_time() - begun_s
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    return spent_s * 1000 / sum(len(told) for told in rest)


async def grow(place: str) -> None:
    """Print a line for each fleet and batch."""
    for fleet in FLEETS:
        with tempfile.TemporaryDirectory() as folder:
            where = Path(folder) / "relay.sqlite3" if not place else f"{place}"
            database = await Database.open(where)
            devices = await fleet_of(database, fleet)
            for batch in (1, BATCH, 5 * BATCH):
                event = await cpu_ms_an_event(database, devices, batch)
                status = await cpu_ms_a_status(database, devices, batch)
                print(f"{fleet:>7} {batch:>4} event {event:.3f} ms  status {status:.3f} ms")
            await database.close()


if __name__ == "__main__":
    logging.disable(logging.WARNING)
    asyncio.run(grow("".join(sys.argv[1:2])))
