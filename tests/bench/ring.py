"""D1: one access unit into the pre-roll ring, against picamera2's CircularOutput2."""

import asyncio
import functools
import itertools
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from firmware.capture.camera_output import AccessUnit
from firmware.capture.unit_hub import UnitHub
from firmware.clips.ring import LONGEST_GOP_S, SLACK_S, Ring
from tests.bench import circular
from tests.bench.circular import PeerMissing
from tests.bench.film import FPS, grainy_film
from tests.bench.measuring import Goal, Result, Run, Size, in_turns

WIDTH, HEIGHT, BITRATE_BPS = 1920, 1080, 4_000_000
PRE_ROLL_S = 6.0
MAX_BYTES = 16_000_000
WINDOW_S = PRE_ROLL_S + LONGEST_GOP_S + SLACK_S
GOAL = Goal(value=10.0, p99=60.0, ratio=0.6)
IDLE = "picamera2's CircularOutput2.outputframe, nothing open"
ROAD_NOTE = (
    "The peer does all on the encoder's thread, its file included. Here that thread wakes the "
    "event loop, which is most of the cost: so nothing that stalls can hold the encoder up."
)
BUSY = "picamera2's CircularOutput2.outputframe with its PyavOutput open"

Units = Sequence[AccessUnit]
Measure = Callable[[Units], Run]


def measure(size: Size) -> list[Result]:
    """Add five minutes of units, each timed alone (the clock's own time is in both)."""
    film = grainy_film(WIDTH, HEIGHT, BITRATE_BPS)
    units = list(itertools.islice(film.on(), 10 * size.video_s * FPS))
    handover = functools.partial(_handed_over, is_whole=False)
    road = functools.partial(_handed_over, is_whole=True)
    with tempfile.TemporaryDirectory(prefix="doorward-bench-") as folder:
        busy = functools.partial(_circular, file=Path(folder) / "peer.mp4")
        return [
            _result("D1", "access unit → ring, per unit", _ring, _circular, IDLE, units, size),
            _result(
                "D1 thread",
                "what the encoder's thread pays per unit while a clip is recorded",
                handover,
                busy,
                BUSY,
                units,
                size,
            ),
            _result(
                "D1 road",
                "the encoder's thread and the event loop together: hub, ring, recorder's queue",
                road,
                busy,
                BUSY,
                units,
                size,
                note=ROAD_NOTE,
            ),
        ]


def _result(
    id_: str,
    what: str,
    own: Measure,
    peer: Measure,
    peer_name: str,
    units: Units,
    size: Size,
    note: str = "",
) -> Result:
    try:
        circular.outputs()
    except PeerMissing as error:
        own_runs = [own(units) for _ in range(size.runs)]
        return Result(id=id_, what=what, unit="µs", own_runs=own_runs, goal=GOAL, note=str(error))
    own_runs, peer_runs = in_turns(size.runs, lambda: own(units), lambda: peer(units))
    return Result(
        id=id_,
        what=what,
        unit="µs",
        peer=peer_name,
        own_runs=own_runs,
        peer_runs=peer_runs,
        goal=GOAL,
        note=note,
    )


def _ring(units: Units) -> Run:
    ring = Ring(pre_roll_s=PRE_ROLL_S, max_bytes=MAX_BYTES)
    return _each(ring.add, [(unit,) for unit in units])


def _circular(units: Units, file: Path | None = None) -> Run:
    """The same window; if there is a file, a recording into it goes on."""
    outputs = circular.outputs()
    ring = outputs.circular_of(WINDOW_S, WIDTH, HEIGHT)
    if file is not None:
        ring.open_output(outputs.pyav(str(file)))
    run = _each(ring.outputframe, [circular.frame_of(unit) for unit in units])
    ring.stop()
    return run


def _handed_over(units: Units, *, is_whole: bool) -> Run:
    return asyncio.run(_hand_over(units, is_whole=is_whole))


async def _hand_over(units: Units, *, is_whole: bool) -> Run:
    ring = Ring(pre_roll_s=PRE_ROLL_S, max_bytes=MAX_BYTES)
    hub = UnitHub(ring, asyncio.get_running_loop())
    times_ns = []
    with hub.subscribe("recorder") as recorder:
        for unit in units:
            begin_ns = time.perf_counter_ns()
            hub.put(unit)
            put_ns = time.perf_counter_ns()
            await asyncio.sleep(0)
            end_ns = time.perf_counter_ns()
            await anext(recorder)
            times_ns.append((end_ns if is_whole else put_ns) - begin_ns)
    if ring.newest_pts_90k != units[-1].pts_90k:
        raise RuntimeError("the units didn't reach the ring in time")
    return Run(times_ns=times_ns)


def _each(add: Callable[..., object], all_arguments: Sequence[tuple[object, ...]]) -> Run:
    """Time each call; nothing but the call is in it."""
    times_ns = []
    for arguments in all_arguments:
        begin_ns = time.perf_counter_ns()
        add(*arguments)
        times_ns.append(time.perf_counter_ns() - begin_ns)
    return Run(times_ns=times_ns)
