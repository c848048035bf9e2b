"""D2: what recording costs, sealing and syncs included, against `ffmpeg -c copy`.

Both are processes that get the same units through a pipe when a camera would give them, and each
one's CPU time is read from outside, from the first unit to the finished file: neither's start
counts. ffmpeg writes fragmented MP4 and can't sync it, so the benchmark syncs its file as often
as Doorward was seen to sync its own; what these calls take is added to ffmpeg's time.
"""

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
from tests.bench.children import Child, cpu_s
from tests.bench.feed import in_real_time, widen, write_unit
from tests.bench.film import FPS, Film, grainy_film
from tests.bench.measuring import Goal, Readings, Result, Size, in_turns

WIDTH, HEIGHT, BITRATE_BPS = 1920, 1080, 4_000_000
SETTLE_S = 0.5
EXTRA_S = 0.5
"""What is given after the end, by which the recorder sees that it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Recorded:
    """One clip of Doorward's; CPU in % of a core, the pipe's reading apart from the camera's."""

    percent: float
    reading: float
    camera: float
    loop: float
    writer: float
    sync_every_s: float


def measure(size: Size) -> Result:
    """Record in real time, in turns; there is no warm-up, since a run is long."""
    film = grainy_film(WIDTH, HEIGHT, BITRATE_BPS)
    recorded: list[_Recorded] = []
    with tempfile.TemporaryDirectory(prefix="doorward-bench-") as name:
        numbers = itertools.count()

        def own() -> Readings:
            recorded.append(_own(Path(name) / f"{next(numbers)}", film, size.real_time_s))
            return Readings(values=[recorded[-1].percent])

        def peer() -> Readings:
            file = Path(name) / f"{next(numbers)}.mp4"
            return _ffmpeg(file, film, size.real_time_s, recorded[-1].sync_every_s)

        if shutil.which("ffmpeg"):
            own_runs, peer_runs = in_turns(size.real_time_runs, own, peer, has_warm_up=False)
        else:
            own_runs, peer_runs = [own() for _ in range(size.real_time_runs)], []
    every_s = statistics.median(one.sync_every_s for one in recorded)
    return Result(
        id="D2",
        what=f"CPU to record {size.real_time_s:g} s of 1080p{FPS}, 4 Mbit/s, in real time: "
        f"a fragment sealed and synced each {every_s:.2g} s",
        unit="% of a core",
        peer="ffmpeg -c copy to fragmented MP4, the same units and as many syncs, not sealed"
        if peer_runs
        else "",
        own_runs=own_runs,
        peer_runs=peer_runs,
        goal=Goal(ratio=1.0),
        note=_note(recorded, has_peer=bool(peer_runs)),
    )


def _note(recorded: Sequence[_Recorded], *, has_peer: bool) -> str:
    def median(part: Callable[[_Recorded], float]) -> str:
        return f"{statistics.median(map(part, recorded)):.2g} %"

    missing = "" if has_peer else " ffmpeg isn't there (`apt install ffmpeg`), so no peer."
    return (
        "Doorward's side has ring, index, signed manifest and sealing in it. Of its time, "
        f"{median(lambda one: one.reading)} is Python's reading of the pipe, which no camera "
        f"needs, {median(lambda one: one.camera)} the camera's thread with the ring, "
        f"{median(lambda one: one.loop)} the event loop, "
        f"{median(lambda one: one.writer)} the recorder's thread.{missing}"
    )


def _own(folder: Path, film: Film, seconds: float) -> _Recorded:
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
    return _Recorded(
        percent=_percent(end_s - begin_s, seconds),
        reading=_percent(clip["reading_s"], seconds),
        camera=_percent(clip["camera_s"], seconds),
        loop=_percent(clip["loop_s"], seconds),
        writer=_percent(clip["writer_s"], seconds),
        sync_every_s=seconds / clip["syncs"],
    )


def _ffmpeg(file: Path, film: Film, seconds: float, sync_every_s: float) -> Readings:
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
    return Readings(values=[_percent(used_s, seconds)])


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
