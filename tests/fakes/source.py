"""A small camera for tests: real H.264 from a thread, in real time, and key frames on request."""

import fractions
import threading
import time

import av

from firmware.capture.packets import AccessUnit, pts_90k_of
from firmware.capture.source import OnLuma, OnUnit

GOP_UNITS = 10_000
"""So long that every key frame after the first was asked for."""


class QuickSource:
    """Implements `firmware.capture.source.VideoSource`: a grey level that rises by one a picture.

    The first pixel of each picture tells which one it is (modulo 200).
    """

    def __init__(self, *, width: int = 320, height: int = 240, fps: int = 60) -> None:
        self.width = width
        self.height = height
        self.fps = fps
        self.key_frame_requests = 0
        self._is_key_wanted = True
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, on_unit: OnUnit, on_luma: OnLuma) -> None:  # noqa: ARG002
        self._thread = threading.Thread(target=self._run, args=(on_unit,), daemon=True)
        self._thread.start()

    def request_key_frame(self) -> None:
        self.key_frame_requests += 1
        self._is_key_wanted = True

    def stop(self) -> None:
        self._stopped.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self, on_unit: OnUnit) -> None:
        encoder = av.CodecContext.create("libx264", "w")
        encoder.width, encoder.height, encoder.pix_fmt = self.width, self.height, "yuv420p"
        encoder.time_base = fractions.Fraction(1, 90_000)
        encoder.framerate = fractions.Fraction(self.fps, 1)
        encoder.options = {
            "preset": "ultrafast",
            "tune": "zerolatency",
            "profile": "baseline",
            "x264-params": f"keyint={GOP_UNITS}:scenecut=0:annexb=1:repeat-headers=1",
        }
        count = 0
        while not self._stopped.wait(1 / self.fps):
            frame = self._frame(count)
            for packet in encoder.encode(frame):
                unit = AccessUnit(
                    pts_90k=int(packet.pts or 0), is_key=packet.is_keyframe, data=bytes(packet)
                )
                on_unit(unit)
            count += 1

    def _frame(self, count: int) -> av.VideoFrame:
        frame = av.VideoFrame(self.width, self.height, "yuv420p")
        for plane, level in zip(frame.planes, (20 + count % 200, 128, 128), strict=True):
            plane.update(bytes([level]) * plane.buffer_size)
        frame.pts = pts_90k_of(time.monotonic_ns())
        frame.time_base = fractions.Fraction(1, 90_000)
        if self._is_key_wanted:
            self._is_key_wanted = False
            frame.pict_type = av.video.frame.PictureType.I
        return frame
