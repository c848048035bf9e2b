"""Measures what each part of the doorbell takes of a Pi: the rows of "What a Pi will pay".

    python -m tests.on_device.parts --folder /var/lib/doorward/measure --pid PID

A doorbell of its own is started on the board, with a film that was encoded before, as in
docs/benchmarks.md: only then the rows are the same. What a viewer takes is seen at the doorbell
that runs already (`--pid`, from `systemctl show --property MainPID doorward`). On another machine
it says why it measures nothing.
"""

import argparse
import asyncio
import importlib.util
import json
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from firmware.capture.board import OTHER, BoardProfile, board

BENCHMARKS = Path(__file__).parents[2] / "docs" / "benchmarks.json"
NEEDED = ("av", "cbor2", "numpy", "PIL")
"""Modules that the film and the paired folder are made with."""
RUNS = 5
WINDOW_S = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One part on this board, beside what was computed for it."""

    id: str
    what: str
    value: float
    unit: str
    computed: float | None


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print and write; 0 where there is nothing to measure, with the reason."""
    options = _options(arguments)
    profile = board()
    reason = reason_against(profile)
    if reason:
        print(f"skipped: {reason}")
        return 0
    measured = _measured(options)
    rows = beside(measured, expected(BENCHMARKS.read_bytes(), profile.name))
    print(table(rows))
    told = {"board": profile.name, "rows": [asdict(row) for row in rows]}
    options.json.write_text(json.dumps(told, indent=1, ensure_ascii=False) + "\n")
    print(f"\nwritten to {options.json}")
    return 0


def reason_against(
    profile: BoardProfile, has: Callable[[str], object] = importlib.util.find_spec
) -> str:
    """Say why nothing can be measured here; "" if it can."""
    if profile == OTHER:
        return f"this is {profile.name}; docs/benchmarks.md has what one of those takes"
    missing = [name for name in NEEDED if not has(name)]
    if missing:
        return (
            f"this environment has no {', '.join(missing)} (pip install cbor2 av; apt for others)"
        )
    return ""


def expected(benchmarks_json: bytes, profile: str) -> dict[str, float]:
    """Return what docs/benchmarks.json gives for this board, by the rows' ids."""
    from tests.bench.pi import computed
    from tests.bench.report import parse_entries

    return computed(parse_entries(benchmarks_json), profile)


def beside(measured: Sequence[Row], computed: Mapping[str, float]) -> list[Row]:
    """Return the rows with what was computed."""
    return [
        Row(
            id=row.id,
            what=row.what,
            value=row.value,
            unit=row.unit,
            computed=computed.get(row.id),
        )
        for row in measured
    ]


def table(rows: Sequence[Row]) -> str:
    """Return the rows for people."""
    lines = [f"{'':28}{'measured':>12}{'computed':>12}"]
    for row in rows:
        computed = "–" if row.computed is None else f"{row.computed:.3g}"
        lines.append(f"{row.id:28}{row.value:12.3g}{computed:>12}  {row.unit}: {row.what}")
    return "\n".join(lines)


def viewer_rows(pid: int, window_s: float, *, wait_for_viewer: Callable[[], object]) -> list[Row]:
    """Look at a running doorbell before somebody watches, and while they do."""
    from tests.bench.children import cpu_s, memory_bytes

    def window() -> tuple[float, float]:
        begin_s, begun_s = cpu_s(pid), time.monotonic()
        time.sleep(window_s)
        percent = 100 * (cpu_s(pid) - begin_s) / (time.monotonic() - begun_s)
        return percent, memory_bytes(pid) / 1e6

    percent, memory_mb = window()
    wait_for_viewer()
    watched_percent, watched_mb = window()
    return [
        Row(
            id="part viewer",
            what="one viewer, by the camera's own encoder",
            value=watched_percent - percent,
            unit="% of a core",
            computed=None,
        ),
        Row(
            id="part viewer memory",
            what="the first viewer, with WebRTC's libraries",
            value=watched_mb - memory_mb,
            unit="MB",
            computed=None,
        ),
    ]


def _measured(options: argparse.Namespace) -> list[Row]:
    from tests.bench.whole import parts_without_viewer

    rows = []
    if options.pid:
        rows += viewer_rows(options.pid, options.window_s, wait_for_viewer=_wait_for_viewer)
    options.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        parts = asyncio.run(
            parts_without_viewer(Path(name), runs=options.runs, window_s=options.window_s)
        )
    rows += [
        Row(id=part.id, what=part.what, value=part.value, unit=part.unit, computed=None)
        for part in parts
    ]
    return rows


def _wait_for_viewer() -> None:
    input("Open the live view in the app, wait until there is a picture, then press Enter … ")


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.on_device.parts", description=__doc__)
    parser.add_argument(
        "--folder", type=Path, required=True, help="a folder on the doorbell's card"
    )
    parser.add_argument("--json", type=Path, default=Path("parts.json"), help="the report")
    parser.add_argument("--pid", type=int, default=0, help="the doorbell that runs, for a viewer")
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--window-s", type=float, default=WINDOW_S, help="seconds of each window")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
