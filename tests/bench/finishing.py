"""D4: from the end of the post-roll to a listed clip with a signed manifest, against `cp`."""

import asyncio
import io
import itertools
import statistics
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from firmware.protocol.encoding import new_id
from tests.bench.film import FPS, Film, grainy_film
from tests.bench.measuring import Goal, Point, Result, Run, Size
from tests.bench.rig import Rig, recording
from tests.fakes.clock import ManualClock
from tests.fakes.ffmpeg_reader import read_units

WIDTH, HEIGHT, BITRATE_BPS = 1280, 720, 8_000_000
OPEN_FRAGMENT_UNITS = 9
"""What isn't written yet when the post-roll ends: up to 0.4 s of video, 0.3 s here."""
BEHIND_UNITS = 2 * FPS
"""How far the disk may be behind while the clip is filled faster than a camera would."""


@dataclass(frozen=True, slots=True)
class _Ended:
    """One clip's times, in ns."""

    listed_ns: int
    played_ns: int
    copied_ns: int


def measure(size: Size) -> list[Result]:
    """End clips of several lengths; after each, copy the very same file."""
    film = grainy_film(WIDTH, HEIGHT, BITRATE_BPS)
    lengths_s = size.clip_lengths_s
    usual_s = lengths_s[len(lengths_s) // 2]
    runs: dict[int, list[_Ended]] = {length_s: [] for length_s in lengths_s}
    with tempfile.TemporaryDirectory(prefix="doorward-bench-") as name:
        _run(Path(name), film, lengths_s[0])
        for _ in range(size.runs):
            for length_s in lengths_s:
                runs[length_s].append(_run(Path(name), film, length_s))
    ended = runs[usual_s]
    of_clip = f"({usual_s} s of 720p{FPS}, 8 Mbit/s)"
    listed = Result(
        id="D4",
        what=f"end of the post-roll → clip on the disk, sealed, signed and listed {of_clip}",
        unit="ms",
        own_runs=[Run(times_ns=[one.listed_ns]) for one in ended],
        peer="`cp` of the same bytes and `sync --data`",
        peer_runs=[Run(times_ns=[one.copied_ns]) for one in ended],
        goal=Goal(ratio=1.5),
        note="Each clip is then read back as MP4 and its pictures are counted: it is playable. "
        "MP4 is made "
        "when a clip is played (next row). Its thumbnail is made later and isn't in.",
        points=[_point(length_s, runs[length_s]) for length_s in lengths_s],
        axis="clip, s",
    )
    played = Result(
        id="D4 play",
        what=f"open, check against the manifest and make plain MP4 of the whole clip {of_clip}",
        unit="ms",
        own_runs=[Run(times_ns=[one.played_ns]) for one in ended],
    )
    return [listed, played]


def _run(folder: Path, film: Film, length_s: int) -> _Ended:
    return asyncio.run(_record_and_end(folder, film, length_s))


async def _record_and_end(folder: Path, film: Film, length_s: int) -> _Ended:
    clock = ManualClock()
    rig = Rig(
        folder,
        clock=clock,
        size=(film.width, film.height),
        pre_roll_s=0.0,
        post_roll_s=length_s,
        longest_s=length_s + 10.0,
    )
    begin_90k = clock.monotonic_ns() * 9 // 100_000
    count = length_s * FPS
    units = list(itertools.islice(film.on(begin_90k), count + 1))
    async with recording(rig):
        await rig.film(units[:1])
        rig.recorder.trigger(new_id(), "pressed", begin_90k)
        for number in range(1, count - OPEN_FRAGMENT_UNITS, FPS):
            await rig.film(units[number : min(number + FPS, count - OPEN_FRAGMENT_UNITS)])
            await rig.until_durable(number - BEHIND_UNITS)
        await rig.until_durable(count - OPEN_FRAGMENT_UNITS)
        await rig.film(units[count - OPEN_FRAGMENT_UNITS : count])
        begin_ns = time.perf_counter_ns()
        rig.hub.put(units[-1])  # the first at the post-roll's end, which is the clip's last
        listed_ns, clip = await rig.next_clip()
        play_ns = time.perf_counter_ns()
        mp4 = rig.playback.plain_mp4(clip)
        played_ns = time.perf_counter_ns()
        if sum(1 for _ in read_units(io.BytesIO(mp4))) != count + 1:
            raise RuntimeError("the clip isn't whole")
        return _Ended(listed_ns - begin_ns, played_ns - play_ns, _copy_ns(clip.path))


def _copy_ns(path: Path) -> int:
    copy = path.with_suffix(".copy")
    begin_ns = time.perf_counter_ns()
    subprocess.run(["cp", str(path), str(copy)], check=True)
    subprocess.run(["sync", "--data", str(copy)], check=True)
    end_ns = time.perf_counter_ns()
    copy.unlink()
    return end_ns - begin_ns


def _point(length_s: int, ended: list[_Ended]) -> Point:
    return Point(
        size=length_s,
        value=statistics.median(one.listed_ns for one in ended) / 1e6,
        peer_value=statistics.median(one.copied_ns for one in ended) / 1e6,
    )
