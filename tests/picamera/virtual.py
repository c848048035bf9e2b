"""Unmodified picamera2 on libcamera's `virtual` camera, which plays JPEGs; no Pi is needed.

Runs on Debian's own Python with Debian's libcamera (`.ci/picamera`). What picamera2 takes for
granted on a Pi is made good here, in tests only:

- it imports `pykms` for a preview on a screen that nobody starts;
- it asks for raw modes, which `virtual` hasn't got;
- it takes buffers from /dev/dma_heap, also when it closes; these come from memfd, two planes each;
- a Pi's camera keeps time and `virtual` answers at once: `Sensor` lets it;
- a Pi's camera lists controls, and tells of gain and exposure time: `PiSide` adds both. libcamera's
  own types check each value that is set, and `virtual` then ignores it.
"""

import dataclasses
import mmap
import os
import queue
import sys
import threading
import time
import types
from typing import Any

from firmware.capture.pi.picamera import CameraStack, load_stack

_pykms = types.ModuleType("pykms")
_pykms.PixelFormat = types.SimpleNamespace(  # type: ignore[attr-defined]
    RGB888=0,
    BGR888=0,
    XRGB8888=0,
    XBGR8888=0,
    YUV420=0,
    YVU420=0,
    NV12=0,
    NV21=0,
    YUYV=0,
    YVYU=0,
    UYVY=0,
    VYUY=0,
    RGB565=0,
)
sys.modules.setdefault("pykms", _pykms)

import libcamera  # noqa: E402
import picamera2.picamera2 as picamera2_module  # noqa: E402
from picamera2 import Picamera2  # noqa: E402
from picamera2.allocators.allocator import Allocator, Sync  # noqa: E402
from picamera2.request import CompletedRequest  # noqa: E402


@dataclasses.dataclass
class PiSide:
    """What a Pi's camera says besides, and what it was told and gave.

    `listed` are names of libcamera's controls with least and most, `metadata` what each picture
    tells from now on; with `pause_s` the sensor skips pictures once, for so long.
    """

    listed: dict[str, tuple[Any, Any]] = dataclasses.field(default_factory=dict)
    metadata: dict[str, Any] = dataclasses.field(default_factory=dict)
    told: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    taken_ns: list[int] = dataclasses.field(default_factory=list)
    pause_s: float = 0.0

    def controls(self) -> dict[Any, Any]:
        """Return the listed controls as libcamera's camera does."""
        return {
            _control(name): types.SimpleNamespace(min=least, max=most, default=least)
            for name, (least, most) in self.listed.items()
        }


def _control(name: str) -> Any:
    groups = (libcamera.controls, libcamera.controls.draft)
    return next(getattr(group, name) for group in groups if hasattr(group, name))


class MemfdSync(Sync):  # type: ignore[misc]
    """Gives the mapping of a buffer; shared memory needs no more."""

    def __init__(self, allocator: "MemfdAllocator", buffer: Any, _: bool) -> None:
        self._memory = allocator.mapped_buffers.get(buffer)

    def __enter__(self) -> mmap.mmap:
        if self._memory is None:
            raise RuntimeError("an unknown buffer")
        return self._memory

    def __exit__(self, *_: object) -> None:
        pass


class MemfdAllocator(Allocator):  # type: ignore[misc]
    """Buffers in shared memory: a Y and a UV plane in one piece."""

    def __init__(self) -> None:
        super().__init__()
        self.sync = MemfdSync
        self.mapped_buffers: dict[Any, mmap.mmap] = {}
        self._buffers: dict[Any, list[Any]] = {}
        self._descriptors: list[int] = []

    def allocate(self, libcamera_config: Any, _: object) -> None:
        self.close()
        for stream_config in libcamera_config:
            self._buffers[stream_config.stream] = [
                self._buffer(stream_config) for _ in range(stream_config.buffer_count)
            ]

    def buffers(self, stream: Any) -> list[Any]:
        return self._buffers[stream]

    def close(self) -> None:
        self.mapped_buffers, self._buffers = {}, {}
        for descriptor in self._descriptors:
            os.close(descriptor)
        self._descriptors = []

    def _buffer(self, stream_config: Any) -> Any:
        size_bytes = stream_config.frame_size
        luma_bytes = stream_config.stride * stream_config.size.height
        descriptor = os.memfd_create("picture")
        self._descriptors.append(descriptor)
        os.ftruncate(descriptor, size_bytes)
        planes = []
        for offset, length in ((0, luma_bytes), (luma_bytes, size_bytes - luma_bytes)):
            plane = libcamera.FrameBuffer.Plane()
            plane.fd, plane.offset, plane.length = descriptor, offset, length
            planes.append(plane)
        buffer = libcamera.FrameBuffer(planes)
        self.mapped_buffers[buffer] = mmap.mmap(descriptor, size_bytes)
        return buffer


picamera2_module.DmaAllocator = MemfdAllocator


class Sensor:
    """A libcamera camera that gives its pictures at a sensor's pace, each stamped as it is taken.

    `virtual` fills a request as soon as it is queued; so each is queued when its time has come.
    """

    def __init__(self, camera: Any, fps: float, side: PiSide) -> None:
        self._camera = camera
        self._side = side
        self._period_s = 1 / fps
        self._waiting: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._camera, name)

    @property
    def controls(self) -> dict[Any, Any]:
        return dict(self._camera.controls) | self._side.controls()

    def start(self, controls: Any) -> None:
        self._camera.start(controls)
        self._stopped.clear()
        self._thread = threading.Thread(target=self._expose, name="sensor", daemon=True)
        self._thread.start()

    def queue_request(self, request: Any) -> None:
        self._waiting.put(request)

    def stop(self) -> None:
        self._stopped.set()
        if self._thread is not None:
            self._thread.join()
        self._waiting = queue.SimpleQueue()
        self._camera.stop()

    def _expose(self) -> None:
        due_s = time.monotonic()
        while not self._stopped.is_set():
            due_s = max(due_s + self._period_s, time.monotonic() - self._period_s)
            self._stopped.wait(max(0.0, due_s - time.monotonic()))
            try:
                request = self._waiting.get(timeout=0.1)
            except queue.Empty:
                continue
            pause_s, self._side.pause_s = self._side.pause_s, 0.0
            self._stopped.wait(pause_s)
            self._side.taken_ns.append(time.monotonic_ns())
            self._camera.queue_request(request)


class VirtualCamera(Picamera2):  # type: ignore[misc]
    """picamera2 itself, on `virtual`."""

    fps: float
    side: PiSide

    def __init__(self) -> None:
        super().__init__(allocator=MemfdAllocator())

    def _open_camera(self) -> None:
        super()._open_camera()
        self.camera = Sensor(self.camera, self.fps, self.side)

    def set_controls(self, controls: dict[str, Any]) -> None:
        self.side.told.append(dict(controls))
        super().set_controls(controls)

    def _get_raw_modes(self) -> list[dict[str, Any]]:
        return [{"format": "NV12", "size": (1280, 720)}]


class ToldRequest(CompletedRequest):  # type: ignore[misc]
    """A picture whose metadata are a Pi's too."""

    def get_metadata(self) -> dict[str, Any]:
        return super().get_metadata() | self.picam2.side.metadata


picamera2_module.CompletedRequest = ToldRequest


def virtual_stack(fps: float, side: PiSide) -> CameraStack:
    """Return all of picamera2 as the firmware uses it, but for the camera."""

    class CameraOfRate(VirtualCamera):
        pass

    CameraOfRate.fps, CameraOfRate.side = fps, side
    return dataclasses.replace(load_stack(), camera=CameraOfRate)
