"""`make bench`: measure everything and write docs/benchmarks.md and docs/benchmarks.json."""

import argparse
import datetime as dt
import sys
from dataclasses import replace
from pathlib import Path

from tests.bench import grants, packages, recording, ring
from tests.bench.measuring import FULL
from tests.bench.report import as_json, as_markdown, machine_text

DOCS = Path(__file__).resolve().parents[2] / "docs"
BENCHMARKS = (ring, recording, grants, packages)


def main() -> int:
    """Measure and write; the exit code is 1 if a goal wasn't met."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--runs", type=int, default=FULL.runs, help="at least 5 for the documents")
    parser.add_argument("--out", type=Path, default=DOCS, help="folder for both files")
    given = parser.parse_args()
    size = replace(FULL, runs=given.runs)
    machine = machine_text()
    results = []
    for benchmark in BENCHMARKS:
        result = benchmark.measure(size)
        print(
            f"{result.id}: {result.value:.3g} {result.unit}, {result.ratio:.3g} × {result.peer}",
            file=sys.stderr,
        )
        results.append(result)
    today = dt.datetime.now(dt.UTC).date()
    (given.out / "benchmarks.md").write_text(as_markdown(results, machine, today))
    (given.out / "benchmarks.json").write_text(as_json(results, machine, today))
    return 1 if any(result.is_met is False for result in results) else 0


if __name__ == "__main__":
    sys.exit(main())
