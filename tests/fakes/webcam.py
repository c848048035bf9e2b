"""A webcam without a device: a pipe that FFmpeg reads in place of /dev/video0, in real time."""

import errno
import os
import threading
import time
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer

from tests.fakes.waiting import PATIENCE_S


class FakeWebcam:
    """Its `open` stands in for `firmware.capture.webcam.open_v4l2`.

    The pictures: a bright square in the upper left quarter, and one column that moves. `formats`
    are those that it has; any other is refused as V4L2 does. `size` is what it gives, whatever
    was asked for.
    """

    def __init__(
        self,
        folder: Path,
        *,
        formats: tuple[str, ...] = ("mjpeg",),
        size: tuple[int, int] = (320, 240),
        fps: int = 20,
    ) -> None:
        self._folder = folder
        self._formats = formats
        self._width, self._height = size
        self._fps = fps
        self._is_unplugged = threading.Event()
        self._writers: list[threading.Thread] = []
        self.fault = 0
        self.is_frozen = False
        self.has_bad_cable = False
        self.asked: list[dict[str, str]] = []

    def open(self, device: str, options: dict[str, str]) -> InputContainer:
        self.asked.append(options)
        if self.fault:
            raise OSError(self.fault, os.strerror(self.fault), device)
        name = options["input_format"]
        if name not in self._formats:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL), device)
        pipe = self._folder / f"video{len(self.asked)}"
        os.mkfifo(pipe)
        writer = threading.Thread(target=self._write, args=(pipe, name), daemon=True)
        writer.start()
        self._writers.append(writer)
        if name in ("mjpeg", "h264"):
            return av.open(str(pipe), format=name, options={"probesize": "5000"})
        raw = {
            "pixel_format": name,
            "video_size": f"{self._width}x{self._height}",
            "framerate": str(self._fps),
        }
        return av.open(str(pipe), format="rawvideo", options=raw)

    def unplug(self) -> None:
        self._is_unplugged.set()
        for writer in self._writers:
            writer.join()
        self.fault = errno.ENODEV

    def plug_in(self) -> None:
        self._is_unplugged.clear()
        self.fault = 0

    def _write(self, pipe: Path, name: str) -> None:
        encoder = None if name in ("yuyv422", "nv12", "yuv420p") else self._encoder(name)
        number = 0
        with pipe.open("wb", buffering=0) as out:
            while not self._is_unplugged.wait(1 / self._fps):
                if self.is_frozen:
                    continue
                try:
                    out.write(self._coded(number, name, encoder))
                except BrokenPipeError:
                    return
                number += 1

    def _encoder(self, name: str) -> av.VideoCodecContext:
        encoder = av.CodecContext.create("libx264" if name == "h264" else name, "w")
        encoder.width, encoder.height = self._width, self._height
        encoder.pix_fmt = "yuvj422p" if name == "mjpeg" else "yuv420p"
        encoder.time_base = Fraction(1, self._fps)
        if name == "h264":
            encoder.options = {"preset": "ultrafast", "tune": "zerolatency"}
        else:
            encoder.options = {"qmin": "2", "qmax": "2"}
        return encoder

    def _coded(self, number: int, name: str, encoder: av.VideoCodecContext | None) -> bytes:
        frame = av.VideoFrame.from_ndarray(self._picture(number), "gray")
        if encoder is None:
            frame = frame.reformat(format=name)
            return frame.to_ndarray().tobytes()
        frame = frame.reformat(format=encoder.pix_fmt)
        frame.pts = number
        coded = b"".join(bytes(packet) for packet in encoder.encode(frame))
        if self.has_bad_cable and number % 2:
            return coded[: len(coded) // 3]
        return coded

    def _picture(self, number: int) -> np.ndarray:
        picture = np.full((self._height, self._width), 60, np.uint8)
        picture[: self._height // 2, : self._width // 2] = 220
        column = self._width // 2 + 4 * number % (self._width // 2)
        picture[:, column : column + 4] = 160
        return picture


def wait_for(what: list[object], count: int, *, within_s: float = PATIENCE_S) -> None:
    """Wait until a list has so many entries."""
    deadline = time.monotonic() + within_s
    while len(what) < count:
        assert time.monotonic() < deadline, f"{len(what)} of {count} came"
        time.sleep(0.01)
