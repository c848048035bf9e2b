"""D7: what a viewer costs the doorbell, eight of them watching at once, beside its peers.

Sender and viewers are processes of their own; the sender's CPU is looked at from outside. All
senders have the same film, its camera and the same viewers, answer NACK and PLI and send reports;
only Doorward's spreads key frames over some milliseconds. A run where less than nearly all
pictures arrive fails: its sender had less to do. A run that fails or hangs is tried once more.
"""

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.bench.children import Child, cpu_s
from tests.bench.feed import write_unit
from tests.bench.film import FPS, grainy_film
from tests.bench.measuring import Goal, Point, Readings, Result, Size, needed, tried
from tests.bench.senders import (
    AIORTC,
    ANSWER_S,
    DOORWARD,
    LIBDATACHANNEL,
    beside,
    lacks_peers,
    sender_child,
)

WIDTH, HEIGHT, BITRATE_BPS = 1920, 1080, 4_200_000
VIEWERS = 8
FEW_VIEWERS = (1, 2, 4)
WINDOW_S = 10.0
SETTLE_S = 1.0
LEAST_ARRIVED, LEAST_IN_SHORT = 0.95, 0.2
SEEN_S = 90.0


def measure(size: Size) -> list[Result]:
    """Let eight viewers watch each sender in turns; then fewer of them, for the plot."""
    film = grainy_film(WIDTH, HEIGHT, BITRATE_BPS)
    window_s = min(WINDOW_S, size.real_time_s)
    names = [DOORWARD, AIORTC] if lacks_peers() else [DOORWARD, AIORTC, LIBDATACHANNEL]
    runs: dict[str, list[Readings]] = {DOORWARD: [], AIORTC: [], LIBDATACHANNEL: []}
    with tempfile.TemporaryDirectory(prefix="doorward-bench-") as name:
        path = Path(name) / "film.h264"
        with path.open("wb") as file:
            for unit in film.units:
                write_unit(file, unit)
        for _ in range(size.real_time_runs):
            for name in names:
                viewers = VIEWERS if size.runs > 1 else FEW_VIEWERS[1]
                runs[name] += _readings(name, path, viewers, window_s)
        few = FEW_VIEWERS if size.runs > 1 else ()
        points = [
            Point(size=viewers, value=reading.values[0])
            for viewers in few
            for reading in _readings(DOORWARD, path, viewers, window_s)
        ]
    return _results(runs, points)


def _readings(name: str, film: Path, viewers: int, window_s: float) -> list[Readings]:
    """Return one run's reading, or none if it failed twice."""
    percent = tried(lambda: percent_each(name, film, viewers, window_s), f"D7 with {name}")
    return [] if percent is None else [Readings(values=[percent])]


def _results(runs: dict[str, list[Readings]], points: list[Point]) -> list[Result]:
    what = f"CPU of one viewer, {VIEWERS} watching 1080p{FPS}, 4.2 Mbit/s, encoded before"
    own, cpp_runs = needed(runs[DOORWARD], "D7 with Doorward"), runs[LIBDATACHANNEL]
    stock = Result(
        id="D7 aiortc",
        what=what,
        unit="% of a core",
        own_runs=own,
        peer=AIORTC if runs[AIORTC] else "",
        peer_runs=runs[AIORTC],
        note=beside(AIORTC, runs[AIORTC]).strip(),
    )
    cpp = Result(
        id="D7",
        what=what,
        unit="% of a core",
        own_runs=own,
        peer=LIBDATACHANNEL if cpp_runs else "",
        peer_runs=cpp_runs,
        goal=Goal(value=0.6, ratio=0.7),
        points=[*points, Point(size=VIEWERS, value=stock.value)] if points else [],
        axis="viewers",
        note="With NACK, reports and pacing. One viewer alone bears what all share: the camera's"
        f" thread, waking up, packing.{beside(LIBDATACHANNEL, cpp_runs)}",
    )
    return [cpp, stock]


def percent_each(name: str, film: Path, viewers: int, window_s: float) -> float:
    """Return a sender's CPU for each viewer, in percent of a core."""
    with (
        _ending(sender_child(name, film)) as sender,
        _ending(Child("tests.bench.viewers_process", viewers)) as watching,
    ):
        sender.hear("is_ready", within_s=ANSWER_S)
        for _ in range(viewers):
            sender.say(offer=watching.hear("offer"))
            watching.say(answer=sender.hear("answer", within_s=ANSWER_S))
        watching.hear("seen", within_s=SEEN_S)
        time.sleep(min(SETTLE_S, window_s))
        watching.say(count=True)
        watching.hear("counted")
        begin_s, used_s = time.monotonic(), cpu_s(sender.pid)
        time.sleep(window_s)
        used_s, passed_s = cpu_s(sender.pid) - used_s, time.monotonic() - begin_s
        watching.say(count=True)
        arrived = watching.hear("counted") / (FPS * passed_s * viewers)
    if arrived < (LEAST_ARRIVED if window_s >= WINDOW_S else LEAST_IN_SHORT):
        raise RuntimeError(f"only {arrived:.0%} of the pictures of {name} arrived")
    return used_s / passed_s / viewers * 100


@contextmanager
def _ending(child: Child) -> Iterator[Child]:
    try:
        yield child
    finally:
        child.end()
