"""D11 and D13: the whole doorbell without its encoder: memory, start, CPU, and both by part.

The doorbell is the real `doorward-firmware run` in a town (tests.bench.home), seen from outside:
link, local page and register follower run, the camera's film was encoded before. A part's CPU is
that of its thread, or what the whole process takes more while the part is at work.
"""

import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench.children import REPOSITORY, Child
from tests.bench.film import FPS, grainy_film
from tests.bench.home import (
    PRE_ROLL_S,
    RING_FILL_S,
    Doorbell,
    Films,
    Home,
    Usage,
    bare_home,
    service_environment,
    town_home,
    write_films,
)
from tests.bench.measuring import Goal, Point, Readings, Result, Run, Size, needed, tried_async
from tests.bench.sound import microphone_percent

SMALL = (1280, 720, 2_000_000)
LARGE = (1920, 1080, 4_000_000)
SHORT_FORM = (320, 240, 400_000)
WINDOW_S = 20.0
SOUND_S = 5.0
SETTLE_S = 3.0
"""After a clip: its thumbnail is made, its event is told."""
POST_ROLL_S = 6.0
SHORTEST_CLIP_S = 15.0
"""So that clips end, are signed and get their thumbnail while it is measured."""
VIEWS = 20
VIEW_EACH_S = 15.0
"""The status page renews itself so often while it is open."""
PRE_ROLLS_S = (15.0, 30.0)
LEAST_SHOWN = 0.5
"""Of the pictures; a viewer that shows fewer isn't one."""
IMPORTED = {
    "first stage": "firmware.app.process",
    "recorder": "firmware.app.clips",
    "link": "firmware.app.link",
    "local page": "firmware.local_page.server",
    "motion": "firmware.motion.watch",
    "sound": "firmware.sound.sound_system",
}
"""What each part loads, in the order in which their growth is looked at."""
PROBE = """
import importlib, json, sys
def memory_kb():
    for line in open("/proc/self/status"):
        if line.startswith("VmRSS"):
            return int(line.split()[1])
grown, before = {}, 0
for name, module in json.loads(sys.argv[1]).items():
    importlib.import_module(module)
    grown[name], before = memory_kb() - before, memory_kb()
print(json.dumps(grown))
"""


@dataclass(slots=True, kw_only=True)
class _Seen:
    """One doorbell's life at 720p; the windows in which parts were at work."""

    start_s: float
    idle: Usage
    unmoved: Usage
    """Idle, motion switched off."""
    view_s: float
    watched: Usage
    """As idle where nobody can watch."""
    recorded: Usage
    """Watched, and a clip is recorded to its end."""
    filled_mb: float
    """By how much the ring's filling grew it."""
    imported_mb: dict[str, float] = field(default_factory=dict)


def measure(size: Size) -> list[Result]:
    """Let doorbells live one after the other in one town."""
    with tempfile.TemporaryDirectory(prefix="dwb-") as name:
        return asyncio.run(_measure(Path(name), size))


async def parts_without_viewer(folder: Path, *, runs: int, window_s: float) -> list[Result]:
    """Measure by part what a folder without a town around it can: all but a viewer."""
    films = _films(folder, "small", SMALL)
    async with bare_home(folder / "t") as home:
        lives = [await _live(home, films, window_s, is_full=True) for _ in range(runs)]
    sound = [await microphone_percent(window_s) for _ in range(runs)]
    return [part for part in _parts(lives, sound) if not part.id.startswith("part viewer")]


async def _measure(folder: Path, size: Size) -> list[Result]:
    is_full = size.runs > 1
    window_s = min(WINDOW_S, size.real_time_s)
    small = _films(folder, "small", SMALL if is_full else SHORT_FORM)
    large = _films(folder, "large", LARGE) if is_full else small
    sound = [await microphone_percent(min(SOUND_S, window_s)) for _ in range(size.real_time_runs)]
    lives: list[_Seen] = []
    busy: list[Usage] = []
    async with town_home(folder / "t") as home:
        for _ in range(size.real_time_runs):
            seen = await tried_async(lambda: _live(home, small, window_s, is_full=is_full), "D11")
            lives += [] if seen is None else [seen]
            used = await tried_async(lambda: _work(home, large, window_s, is_full=is_full), "D13")
            busy += [] if used is None else [used]
        points = [
            Point(size=pre_roll_s, value=used.memory_mb)
            for pre_roll_s in (PRE_ROLLS_S if is_full else ())
            if (used := await tried_async(lambda s=pre_roll_s: _fill(home, small, s), "D11"))
        ]
    needed(lives, "D11")
    needed(busy, "D13")
    return [*_whole(lives, busy, points), *_parts(lives, sound)]


