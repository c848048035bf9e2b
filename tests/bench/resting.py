"""L8: a relay at rest, with one doorbell; and what a slot costs it with ten thousand.

With one doorbell it is the whole town as the story starts it, with the delays of real ones: the
relay's process is looked at from outside. Ten thousand doorbells aren't started: what they say in
one slot is carried into a real database, and goes through the relay's logs and commands, without
the broker, its acknowledgements and the bucket. The requests to a bucket are counted.
"""

import asyncio
import os
import shutil
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
from relay.store import logs as rows
from relay.store.database import Database
from relay.store.objects import ObjectLock
from relay.store.schema import doorbells
from tests.bench.children import cpu_s
from tests.bench.measuring import Goal, NotHere, Readings, Result, Size
from tests.fakes.bus import RememberingBus
from tests.fakes.clock import ManualClock
from tests.fakes.log_house import MemoryBucket, make_keys, make_logs
from tests.fakes.log_town import make_town as make_register
from tests.fakes.names import device_names
from tests.relay.carrying import carry
from tests.story.children import Children
from tests.story.play import Play, meet_people
from tests.story.servers import Servers
from tests.story.settings import PORT_NAMES, Ports, Settings, free_ports
from tests.story.steps import Steps
from tests.story.town import make_town, write_doorbell_settings

SLOT_S = 600
SETTLE_S = 20.0
MANY = 10_000
SLOTS_A_DAY = 24 * 3600 // SLOT_S
SLOTS_SWEPT = 264
"""So many that a tile has become full, and its partial ones are gone."""
SWEPT = (
    f"an average of {SLOTS_SWEPT} slots. The partial bundles of stamps are most of it: "
    "they are deleted with the next full tile of entries, which is after 512."
)
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
    is_full = size.runs > 1
    many = MANY if is_full else BATCH
    with tempfile.TemporaryDirectory(prefix="dwb-") as folder:
        rests, crowded = asyncio.run(_at_rest(Path(folder), size.runs, size.real_time_s, many))
    slots = [asyncio.run(_slots(many, 1)) for _ in range(min(size.runs, 3))]
    one = asyncio.run(_slots(1, SLOTS_SWEPT if is_full else 3))
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
            note="About one a minute. A slot's end and a checkpoint's refresh have some as well.",
        ),
        Result(
            id=f"L8 rest {MANY:,}",
            what=f"the same relay with {many:,} doorbells enrolled, between two slots: CPU",
            unit="% of a core",
            own_runs=[Readings(values=[rest.cpu_percent]) for rest in crowded],
        ),
        Result(
            id=f"L8 {MANY:,}",
            what=f"a slot of 10 minutes in which {many:,} doorbells commit and are answered: CPU",
            unit="% of a core",
            own_runs=[Readings(values=[100 * slot.cpu_s / SLOT_S]) for slot in slots],
            note="Computed from the CPU seconds of one slot, without broker, bucket and TLS.",
        ),
        *_per_day("one doorbell", "", [one]),
        *_per_day(f"{many:,} doorbells", f" {MANY:,}", slots),
    ]


def _per_day(whose: str, suffix: str, slots: Sequence["_Slots"]) -> list[Result]:
    """Return what a day of slots costs outside the relay's process."""
    return [
        Result(
            id=f"L8 requests{suffix}",
            what=f"requests to the object store in a day of {whose} at rest",
            unit="a day",
            own_runs=[Readings(values=[slot.requests * SLOTS_A_DAY]) for slot in slots],
            note="Computed from those of a slot and of what is cosigned again meanwhile.",
        ),
        Result(
            id=f"L8 logs{suffix}",
            what=f"growth of the public logs' files in a day of {whose} at rest",
            unit="MB",
            own_runs=[Readings(values=[slot.file_bytes * SLOTS_A_DAY / 1e6]) for slot in slots],
            note="Lengths of the files, computed from a slot's: "
            + ("the first, of a log without full tiles." if suffix else SWEPT),
        ),
        Result(
            id=f"L8 database{suffix}",
            what=f"growth of the relay's database in a day of {whose} at rest, nobody paired",
            unit="MB",
            own_runs=[Readings(values=[slot.row_bytes * SLOTS_A_DAY / 1e6]) for slot in slots],
            note="Computed from a slot's. What makes a doorbell's words count once is kept for 30 "
            "days; a slot's note, of 4 KB, for each browser for 7."
            + (" Pages that later slots use again are counted in each." if suffix else ""),
        ),
    ]


