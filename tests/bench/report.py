"""Writes results down: a table for people, and the same as JSON.

The table is made of the JSON's entries, so that a part can be measured anew: what was measured
before stays beside it, each with its own date.
"""

import datetime as dt
import os
import platform
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import msgspec

from tests.bench.measuring import Goal, Result
from tests.bench.not_measured import not_measured_table
from tests.bench.pi import is_part, pi_table

COMMAND = "make bench"
NOT_A_PI = "not measured on a Pi"
FAILED = "failed in this run and is missing above"
NEVER = "hasn't been run for this table yet"


class PointEntry(msgspec.Struct, frozen=True, kw_only=True):
    """The same work at another size."""

    size: float
    value: float
    peer_value: float | None


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One result in docs/benchmarks.json; figures have three digits."""

    id: str
    what: str
    value: float
    min: float
    max: float
    unit: str
    p99: float | None
    peer: str | None
    peer_value: float | None
    peer_min: float | None
    peer_max: float | None
    ratio: float | None
    goal: str | None
    met: bool | None
    note: str | None
    by: str | None
    points: list[PointEntry]
    runs: int
    command: str
    benchmark: str
    """The module of tests/bench that measured it: `make bench ARGS="--only …"`."""
    date: str
    machine: str
    load: float | None = None
    """The load average (1 minute) when the benchmark began; None if it wasn't noted."""
    nice: int = 0
    """The scheduling priority that the benchmark ran with (nice(2))."""
    commit: str | None = None
    """What was measured, "+" if there was more than is committed; None if it wasn't noted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """Where, when and of what a benchmark was measured."""

    date: dt.date
    machine: str
    load: float
    nice: int
    commit: str


def setting_now() -> Setting:
    """Return this machine, its load, this moment, and what is measured."""
    return Setting(
        date=dt.datetime.now(dt.UTC).date(),
        machine=machine_text(),
        load=os.getloadavg()[0],
        nice=os.nice(0),
        commit=_commit(),
    )


def entry_of(result: Result, *, benchmark: str, setting: Setting) -> Entry:
    """Return a result as it is written down."""
    peers = result.peer_values
    return Entry(
        id=result.id,
        what=result.what,
        value=_rounded(result.value),
        min=_rounded(min(result.values)),
        max=_rounded(max(result.values)),
        unit=result.unit,
        p99=_rounded_or_none(result.p99),
        peer=result.peer or None,
        peer_value=_rounded_or_none(result.peer_value),
        peer_min=_rounded(min(peers)) if peers else None,
        peer_max=_rounded(max(peers)) if peers else None,
        ratio=_rounded_or_none(result.ratio),
        goal=_goal(result.goal, result.unit) or None,
        met=result.is_met,
        note=result.note or None,
        by=result.axis or None,
        points=[
            PointEntry(
                size=point.size,
                value=_rounded(point.value),
                peer_value=_rounded_or_none(point.peer_value),
            )
            for point in result.points
        ],
        runs=len(result.own_runs),
        command=COMMAND,
        benchmark=benchmark,
        date=setting.date.isoformat(),
        machine=f"{setting.machine}; {NOT_A_PI}",
        load=_rounded(setting.load),
        nice=setting.nice,
        commit=setting.commit,
    )


def merged(before: Sequence[Entry], anew: Sequence[Entry], order: Sequence[str]) -> list[Entry]:
    """Return all entries in the benchmarks' order; a benchmark measured anew gives all of its own.

    What a benchmark that is gone has measured goes, too.
    """
    measured = {entry.benchmark for entry in anew}
    kept = [entry for entry in before if entry.benchmark not in measured]
    known = [entry for entry in (*kept, *anew) if entry.benchmark in order]
    return sorted(known, key=lambda entry: order.index(entry.benchmark))


def as_json(entries: Sequence[Entry]) -> str:
    """Return docs/benchmarks.json."""
    return msgspec.json.format(msgspec.json.encode(entries), indent=1).decode() + "\n"


def parse_entries(text: bytes) -> list[Entry]:
    """Return the entries of docs/benchmarks.json."""
    return msgspec.json.decode(text, type=list[Entry])


def as_markdown(entries: Sequence[Entry], lacking: Mapping[str, str] = MappingProxyType({})) -> str:
    """Return docs/benchmarks.md; `lacking` says of benchmarks without result why."""
    letters = _letters(entries)
    head = (
        "# Benchmarks\n\n"
        f"**{NOT_A_PI[0].upper()}{NOT_A_PI[1:]}.** By `{COMMAND}`, each row on its date and "
        "machine:\n\n"
        + "".join(f"- **{letter}**: {machine}\n" for machine, letter in letters.items())
        + "\nEach value is the median of its runs, least and most in brackets. Part and peer run "
        "in turns on the same work,\non machines that others use as well: the ratio is the "
        "result, not the time; the load is the machine's average\nas the benchmark began. "
        "Delays suffer from others' work: those at *nice* -5 or -10 ran before it, the others "
        "beside it.\ntests/bench/ shows what is measured exactly; benchmarks.json holds the same "
        "figures and each row's commit. Rows\ncalled *hot* come from a loop without sleeps.\n\n"
        "| id | what | runs | value | p99 | peer | peer's value | ratio | goal | machine, date, "
        "load |\n"
        "|---|---|---|---|---|---|---|---|---|---|\n"
    )
    shown = [entry for entry in entries if not is_part(entry)]
    table = "".join(f"| {' | '.join(_row(entry, letters))} |\n" for entry in shown)
    notes = "".join(f"- **{name}** {why}.\n" for name, why in lacking.items()) + "".join(
        f"- **{entry.id}**: {entry.note}\n" for entry in shown if entry.note
    )
    plots = "".join(
        f"![{entry.what}, by {entry.by}]({plot_file(entry.id)})\n"
        for entry in entries
        if entry.points
    )
    measured = {entry.id for entry in entries}
    parts = (head + table, notes, not_measured_table(measured), pi_table(entries), plots)
    return "\n".join(part for part in parts if part)


def plot_file(result_id: str) -> str:
    """Return the name of a result's plot, as seen from the documents."""
    return f"images/bench-{result_id.replace(' ', '-')}.svg"


