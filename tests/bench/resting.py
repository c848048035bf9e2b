"""L8: a relay at rest, with one doorbell; and what a slot costs it with ten thousand.

With one doorbell it is the whole town as the story starts it, with the delays of real ones: the
relay's process is looked at from outside. Ten thousand doorbells aren't started: what they say in
one slot is carried into a real database, and goes through the relay's logs and commands, without
the broker, its acknowledgements and the bucket.
"""

import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import insert

from firmware.protocol.commands import Accepted, Reply, SlotLogged
from firmware.protocol.encoding import new_id
from firmware.protocol.events import Event, SlotCommitted
from relay.custody.service import CustodyService
from relay.custody.tile_store import Retention, TileStore
from relay.fleet.commands import Commands
from relay.ingest.carried_events import carry
from relay.store import logs as rows
from relay.store.database import Database
from relay.store.schema import doorbells
from tests.bench.children import cpu_s
from tests.bench.measuring import Goal, NotHere, Readings, Result, Size
from tests.fakes.bus import RememberingBus
from tests.fakes.clock import ManualClock
from tests.fakes.log_house import MemoryBucket, make_keys, make_logs
from tests.fakes.log_town import make_town as make_register
from tests.fakes.names import device_names
from tests.story.children import Children
from tests.story.play import Play, meet_people
from tests.story.servers import Servers
from tests.story.settings import PORT_NAMES, Ports, Settings, free_ports
from tests.story.steps import Steps
from tests.story.town import make_town, write_doorbell_settings