async def _at_rest(
    folder: Path, runs: int, window_s: float, many: int
) -> tuple[list[_Rest], list[_Rest]]:
    """Watch a relay with one doorbell, and then with many in its database."""
    town = folder / "t"
    async with town_at_rest(town) as children:
        settle_s, pid = min(SETTLE_S, 2 * window_s), children.pid("relay")
        await asyncio.sleep(settle_s)
        alone = [await _window(pid, window_s) for _ in range(runs)]
        database = await Database.open(town / "relay" / "relay.sqlite3")
        await _enrol(database, device_names(many))
        await database.close()
        await asyncio.sleep(settle_s)
        return alone, [await _window(pid, window_s) for _ in range(min(runs, 3))]


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
        syncs=await count_syncs(pid, window_s) / window_s,
    )


def count_wakes(pid: int) -> int:
    """Return how often the threads of a process have waited."""
    count = 0
    for status in Path(f"/proc/{pid}/task").glob("*/status"):
        for line in status.read_text().splitlines():
            if line.startswith("voluntary_ctxt_switches"):
                count += int(line.split()[1])
    return count


async def count_syncs(pid: int, window_s: float) -> int:
    """Return how often a process calls fsync and fdatasync in that time, by strace."""
    command = ["strace", "-f", "-qq", "-e", "trace=fsync,fdatasync", "-p", str(pid)]
    with tempfile.TemporaryFile("w+") as told:
        watch = await asyncio.create_subprocess_exec(*command, stderr=told)
        while "TracerPid:\t0\n" in Path(f"/proc/{pid}/status").read_text():
            if watch.returncode is not None:
                raise NotHere("strace may not look at other processes here")
            await asyncio.sleep(0.01)
        await asyncio.sleep(window_s)
        watch.terminate()
        await watch.wait()
        told.seek(0)
        return told.read().count("sync(")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Slots:
    """What a slot costs, on average of some."""

    cpu_s: float
    requests: float
    file_bytes: float
    row_bytes: float


class _CountingBucket(MemoryBucket):
    """Counts the requests that relay.store.objects.Bucket makes for each call."""

    requests = 0

    async def put_new(
        self,
        key: str,
        data: bytes,
        *,
        content_type: str,
        cache_control: str = "",  # noqa: ARG002 (as the real one)
        lock: ObjectLock | None = None,
    ) -> bool:
        self.requests += 1
        return await super().put_new(key, data, content_type=content_type, lock=lock)

    async def swap(
        self,
        key: str,
        data: bytes,
        *,
        old: bytes | None,
        content_type: str,
        cache_control: str = "",  # noqa: ARG002
    ) -> bool:
        self.requests += 2
        return await super().swap(key, data, old=old, content_type=content_type)

    async def get(self, key: str, *, max_bytes: int) -> bytes | None:
        self.requests += 1
        return await super().get(key, max_bytes=max_bytes)

    async def list_keys(self, prefix: str) -> frozenset[str]:
        self.requests += 1
        return await super().list_keys(prefix)

    async def drop_under(self, prefix: str) -> None:
        before = len(self.dropped)
        await super().drop_under(prefix)
        self.requests += len(self.dropped) - before

    async def drop_older(self, key: str) -> None:
        self.requests += 1
        await super().drop_older(key)


async def _slots(doorbells_count: int, slots_count: int) -> _Slots:
    """Let so many doorbells live through so many slots."""
    with tempfile.TemporaryDirectory() as name:
        database = await Database.open(Path(name) / "relay.sqlite3")
        try:
            return await _told_slots(
                Path(name), database, device_names(doorbells_count), slots_count
            )
        finally:
            await database.close()


