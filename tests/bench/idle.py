"""`make idle`: an hour of the demo, and of a relay and a doorbell with ten-minute slots, unused.

Both run at once, as real processes, and are watched from outside. CPU time and wake-ups are counted
over the first two thirds, without a tracer; syncs by strace over the last third, because the kernel
counts none. What the files of each grow by is looked at every minute. The results are written to
docs/idle.json, and as the last section of docs/benchmarks.md.

    make idle ARGS="--minutes 10 --out /tmp/idle"
"""

import argparse
import asyncio
import datetime as dt
import shutil
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from tests.bench.children import REPOSITORY, cpu_s
from tests.bench.report import NOT_A_PI, machine_text
from tests.bench.resting import SETTLE_S, count_syncs, count_wakes, town_at_rest
from tests.story.settings import PORT_NAMES, free_ports

DOCS = REPOSITORY / "docs"
HEADING = "\n## An idle hour\n"
BEGUN_S = 600.0
"""How long the demo may take until everything is up."""
LOOK_S = 60.0
PROGRAMS = {
    "nats-server": "broker",
    "weed": "object store",
    "doorward-witness": "witness",
    "doorward-firmware": "doorbell",
    "tests.story": "demo's people",
}


class ProgramAtRest(msgspec.Struct, frozen=True, kw_only=True):
    """What one program did while nobody used it."""

    name: str
    cpu_percent: float
    """Of a core; of its threads, and of children that have ended."""
    wakes_per_s: float
    """Voluntary context switches of all threads."""
    syncs_per_s: float
    """fsync and fdatasync."""
    written_mb_per_h: float
    """What the kernel was told to write to the disk (write_bytes of /proc/PID/io)."""


class Growth(msgspec.Struct, frozen=True, kw_only=True):
    """Disk space that a folder took (its blocks, not its files' lengths), in MB."""

    name: str
    begin_mb: float
    half_mb: float
    end_mb: float

    def mb_a_day(self, minutes: float) -> float:
        """Return what a day would add, at the pace of the second half."""
        return (self.end_mb - self.half_mb) * 2 * 1440 / minutes


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """One town, and what was seen of it."""

    name: str
    programs: list[ProgramAtRest]
    growths: list[Growth]


class IdleRun(msgspec.Struct, frozen=True, kw_only=True):
    """One run; docs/idle.json has a list of them."""

    date: str
    machine: str
    minutes: float
    settings: list[Setting]
    note: str = ""
    """What a reader must know to judge the figures."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Town:
    """A town that runs: its folder, and its programs' process ids."""

    name: str
    folder: Path
    pids: Mapping[str, int]


def main() -> int:
    """Watch both towns and write the documents."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.idle", description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--out", type=Path, default=DOCS, help="folder for the documents")
    given = parser.parse_args()
    if shutil.which("strace") is None:
        print("there is no strace (apt install strace), which counts the syncs", file=sys.stderr)
        return 2
    machine = machine_text()
    with tempfile.TemporaryDirectory(prefix="dwi-") as name:
        settings = asyncio.run(_watch_both(Path(name), given.minutes * 60))
    run = IdleRun(
        date=dt.datetime.now(dt.UTC).date().isoformat(),
        machine=f"{machine}; {NOT_A_PI}",
        minutes=given.minutes,
        settings=settings,
    )
    given.out.mkdir(exist_ok=True)
    (given.out / "idle.json").write_text(as_json([run]))
    document = given.out / "benchmarks.md"
    before = document.read_text() if document.exists() else ""
    document.write_text(before.partition(HEADING)[0] + section_in(given.out))
    return 0


def as_json(runs: Sequence[IdleRun]) -> str:
    """Return docs/idle.json."""
    return msgspec.json.format(msgspec.json.encode(runs), indent=1).decode() + "\n"


def parse_runs(text: bytes) -> list[IdleRun]:
    """Return what docs/idle.json tells."""
    return msgspec.json.decode(text, type=list[IdleRun])


def section_in(folder: Path) -> str:
    """Return the last section of docs/benchmarks.md; "" if there was no such run."""
    written = folder / "idle.json"
    if not written.exists():
        return ""
    return HEADING + "".join(map(as_markdown, parse_runs(written.read_bytes())))


def as_markdown(run: IdleRun) -> str:
    """Return the section's text, below its heading."""
    head = (
        f"\n{run.minutes:g} minutes on {run.date}, by `make idle`: {run.machine}.\n"
        "Two towns at once, which nobody used. CPU and wake-ups (voluntary context switches of all "
        "threads) are of the first\ntwo thirds, syncs (fsync, fdatasync) of the last third, when "
        'strace looked on. "A day" is computed from the second half.\n'
    )
    head += f"{run.note}\n" if run.note else ""
    return head + "".join(_setting_text(one, run.minutes) for one in run.settings)


