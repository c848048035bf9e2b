"""Subclasses of picamera2's encoders for the pipeline; picamera2 itself stays unpatched.

The classes are made when picamera2 is there, so that this can be imported without it.
"""

from typing import Any

from firmware.capture.pi.pipeline import PicturePipeline
from firmware.capture.x264 import PRESET

BURST = 2
"""libx264 may take twice its bitrate for a moment, and makes it good within a second."""


PI_5_NS_PER_PIXEL = 17.4
"""libx264's time on one core of a Pi 5: computed in docs/picture.md, not measured."""
MOST_BUSY = 0.5
"""Part of a core that a slice's thread may take: key frames and noise take more."""
MOST_SLICES = 3
"""A Pi 5 has four cores, and the doorbell needs one."""


def filming(kind: Any, film: PicturePipeline) -> Any:
    """Return an encoder class of this kind that shows each picture to the film first."""

    class FilmingEncoder(kind):  # type: ignore[misc]  # picamera2 has no types
        def encode(self, stream: Any, request: Any) -> None:
            film.take(self, request, lambda: super(FilmingEncoder, self).encode(stream, request))

    return FilmingEncoder


def film_output(kind: Any, film: PicturePipeline, encoder: Any) -> Any:
    """Return an output that hands each coded picture to the film, on the encoder's thread."""

    class FilmOutput(kind):  # type: ignore[misc]  # picamera2 has no types
        def outputframe(
            self, frame: bytes, keyframe: bool = True, timestamp: int = 0, *_: Any
        ) -> None:
            film.emit(encoder, frame, is_key=keyframe, timestamp_us=timestamp)

    return FilmOutput()


def slices_of(width: int, height: int, fps: float) -> int:
    """Return into how many slices libx264 cuts a picture, each encoded by a thread of its own.

    One thread, if that keeps up; else as many as the board has to spare.
    """
    return 1 if busy_cores(width, height, fps) <= MOST_BUSY else MOST_SLICES


def busy_cores(width: int, height: int, fps: float) -> float:
    """Return how many cores of a Pi 5 libx264 keeps busy: computed, not measured on a Pi.

    720p30 takes about half of one, 1080p30 a whole one, so that one thread would be late at each
    key frame.
    """
    return width * height * fps * PI_5_NS_PER_PIXEL / 1e9


def keyed(kind: Any) -> Any:
    """Return a LibavH264Encoder class that answers at once, forces key frames and bounds bursts.

    Seen in picamera2 0.3.38: it asks for a key frame by `frame.pict_type = "I"`, where PyAV from
    14 on takes only a number, and the exception ends picamera2's thread. And it encodes by frame
    threads, so that each picture comes out late by one picture a thread. Here threads share a
    picture, each with a slice of its own, so it comes at once; up to 720p one is enough.
    """
    from av.codec.context import ThreadType  # only where libx264 is used
    from av.video.frame import PictureType

    class KeyedStream:
        """A wrapper of PyAV's stream: marks the next frame as a key frame on request."""

        def __init__(self, stream: Any) -> None:
            self._stream = stream
            self.is_key_wanted = False

        def __getattr__(self, name: str) -> Any:
            return getattr(self._stream, name)

        def encode(self, frame: Any = None) -> Any:
            if frame is not None and self.is_key_wanted:
                self.is_key_wanted = False
                frame.pict_type = PictureType.I
            return self._stream.encode(frame)

    class KeyedEncoder(kind):  # type: ignore[misc]  # picamera2 has no types
        _stream: Any

        def _start(self) -> None:
            self.threads = slices_of(self.width, self.height, self.framerate)
            self.preset = PRESET  # picamera2 takes "ultrafast" for baseline
            super()._start()
            self._stream.codec_context.thread_type = ThreadType.SLICE
            self._stream.codec_context.options |= {
                "forced-idr": "1",
                "maxrate": str(self.bitrate * BURST),
                "bufsize": str(self.bitrate),
                "x264-params": "scenecut=0:bframes=0",
            }
            self._stream = KeyedStream(self._stream)

        def force_key_frame(self) -> None:
            self._stream.is_key_wanted = True

    return KeyedEncoder
