"""Writes results down: a table for people, and the same as JSON."""

import datetime as dt
import json
import os
import platform
import statistics
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from tests.bench.measuring import Result

COMMAND = "make bench"
NOT_A_PI = "not measured on a Pi"
FAILED = "failed in this run and is missing above"


def as_json(results: Sequence[Result], machine: str, date: dt.date) -> str:
    """Return docs/benchmarks.json."""
    entries = [_entry(result, machine, date) for result in results]
    return json.dumps(entries, indent=1, ensure_ascii=False) + "\n"


def as_markdown(
    results: Sequence[Result],
    machine: str,
    date: dt.date,
    lacking: Mapping[str, str] = MappingProxyType({}),
) -> str:
    """Return docs/benchmarks.md; `lacking` says of benchmarks without result why."""
    head = (
        "# Benchmarks\n\n"
        f"**{NOT_A_PI[0].upper()}{NOT_A_PI[1:]}.** By `{COMMAND}` on {date.isoformat()}: "
        f"{machine}.\n\n"
        "Each value is the median of its runs, least and most in brackets. Part and peer run in "
        "turns on the same work,\non a machine that others use as well: the ratio is the result, "
        "not the time. tests/bench/ shows what is measured\nexactly; benchmarks.json holds the "
        "same figures.\n\n"
        "| id | what | runs | value | p99 | peer | peer's value | ratio | goal |\n"
        "|---|---|---|---|---|---|---|---|---|\n"
    )
    table = "".join(f"| {' | '.join(_row(result))} |\n" for result in results)
    notes = "".join(f"- **{name}** {why}.\n" for name, why in lacking.items()) + "".join(
        f"- **{result.id}**: {result.note}\n" for result in results if result.note
    )
    plots = "".join(
        f"![{result.what}, by {result.axis}]({plot_file(result)})\n"
        for result in results
        if result.points
    )
    return "\n".join(part for part in (head + table, notes, plots) if part)


def plot_file(result: Result) -> str:
    """Return the name of a result's plot, as seen from the documents."""
    return f"images/bench-{result.id.replace(' ', '-')}.svg"


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
        f"Python {platform.python_version()}, files on {_file_system()}, "
        f"load {os.getloadavg()[0]:.1f}"
    )


def _entry(result: Result, machine: str, date: dt.date) -> dict[str, Any]:
    peers = result.peer_values
    return {
        "id": result.id,
        "what": result.what,
        "value": _rounded(result.value),
        "min": _rounded(min(result.values)),
        "max": _rounded(max(result.values)),
        "unit": result.unit,
        "p99": _rounded_or_none(result.p99),
        "peer": result.peer or None,
        "peer_value": _rounded_or_none(result.peer_value),
        "peer_min": _rounded(min(peers)) if peers else None,
        "peer_max": _rounded(max(peers)) if peers else None,
        "ratio": _rounded_or_none(result.ratio),
        "goal": _goal(result) or None,
        "met": result.is_met,
        "note": result.note or None,
        "by": result.axis or None,
        "points": [
            {
                "size": point.size,
                "value": _rounded(point.value),
                "peer_value": _rounded_or_none(point.peer_value),
            }
            for point in result.points
        ],
        "runs": len(result.own_runs),
        "command": COMMAND,
        "date": date.isoformat(),
        "machine": f"{machine}; {NOT_A_PI}",
    }


def _row(result: Result) -> list[str]:
    goal = _goal(result)
    verdict = {True: "met", False: "**not met**", None: "can't be told"}[result.is_met]
    peers = result.peer_values
    return [
        result.id,
        result.what,
        str(len(result.own_runs)),
        _spread(result.values, result.value, result.unit),
        "–" if result.p99 is None else f"{_rounded(result.p99):g} {result.unit}",
        result.peer or "–",
        _spread(peers, statistics.median(peers), result.unit) if peers else "–",
        "–" if result.ratio is None else f"{_rounded(result.ratio):g}",
        f"{goal}: {verdict}" if goal else "–",
    ]


def _goal(result: Result) -> str:
    goal = result.goal
    if goal is None:
        return ""
    parts = []
    if goal.value is not None:
        parts.append(f"≤ {_rounded(goal.value):g} {result.unit}")
    if goal.p99 is not None:
        unit = "" if goal.value is not None else f" {result.unit}"
        parts.append(f"p99 ≤ {_rounded(goal.p99):g}{unit}")
    if goal.ratio is not None:
        parts.append(f"ratio ≤ {_rounded(goal.ratio):g}")
    return ", ".join(parts)


def _spread(values: Sequence[float], median: float, unit: str) -> str:
    least, most = _rounded(min(values)), _rounded(max(values))
    return f"{_rounded(median):g} {unit} ({least:g}–{most:g})"


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
