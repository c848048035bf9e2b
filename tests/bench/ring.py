"""D1: one access unit into the pre-roll ring, against picamera2's CircularOutput2.

At the camera's pace: a thread hands in 30 units a second and sleeps in between, as an encoder's
does, while the recorder writes a clip. What is counted is CPU time of the camera's thread and of
the event loop; the recorder's own thread is D2's. In a loop without sleeps ("hot") caches stay
warm, and each figure is 5 to 40 times smaller: it stands beside, to compare with others' figures.
"""

import asyncio
import functools
import itertools
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from firmware.capture.camera_output import AccessUnit, pts_90k_of
from firmware.clips.ring import LONGEST_GOP_S, SLACK_S, Ring
from firmware.protocol.encoding import new_id
from firmware.system.clock import SystemClock
from tests.bench import circular
from tests.bench.circular import PeerMissing
from tests.bench.film import FPS, grainy_film
from tests.bench.measuring import Goal, Result, Run, Size, in_turns
from tests.bench.rig import Rig, recording

WIDTH, HEIGHT, BITRATE_BPS = 1920, 1080, 4_000_000
PRE_ROLL_S = 6.0
MAX_BYTES = 16_000_000
WINDOW_S = PRE_ROLL_S + LONGEST_GOP_S + SLACK_S
WARM_S = 2.0
"""Before anything is counted."""
PACED = Goal(ratio=0.6)
HOT = Goal(value=10.0, p99=60.0, ratio=0.6)
IDLE = "picamera2's CircularOutput2.outputframe, nothing open"
BUSY = "picamera2's CircularOutput2.outputframe with its PyavOutput open"
NOTE = (
    "CPU time. The peer writes its file on this thread; here another thread writes, seals and "
    "syncs, which is D2's."
)

Units = Sequence[AccessUnit]
Measure = Callable[[Units], Run]


def measure(size: Size) -> list[Result]:
    """Hand in a minute of units at the camera's pace, and five minutes in a loop."""
    film = grainy_film(WIDTH, HEIGHT, BITRATE_BPS)
    hot = list(itertools.islice(film.on(), 10 * size.video_s * FPS))
    paced = list(itertools.islice(film.on(), round((WARM_S + size.video_s) * FPS)))
    with tempfile.TemporaryDirectory(prefix="doorward-bench-") as folder:
        busy = functools.partial(_circular_paced, file=Path(folder) / "peer.mp4")
        return [
            _result(
                "D1",
                "access unit → ring at 30 a second while a clip is recorded: the camera's thread "
                "and the event loop, per unit",
                _paced,
                busy,
                BUSY,
                paced,
                size.real_time_runs,
                PACED,
                NOTE,
            ),
            _result(
                "D1 hot",
                "the same in a loop without sleeps, nothing recorded: the ring alone",
                _ring,
                _circular,
                IDLE,
                hot,
                size.runs,
                HOT,
            ),
        ]


def _result(
    id_: str,
    what: str,
    own: Measure,
    peer: Measure,
    peer_name: str,
    units: Units,
    runs: int,
    goal: Goal,
    note: str = "",
) -> Result:
    try:
        circular.outputs()
    except PeerMissing as error:
        own_runs = [own(units) for _ in range(runs)]
        return Result(id=id_, what=what, unit="µs", own_runs=own_runs, goal=goal, note=str(error))
    own_runs, peer_runs = in_turns(runs, lambda: own(units), lambda: peer(units))
    return Result(
        id=id_,
        what=what,
        unit="µs",
        peer=peer_name,
        own_runs=own_runs,
        peer_runs=peer_runs,
        goal=goal,
        note=note,
    )


def _ring(units: Units) -> Run:
    ring = Ring(pre_roll_s=PRE_ROLL_S, max_bytes=MAX_BYTES)
    return _each(ring.add, [(unit,) for unit in units])


def _circular(units: Units) -> Run:
    ring = circular.outputs().circular_of(WINDOW_S, WIDTH, HEIGHT)
    run = _each(ring.outputframe, [circular.frame_of(unit) for unit in units])
    ring.stop()
    return run


def _circular_paced(units: Units, file: Path) -> Run:
    outputs = circular.outputs()
    ring = outputs.circular_of(WINDOW_S, WIDTH, HEIGHT)
    ring.open_output(outputs.pyav(str(file)))
    times_ns: list[int] = []
    thread = threading.Thread(
        target=_hand_in, args=(units, lambda unit: circular.put(ring, unit), times_ns)
    )
    thread.start()
    thread.join()
    ring.stop()
    return Run(times_ns=times_ns)


def _paced(units: Units) -> Run:
    return asyncio.run(_record_paced(units))


async def _record_paced(units: Units) -> Run:
    clock = SystemClock()
    times_ns: list[int] = []
    with tempfile.TemporaryDirectory(prefix="doorward-bench-") as folder:
        rig = Rig(
            Path(folder),
            clock=clock,
            size=(WIDTH, HEIGHT),
            pre_roll_s=PRE_ROLL_S,
            post_roll_s=len(units) / FPS + 10,
            longest_s=10 * len(units) / FPS,
        )

        async with recording(rig):
            loop = asyncio.get_running_loop()
            done = asyncio.Event()
            begin_90k = pts_90k_of(clock.monotonic_ns())
            shift_90k = begin_90k - units[0].pts_90k
            filmed = [replace(unit, pts_90k=unit.pts_90k + shift_90k) for unit in units]

            def film() -> None:
                _hand_in(filmed, rig.hub.put, times_ns)
                loop.call_soon_threadsafe(done.set)

            threading.Thread(target=film).start()
            await asyncio.sleep(0.5)
            rig.recorder.trigger(new_id(), "pressed", begin_90k)
            await asyncio.sleep(WARM_S - 0.5)
            loop_began_ns = time.thread_time_ns()
            await done.wait()
            loop_ns = (time.thread_time_ns() - loop_began_ns) // len(times_ns)
            if rig.recorder.clip_id is None:
                raise RuntimeError("no clip was recorded meanwhile")
    return Run(times_ns=[time_ns + loop_ns for time_ns in times_ns])


def _hand_in(units: Units, put: Callable[[AccessUnit], None], times_ns: list[int]) -> None:
    """Hand in a unit each 1/30 s, and note the CPU time of each call, once caches are as usual."""
    began_s = time.monotonic()
    for number, unit in enumerate(units):
        time.sleep(max(0.0, began_s + number / FPS - time.monotonic()))
        begin_ns = time.thread_time_ns()
        put(unit)
        end_ns = time.thread_time_ns()
        if number >= WARM_S * FPS:
            times_ns.append(end_ns - begin_ns)


def _each(add: Callable[..., object], all_arguments: Sequence[tuple[object, ...]]) -> Run:
    """Time each call; nothing but the call is in it."""
    times_ns = []
    for arguments in all_arguments:
        begin_ns = time.perf_counter_ns()
        add(*arguments)
        times_ns.append(time.perf_counter_ns() - begin_ns)
    return Run(times_ns=times_ns)
