"""D3: from a trigger to the moment when all of the pre-roll is safe on the disk.

The peer writes the same pictures' bytes into a new file by one call and syncs it, in turns with
each trigger. The film plays faster than time: what is timed begins with a trigger over a full ring,
and meanwhile pictures come at the camera's pace.
"""

import asyncio
import os
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from firmware.capture.camera_output import TICKS_PER_S, AccessUnit
from firmware.clips.ring import LONGEST_GOP_S, SLACK_S
from firmware.protocol.encoding import new_id
from tests.bench.film import FPS, Film, grainy_film
from tests.bench.measuring import Goal, Point, Result, Run, Size
from tests.bench.rig import Rig, recording
from tests.fakes.clock import ManualClock

WIDTH, HEIGHT, BITRATE_BPS = 1920, 1080, 4_000_000
POST_ROLL_S = 0.5
MARGIN_MS = 50.0
SYNCS = 100
FRAGMENT_BYTES = 200_000
"""What is written before each sync that is timed: a fragment's worth at this bitrate."""


@dataclass(frozen=True, slots=True)
class _Delay:
    """One trigger's, in ns."""

    first_ns: int
    all_ns: int
    peer_ns: int


def measure(size: Size) -> list[Result]:
    """Trigger again and again over a ring that is full, at several lengths of the pre-roll."""
    film = grainy_film(WIDTH, HEIGHT, BITRATE_BPS)
    usual_s = size.pre_rolls_s[len(size.pre_rolls_s) // 2]
    with tempfile.TemporaryDirectory(prefix="doorward-bench-") as name:
        runs, syncs_ms = [], []
        for number in range(size.runs):
            syncs_ms.append(_sync_ms(Path(name) / "sync"))
            runs.append(_run(Path(name) / f"{number}", film, usual_s, size.triggers))
        others = {
            length_s: _run(Path(name) / f"{length_s}", film, length_s, size.triggers)
            for length_s in size.pre_rolls_s
            if length_s != usual_s
        }
    sync_ms = statistics.median(syncs_ms)
    what = f"of the pre-roll safe on the disk ({usual_s:g} s, 1080p{FPS}, 4 Mbit/s)"
    points = [_point(s, [run]) for s, run in others.items()]
    points.append(_point(usual_s, runs))
    whole = Result(
        id="D3",
        what=f"trigger → all {what}",
        unit="ms",
        own_runs=[Run(times_ns=[delay.all_ns for delay in run]) for run in runs],
        peer="the same pictures written to a new file and synced, plainly",
        peer_runs=[Run(times_ns=[delay.peer_ns for delay in run]) for run in runs],
        goal=Goal(p99=MARGIN_MS + 2 * sync_ms),
        note=f"One sync of this device takes {sync_ms:.2g} ms here (median of "
        f"{SYNCS * size.runs}, {FRAGMENT_BYTES // 1000} kB each), which the goal counts twice.",
        points=sorted(points, key=lambda point: point.size),
        axis="pre-roll, s",
    )
    first = Result(
        id="D3 first",
        what=f"trigger → the first fragment {what}",
        unit="ms",
        own_runs=[Run(times_ns=[delay.first_ns for delay in run]) for run in runs],
    )
    return [whole, first]


def _run(folder: Path, film: Film, pre_roll_s: float, triggers: int) -> list[_Delay]:
    return asyncio.run(_trigger_often(folder, film, pre_roll_s, triggers))


async def _trigger_often(
    folder: Path, film: Film, pre_roll_s: float, triggers: int
) -> list[_Delay]:
    clock = ManualClock()
    rig = Rig(
        folder,
        clock=clock,
        size=(film.width, film.height),
        pre_roll_s=pre_roll_s,
        post_roll_s=POST_ROLL_S,
    )
    units = film.on(clock.monotonic_ns() * 9 // 100_000)
    async with recording(rig):
        await _pass(rig, clock, units, pre_roll_s + LONGEST_GOP_S + SLACK_S)
        delays = []
        for _ in range(triggers):
            # Not a whole number of GOPs, so that triggers come at all places of one.
            await _pass(rig, clock, units, pre_roll_s + 0.37)
            delays.append(await _trigger(rig, units))
            await _pass(rig, clock, units, POST_ROLL_S + 0.2)
            await rig.next_clip()
        return delays


async def _pass(rig: Rig, clock: ManualClock, units: Iterator[AccessUnit], seconds: float) -> None:
    await rig.film([next(units) for _ in range(round(seconds * FPS))])
    clock.advance(seconds)


async def _trigger(rig: Rig, units: Iterator[AccessUnit]) -> _Delay:
    """Trigger once, while pictures go on coming, and wait until the pre-roll is safe."""
    at_90k = rig.ring.newest_pts_90k or 0
    units_before = rig.ring.snapshot(at_90k - round(rig.pre_roll_s * TICKS_PER_S)).units
    wanted = len(units_before)
    peer_ns = _written_ns(rig.folder / "peer", b"".join(unit.data for unit in units_before))
    rig.vault.syncs = []
    begin_ns = time.perf_counter_ns()
    rig.recorder.trigger(new_id(), "pressed", at_90k)
    filming = asyncio.create_task(_film_on(rig, units))
    try:
        await rig.until_durable(wanted)
    finally:
        filming.cancel()
    syncs = list(rig.vault.syncs)
    first = next(sync for sync in syncs if sync.unit_count > 0)
    last = next(sync for sync in syncs if sync.unit_count >= wanted)
    return _Delay(first.at_ns - begin_ns, last.at_ns - begin_ns, peer_ns)


async def _film_on(rig: Rig, units: Iterator[AccessUnit]) -> None:
    for _ in range(round(POST_ROLL_S * FPS) - 2):  # the clip must not end meanwhile
        await asyncio.sleep(1 / FPS)
        rig.hub.put(next(units))


def _sync_ms(path: Path) -> float:
    """Return what one sync of this device takes: the median of many, after as many writes."""
    times_ms = []
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
    for _ in range(SYNCS):
        os.write(descriptor, os.urandom(FRAGMENT_BYTES))
        begin_ns = time.perf_counter_ns()
        os.fdatasync(descriptor)
        times_ms.append((time.perf_counter_ns() - begin_ns) / 1e6)
    os.close(descriptor)
    path.unlink()
    return statistics.median(times_ms)


def _written_ns(path: Path, data: bytes) -> int:
    """Return what the peer takes; it is given the bytes in one piece."""
    begin_ns = time.perf_counter_ns()
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
    os.write(descriptor, data)
    os.fdatasync(descriptor)
    end_ns = time.perf_counter_ns()
    os.close(descriptor)
    path.unlink()
    return end_ns - begin_ns


def _point(length_s: float, runs: Sequence[Sequence[_Delay]]) -> Point:
    return Point(
        size=length_s,
        value=statistics.median(delay.all_ns for run in runs for delay in run) / 1e6,
        peer_value=statistics.median(delay.peer_ns for run in runs for delay in run) / 1e6,
    )