SLOT_S = 600
SETTLE_S = 20.0
MANY = 10_000
BATCH = 500
"""As many events as ingest takes at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rest:
    """One window of a relay at rest."""

    cpu_percent: float
    wakes: float
    syncs: float


def measure(size: Size) -> list[Result]:
    """Watch a town's relay at rest for some windows, and let a fleet say a slot's words."""
    if shutil.which("strace") is None:
        raise NotHere("there is no strace (apt install strace), which counts the syncs")
    with tempfile.TemporaryDirectory(prefix="dwb-") as folder:
        rests = asyncio.run(_at_rest(Path(folder), size.runs, size.real_time_s))
    count = MANY if size.runs > 1 else BATCH
    slots = [asyncio.run(_slot_s(count)) for _ in range(min(size.runs, 3))]
    what = "a relay at rest, one doorbell, slots of 10 minutes"
    return [
        Result(
            id="L8",
            what=f"{what}: CPU",
            unit="% of a core",
            own_runs=[Readings(values=[rest.cpu_percent]) for rest in rests],
            goal=Goal(value=0.3),
        ),
        Result(
            id="L8 wake-ups",
            what=f"{what}: voluntary context switches of all threads",
            unit="a second",
            own_runs=[Readings(values=[rest.wakes]) for rest in rests],
            goal=Goal(value=20.0),
        ),
        Result(
            id="L8 syncs",
            what=f"{what}: fsync and fdatasync",
            unit="a second",
            own_runs=[Readings(values=[rest.syncs]) for rest in rests],
            goal=Goal(value=0.0),
            note="At a slot's end and at a checkpoint's refresh there are some: not at rest.",
        ),
        Result(
            id=f"L8 {MANY:,}",
            what=f"a slot of 10 minutes in which {count:,} doorbells commit and are answered: CPU",
            unit="% of a core",
            own_runs=[Readings(values=[100 * slot_s / SLOT_S]) for slot_s in slots],
            note="Computed from the CPU seconds of one slot, without broker, bucket and TLS.",
        ),
    ]


async def _at_rest(folder: Path, runs: int, window_s: float) -> list[_Rest]:
    async with town_at_rest(folder / "t") as children:
        await asyncio.sleep(min(SETTLE_S, 2 * window_s))
        return [await _window(children.pid("relay"), window_s) for _ in range(runs)]


@asynccontextmanager
async def town_at_rest(folder: Path) -> AsyncIterator[Children]:
    """Run a town with slots of ten minutes, and one doorbell that nobody has paired."""
    settings = Settings(
        data_dir=folder,
        ports=Ports(**dict(zip(PORT_NAMES, free_ports(len(PORT_NAMES)), strict=True))),
        video=None,
        is_once=True,
        is_json=False,
        has_real_delays=True,
        is_empty=True,
        slot=f"{SLOT_S}s",
    )
    settings.data_dir.mkdir()
    await make_town(settings)
    write_doorbell_settings(settings)
    children = Children(settings.data_dir)
    servers, people = Servers(settings, children), meet_people(settings)
    try:
        await servers.start_carriers()
        await Play(settings, people, servers, Steps(sys.stderr)).begin_empty()
        yield children
    finally:
        await people.close()
        await children.stop_all()
        servers.clean_up()


async def _window(pid: int, window_s: float) -> _Rest:
    """Watch without strace first, which would cost the relay time."""
    begun_s, used_s, woken = time.monotonic(), cpu_s(pid), count_wakes(pid)
    await asyncio.sleep(window_s)
    took_s = time.monotonic() - begun_s
    used_s, woken = cpu_s(pid) - used_s, count_wakes(pid) - woken
    return _Rest(
        cpu_percent=100 * used_s / took_s,
        wakes=woken / took_s,
        syncs=await asyncio.to_thread(count_syncs, pid, window_s) / window_s,
    )


def count_wakes(pid: int) -> int:
    """Return how often the threads of a process have waited."""
    count = 0
    for status in Path(f"/proc/{pid}/task").glob("*/status"):
        for line in status.read_text().splitlines():
            if line.startswith("voluntary_ctxt_switches"):
                count += int(line.split()[1])
    return count


def count_syncs(pid: int, window_s: float) -> int:
    """Return how often a process calls fsync and fdatasync in that time, by strace."""
    command = ["strace", "-f", "-qq", "-e", "trace=fsync,fdatasync", "-p", str(pid)]
    with tempfile.TemporaryFile("w+") as told:
        watch = subprocess.Popen(command, stderr=told)
        time.sleep(window_s)
        watch.terminate()
        watch.wait()
        told.seek(0)
        return told.read().count("sync(")


async def _slot_s(count: int) -> float:
    """Return the CPU seconds of one slot with so many doorbells."""
    with tempfile.TemporaryDirectory() as name:
        database = await Database.open(Path(name) / "relay.sqlite3")
        try:
            return await _told_slot_s(Path(name), database, device_names(count))
        finally:
            await database.close()


async def _told_slot_s(folder: Path, database: Database, devices: Sequence[str]) -> float:
    clock, bus, bucket = ManualClock(), RememberingBus(), MemoryBucket()
    logs = make_logs(make_keys(folder / "witnesses", clock=clock), database, bucket, clock=clock)
    commands = Commands(bus=bus, database=database, clock=clock)
    shelf = TileStore(bucket, clock, Retention())
    custody = CustodyService(
        logs=logs, shelf=shelf, database=database, commands=commands, clock=clock
    )
    texts = ("identity_key", "sealing_key", "certificate_pem", "evidence_certificate_pem")
    numbers = {"enrolled_ms": 0, "state_since_ms": 0, "last_seq": 0}
    row = {"state": "online", "revoked_ms": None, **dict.fromkeys(texts, ""), **numbers}
    async with database.begin() as tx:
        await tx.execute(insert(doorbells), [{"device": one, **row} for one in devices])
        await logs.add(tx, "register", make_register().register_log.entries[0], key="charter")
    tasks = [asyncio.create_task(part.run()) for part in (custody, commands)]
    while True:
        async with database.read() as tx:
            if await rows.entries(tx, "register", 0, 1):
                break
        await asyncio.sleep(0.05)
    await custody._slots.close_due()
    begun_s = time.process_time()
    slot = clock.wall_ms() // (SLOT_S * 1000)
    for start in range(0, len(devices), BATCH):
        async with database.begin() as tx:
            for device in devices[start : start + BATCH]:
                await carry(
                    tx, _said(device, slot, clock.wall_ms()), received_ms=1, custody=custody
                )
    clock.set_wall_ms((slot + 2) * SLOT_S * 1000)
    await custody._slots.close_due()
    told: set[str] = set()
    async with asyncio.timeout(600):
        while len(told) < len(devices):
            for command_id, command in list(bus.commands.items()):
                if command_id not in told and isinstance(command.body, SlotLogged):
                    told.add(command_id)
                    await commands.take_reply(
                        f"dw.{command.device}.reply", _reply(command.device, command_id)
                    )
            await asyncio.sleep(0.05)
    took_s = time.process_time() - begun_s
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return took_s


def _said(device: str, slot: int, now_ms: int) -> Event:
    body = SlotCommitted(slot=slot, commitment=os.urandom(32).hex(), notes=[])
    return Event(
        id=new_id(), device=device, seq=1, time_ms=now_ms, is_clock_trusted=True, body=body
    )


def _reply(device: str, command_id: str) -> bytes:
    return Reply(
        id=new_id(), device=device, in_reply_to=command_id, time_ms=1, body=Accepted()
    ).encode()
