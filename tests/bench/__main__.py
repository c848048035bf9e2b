"""`make bench`: measure everything and write docs/benchmarks.md and docs/benchmarks.json.

It takes about two hours, most of them at a camera's pace, and nothing else should run meanwhile.
`make bench ARGS="--only recording whole"` measures these anew and leaves the other rows as they
were, each with its date, machine and commit; `make bench ARGS=relay` those of the relay, and
`ARGS="relay --long"` with the largest fleets and databases as well; `--dry` writes nothing.
"""

import argparse
import logging
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType

from tests.bench import (
    commands,
    enrolment,
    failover,
    finishing,
    first_frame,
    grants,
    idle,
    idle_fleet,
    images,
    latency,
    logs,
    lossy,
    motion,
    owner_app,
    packages,
    page_news,
    pre_roll,
    presses,
    reads,
    recording,
    register,
    resting,
    ring,
    road,
    upload,
    verifying,
    viewers,
    whole,
)
from tests.bench.measuring import FULL, NotHere, Result, Size
from tests.bench.plot import as_svg
from tests.bench.report import (
    FAILED,
    NEVER,
    Setting,
    as_json,
    as_markdown,
    entry_of,
    merged,
    parse_entries,
    plot_file,
    setting_now,
)

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
    owner_app,
    viewers,
    lossy,
    latency,
    whole,
    grants,
    packages,
    enrolment,
    verifying,
    presses,
    page_news,
    idle_fleet,
    reads,
    logs,
    register,
    failover,
    upload,
    commands,
    images,
    resting,
)
GROUPS = {
    "relay": (
        *("presses", "page_news", "idle_fleet", "reads"),
        *("logs", "register", "failover", "commands", "resting"),
    ),
}
"""Of `make bench ARGS=relay`: L1 to L9."""


def main() -> int:
    """Measure and write; the exit code is 1 if a goal wasn't met or a benchmark failed.

    What can't be measured on this machine is said in the documents, and is no failure.
    """
    names = [_name(benchmark) for benchmark in BENCHMARKS]
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("group", nargs="?", choices=GROUPS, help="measure these alone anew")
    parser.add_argument("--runs", type=int, default=FULL.runs, help="at least 5 for the documents")
    parser.add_argument("--out", type=Path, default=DOCS, help="folder for the documents")
    parser.add_argument("--only", nargs="+", choices=names, help="measure these anew")
    parser.add_argument("--long", action="store_true", help="the largest sizes too: some hours")
    parser.add_argument("--dry", action="store_true", help="print, write nothing")
    given = parser.parse_args()
    logging.getLogger("firmware").setLevel(logging.ERROR)  # each rig would warn anew
    size = replace(
        FULL,
        runs=given.runs,
        real_time_runs=min(given.runs, FULL.real_time_runs),
        is_long=given.long,
    )
    setting = setting_now()
    results, lacking = measure_all(given.only or GROUPS.get(given.group, names), size)
    if not given.dry:
        _write(given.out, results, lacking, setting)
    has_failed = any(why == FAILED for why in lacking.values())
    missed = any(result.is_met is False for one in results.values() for result in one)
    return 1 if has_failed or missed else 0


def results_of(benchmark: ModuleType, size: Size) -> Sequence[Result]:
    """Run one benchmark, which may give several results."""
    measured: Result | list[Result] = benchmark.measure(size)
    return measured if isinstance(measured, list) else [measured]


def measure_all(
    names: Sequence[str], size: Size, benchmarks: Sequence[ModuleType] = BENCHMARKS
) -> tuple[dict[str, Sequence[Result]], dict[str, str]]:
    """Return what each benchmark measured, and why the others of these names gave nothing."""
    results: dict[str, Sequence[Result]] = {}
    lacking: dict[str, str] = {}
    for place, benchmark in enumerate(benchmarks, 1):
        name = _name(benchmark)
        if name not in names:
            continue
        _say(f"[{place}/{len(benchmarks)}] {name} …")
        try:
            results[name] = _measured(benchmark, size)
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
    folder: Path,
    results: Mapping[str, Sequence[Result]],
    lacking: Mapping[str, str],
    setting: Setting,
) -> None:
    (folder / "images").mkdir(exist_ok=True)
    anew = []
    for name, measured in results.items():
        for result in measured:
            anew.append(entry_of(result, benchmark=name, setting=setting))
            if result.points:
                (folder / plot_file(result.id)).write_text(as_svg(result))
    written = folder / "benchmarks.json"
    before = parse_entries(written.read_bytes()) if written.exists() else []
    names = [_name(benchmark) for benchmark in BENCHMARKS]
    entries = merged(before, anew, names)
    written_of = {entry.benchmark for entry in entries}
    unwritten = {name: NEVER for name in names if name not in written_of}
    document = as_markdown(entries, {**unwritten, **lacking}) + idle.section_in(folder)
    (folder / "benchmarks.md").write_text(document)
    written.write_text(as_json(entries))


if __name__ == "__main__":
    sys.exit(main())
