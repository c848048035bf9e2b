"""`doorward-firmware run` with a camera whose film was encoded before.

    python -m tests.bench.doorbell_process SETTINGS FILM VISIT

All else is the product's own process: its stages, link, local page, register follower, motion,
recorder, live view, log. By stdin it takes one JSON line at a time: `visit` (true or false) lets
somebody come or go, `camera` and `threads` ask what it answers by stdout. A thread waits for them,
which costs nothing while nobody asks.
"""

import json
import os
import sys
import threading
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from firmware.__main__ import start_logging
from firmware.app.process import run
from firmware.config.loader import load_config

if TYPE_CHECKING:
    from firmware.capture.video_source import InfraredLamp
    from firmware.config.settings import CameraConfig
    from firmware.system.clock import SystemClock
    from tests.bench.encoded_source import EncodedSource

INFO = 20
LINE_BYTES = 65536


class Answering:
    """Makes the camera, and answers for it."""

    def __init__(self, film: Path, visit: Path) -> None:
        self._films = (film, visit)
        self._camera: EncodedSource | None = None

    def make_camera(
        self,
        settings: "CameraConfig",
        clock: "SystemClock",  # noqa: ARG002
        lamp: "InfraredLamp",  # noqa: ARG002
    ) -> "EncodedSource":
        """Implement `firmware.capture.video_source.MakeCamera`."""
        from tests.bench.encoded_source import EncodedSource  # not in the first stage

        film, visit = self._films
        self._camera = EncodedSource(film, visit, settings.width, settings.height)
        return self._camera

    def run(self) -> None:
        """Answer until the input ends. Unbuffered: nothing is held when the process ends."""
        rest = b""
        while more := os.read(sys.stdin.fileno(), LINE_BYTES):
            *lines, rest = (rest + more).split(b"\n")
            for line in lines:
                self._answer(json.loads(line))

    def _answer(self, asked: dict[str, bool]) -> None:
        camera = self._camera
        if "threads" in asked:
            say(threads={one.name: one.native_id for one in threading.enumerate()})
        if camera is None:
            return
        if "visit" in asked:
            camera.set_visited(asked["visit"])
        if "camera" in asked:
            say(camera={"handed": list(camera.handed), "reading_ns": camera.reading_ns})


def say(**words: object) -> None:
    """Say one line to who started this."""
    print(json.dumps(words), flush=True)


def main() -> int:
    settings, film, visit = map(Path, sys.argv[1:])
    start_logging(INFO)
    answering = Answering(film, visit)
    threading.Thread(target=answering.run, name="benchmark", daemon=True).start()
    reload = partial(load_config, settings)
    return run(reload(), reload, make_camera=answering.make_camera)


if __name__ == "__main__":
    sys.exit(main())
