"""D11 and D13: a whole doorbell without its encoder: memory, start, and CPU.

The doorbell is a process of its own (tests.bench.doorbell_process), looked at from outside; so is
its viewer. Somebody moves before the camera all the time, so a clip is always being recorded.
"""

import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.bench.children import Child, cpu_s, memory_bytes
from tests.bench.feed import write_luma, write_unit
from tests.bench.film import FPS, Film, grainy_film
from tests.bench.measuring import Goal, Point, Readings, Result, Run, Size, tried

WIDTH, HEIGHT, BITRATE_BPS = 1920, 1080, 4_000_000
WINDOW_S = 20.0
FILL_S = 2.5
"""How much longer than the pre-roll it takes at most until the ring is full."""
LEAST_SHOWN = 0.5
"""Of the pictures; a viewer that shows fewer isn't one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """One doorbell's life."""

    first_unit_ns: int
    memory_mb: float
    cpu_percent: float


def measure(size: Size) -> list[Result]:
    """Let doorbells live one after the other, some with shorter and longer rings."""
    film = grainy_film(WIDTH, HEIGHT, BITRATE_BPS)
    window_s = min(WINDOW_S, size.real_time_s)
    with tempfile.TemporaryDirectory(prefix="doorward-bench-") as name:
        path = _write(film, Path(name) / "film.h264")
        usual = [
            seen for _ in range(size.runs) for seen in _lives(path, film, size.ring_s, window_s)
        ]
        points = [
            Point(size=ring_s, value=seen.memory_mb)
            for ring_s in ((size.ring_s / 2, size.ring_s * 3) if size.runs > 1 else ())
            for seen in _lives(path, film, ring_s, window_s)
        ]
    if not usual:
        raise RuntimeError("no doorbell lived long enough to be measured")
    memory_mb = statistics.median(seen.memory_mb for seen in usual)
    points.append(Point(size=size.ring_s, value=memory_mb))
    at_work = f"one viewer, one recording, motion; 1080p{FPS}, 4 Mbit/s, encoded before"
    return [
        Result(
            id="D11",
            what=f"memory (RSS) with a ring of {size.ring_s:g} s, {at_work}",
            unit="MB",
            own_runs=[Readings(values=[seen.memory_mb]) for seen in usual],
            goal=Goal(value=140.0),
            points=sorted(points, key=lambda point: point.size),
            axis="pre-roll, s",
        ),
        Result(
            id="D11 start",
            what="start of the process → the first access unit in the ring",
            unit="s",
            own_runs=[Run(times_ns=[seen.first_unit_ns]) for seen in usual],
            goal=Goal(value=1.5),
        ),
        Result(
            id="D13",
            what=f"CPU of the whole doorbell without its encoder: {at_work}",
            unit="% of a core",
            own_runs=[Readings(values=[seen.cpu_percent]) for seen in usual],
            goal=Goal(value=6.0),
            note="Clips are cut every 15 s, the least that can be set, so that their ends count.",
        ),
    ]


def _lives(film_file: Path, film: Film, ring_s: float, window_s: float) -> list[_Seen]:
    """Return what one life gave, at its second try if the first failed; nothing if both did."""
    seen = tried(lambda: _live(film_file, film, ring_s, window_s), "D11")
    return [] if seen is None else [seen]


def _live(film_file: Path, film: Film, ring_s: float, window_s: float) -> _Seen:
    """Let one doorbell live, with a viewer, until its ring has been full for a while."""
    with (
        tempfile.TemporaryDirectory(prefix="doorward-bench-") as folder,
        _child("doorbell_process", folder, film_file, film.width, film.height, ring_s) as doorbell,
        _child("viewer_process") as viewer,
    ):
        first_unit_ns = doorbell.hear("first_unit_ns") - doorbell.started_ns
        doorbell.say(offer=viewer.hear("offer"))
        viewer.say(answer=doorbell.hear("answer"))
        viewer.hear("shown")
        doorbell.say(press=True)
        shown_s = time.monotonic()
        time.sleep(ring_s + min(FILL_S, ring_s))
        begin_s, used_s = time.monotonic(), cpu_s(doorbell.pid)
        time.sleep(window_s)
        used_s, window_s = cpu_s(doorbell.pid) - used_s, time.monotonic() - begin_s
        memory_mb = memory_bytes(doorbell.pid) / 1e6
        expected = (time.monotonic() - shown_s) * FPS
        frames = viewer.hear_all()[-1]["frames"]
        clips = doorbell.hear_all()[-1]["clips"]
    if frames < LEAST_SHOWN * expected or clips == 0:
        raise RuntimeError(f"{frames} of {expected:.0f} pictures were seen, {clips} clips made")
    return _Seen(
        first_unit_ns=first_unit_ns,
        memory_mb=memory_mb,
        cpu_percent=used_s / window_s * 100,
    )


@contextmanager
def _child(module: str, *arguments: object) -> Iterator[Child]:
    child = Child(f"tests.bench.{module}", *arguments)
    try:
        yield child
    finally:
        child.end()


def _write(film: Film, path: Path) -> Path:
    with path.open("wb") as file:
        for unit in film.units:
            write_unit(file, unit)
    with path.with_suffix(".luma").open("wb") as file:
        for frame in film.luma:
            write_luma(file, frame)
    return path
