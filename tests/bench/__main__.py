"""`make bench`: measure everything and write docs/benchmarks.md and docs/benchmarks.json.

It takes about 40 minutes, and nothing else should run meanwhile. `make bench ARGS="--only recording
whole"` prints some and writes nothing.
"""

import argparse
import datetime as dt
import logging
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType

from tests.bench import (
    finishing,
    first_frame,
    grants,
    latency,
    logs,
    lossy,
    motion,
    packages,
    pre_roll,
    recording,
    ring,
    road,
    upload,
    viewers,
    whole,
)
from tests.bench.measuring import FULL, NotHere, Result, Size
from tests.bench.plot import as_svg
from tests.bench.report import FAILED, as_json, as_markdown, machine_text, plot_file

log = logging.getLogger(__name__)

DOCS = Path(__file__).resolve().parents[2] / "docs"
BENCHMARKS = (
    ring,
    recording,
    pre_roll,
    finishing,
    motion,
    first_frame,
    road,
    viewers,
    lossy,
    latency,
    whole,
    grants,
    packages,
    logs,
    upload,
)


def main() -> int:
    """Measure and write; the exit code is 1 if a goal wasn't met or a benchmark failed.

    What can't be measured on this machine is said in the documents, and is no failure.
    """
    names = [_name(benchmark) for benchmark in BENCHMARKS]
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--runs", type=int, default=FULL.runs, help="at least 5 for the documents")
    parser.add_argument("--out", type=Path, default=DOCS, help="folder for the documents")
    parser.add_argument("--only", nargs="+", choices=names, help="print these, write nothing")
    given = parser.parse_args()
    logging.getLogger("firmware").setLevel(logging.ERROR)  # each rig would warn anew
    size = replace(FULL, runs=given.runs, real_time_runs=min(given.runs, FULL.real_time_runs))
    machine = machine_text()
    results, lacking = measure_all(given.only or names, size)
    if given.only is None:
        _write(given.out, results, lacking, machine)
    has_failed = any(why == FAILED for why in lacking.values())
    return 1 if has_failed or any(result.is_met is False for result in results) else 0


def results_of(benchmark: ModuleType, size: Size) -> Sequence[Result]:
    """Run one benchmark, which may give several results."""
    measured: Result | list[Result] = benchmark.measure(size)
    return measured if isinstance(measured, list) else [measured]


def measure_all(
    names: Sequence[str], size: Size, benchmarks: Sequence[ModuleType] = BENCHMARKS
) -> tuple[list[Result], dict[str, str]]:
    """Return what was measured, and why the other benchmarks of these names gave nothing."""
    results: list[Result] = []
    lacking: dict[str, str] = {}
    for place, benchmark in enumerate(benchmarks, 1):
        name = _name(benchmark)
        if name not in names:
            continue
        _say(f"[{place}/{len(benchmarks)}] {name} …")
        try:
            results += _measured(benchmark, size)
        except NotHere as error:
            _say(f"      not measured: {error}")
            lacking[name] = f"wasn't measured: {error}"
        except Exception:  # the supervisor: the others took minutes, too
            log.exception("%s can't be measured", name)
            lacking[name] = FAILED
    return results, lacking


def _measured(benchmark: ModuleType, size: Size) -> Sequence[Result]:
    """Run one benchmark, and say what goes on: some take minutes."""
    begin_s = time.monotonic()
    measured = results_of(benchmark, size)
    for result in measured:
        _say(_line(result))
    _say(f"      {time.monotonic() - begin_s:.0f} s")
    return measured


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _name(benchmark: ModuleType) -> str:
    return benchmark.__name__.rpartition(".")[2]


def _line(result: Result) -> str:
    p99 = "" if result.p99 is None else f", p99 {result.p99:.3g}"
    ratio = "" if result.ratio is None else f", {result.ratio:.3g} × {result.peer}"
    missed = "; the goal isn't met" if result.is_met is False else ""
    return f"{result.id}: {result.value:.3g} {result.unit}{p99}{ratio}{missed}"


def _write(
    folder: Path, results: Sequence[Result], lacking: Mapping[str, str], machine: str
) -> None:
    today = dt.datetime.now(dt.UTC).date()
    (folder / "images").mkdir(exist_ok=True)
    for result in results:
        if result.points:
            (folder / plot_file(result)).write_text(as_svg(result))
    (folder / "benchmarks.md").write_text(as_markdown(results, machine, today, lacking))
    (folder / "benchmarks.json").write_text(as_json(results, machine, today))


if __name__ == "__main__":
    sys.exit(main())
