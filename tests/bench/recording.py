"""D2: what recording costs, sealing and syncs included, against `ffmpeg -c copy`.

D2 is the whole `doorward-firmware run` (tests.bench.home) while it records: what else it does at
the time is in. "D2 pipe" is its recording half alone, which gets the units through a pipe as ffmpeg
does. CPU time is read from outside, from the first unit to the finished file: no process's start
counts. ffmpeg writes fragmented MP4 and can't sync it, so the benchmark syncs its file as often as
the recorder takes its turn; what these calls take is added to ffmpeg's time.
"""

import asyncio
import itertools
import os
import shutil
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from firmware.capture.camera_output import AccessUnit, pts_90k_of
from firmware.clips.recorder import TURN_S
from tests.bench.children import Child, cpu_s
from tests.bench.feed import in_real_time, widen, write_unit
from tests.bench.film import FPS, Film, grainy_film
from tests.bench.home import Films, Home, Usage, bare_home, town_home, write_films
from tests.bench.measuring import Goal, Readings, Result, Size, needed, tried_async

WIDTH, HEIGHT, BITRATE_BPS = 1920, 1080, 4_000_000
SETTLE_S = 0.5
REST_S = 5.0
"""After a doorbell's start, and after a clip: thumbnails are made, events are told."""
IDLE_S = 15.0
EXTRA_S = 0.5
"""What is given after the end, by which the recorder sees that it is."""
PEER = "ffmpeg -c copy to fragmented MP4, the same units and as many syncs, not sealed"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Piped:
    """One clip of the recording half; CPU in % of a core."""

    percent: float
    reading: float
    camera: float
    loop: float
    writer: float


@dataclass(slots=True)
class _Turns:
    """What each was seen to take, in turns."""

    idle: list[Usage]
    recording: list[Usage]
    piped: list[_Piped]
    ffmpeg: list[float]


def measure(size: Size) -> list[Result]:
    """Record in real time, in turns; there is no warm-up, since a run is long."""
    film = grainy_film(WIDTH, HEIGHT, BITRATE_BPS)
    with tempfile.TemporaryDirectory(prefix="dwb-") as name:
        turns = asyncio.run(_in_turns(Path(name), film, size))
    needed(turns.recording, "D2")
    what = f"{size.real_time_s:g} s of 1080p{FPS}, 4 Mbit/s, in real time"
    peer_runs = _readings(turns.ffmpeg)
    own = [used.own_percent for used in turns.recording]
    added = [
        used.own_percent - before.own_percent
        for used, before in zip(turns.recording, turns.idle, strict=True)
    ]
    missing = "" if peer_runs else " ffmpeg isn't there (`apt install ffmpeg`), so no peer."

    def result(id_: str, what: str, values: Sequence[float], goal: float, note: str) -> Result:
        return Result(
            id=id_,
            what=what,
            unit="% of a core",
            peer=PEER if peer_runs else "",
            own_runs=_readings(values),
            peer_runs=peer_runs,
            goal=Goal(ratio=goal) if goal else None,
            note=f"{note}{missing}",
        )

    return [
        result(
            "D2",
            f"CPU of doorward-firmware in whole while it records {what}, motion off",
            own,
            0.8,
            _doorbell_note(turns.recording),
        ),
        result(
            "D2 added",
            "the same, less what the same doorbell took just before, when it recorded nothing",
            added,
            0,
            "What recording adds to a doorbell that films all the time anyway.",
        ),
        result(
            "D2 pipe",
            f"CPU of the recording half alone, its units by a pipe as ffmpeg's: {what}",
            [one.percent for one in turns.piped],
            1.2,
            _pipe_note(turns.piped),
        ),
    ]


async def _in_turns(folder: Path, film: Film, size: Size) -> _Turns:
    turns = _Turns([], [], [], [])
    numbers = itertools.count()
    is_full = size.runs > 1
    (folder / "films").mkdir()
    films = write_films(film, film, folder / "films", BITRATE_BPS)
    async with (town_home if is_full else bare_home)(folder / "t") as home:
        for _ in range(size.real_time_runs):
            seen = await tried_async(lambda: _record(home, films, size.real_time_s), "D2")
            if seen is not None:
                turns.idle.append(seen[0])
                turns.recording.append(seen[1])
            own, peer = folder / f"{next(numbers)}", folder / f"{next(numbers)}.mp4"
            turns.piped.append(await asyncio.to_thread(_piped, own, film, size.real_time_s))
            if shutil.which("ffmpeg"):
                turns.ffmpeg.append(
                    await asyncio.to_thread(_ffmpeg, peer, film, size.real_time_s, TURN_S)
                )
    return turns


async def _record(home: Home, films: Films, seconds: float) -> tuple[Usage, Usage]:
    """Let one doorbell be idle, and then record one clip from its beginning until it is listed."""
    rest_s = min(REST_S, seconds)
    with home.doorbell(
        films, pre_roll_s=0.0, post_roll_s=max(1.0, seconds), has_motion=False
    ) as doorbell:
        await doorbell.until_ready()
        await asyncio.sleep(rest_s)
        idle = await doorbell.window(min(IDLE_S, seconds))
        before = len(home.clips())
        await doorbell.press()
        used, (_, clip) = await doorbell.during(home.next_clip(before))
        await doorbell.stop()
    if clip.duration_ms < 900 * seconds:
        raise RuntimeError(f"{clip.duration_ms} ms were recorded instead of {seconds} s")
    return idle, used


