"""Doorward's recorder as a process of its own: what ffmpeg is in D2.

    python -m tests.bench.recorder_process FOLDER WIDTH HEIGHT SECONDS

Takes access units from stdin (tests.bench.feed), as a camera's thread would, and makes one clip of
the first SECONDS of them. Says `ready`, and `clip` once it is sealed, signed and listed: how long
it is, and what each thread took of the CPU since `ready`.
"""

import argparse
import asyncio
import json
import sys
import threading
import time
from pathlib import Path

from firmware.capture.camera_output import pts_90k_of
from firmware.protocol.encoding import new_id
from firmware.system.clock import SystemClock
from tests.bench.feed import UnitPipe
from tests.bench.rig import Rig, recording


async def record(given: argparse.Namespace) -> None:
    """Record one clip from stdin."""
    clock = SystemClock(is_host_time_trusted=True)
    rig = Rig(
        given.folder,
        clock=clock,
        size=(given.width, given.height),
        pre_roll_s=6.0,
        post_roll_s=given.seconds,
        longest_s=given.seconds + 10,
    )
    async with recording(rig):
        camera = Camera(rig)
        camera.start()
        before_s = thread_times_s()
        say(ready=True)
        while rig.ring.newest_pts_90k is None:  # noqa: ASYNC110 - a thread fills it
            await asyncio.sleep(0.005)
        first_90k = min(rig.ring.newest_pts_90k, pts_90k_of(clock.monotonic_ns()))
        rig.recorder.trigger(new_id(), "pressed", first_90k)
        _, clip = await rig.listed.get()
        used_s = {name: used - before_s.get(name, 0.0) for name, used in thread_times_s().items()}
        say(
            clip={
                "duration_ms": clip.duration_ms,
                "reading_s": camera.reading_s,
                "camera_s": used_s["camera"] - camera.reading_s,
                "loop_s": used_s["MainThread"],
                "writer_s": used_s["recorder"],
            }
        )
        await asyncio.to_thread(camera.join)


def thread_times_s() -> dict[str, float]:
    """Return the CPU time of each thread that Python knows, by name."""
    threads = [thread for thread in threading.enumerate() if thread.ident is not None]
    return {
        thread.name: time.clock_gettime(time.pthread_getcpuclockid(thread.ident))
        for thread in threads
    }


def say(**words: object) -> None:
    """Say one line to who started this."""
    print(json.dumps(words), flush=True)


class Camera(threading.Thread):
    """Hands on what comes by the pipe; takes down how much CPU time the pipe itself needs."""

    def __init__(self, rig: Rig) -> None:
        super().__init__(name="camera", daemon=True)
        self._rig = rig
        self.reading_s = 0.0

    def run(self) -> None:
        pipe = UnitPipe(sys.stdin.fileno())
        while True:
            begin_s = time.thread_time()
            unit = pipe.read()
            self.reading_s += time.thread_time() - begin_s
            if unit is None:
                return
            self._rig.hub.put(unit)


def main() -> None:
    parser = argparse.ArgumentParser(prog="tests.bench.recorder_process", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("width", type=int)
    parser.add_argument("height", type=int)
    parser.add_argument("seconds", type=float)
    asyncio.run(record(parser.parse_args()))


if __name__ == "__main__":
    main()