def _whole(lives: Sequence[_Seen], busy: Sequence[Usage], points: list[Point]) -> list[Result]:
    at_720 = f"720p{FPS}, 2 Mbit/s, encoded before"
    memory = _readings([seen.recorded.memory_mb for seen in lives])
    if points:
        points.append(Point(size=PRE_ROLL_S, value=statistics.median(memory_of(memory))))
    return [
        Result(
            id="D11",
            what="memory (RSS, the highest) of doorward-firmware with a viewer and a clip, "
            f"{at_720}",
            unit="MB",
            own_runs=memory,
            goal=Goal(value=150.0),
            points=sorted(points, key=lambda point: point.size),
            axis="pre-roll, s",
            note="The clip's thumbnail is made meanwhile.",
        ),
        Result(
            id="D11 idle",
            what=f"memory (RSS, the highest) of doorward-firmware, nobody watching, {at_720}",
            unit="MB",
            own_runs=_readings([seen.idle.memory_mb for seen in lives]),
            goal=Goal(value=120.0),
        ),
        Result(
            id="D11 start",
            what="CPU from the start of the process to a press that is chimed and noted durably",
            unit="s",
            own_runs=[Run(times_ns=[round(seen.start_s * 1e9)]) for seen in lives],
            goal=Goal(value=0.4),
        ),
        Result(
            id="D13",
            what="CPU of doorward-firmware without the encoder: one viewer, one recording, motion "
            f"10 a second, 1080p{FPS}, 4 Mbit/s, encoded before",
            unit="% of a core",
            own_runs=_readings([used.own_percent for used in busy]),
            goal=Goal(value=6.0),
            note="Somebody moves all the time. Clips are cut every 15 s, the least that can be "
            "set, so that their ends count. Reading the film, "
            f"{statistics.median(used.thread_percent['film'] for used in busy):.2g} %, isn't in.",
        ),
        Result(
            id="D13 idle",
            what=f"the same, nobody there, nobody watching, motion 10 a second, {at_720}",
            unit="% of a core",
            own_runs=_readings([seen.idle.own_percent for seen in lives]),
            goal=Goal(value=0.5),
        ),
        Result(
            id="D13 wake-ups",
            what="meanwhile, voluntary context switches of all threads but the camera's",
            unit="a second",
            own_runs=_readings([seen.idle.wakes for seen in lives]),
            goal=Goal(value=40.0),
            note=f"{statistics.median(seen.unmoved.wakes for seen in lives):.0f} with motion off.",
        ),
    ]


def _parts(lives: Sequence[_Seen], sound: Sequence[float]) -> list[Result]:
    """What each part takes at 720p30: what a Pi will pay is computed from these."""

    def cpu(name: str, what: str, of: Callable[[_Seen], float]) -> Result:
        return _part(name, what, "% of a core", [of(seen) for seen in lives])

    def memory(name: str, what: str, of: Callable[[_Seen], float]) -> Result:
        return _part(f"{name} memory", what, "MB", [of(seen) for seen in lives])

    return [
        cpu("ring", "the camera's thread: hub and ring, 30 a second", _ring_percent),
        cpu(
            "link",
            "the event loop and its helpers at rest: link, register follower, health",
            lambda seen: seen.unmoved.own_percent - _ring_percent(seen),
        ),
        cpu(
            "local page",
            f"an open status page, which is asked for each {VIEW_EACH_S:g} s",
            lambda seen: 100 * seen.view_s / VIEW_EACH_S,
        ),
        cpu(
            "motion",
            "judging 10 luma frames a second, nobody there",
            lambda seen: seen.idle.own_percent - seen.unmoved.own_percent,
        ),
        cpu(
            "viewer",
            "one viewer",
            lambda seen: seen.watched.own_percent - seen.idle.own_percent,
        ),
        cpu(
            "recorder",
            "recording a clip to its end, sealed, signed, listed and told, with its thumbnail",
            lambda seen: seen.recorded.own_percent - seen.watched.own_percent,
        ),
        _part(
            "sound",
            "the microphone and Opus for one viewer, in a process alone",
            "% of a core",
            sound,
        ),
        memory(
            "ring",
            "from when all has loaded until the ring has 6 s and a GOP",
            lambda seen: seen.filled_mb,
        ),
        *(
            memory(name, f"loading `{module}`", lambda seen, name=name: seen.imported_mb[name])
            for name, module in IMPORTED.items()
        ),
        memory(
            "viewer",
            "the first viewer, with WebRTC's libraries",
            lambda seen: seen.watched.memory_mb - seen.idle.memory_mb,
        ),
        memory(
            "clip",
            "a clip to its end, with its thumbnail",
            lambda seen: seen.recorded.memory_mb - seen.watched.memory_mb,
        ),
        memory(
            "rest",
            "idle, what the rows above don't explain: other modules, data, buffers",
            lambda seen: seen.idle.memory_mb - seen.filled_mb - sum(seen.imported_mb.values()),
        ),
    ]


def _part(name: str, what: str, unit: "str", values: Sequence[float]) -> Result:
    return Result(id=f"part {name}", what=what, unit=unit, own_runs=_readings(values))  # type: ignore[arg-type]


def _ring_percent(seen: _Seen) -> float:
    return seen.unmoved.thread_percent["camera"]