def _setting_text(setting: Setting, minutes: float) -> str:
    rows = "".join(
        f"| {one.name} | {one.cpu_percent:.2f} | {one.wakes_per_s:.1f} | {one.syncs_per_s:.2f} "
        f"| {one.written_mb_per_h:.1f} |\n"
        for one in setting.programs
    )
    growths = "".join(
        f"| {one.name} | {one.begin_mb:.2f} | {one.half_mb:.2f} | {one.end_mb:.2f} "
        f"| {one.mb_a_day(minutes):.0f} |\n"
        for one in setting.growths
    )
    return (
        f"\n### {setting.name}\n\n"
        "| program | CPU, % of a core | wake-ups a second | syncs a second "
        "| written, MB an hour |\n"
        f"|---|---|---|---|---|\n{rows}\n"
        "| files | at first, MB | at half-time | at the end | a day, MB |\n"
        f"|---|---|---|---|---|\n{growths}"
    )


async def _watch_both(folder: Path, length_s: float) -> list[Setting]:
    demo_folder, town_folder = folder / "d", folder / "t"
    async with _demo(demo_folder) as pids, town_at_rest(town_folder) as children:
        towns = [
            Town(
                name="The demo, left running (slots of 10 s, a visitor every five minutes)",
                folder=demo_folder,
                pids=pids,
            ),
            Town(
                name="A relay with one doorbell (slots of 10 minutes, not paired)",
                folder=town_folder,
                pids={name: children.pid(name) for name in ("relay", "doorbell")},
            ),
        ]
        await asyncio.sleep(min(SETTLE_S, length_s / 3))
        return await asyncio.gather(*(watch(town, length_s) for town in towns))


@asynccontextmanager
async def _demo(folder: Path) -> AsyncIterator[dict[str, int]]:
    """Run `make demo`'s program until everything is up; give its programs' process ids."""
    folder.mkdir()
    ports = zip(PORT_NAMES, free_ports(len(PORT_NAMES)), strict=True)
    chosen = [word for name, port in ports for word in (f"--{name}-port", str(port))]
    told = folder.with_suffix(".err")
    with told.open("w") as file:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.story", "--data", str(folder), *chosen),
            cwd=REPOSITORY,
            stdout=subprocess.DEVNULL,
            stderr=file,
        )
    try:
        async with asyncio.timeout(BEGUN_S):
            while "Everything is up" not in told.read_text():
                if process.returncode is not None:
                    raise RuntimeError(f"the demo ended: {told.read_text()}")
                await asyncio.sleep(0.5)
        yield _programs(process.pid)
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()


def _programs(pid: int) -> dict[str, int]:
    """Return the process ids of the demo's programs by name, its own among them."""
    found: dict[str, int] = {}
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    for one in [pid, *map(int, children)]:
        words = Path(f"/proc/{one}/cmdline").read_bytes().decode().split("\0")
        names = {Path(word).name for word in words[:3]}
        if "doorward-relay" in names:
            name = "relay" if "serve" in words else "app's server"
        else:
            name = next(PROGRAMS[known] for known in PROGRAMS if known in names)
        while name in found:
            name += "'"
        found[name] = one
    return found