def _doorbell_note(recording: Sequence[Usage]) -> str:
    def median(*names: str) -> str:
        seen = [sum(used.thread_percent.get(name, 0.0) for name in names) for used in recording]
        return f"{statistics.median(seen):.2g} %"

    return (
        "Ring, sealing, index, signed manifest, link, local page and register follower are in. Of "
        f"its time, {median('camera')} is the camera's thread with the ring, "
        f"{median('recorder')} the recorder's, {median('MainThread')} the event loop. Reading the "
        f"film from a file, {median('film')}, isn't in: no camera needs it."
    )


def _pipe_note(piped: Sequence[_Piped]) -> str:
    def median(part: Callable[[_Piped], float]) -> str:
        return f"{statistics.median(map(part, piped)):.2g} %"

    return (
        f"Of its time, {median(lambda one: one.reading)} is Python's reading of the pipe, "
        f"{median(lambda one: one.camera)} the camera's thread with the ring, "
        f"{median(lambda one: one.loop)} the event loop, "
        f"{median(lambda one: one.writer)} the recorder's thread."
    )


def _piped(folder: Path, film: Film, seconds: float) -> _Piped:
    folder.mkdir()
    child = Child("tests.bench.recorder_process", folder, film.width, film.height, seconds)
    try:
        widen(child.input)
        child.hear("ready")
        time.sleep(SETTLE_S)
        begin_s = cpu_s(child.pid)
        _feed(film, seconds, lambda unit: write_unit(child.input, unit), child.input.flush)
        clip = child.hear("clip")
        end_s = cpu_s(child.pid)
        child.hear_all()
    finally:
        child.end()
    if abs(clip["duration_ms"] - seconds * 1000) > EXTRA_S * 1000:
        raise RuntimeError(f"{clip['duration_ms']} ms were recorded instead of {seconds} s")
    return _Piped(
        percent=_percent(end_s - begin_s, seconds),
        reading=_percent(clip["reading_s"], seconds),
        camera=_percent(clip["camera_s"], seconds),
        loop=_percent(clip["loop_s"], seconds),
        writer=_percent(clip["writer_s"], seconds),
    )


def _ffmpeg(file: Path, film: Film, seconds: float, sync_every_s: float) -> float:
    ffmpeg = subprocess.Popen(_command(file, sync_every_s), stdin=subprocess.PIPE)
    is_over = threading.Event()
    syncs_s: list[float] = []
    syncing = threading.Thread(target=_sync_often, args=(file, sync_every_s, is_over, syncs_s))
    if ffmpeg.stdin is None:
        raise RuntimeError("ffmpeg has no input")
    stdin = ffmpeg.stdin
    widen(stdin)
    try:
        time.sleep(SETTLE_S)
        begin_s = cpu_s(ffmpeg.pid)
        syncing.start()
        _feed(film, seconds, lambda unit: stdin.write(unit.data), stdin.flush)
        stdin.close()
        _, status, used = os.wait4(ffmpeg.pid, 0)
        ffmpeg.returncode = os.waitstatus_to_exitcode(status)
    finally:
        is_over.set()
        if ffmpeg.returncode is None:
            ffmpeg.kill()
            ffmpeg.wait()
    syncing.join()
    if ffmpeg.returncode != 0 or file.stat().st_size < film.bitrate_bps * seconds / 8 * 0.8:
        raise RuntimeError("ffmpeg recorded something else")
    used_s = used.ru_utime + used.ru_stime - begin_s + sum(syncs_s)
    return _percent(used_s, seconds)


def _command(file: Path, fragment_s: float) -> list[str]:
    """Return ffmpeg's command; it is cheaper if it reads more than its usual 1,024 bytes."""
    command = ["ffmpeg", "-nostdin", "-loglevel", "error", "-f", "h264", "-framerate", str(FPS)]
    command += ["-raw_packet_size", "65536", "-i", "pipe:0", "-c", "copy", "-f", "mp4"]
    command += ["-movflags", "empty_moov+default_base_moof", "-flush_packets", "1"]
    return [*command, "-frag_duration", str(round(fragment_s * 1e6)), str(file)]


def _feed(
    film: Film,
    seconds: float,
    write: Callable[[AccessUnit], object],
    flush: Callable[[], object],
) -> None:
    """Give all units in real time, and the extra ones."""

    def give(unit: AccessUnit) -> None:
        write(unit)
        flush()

    begin_90k = pts_90k_of(time.monotonic_ns())
    units: Sequence[AccessUnit] = list(
        itertools.islice(film.on(begin_90k), round((seconds + EXTRA_S) * FPS))
    )
    in_real_time(units, FPS, give)


def _sync_often(file: Path, every_s: float, is_over: threading.Event, took_s: list[float]) -> None:
    """Sync what has grown, each time that a fragment must be out; note this thread's CPU time."""
    descriptor = None
    synced_bytes = 0
    while not is_over.wait(every_s):
        if descriptor is None:
            if not file.exists():
                continue
            descriptor = os.open(file, os.O_RDONLY)
        size_bytes = os.fstat(descriptor).st_size
        if size_bytes > synced_bytes:
            begin_s = time.thread_time()
            os.fdatasync(descriptor)
            took_s.append(time.thread_time() - begin_s)
            synced_bytes = size_bytes
    if descriptor is not None:
        os.close(descriptor)


def _percent(used_s: float, seconds: float) -> float:
    return used_s / (seconds + EXTRA_S) * 100


def _readings(values: Sequence[float]) -> list[Readings]:
    return [Readings(values=[value]) for value in values]
