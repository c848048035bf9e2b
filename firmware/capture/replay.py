"""A camera for a machine without one: films a scene in real time and encodes it as a Pi would.

H.264 constrained baseline by libx264, no B-frames, no look-ahead, SPS and PPS before each IDR, a
key frame every second and on request. The wall time is drawn into every frame as it is encoded,
so that anybody can see the latency. `show` holds a picture (a pairing code) before the camera.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import av
from av.video.frame import PictureType

from firmware.capture.packets import TICKS_PER_S, AccessUnit, LumaFrame, pts_90k_of
from firmware.capture.source import LUMA_PER_S, OnLuma, OnUnit
from firmware.clock import Clock
from firmware.errors import DoorwardError

if TYPE_CHECKING:
    from firmware.capture.planes import Planes
    from firmware.capture.scene import ClockOverlay, Marker, Scene

log = logging.getLogger(__name__)

KEY_EVERY_90K = TICKS_PER_S
KEY_REQUEST_PAUSE_90K = TICKS_PER_S // 2
"""Requested key frames come at most twice a second: they cost bits, and a clip's GOPs are few."""
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


class ReplaySource:
    """Implements `source.VideoSource`.

    `file` is a video to film instead of the porch. `marker` draws a square that stands for this
    text into every frame, by which a test finds leaked pictures.
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
    ) -> None:
        self._clock = clock
        self._width = width
        self._height = height
        self._fps = fps
        self._bitrate_bps = bitrate_bps
        self._scene = _open_scene(file, width, height)
        self._overlay, self._marker = _overlays(marker, width, height)
        self._held: _Held | None = None
        self._stop = threading.Event()
        self._key_wanted = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def width(self) -> int:
        """Pixels in a row."""
        return self._width

    @property
    def height(self) -> int:
        """Rows."""
        return self._height

    @property
    def fps(self) -> int:
        """Frames a second that are aimed at; fewer come from a machine that is too slow."""
        return self._fps

    def start(self, on_unit: OnUnit, on_luma: OnLuma) -> None:
        """Film until `stop`, on a thread of its own."""
        self._stop.clear()
        self._thread = threading.Thread(
            target=self._run, args=(on_unit, on_luma), name="replay-camera", daemon=True
        )
        self._thread.start()

    def request_key_frame(self) -> None:
        """Make the next frame a key frame, if the last one is half a second ago."""
        self._key_wanted.set()

    def show(self, picture_png: bytes, seconds: float) -> None:
        """Hold a picture before the camera; ValueError if it can't be read."""
        from firmware.capture.scene import picture_planes  # needs the extra

        planes, x, y = picture_planes(picture_png, self._width, self._height)
        until_ns = self._clock.monotonic_ns() + round(seconds * 1e9)
        self._held = _Held(planes, x, y, until_ns)

    def stop(self) -> None:
        """Stop filming and wait for the thread."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _run(self, on_unit: OnUnit, on_luma: OnLuma) -> None:
        while not self._stop.is_set():
            try:
                self._film_on(on_unit, on_luma)
            except Exception:  # the supervisor: a camera that fails is started again
                log.exception("the replay camera failed; it starts again in a second")
                self._stop.wait(RESTART_PAUSE_S)

    def _film_on(self, on_unit: OnUnit, on_luma: OnLuma) -> None:
        encoder = Encoder(self._width, self._height, self._fps, self._bitrate_bps)
        luma_every = max(1, round(self._fps / LUMA_PER_S))
        start_ns = self._clock.monotonic_ns()
        period_ns = 1_000_000_000 // self._fps
        number = 0
        while self._wait_until(start_ns + number * period_ns):
            now_ns = self._clock.monotonic_ns()
            if now_ns - (start_ns + number * period_ns) > MAX_LAG_NS:
                number = (now_ns - start_ns) // period_ns  # too slow a machine: leave frames out
            picture = self._film(now_ns, (now_ns - start_ns) / 1e9)
            pts_90k = pts_90k_of(now_ns)
            if number % luma_every == 0:
                on_luma(_luma_of(picture, pts_90k))
            for unit in encoder.encode(picture, pts_90k, is_key_wanted=self._key_wanted):
                on_unit(unit)
            number += 1

    def _wait_until(self, due_ns: int) -> bool:
        """Sleep until `due_ns`; False when it is time to stop."""
        wait_s = (due_ns - self._clock.monotonic_ns()) / 1e9
        return not self._stop.wait(max(0.0, wait_s))

    def _film(self, now_ns: int, elapsed_s: float) -> Planes:
        picture = self._scene.draw(elapsed_s)
        held = self._held
        if held is not None and now_ns < held.until_ns:
            picture.paste(held.planes, held.x, held.y)
        if self._marker is not None:
            self._marker.draw(picture)
        self._overlay.draw(picture, self._clock.wall_ms())
        return picture


class Encoder:
    """libx264 set up like a Pi's hardware encoder."""

    def __init__(self, width: int, height: int, fps: int, bitrate_bps: int) -> None:
        codec = av.CodecContext.create("libx264", "w")
        codec.width, codec.height, codec.pix_fmt = width, height, "yuv420p"
        codec.time_base = Fraction(1, TICKS_PER_S)
        codec.framerate = Fraction(fps)
        codec.bit_rate = bitrate_bps
        codec.gop_size = 4 * fps  # key frames go by time, below
        codec.max_b_frames = 0
        codec.thread_count = 1
        codec.options = {
            "preset": "superfast",
            "tune": "zerolatency",
            "profile": "baseline",
            "forced-idr": "1",
            "x264-params": "scenecut=0:repeat-headers=1:annexb=1",
        }
        self._codec = codec
        self._last_key_90k = -KEY_EVERY_90K

    def encode(
        self, picture: Planes, pts_90k: int, *, is_key_wanted: threading.Event
    ) -> list[AccessUnit]:
        """Return the access unit of one picture (libx264 may return none at first)."""
        frame = av.VideoFrame.from_ndarray(picture.array, "yuv420p")
        frame.pts = pts_90k
        frame.time_base = self._codec.time_base
        if self._is_key_due(pts_90k, is_key_wanted):
            frame.pict_type = PictureType.I
        return [
            AccessUnit(pts_90k=int(packet.pts or 0), is_key=packet.is_keyframe, data=bytes(packet))
            for packet in self._codec.encode(frame)
        ]

    def _is_key_due(self, pts_90k: int, is_key_wanted: threading.Event) -> bool:
        since = pts_90k - self._last_key_90k
        frame_90k = int(TICKS_PER_S / (self._codec.framerate or 30))
        is_requested = is_key_wanted.is_set() and since >= KEY_REQUEST_PAUSE_90K
        if is_requested or since >= KEY_EVERY_90K - frame_90k // 2:
            is_key_wanted.clear()
            self._last_key_90k = pts_90k
            return True
        return False


def _open_scene(file: Path | None, width: int, height: int) -> Scene:
    try:
        from firmware.capture.scene import FileScene, PorchScene
    except ImportError as error:
        raise ReplayMissing(
            "the replay camera needs NumPy and Pillow: pip install 'doorward[replay]'"
        ) from error
    return PorchScene(width, height) if file is None else FileScene(file, width, height)


def _overlays(marker: str, width: int, height: int) -> tuple[ClockOverlay, Marker | None]:
    from firmware.capture.scene import ClockOverlay, Marker

    return ClockOverlay(height), Marker(marker, width, height) if marker else None


def _luma_of(picture: Planes, pts_90k: int) -> LumaFrame:
    return LumaFrame(
        pts_90k=pts_90k,
        width=picture.width,
        height=picture.height,
        stride=picture.width,
        data=picture.y.tobytes(),
    )
