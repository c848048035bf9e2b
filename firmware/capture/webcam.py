"""A USB or other V4L2 camera, for people without a Pi camera.

Read by FFmpeg's V4L2 device, which PyAV's wheels contain. Whatever the camera gives (JPEG or plain
pictures) is decoded, flipped, masked and encoded in software. A camera that gives nothing
but H.264 is refused: an encoder inside the camera sees what the mask should hide.
"""

from __future__ import annotations

import errno
import logging
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import av
import av.error
from av.container import InputContainer

from firmware.capture.board import check_board
from firmware.capture.camera_output import pts_90k_of
from firmware.capture.frame_selection import FrameRateLimiter
from firmware.capture.software_source import SoftwareSource
from firmware.capture.turn import turn_of
from firmware.capture.video_source import PictureSink
from firmware.config.settings import CameraConfig
from firmware.errors import CameraError
from firmware.system.clock import Clock

if TYPE_CHECKING:
    from firmware.capture.fitter import Fitter

log = logging.getLogger(__name__)

OpenDevice = Callable[[str, dict[str, str]], InputContainer]

FORMATS = ("mjpeg", "yuyv422", "nv12", "yuv420p")
"""FFmpeg's names, best first: over USB 2, only JPEG brings 720p at 30 pictures a second."""
MASKED_NEVER = "h264"
TRY_ANOTHER = frozenset({errno.EINVAL, errno.EIO, errno.ENOSYS, errno.ERANGE})
"""How V4L2 says that the device has no such format."""
MISSING = frozenset({errno.ENOENT, errno.ENODEV, errno.ENXIO})
OLDEST_STAMP_NS = 2_000_000_000
STOP_WITHIN_S = 3.0


def open_v4l2(device: str, options: dict[str, str]) -> InputContainer:
    """Open a V4L2 device through FFmpeg."""
    return av.open(device, format="v4l2", options=options)