async def _enrol(database: Database, devices: Sequence[str]) -> None:
    texts = ("identity_key", "sealing_key", "certificate_pem", "evidence_certificate_pem")
    numbers = {"enrolled_ms": 0, "state_since_ms": 0}
    row = {"state": "online", "revoked_ms": None, **dict.fromkeys(texts, ""), **numbers}
    async with database.begin() as tx:
        await tx.execute(insert(doorbells), [{"device": one, **row} for one in devices])


async def _told_slots(
    folder: Path, database: Database, devices: Sequence[str], count: int
) -> _Slots:
    clock, bus, bucket = ManualClock(), RememberingBus(), _CountingBucket()
    logs = make_logs(make_keys(folder / "witnesses", clock=clock), database, bucket, clock=clock)
    commands = Commands(bus=bus, database=database, clock=clock)
    shelf = TileStore(bucket, clock, Retention())
    custody = CustodyService(
        logs=logs, shelf=shelf, database=database, commands=commands, clock=clock
    )
    await _enrol(database, devices)
    async with database.begin() as tx:
        await logs.add(tx, "register", make_register().register_log.entries[0], key="charter")
    tasks = [asyncio.create_task(part.run()) for part in (custody, commands)]
    while True:
        async with database.read() as tx:
            if await rows.entries(tx, "register", 0, 1):
                break
        await asyncio.sleep(0.05)
    await custody._slots.close_due()
    first = clock.wall_ms() // (SLOT_S * 1000)
    begun_s, begun = 0.0, (0, 0, 0)
    for slot in range(first, first + count + 1):
        those = devices if slot > first else ()  # the first slot only begins the log
        clock.set_wall_ms(((slot + 1) * SLOT_S + 5) * 1000)
        for start in range(0, len(those), BATCH):
            async with database.begin() as tx:
                for device in those[start : start + BATCH]:
                    said = _said(device, slot, clock.wall_ms())
                    await carry(tx, said, received_ms=1, custody=custody)
        clock.advance(SLOT_S / 2)
        database.signals.hear("register")  # its checkpoint may be due to be cosigned anew
        await custody._slots.close_due()
        await _answer_all(bus, commands, slot, len(those))
        await _until_published(database)
        if slot == first:
            begun_s, begun = time.process_time(), await _kept(database, bucket)
    took_s, ended = time.process_time() - begun_s, await _kept(database, bucket)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    grown = [(now - then) / count for now, then in zip(ended, begun, strict=True)]
    return _Slots(cpu_s=took_s / count, requests=grown[0], file_bytes=grown[1], row_bytes=grown[2])


async def _until_published(database: Database) -> None:
    async with asyncio.timeout(60):
        while True:
            async with database.read() as tx:
                head = await rows.get_head(tx, "custody")
            if head.size and head.published_size == head.size:
                return
            await asyncio.sleep(0.05)


async def _kept(database: Database, bucket: _CountingBucket) -> tuple[int, int, int]:
    """Return the requests so far, and the bytes of files and of the database."""
    async with database.read() as tx:
        pages = await tx.exec_driver_sql("PRAGMA page_count")
        page_bytes = await tx.exec_driver_sql("PRAGMA page_size")
        row_bytes = pages.scalar_one() * page_bytes.scalar_one()
    return bucket.requests, sum(map(len, bucket.files.values())), row_bytes


async def _answer_all(bus: RememberingBus, commands: Commands, slot: int, count: int) -> None:
    """Answer what the log tells of a slot, as each doorbell does."""
    answered = 0
    async with asyncio.timeout(600):
        while answered < count:
            for command_id, command in list(bus.commands.items()):
                if isinstance(command.body, SlotLogged) and command.body.slot == slot:
                    answered += 1
                    await commands.take_reply(
                        f"dw.{command.device}.reply", _reply(command.device, command_id)
                    )
                    del bus.commands[command_id]
            await asyncio.sleep(0.05)


def _said(device: str, slot: int, now_ms: int) -> Event:
    body = SlotCommitted(slot=slot, commitment=os.urandom(32).hex(), notes=[])
    return Event(
        id=new_id(), device=device, seq=1, time_ms=now_ms, is_clock_trusted=True, body=body
    )


def _reply(device: str, command_id: str) -> bytes:
    return Reply(
        id=new_id(), device=device, in_reply_to=command_id, time_ms=1, body=Accepted()
    ).encode()
