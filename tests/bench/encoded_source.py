"""A camera whose film was encoded before: what a Pi's encoder hands on, at no cost of its own.

Imported by the processes whose memory is measured, so nothing heavy belongs here.
"""

import threading
import time
from pathlib import Path
from typing import BinaryIO

from firmware.capture.camera_output import AccessUnit, LumaFrame, pts_90k_of
from firmware.capture.video_source import LUMA_PER_S, Mask, PictureSink
from tests.bench.feed import read_luma, read_unit

FPS = 30


class EncodedSource:
    """Implements `firmware.capture.video_source.VideoSource` over a film that was encoded before.

    Each picture is read anew, so that the ring holds bytes of its own, as from an encoder.
    """

    fps = FPS

    def __init__(self, film: Path, width: int, height: int) -> None:
        self.width = width
        self.height = height
        self._film = film
        self._luma = film.with_suffix(".luma")
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, sink: PictureSink) -> None:
        self._stopped.clear()
        self._thread = threading.Thread(target=self._run, args=(sink,), daemon=True)
        self._thread.start()

    def request_key_frame(self) -> None:
        """There is one each second."""

    def set_small(self, is_wanted: bool) -> None:
        """There are none in the film."""

    def set_mask(self, mask: Mask) -> None:
        """Nothing is hidden in the film."""

    def set_max_fps(self, fps: int) -> None:
        """It was filmed at 30."""

    def set_bitrate(self, bitrate_bps: int) -> None:
        """It is encoded already."""

    def restart_encoder(self) -> None:
        """There is none."""

    def stop(self) -> None:
        self._stopped.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _run(self, sink: PictureSink) -> None:
        begin_s = time.monotonic()
        number = 0
        with self._film.open("rb") as film, self._luma.open("rb") as luma:
            while not self._stopped.wait(max(0.0, begin_s + number / FPS - time.monotonic())):
                pts_90k = pts_90k_of(time.monotonic_ns())
                if number % (FPS // LUMA_PER_S) == 0:
                    sink.on_luma(_next_luma(luma, pts_90k))
                unit = _next_unit(film)
                sink.on_unit(AccessUnit(pts_90k=pts_90k, is_key=unit.is_key, data=unit.data))
                number += 1


def _next_unit(film: BinaryIO) -> AccessUnit:
    unit = read_unit(film)
    if unit is None:
        film.seek(0)
        unit = read_unit(film)
    if unit is None:
        raise RuntimeError("the film is empty")
    return unit


def _next_luma(luma: BinaryIO, pts_90k: int) -> LumaFrame:
    frame = read_luma(luma, pts_90k)
    if frame is None:
        luma.seek(0)
        frame = read_luma(luma, pts_90k)
    if frame is None:
        raise RuntimeError("the film has no luma")
    return frame