async def _live(home: Home, films: Films, window_s: float, *, is_full: bool) -> _Seen:
    """Let one doorbell live: started and rung, idle, looked at, watched, and recording."""
    before = len(home.clips())
    post_roll_s = POST_ROLL_S if is_full else 1.0
    settle_s = SETTLE_S if is_full else 0.5
    with home.doorbell(films, post_roll_s=post_roll_s) as doorbell:
        await doorbell.press()
        start_s = doorbell.cpu_s
        if doorbell.chime_pulses() != 1:
            raise RuntimeError("the press wasn't chimed")
        await doorbell.until_ready()
        ready_mb = doorbell.memory_mb
        await asyncio.sleep(RING_FILL_S if is_full else 1.0)
        filled_mb = doorbell.memory_mb - ready_mb
        await home.next_clip(before)
        await asyncio.sleep(settle_s)
        idle = await doorbell.window(window_s)
        home.write_settings(has_motion=False)
        doorbell.reload()
        await asyncio.sleep(settle_s)
        unmoved = await doorbell.window(window_s)
        home.write_settings(has_motion=True)
        doorbell.reload()
        view_s = await _view_s(home, doorbell)
        async with _watching(home, is_full=is_full) if home.has_viewer else nullcontext():
            await asyncio.sleep(settle_s)
            watched = await doorbell.window(window_s)
            recorded, _ = await doorbell.during(_record(home, doorbell, settle_s))
        await doorbell.stop()
    return _Seen(
        start_s=start_s,
        idle=idle,
        unmoved=unmoved,
        view_s=view_s,
        watched=watched,
        recorded=recorded,
        filled_mb=filled_mb,
        imported_mb=_imported_mb(),
    )


async def _record(home: Home, doorbell: Doorbell, settle_s: float) -> None:
    before = len(home.clips())
    await doorbell.press()
    await home.next_clip(before)
    await asyncio.sleep(settle_s)


async def _work(home: Home, films: Films, window_s: float, *, is_full: bool) -> Usage:
    """Let one doorbell live that is watched, and before which somebody moves all the time."""
    with home.doorbell(films, post_roll_s=POST_ROLL_S, longest_s=SHORTEST_CLIP_S) as doorbell:
        await doorbell.until_ready()
        await asyncio.sleep(RING_FILL_S if is_full else 1.0)
        async with _watching(home, is_full=is_full):
            doorbell.set_visited(True)
            await doorbell.press()
            await asyncio.sleep(SETTLE_S)
            used = await doorbell.window(window_s)
        await doorbell.stop()
    return used


async def _fill(home: Home, films: Films, pre_roll_s: float) -> Usage:
    """Let one doorbell live with a ring of another length, watched and recording."""
    with home.doorbell(films, post_roll_s=POST_ROLL_S, pre_roll_s=pre_roll_s) as doorbell:
        await doorbell.until_ready()
        await asyncio.sleep(pre_roll_s + 1.5)
        async with _watching(home, is_full=True):
            used, _ = await doorbell.during(_record(home, doorbell, SETTLE_S))
        await doorbell.stop()
    return used


async def _view_s(home: Home, doorbell: Doorbell) -> float:
    """Return the CPU seconds of one view of the local page."""
    await home.page.get_page("/")
    begin_s = doorbell.cpu_s
    for _ in range(VIEWS):
        await home.page.get_page("/")
    return (doorbell.cpu_s - begin_s) / VIEWS


@asynccontextmanager
async def _watching(home: Home, *, is_full: bool) -> AsyncIterator[None]:
    """Have a viewer, in a process of its own."""
    viewer = Child("tests.bench.viewer_process")
    try:
        offer = await asyncio.to_thread(viewer.hear, "offer")
        viewer.say(answer=await home.answer()(offer))
        await asyncio.to_thread(viewer.hear, "shown")
        shown_s = time.monotonic()
        yield
        expected = (time.monotonic() - shown_s) * FPS
        frames = (await asyncio.to_thread(viewer.hear_all))[-1]["frames"]
    finally:
        viewer.end()
    if is_full and frames < LEAST_SHOWN * expected:
        raise RuntimeError(f"{frames} of {expected:.0f} pictures were seen")


def _imported_mb() -> dict[str, float]:
    """Return by how much a fresh process grows with what each part loads."""
    ran = subprocess.run(
        [sys.executable, "-c", PROBE, json.dumps(IMPORTED)],
        cwd=REPOSITORY,
        env={**os.environ, **service_environment()},
        capture_output=True,
        check=True,
    )
    return {name: grown_kb * 1024 / 1e6 for name, grown_kb in json.loads(ran.stdout).items()}


def _films(folder: Path, name: str, size: tuple[int, int, int]) -> Films:
    width, height, bitrate_bps = size
    (folder / name).mkdir()
    empty = grainy_film(width, height, bitrate_bps, 0.0)
    return write_films(empty, grainy_film(width, height, bitrate_bps), folder / name, bitrate_bps)


def _readings(values: Sequence[float]) -> list[Readings]:
    return [Readings(values=[value]) for value in values]


def memory_of(readings: Sequence[Readings]) -> list[float]:
    """Return all values."""
    return [value for reading in readings for value in reading.values]
