"""D3: from a trigger to the moment when all of the pre-roll is safe on the disk."""

import asyncio
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from firmware.capture.camera_output import TICKS_PER_S, AccessUnit
from firmware.clips.ring import LONGEST_GOP_S, SLACK_S
from firmware.protocol.encoding import new_id
from tests.bench import circular
from tests.bench.circular import PeerMissing
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
        peer_ns, note = _peer(Path(name) / "peer.mp4", film, usual_s)
    sync_ms = statistics.median(syncs_ms)
    what = f"of the pre-roll safe on the disk ({usual_s:g} s, 1080p{FPS}, 4 Mbit/s)"
    points = [Point(size=s, value=_median_ms(run)) for s, run in others.items()]
    points.append(Point(size=usual_s, value=statistics.median(map(_median_ms, runs))))
    whole = Result(
        id="D3",
        what=f"trigger → all {what}",
        unit="ms",
        own_runs=[Run(times_ns=[delay.all_ns for delay in run]) for run in runs],
        peer="CircularOutput2: until its file has been given the picture of the trigger"
        if peer_ns
        else "",
        peer_runs=[Run(times_ns=[peer_ns])] if peer_ns else (),
        goal=Goal(p99=MARGIN_MS + 2 * sync_ms),
        note=note
        or f"One sync of this device takes {sync_ms:.2g} ms here (median of "
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
    wanted = len(rig.ring.snapshot(at_90k - round(rig.pre_roll_s * TICKS_PER_S)).units)
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
    return _Delay(first.at_ns - begin_ns, last.at_ns - begin_ns)


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


def _median_ms(run: list[_Delay]) -> float:
    return statistics.median(delay.all_ns for delay in run) / 1e6


def _peer(file: Path, film: Film, pre_roll_s: float) -> tuple[int, str]:
    """Return the peer's delay in ns (of video, which is real time with a camera), or why not."""
    try:
        outputs = circular.outputs()
    except PeerMissing as error:
        return 0, str(error)
    ring = outputs.circular_of(pre_roll_s, film.width, film.height)
    units = film.on()
    for _ in range(round(2 * pre_roll_s * FPS)):
        circular.put(ring, next(units))
    at = next(units)
    at = replace(at, data=bytes(bytearray(at.data)))  # so that it can be told from its likes
    spy = _Spy(outputs.pyav(str(file)), at.data)
    circular.put(ring, at)
    ring.open_output(spy)
    while not spy.has_seen:
        unit = next(units)
        circular.put(ring, unit)
    ring.stop()
    return (unit.pts_90k - at.pts_90k) * 100_000 // 9, ""


class _Spy:
    """Implements picamera2's Output: passes all on, and sees when one picture comes."""

    def __init__(self, inner: Any, picture: bytes) -> None:  # Any: picamera2 has no types
        self.has_seen = False
        self._inner = inner
        self._picture = picture
        self.start, self.stop, self._add_stream = inner.start, inner.stop, inner._add_stream

    def outputframe(self, frame: bytes, *rest: object) -> None:
        self._inner.outputframe(frame, *rest)
        self.has_seen = self.has_seen or frame is self._picture
