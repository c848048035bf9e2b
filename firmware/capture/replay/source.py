"""A camera for a machine without one: films a scene in real time and encodes it as a Pi would.

The wall time is drawn into every frame as it is encoded, so that anybody can see the latency.
`show` holds a picture (a pairing code) before the camera.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from firmware.capture.camera_output import pts_90k_of
from firmware.capture.software_source import SoftwareSource
from firmware.capture.turn import UPRIGHT, Turn
from firmware.capture.video_source import PictureSink
from firmware.errors import DoorwardError
from firmware.system.clock import Clock

if TYPE_CHECKING:
    from firmware.capture.i420 import Planes
    from firmware.capture.replay.scene import ClockOverlay, Marker, Scene

log = logging.getLogger(__name__)

MAX_LAG_NS = 500_000_000
RESTART_PAUSE_S = 1.0


class ReplayMissing(DoorwardError):
    """NumPy or Pillow isn't installed."""


@dataclass(frozen=True, slots=True)
class _Held:
    """A picture before the camera."""

    planes: Planes
    x: int
    y: int
    until_ns: int


class ReplaySource(SoftwareSource):
    """Implements `source.VideoSource`.

    `file` is a video to film instead of the porch. `marker` draws a square that stands for this
    text into every frame, by which a test finds leaked pictures. The scene is what a sensor sees:
    with `turn`, whoever shows it turns it. Somebody comes to the porch each `visit_each_s`.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        width: int = 1280,
        height: int = 720,
        fps: int = 30,
        bitrate_bps: int = 2_000_000,
        file: Path | None = None,
        marker: str = "",
        thread_count: int = 1,
        turn: Turn = UPRIGHT,
        visit_each_s: float = 24.0,
    ) -> None:
        self._scene = _open_scene(file, width, height, visit_each_s)
        super().__init__(
            width,
            height,
            fps=fps,
            bitrate_bps=bitrate_bps,
            thread_count=thread_count,
            turn=turn,
        )
        self._clock = clock
        self._overlay, self._marker = _overlays(marker, width, height)
        self._held: _Held | None = None
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, sink: PictureSink) -> None:
        """Film until `stop`, on a thread of its own."""
        self._stop.clear()
        self._thread = threading.Thread(
            target=self._run, args=(sink,), name="replay-camera", daemon=True
        )
        self._thread.start()

    def set_max_fps(self, fps: int) -> None:
        """Film with at most this many frames a second."""
        self._fps = max(1, min(fps, self._configured_fps))

    def show(self, picture_png: bytes, seconds: float) -> None:
        """Hold a picture before the camera; ValueError if it can't be read."""
        from firmware.capture.replay.scene import picture_planes  # needs the extra

        planes, x, y = picture_planes(picture_png, self._width, self._height)
        until_ns = self._clock.monotonic_ns() + round(seconds * 1e9)
        self._held = _Held(planes, x, y, until_ns)

    def stop(self) -> None:
        """Stop filming and wait for the thread."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _run(self, sink: PictureSink) -> None:
        while not self._stop.is_set():
            try:
                self._film_on(sink)
            except Exception:  # the supervisor: a camera that fails is started again
                log.exception("the replay camera failed; it starts again in a second")
                self._stop.wait(RESTART_PAUSE_S)

    def _film_on(self, sink: PictureSink) -> None:
        self._finisher.restart()
        start_ns = due_ns = self._clock.monotonic_ns()
        while self._wait_until(due_ns):
            now_ns = self._clock.monotonic_ns()
            if now_ns - due_ns > MAX_LAG_NS:
                due_ns = now_ns  # too slow a machine: leave frames out
            picture = self._film(now_ns, (now_ns - start_ns) / 1e9)
            self._finisher.take(picture, pts_90k_of(now_ns), sink)
            due_ns += 1_000_000_000 // self._fps

    def _wait_until(self, due_ns: int) -> bool:
        """Sleep until `due_ns`; False when it is time to stop."""
        wait_s = (due_ns - self._clock.monotonic_ns()) / 1e9
        return not self._stop.wait(max(0.0, wait_s))

    def _film(self, now_ns: int, elapsed_s: float) -> Planes:
        held = self._held  # what is there at the picture's time, however long drawing takes
        picture = self._scene.draw(elapsed_s)
        self._flip(picture)
        if held is not None and now_ns < held.until_ns:
            picture.paste(held.planes, held.x, held.y)
        if self._marker is not None:
            self._marker.draw(picture)
        self._overlay.draw(picture, self._clock.wall_ms())
        return picture


def _open_scene(file: Path | None, width: int, height: int, visit_each_s: float) -> Scene:
    try:
        from firmware.capture.replay.scene import FileScene, PorchScene
    except ImportError as error:
        raise ReplayMissing(
            "the replay camera needs NumPy and Pillow: pip install 'doorward[replay]'"
        ) from error
    if file is not None:
        return FileScene(file, width, height)
    return PorchScene(width, height, visit_each_s=visit_each_s)


def _overlays(marker: str, width: int, height: int) -> tuple[ClockOverlay, Marker | None]:
    from firmware.capture.replay.scene import ClockOverlay, Marker

    return ClockOverlay(height), Marker(marker, width, height) if marker else None
