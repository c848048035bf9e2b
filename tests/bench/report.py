"""Writes results down: a table for people, and the same as JSON."""

import datetime as dt
import json
import os
import platform
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.bench.measuring import Result

COMMAND = "make bench"
NOT_A_PI = "not measured on a Pi"


def as_json(results: Sequence[Result], machine: str, date: dt.date) -> str:
    """Return docs/benchmarks.json."""
    entries = [_entry(result, machine, date) for result in results]
    return json.dumps(entries, indent=1, ensure_ascii=False) + "\n"


def as_markdown(results: Sequence[Result], machine: str, date: dt.date) -> str:
    """Return docs/benchmarks.md."""
    head = (
        "# Benchmarks\n\n"
        f"**{NOT_A_PI[0].upper()}{NOT_A_PI[1:]}.** By `{COMMAND}` on {date.isoformat()}: "
        f"{machine}.\n\n"
        f"Each value is the median of {len(results[0].own_runs)} runs, least and most in "
        "brackets. Part and peer run in turns on\nthe same work, on a machine that others use as "
        "well: the ratio is the result, not the time. tests/bench/ shows\n"
        "what is measured exactly; "
        "benchmarks.json holds the same figures.\n\n"
        "| id | what | value | p99 | peer | peer's value | ratio | goal |\n"
        "|---|---|---|---|---|---|---|---|\n"
    )
    return head + "".join(f"| {' | '.join(_row(result))} |\n" for result in results)


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
    return {
        "id": result.id,
        "what": result.what,
        "value": _rounded(result.value),
        "min": _rounded(min(result.values)),
        "max": _rounded(max(result.values)),
        "unit": result.unit,
        "p99": None if result.p99 is None else _rounded(result.p99),
        "peer": result.peer,
        "peer_value": _rounded(result.peer_value),
        "peer_min": _rounded(min(result.peer_values)),
        "peer_max": _rounded(max(result.peer_values)),
        "ratio": _rounded(result.ratio),
        "goal": _goal(result) or None,
        "met": result.is_met,
        "runs": len(result.own_runs),
        "command": COMMAND,
        "date": date.isoformat(),
        "machine": f"{machine}; {NOT_A_PI}",
    }


def _row(result: Result) -> list[str]:
    goal = _goal(result)
    verdict = {True: ": met", False: ": **not met**", None: "–"}[result.is_met]
    return [
        result.id,
        result.what,
        _spread(result.values, result.value, result.unit),
        "–" if result.p99 is None else f"{_rounded(result.p99)} {result.unit}",
        result.peer,
        _spread(result.peer_values, result.peer_value, result.unit),
        f"{_rounded(result.ratio)}",
        f"{goal}{verdict}",
    ]


def _goal(result: Result) -> str:
    if result.goal is None:
        return ""
    p99 = "" if result.goal.p99 is None else f", p99 ≤ {result.goal.p99:g}"
    return f"≤ {result.goal.value:g} {result.unit}{p99}"


def _spread(values: Sequence[float], median: float, unit: str) -> str:
    return f"{_rounded(median)} {unit} ({_rounded(min(values))}–{_rounded(max(values))})"


def _rounded(value: float) -> float:
    return float(f"{value:.3g}")


def _file_system() -> str:
    """Return the kind of file system that temporary files lie on."""
    folder = Path(tempfile.gettempdir()).resolve()
    mounts = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    around = [mount for mount in mounts if folder.is_relative_to(mount[1])]
    return max(around, key=lambda mount: len(mount[1]))[2]
