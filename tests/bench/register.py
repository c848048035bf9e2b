"""L7: what a doorbell downloads of the register a year, and what it takes to follow a long one."""

import asyncio
import subprocess
import sys
import tempfile
from pathlib import Path

import msgspec

from tests.bench.long_register import MB, Reader
from tests.bench.measuring import Goal, Point, Readings, Result, Run, Size
from tests.fakes.long_register import LongRegister

YEARLY = {1_000: 1, 10_000: 1, 100_000: 3}
"""Requests a year, and how many of them one read finds: at most, one each 15 minutes."""
WHOLE = 256
"""A bundle's entries: after so many, all that happens to one has happened."""
POLLS_A_YEAR = 6 * 24 * 365
NOTE = (
    "Bodies of the files, of which the entries' own size is the peer. Computed from following 256 "
    "entries by real requests for files and ranges: a year is so many times that."
)


def measure(size: Size) -> list[Result]:
    """Follow a register entry by entry, and a long one in large pieces."""
    followed = WHOLE if size.runs > 1 else 12
    years = {rate: asyncio.run(_year(rate, batch, followed)) for rate, batch in YEARLY.items()}
    fetched, own, poll_bytes = years[10_000]
    entries = size.log_entries if size.runs > 1 else 600
    sizes = (entries // 100, entries // 10, entries) if size.runs > 1 else (entries,)
    followings = {count: _follow(count) for count in sizes}
    last = followings[entries]
    points = [Point(size=rate, value=year[0], peer_value=year[1]) for rate, year in years.items()]
    what = f"a doorbell follows a register of {entries:,} entries from the first on"
    return [
        Result(
            id="L7",
            what="a doorbell downloads of the register in a year of 10,000 requests",
            unit="MB",
            own_runs=[Readings(values=[fetched])],
            peer="the entries' own size",
            peer_runs=[Readings(values=[own])],
            goal=Goal(ratio=1.2),
            note=NOTE,
            points=points,
            axis="requests a year",
        ),
        Result(
            id="L7 polls",
            what="beside that, checkpoints and counts that it looks at every ten minutes, a year",
            unit="MB",
            own_runs=[Readings(values=[poll_bytes * POLLS_A_YEAR / MB])],
        ),
        Result(
            id="L7 memory",
            what=f"{what}: peak memory of its process",
            unit="MB",
            own_runs=[Readings(values=[last["peak_mb"]])],
            note="With Python and all that it imports. `make soak` has a million entries.",
            points=_grown(followings, "peak_mb"),
            axis="entries",
        ),
        Result(
            id="L7 card",
            what=f"{what}: the most that the card had of it",
            unit="MB",
            own_runs=[Readings(values=[last["card_mb"]])],
            points=_grown(followings, "card_mb"),
            axis="entries",
        ),
        Result(
            id="L7 CPU",
            what=f"{what}: CPU",
            unit="s",
            own_runs=[Run(times_ns=[round(last["cpu_s"] * 1e9)])],
            points=_grown(followings, "cpu_s"),
            axis="entries",
        ),
    ]


def _follow(entries: int) -> dict[str, float]:
    """Follow a register of that length in a process of its own; return what it took."""
    steps = (entries, entries // 2)
    ran = subprocess.run(
        [sys.executable, "-m", "tests.bench.long_register", *map(str, steps)],
        check=True,
        capture_output=True,
    )
    found: dict[str, float] = msgspec.json.decode(ran.stdout.splitlines()[-1])
    return found


def _grown(followings: dict[int, dict[str, float]], what: str) -> list[Point]:
    return [Point(size=count, value=took[what]) for count, took in followings.items()]


async def _year(rate: int, batch: int, followed: int) -> tuple[float, float, float]:
    """Return MB fetched and MB of entries a year, and the bytes of one poll that finds nothing."""
    with tempfile.TemporaryDirectory(prefix="dwb-") as name:
        folder = Path(name)
        (folder / "log").mkdir()
        register = LongRegister(folder / "log", size=followed, per_year=rate, per_stamp=batch)
        reader = Reader(folder / "card", register)
        await reader.read()
        first, first_bytes = register.size, register.entries_bytes
        register.asked.clear()
        for size in range(first + batch, first + followed + 1, batch):
            register.grow(size)
            await reader.read()
        kinds = ("tile/entries", "stamps", "tile")
        # The list's count is beside the stamps: it is part of each read, and of each poll.
        fetched = sum(register.asked[f"{kind} bytes"] for kind in kinds)
        own, grown = register.entries_bytes - first_bytes, register.size - first
        register.asked.clear()
        await reader.read()
        poll = register.asked["checkpoint bytes"] + register.asked["stamps bytes"]
    return fetched / grown * rate / MB, own / grown * rate / MB, float(poll)
