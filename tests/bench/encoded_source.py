"""A camera whose film was encoded before: what a Pi's encoder hands on, at no cost of its own.

Imported by the processes whose memory is measured, so nothing heavy belongs here.
"""

import threading
import time
from collections import deque
from pathlib import Path

from firmware.capture.camera_output import AccessUnit, LumaFrame, pts_90k_of
from firmware.capture.video_source import LUMA_PER_S, Mask, PictureSink
from tests.bench.feed import read_luma, read_unit

FPS = 30
HANDED_KEPT = 6_000
"""Pictures of which it is remembered when they were handed on: more than three minutes."""


class EncodedSource:
    """Implements `firmware.capture.video_source.VideoSource` over films that were encoded before.

    Each picture is read anew, so that the ring holds bytes of its own, as from an encoder. What the
    reading takes of the CPU is counted, for a camera doesn't need it. The empty porch is shown
    until a visit begins.
    """

    fps = FPS

    def __init__(self, film: Path, visit: Path, width: int, height: int) -> None:
        self.width = width
        self.height = height
        self.handed: deque[tuple[int, int]] = deque(maxlen=HANDED_KEPT)
        """Of each picture its pts (90 kHz) and when it was handed on (monotonic ns)."""
        self.reading_ns = 0
        self._films = (film, visit)
        self._is_visited = threading.Event()
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def thread_id(self) -> int | None:
        """The kernel's number of the camera's thread."""
        return None if self._thread is None else self._thread.native_id

    def set_visited(self, is_visited: bool) -> None:
        """Have somebody come or go, from the film's next beginning on."""
        if is_visited:
            self._is_visited.set()
        else:
            self._is_visited.clear()

    def start(self, sink: PictureSink) -> None:
        self._stopped.clear()
        self._thread = threading.Thread(target=self._run, args=(sink,), name="camera", daemon=True)
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
        films = [_Film(path) for path in self._films]
        film = films[0]
        try:
            while not self._stopped.wait(max(0.0, begin_s + number / FPS - time.monotonic())):
                pts_90k = pts_90k_of(time.monotonic_ns())
                begun_ns = time.thread_time_ns()
                if film.is_at_begin:
                    film = films[self._is_visited.is_set()]
                luma = film.luma(pts_90k) if number % (FPS // LUMA_PER_S) == 0 else None
                unit = film.unit(pts_90k)
                self.reading_ns += time.thread_time_ns() - begun_ns
                if luma is not None:
                    sink.on_luma(luma)
                self.handed.append((pts_90k, time.monotonic_ns()))
                sink.on_unit(unit)
                number += 1
        finally:
            for film in films:
                film.close()


class _Film:
    """One film that is shown again and again."""

    def __init__(self, path: Path) -> None:
        self._units = path.open("rb")
        self._luma = path.with_suffix(".luma").open("rb")
        self._size = path.stat().st_size

    @property
    def is_at_begin(self) -> bool:
        """Whether the next picture is the first one."""
        return self._units.tell() in (0, self._size)

    def unit(self, pts_90k: int) -> AccessUnit:
        """Return the next picture, as taken at that time."""
        unit = read_unit(self._units)
        if unit is None:
            self._units.seek(0)
            unit = read_unit(self._units)
        if unit is None:
            raise RuntimeError("the film is empty")
        return AccessUnit(pts_90k=pts_90k, is_key=unit.is_key, data=unit.data)

    def luma(self, pts_90k: int) -> LumaFrame:
        """Return the next luma frame, as taken at that time."""
        frame = read_luma(self._luma, pts_90k)
        if frame is None:
            self._luma.seek(0)
            frame = read_luma(self._luma, pts_90k)
        if frame is None:
            raise RuntimeError("the film has no luma")
        return frame

    def close(self) -> None:
        """Close its files."""
        self._units.close()
        self._luma.close()