async def watch(town: Town, length_s: float) -> Setting:
    """Watch a town's programs and files for so long."""
    sizes = asyncio.create_task(_sizes(town.folder, length_s))
    begun_s = time.monotonic()
    before = {name: _Counters.of(pid) for name, pid in town.pids.items()}
    await asyncio.sleep(length_s * 2 / 3)
    took_s = time.monotonic() - begun_s
    spent = {name: _Counters.of(pid).less(before[name]) for name, pid in town.pids.items()}
    traced_s = length_s / 3
    counted = await asyncio.gather(*(count_syncs(pid, traced_s) for pid in town.pids.values()))
    programs = [
        ProgramAtRest(
            name=name,
            cpu_percent=100 * used.cpu_s / took_s,
            wakes_per_s=used.wakes / took_s,
            syncs_per_s=syncs / traced_s,
            written_mb_per_h=used.written_bytes / 1e6 * 3600 / took_s,
        )
        for (name, used), syncs in zip(spent.items(), counted, strict=True)
    ]
    return Setting(name=town.name, programs=programs, growths=growths_of(await sizes))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Counters:
    """What the kernel has counted of a process."""

    cpu_s: float
    wakes: int
    written_bytes: int

    @staticmethod
    def of(pid: int) -> "_Counters":
        stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        children_s = (int(stat[13]) + int(stat[14])) / 100  # cutime and cstime (proc(5))
        io = dict(line.split(": ") for line in Path(f"/proc/{pid}/io").read_text().splitlines())
        return _Counters(
            cpu_s=cpu_s(pid) + children_s,
            wakes=count_wakes(pid),
            written_bytes=int(io["write_bytes"]),
        )

    def less(self, before: "_Counters") -> "_Counters":
        return _Counters(
            cpu_s=self.cpu_s - before.cpu_s,
            wakes=self.wakes - before.wakes,
            written_bytes=self.written_bytes - before.written_bytes,
        )


async def _sizes(folder: Path, length_s: float) -> list[dict[str, int]]:
    """Return the parts' sizes at the beginning, each minute, and at the end."""
    ends_s = time.monotonic() + length_s
    looks = [await asyncio.to_thread(sizes_of, folder)]
    while (left_s := ends_s - time.monotonic()) > 0:
        await asyncio.sleep(min(LOOK_S, length_s / 4, left_s))
        looks.append(await asyncio.to_thread(sizes_of, folder))
        print(f"{folder}: {sum(looks[-1].values()):,} bytes", file=sys.stderr, flush=True)
    return looks


def sizes_of(folder: Path) -> dict[str, int]:
    """Return the disk space in bytes of each folder in a folder, the relay's by their parts."""
    sizes: defaultdict[str, int] = defaultdict(int)
    for path in folder.rglob("*"):
        try:
            taken = path.lstat().st_blocks * 512
        except FileNotFoundError:
            continue
        part = path.relative_to(folder).parts
        if part[0] in ("relay", "doorbell") and len(part) > 1:
            sizes[f"{part[0]}/{part[1].removesuffix('-wal').removesuffix('-shm')}"] += taken
        else:
            sizes[part[0]] += taken
    return dict(sizes)


def growths_of(looks: Sequence[Mapping[str, int]]) -> list[Growth]:
    """Return what grew, the greatest first, and the whole."""
    picked = (looks[0], looks[len(looks) // 2], looks[-1])
    names = {name for look in picked for name in look}
    growths = [_growth(name, *(look.get(name, 0) for look in picked)) for name in names]
    grown = [one for one in growths if one.end_mb != one.begin_mb]
    grown.sort(key=lambda one: (one.half_mb - one.end_mb, one.name))
    return [*grown, _growth("**all**", *(sum(look.values()) for look in picked))]


def _growth(name: str, begin: int, half: int, end: int) -> Growth:
    return Growth(name=name, begin_mb=begin / 1e6, half_mb=half / 1e6, end_mb=end / 1e6)


if __name__ == "__main__":
    sys.exit(main())