class WebcamSource(SoftwareSource):
    """Implements `source.VideoSource`.

    The picture keeps the size that was asked for; a camera that has it not is scaled to fit
    between black bars.
    """

    def __init__(
        self,
        settings: CameraConfig,
        *,
        clock: Clock,
        thread_count: int = 1,
        open_device: OpenDevice = open_v4l2,
        stop_within_s: float = STOP_WITHIN_S,
    ) -> None:
        self._fitter = _fitter(settings.width, settings.height)
        super().__init__(
            settings.width,
            settings.height,
            fps=settings.fps,
            bitrate_bps=settings.bitrate_bps,
            thread_count=thread_count,
            turn=turn_of(settings),
        )
        self._settings = settings
        self._clock = clock
        self._device = settings.device
        self._open_device = open_device
        self._stop_within_s = stop_within_s
        self._pacer: FrameRateLimiter | None = None
        self._last_pts_90k = -1
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, sink: PictureSink) -> None:
        """Open the camera and film on a thread of its own; CameraError if that fails."""
        check_board(self._settings)
        container = self._open()
        self._finisher.restart()
        self._stop = threading.Event()
        self._thread = threading.Thread(
            target=self._run,
            args=(container, self._stop, sink),
            name="webcam",
            daemon=True,
        )
        self._thread.start()

    def set_max_fps(self, fps: int) -> None:
        """Leave frames out, so that at most this many a second are encoded."""
        self._fps = max(1, min(fps, self._configured_fps))
        self._pacer = FrameRateLimiter(self._fps) if self._fps < self._configured_fps else None

    def stop(self) -> None:
        """End and close the camera; CameraError if its driver doesn't let go of the thread.

        Even then nothing is called any more.
        """
        self._stop.set()
        if self._thread is None:
            return
        self._thread.join(self._stop_within_s)
        if self._thread.is_alive():
            raise CameraError("frozen", f"{self._device} doesn't answer and can't be closed")
        self._thread = None

    def _open(self) -> InputContainer:
        if self._thread is not None and self._thread.is_alive():
            raise CameraError("busy", f"{self._device} is still held by the run before")
        for name in FORMATS:
            try:
                return self._open_as(name)
            except (av.error.FFmpegError, OSError) as error:
                if error.errno not in TRY_ANOTHER:
                    raise _failure(self._device, error) from error
                log.debug("%s gives no %s: %s", self._device, name, error)
        raise self._unsupported()

    def _open_as(self, name: str) -> InputContainer:
        options = {
            "input_format": name,
            "video_size": f"{self._width}x{self._height}",
            "framerate": str(self._configured_fps),
            "analyzeduration": "0",
        }
        container = self._open_device(self._device, options)
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        size = (stream.codec_context.width, stream.codec_context.height)
        wanted = (self._width, self._height)
        if size != wanted:
            log.warning("%s has no %d×%d: it gives %d×%d", self._device, *wanted, *size)
        log.info("%s gives %s, %d×%d at %s/s", self._device, name, *size, stream.average_rate)
        return container

    def _unsupported(self) -> CameraError:
        try:
            self._open_as(MASKED_NEVER).close()
        except (av.error.FFmpegError, OSError):
            return CameraError("unsupported", f"{self._device} gives none of {', '.join(FORMATS)}")
        return CameraError(
            "unsupported",
            f"{self._device} gives only H.264, in which no mask can be painted: use another camera",
        )

    def _run(self, container: InputContainer, stop: threading.Event, sink: PictureSink) -> None:
        try:
            with container:
                for frame in _frames(container, stop):
                    self._finish(frame, sink)
            if not stop.is_set():
                log.error("%s has ended: is it unplugged?", self._device)
        except (av.error.FFmpegError, OSError) as error:
            log.error("%s gives no more pictures: %s", self._device, error)

    def _finish(self, frame: av.VideoFrame, sink: PictureSink) -> None:
        pts_90k = pts_90k_of(captured_ns(frame, self._clock.monotonic_ns()))
        if pts_90k <= self._last_pts_90k:
            return  # stamps and times of arrival by turns; no coded picture may go back
        self._last_pts_90k = pts_90k
        pacer = self._pacer
        if pacer is not None and not pacer.is_due(pts_90k * 100_000 // 9):
            return
        picture = self._fitter.fit(frame)
        self._flip(picture)
        self._finisher.take(picture, pts_90k, sink)


def _fitter(width: int, height: int) -> Fitter:
    try:
        from firmware.capture.fitter import Fitter
    except ImportError as error:
        raise CameraError("unsupported", "a webcam needs NumPy: pip install numpy") from error
    return Fitter(width, height)


def captured_ns(frame: av.VideoFrame, now_ns: int) -> int:
    """Return when a picture was taken, on the monotonic clock.

    Drivers stamp with CLOCK_MONOTONIC, in microseconds; some with another clock or with nothing,
    and some a little ahead. A stamp that can't be right gives way to the time of arrival, so
    none is later than now.
    """
    if frame.pts is None or frame.time_base is None:
        return now_ns
    stamp_ns = int(frame.pts * frame.time_base * 1_000_000_000)
    return stamp_ns if 0 <= now_ns - stamp_ns <= OLDEST_STAMP_NS else now_ns


def _frames(container: InputContainer, stop: threading.Event) -> Iterator[av.VideoFrame]:
    """Decode until told to stop; a picture that came damaged over the cable is left out."""
    for packet in container.demux(video=0):
        if stop.is_set():
            return
        try:
            frames = packet.decode()
        except av.error.InvalidDataError:
            continue
        for frame in frames:
            if isinstance(frame, av.VideoFrame) and not stop.is_set():
                yield frame


def _failure(device: str, error: av.error.FFmpegError | OSError) -> CameraError:
    if error.errno == errno.EBUSY:
        return CameraError("busy", f"{device} is held by another program")
    if error.errno in MISSING:
        return CameraError("missing", f"there is no camera at {device}: is it plugged in?")
    if error.errno in (errno.EACCES, errno.EPERM):
        return CameraError("unsupported", f"{device} may be read by the group video only: join it")
    return CameraError("unsupported", f"{device} can't be opened as a camera: {error}")