def machine_text() -> str:
    """Say what was measured on, without naming whose it is."""
    names = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    return (
        f"{names[0] if names else platform.machine()}, {os.cpu_count()} cores, "
        f"{platform.system()} {platform.release().partition('-')[0]}, "
        f"Python {platform.python_version()}, files on {_file_system()}"
    )


def _letters(entries: Sequence[Entry]) -> dict[str, str]:
    """Return a letter for each machine."""
    machines = sorted({entry.machine for entry in entries})
    return {machine: chr(ord("A") + number) for number, machine in enumerate(machines)}


def _commit() -> str:
    """Return the commit that is checked out, with "+" if more is in the files."""
    root = Path(__file__).resolve().parents[2]

    def git(*words: str) -> str:
        ran = subprocess.run(["git", *words], cwd=root, capture_output=True, text=True, check=True)
        return ran.stdout.strip()

    more = "+" if git("status", "--porcelain", "--untracked-files=no") else ""
    return git("rev-parse", "--short=10", "HEAD") + more


def _row(entry: Entry, letters: Mapping[str, str]) -> list[str]:
    verdict = {True: "met", False: "**not met**", None: "can't be told"}[entry.met]
    return [
        entry.id,
        entry.what,
        str(entry.runs),
        _spread(entry.value, entry.min, entry.max, entry.unit),
        "–" if entry.p99 is None else f"{entry.p99:g} {entry.unit}",
        entry.peer or "–",
        "–"
        if entry.peer_value is None or entry.peer_min is None or entry.peer_max is None
        else _spread(entry.peer_value, entry.peer_min, entry.peer_max, entry.unit),
        "–" if entry.ratio is None else f"{entry.ratio:g}",
        f"{entry.goal}: {verdict}" if entry.goal else "–",
        f"{letters[entry.machine]}, {entry.date}"
        + ("" if entry.load is None else f", {entry.load:g}")
        + (f" (nice {entry.nice})" if entry.nice else ""),
    ]


def _goal(goal: Goal | None, unit: str) -> str:
    if goal is None:
        return ""
    parts = []
    if goal.value is not None:
        parts.append(f"≤ {_rounded(goal.value):g} {unit}")
    if goal.p99 is not None:
        parts.append(f"p99 ≤ {_rounded(goal.p99):g}{'' if goal.value is not None else f' {unit}'}")
    if goal.ratio is not None:
        parts.append(f"ratio ≤ {_rounded(goal.ratio):g}")
    if goal.over_peer is not None:
        parts.append(f"≤ {_rounded(goal.over_peer):g} {unit} over the peer")
    if goal.highest is not None:
        parts.append(f"the slowest ≤ {_rounded(goal.highest):g} {unit}")
    return ", ".join(parts)


def _spread(median: float, least: float, most: float, unit: str) -> str:
    return f"{median:g} {unit} ({least:g}–{most:g})"


def _rounded(value: float) -> float:
    return float(f"{value:.3g}")


def _rounded_or_none(value: float | None) -> float | None:
    return None if value is None else _rounded(value)


def _file_system() -> str:
    """Return the kind of file system that temporary files lie on."""
    folder = Path(tempfile.gettempdir()).resolve()
    mounts = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    around = [mount for mount in mounts if folder.is_relative_to(mount[1])]
    return max(around, key=lambda mount: len(mount[1]))[2]
