"""picamera2 as far as the firmware uses it, in memory: a test takes each picture itself.

Buffers are planar YUV420 with padded rows, as on a Pi. The encoder's "H.264" is real in its NAL
units only: SPS, PPS and a slice that holds a few of the picture's pixels.
"""

import queue
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from firmware.capture.pi.picamera import CameraStack
from firmware.capture.pi.sensor_hdr import switch_of
from tests.fakes.auto_exposure import FakeAutoExposure

PI_CONTROLS = {
    "FrameDurationLimits": (8_000, 1_000_000, None),
    "AeMeteringMode": (0, 3, 0),
    "AeConstraintMode": (0, 3, 0),
    "ExposureValue": (-8.0, 8.0, 0.0),
    "AeFlickerMode": (0, 1, 0),
    "AeFlickerPeriod": (100, 1_000_000, None),
    "AfMode": (0, 2, 0),
    "AfRange": (0, 2, 0),
    "NoiseReductionMode": (0, 4, 0),
    "HdrMode": (0, 4, 0),
    "Saturation": (0.0, 32.0, 1.0),
    "AwbEnable": (False, True, None),
    "ColourGains": (0.0, 32.0, None),
    "LensPosition": (0.0, 15.0, 1.0),
}
PI_5_CONTROLS = PI_CONTROLS | {"ScalerCrops": (None, None, None)}
"""libcamera lists HdrMode for each Pi; what its ISP lists besides tells a Pi 5 (ipa_base.cpp)."""
SPS_PPS = b"\x00\x00\x00\x01\x67\x42\x80\x1e\x00\x00\x00\x01\x68\xce\x3c\x80"
START_CODE = b"\x00\x00\x00\x01"


@dataclass(frozen=True, slots=True)
class FakeTransform:
    hflip: bool = False
    vflip: bool = False


class FakeRequest:
    """One picture with its metadata."""

    def __init__(self, buffers: dict[str, np.ndarray], metadata: dict[str, Any]) -> None:
        self.buffers = buffers
        self._metadata = metadata

    def get_metadata(self) -> dict[str, Any]:
        return dict(self._metadata)


class FakeMappedArray:
    def __init__(  # as picamera2's; it shows the whole buffer, as with reshape=False
        self,
        request: FakeRequest,
        stream: str,
        reshape: bool = True,  # noqa: ARG002
        write: bool = True,  # noqa: ARG002
    ) -> None:
        self.array = request.buffers[stream]

    def __enter__(self) -> "FakeMappedArray":
        return self

    def __exit__(self, *_: object) -> None:
        pass


class FakeOutput:
    def outputframe(self, frame, keyframe=True, timestamp=None, packet=None, audio=False):
        raise NotImplementedError


class FakeEncoder:
    """A hardware encoder: makes a unit of each picture; holds it back while `is_holding`."""

    has_sps = True
    held: list[tuple[bytes, bool, int]]

    def __init__(self, bitrate, repeat, iperiod, framerate, profile) -> None:
        self.settings = {"bitrate": bitrate, "repeat": repeat, "iperiod": iperiod}
        self.framerate = framerate
        self.profile = profile
        self.firsttimestamp: int | None = None
        self.buf_available: queue.Queue[int] = queue.Queue()
        self.buf_available.put(0)
        self.output: Any = None
        self.is_running = False
        self.is_holding = False
        self.fails: Exception | None = None
        self.held = []
        self._is_key_wanted = True

    def force_key_frame(self) -> None:
        self._is_key_wanted = True

    def encode(self, stream: str, request: FakeRequest) -> None:
        at_us = request.get_metadata()["SensorTimestamp"] // 1000
        if self.firsttimestamp is None:
            self.firsttimestamp = at_us
        is_key, self._is_key_wanted = self._is_key_wanted, False
        if self.fails is not None:
            failure, self.fails = self.fails, None
            raise failure
        slice_ = START_CODE + (b"\x65" if is_key else b"\x41") + bytes(request.buffers[stream][:4])
        head = SPS_PPS if is_key and self.has_sps else b""
        self.held.append((head + slice_, is_key, at_us - self.firsttimestamp))
        if not self.is_holding:
            self.flush()

    def flush(self) -> None:
        held, self.held = self.held, []
        for unit in held:
            self.output.outputframe(*unit)


class FakeCamera:
    """picamera2's Picamera2; `take` is what its thread does with a picture."""

    def __init__(self, system: "FakeCameraSystem") -> None:
        self._system = system
        self.camera_controls = dict(system.controls)
        self.camera_properties = {"Model": "imx708_wide"}
        self.sensor_modes = list(system.modes)
        self.encoders: set[FakeEncoder] = set()
        self.controls: dict[str, Any] = {}
        self.configured: dict[str, Any] = {}
        self.has_white_balance = True
        self.is_started = False
        self.is_closed = False

    def create_video_configuration(self, **wanted: Any) -> dict[str, Any]:
        return wanted

    def configure(self, wanted: dict[str, Any]) -> None:
        if self._system.configure_fails is not None:
            raise self._system.configure_fails
        self.configured = wanted
        self.controls = dict(wanted["controls"])

    def camera_configuration(self) -> dict[str, Any]:
        streams = {}
        for name in ("main", "lores"):
            width, height = self._system.sizes.get(name, self.configured[name]["size"])
            stride = -(-width // 64) * 64
            streams[name] = {"size": (width, height), "stride": stride, "format": "YUV420"}
        turned = self.configured["transform"] if self._system.can_turn else FakeTransform()
        return streams | {"transform": turned}

    def start_encoder(self, encoder: FakeEncoder, output: FakeOutput) -> None:
        encoder.output, encoder.is_running = output, True
        self.encoders.add(encoder)

    def stop_encoder(self, encoder: FakeEncoder) -> None:
        encoder.is_running = False
        encoder.flush()
        self.encoders.remove(encoder)

    def start(self) -> None:
        self.is_started = True

    def set_controls(self, controls: dict[str, Any]) -> None:
        """Gains of colours that aren't 0 switch white balance off (ipa_base.cpp, COLOUR_GAINS)."""
        self.controls |= controls
        if "AwbEnable" in controls:
            self.has_white_balance = bool(controls["AwbEnable"])
        if "ColourGains" in controls:
            self.has_white_balance = 0.0 in controls["ColourGains"]

    def close(self) -> None:
        self.is_started, self.is_closed = False, True
        if self._system.close_fails is not None:
            raise self._system.close_fails

    @property
    def encoder(self) -> FakeEncoder:
        (encoder,) = self.encoders
        return encoder

    def take(self, at_ns: int, *, short_bytes: int = 0, **metadata: Any) -> FakeRequest:
        """Film one picture (luma 100, chroma 200 or grey); `short_bytes` are missing of it.

        It tells of itself as ipa_base.cpp's reportMetadata does.
        """
        buffers = {}
        for name, given in self.camera_configuration().items():
            if name == "transform":
                continue
            luma_bytes = given["stride"] * given["size"][1]
            chroma = 200 if self.controls.get("Saturation", 1.0) else 128
            buffer = np.full(luma_bytes * 3 // 2 - short_bytes, chroma, np.uint8)
            buffer[:luma_bytes] = 100
            buffers[name] = buffer
        if self._system.light is not None:
            luma, told = self._system.light.picture(self.controls)
            _lay(luma, buffers["lores"], self.camera_configuration()["lores"])
            metadata = told | metadata
        if "ScalerCrops" in self.camera_controls and self.controls.get("HdrMode"):
            metadata = {"HdrMode": self.controls["HdrMode"], **metadata}  # never when it is off
        if not self.has_white_balance:
            metadata = {"ColourGains": self.controls.get("ColourGains", (1.9, 1.6)), **metadata}
        if self.controls.get("AfMode") == 2:
            metadata = {"AfState": 2, "LensPosition": 1.0, **metadata}
        request = FakeRequest(buffers, {"SensorTimestamp": at_ns, **metadata})
        for encoder in self.encoders:
            encoder.encode("main", request)
        return request


def _lay(luma: np.ndarray, buffer: np.ndarray, given: dict[str, Any]) -> None:
    """Scale a scene's luma up to a stream's."""
    (width, height), stride = given["size"], given["stride"]
    rows, columns = (
        np.arange(n) * of // n for n, of in zip((height, width), luma.shape, strict=True)
    )
    buffer[: height * stride].reshape(height, stride)[:, :width] = luma[rows][:, columns]


class FakeImx708:
    """picamera2's devices.imx708.IMX708: the switch of the sensor's HDR, while nothing uses it."""

    def __init__(self, system: "FakeCameraSystem") -> None:
        if not system.has_imx708:
            raise RuntimeError("IMX708: Requested IMX708 camera device not be found")
        self.device_fd = self._system = system

    def __enter__(self) -> "FakeImx708":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def set_sensor_hdr_mode(self, enable: bool) -> None:
        self._system.hdr_switches.append(enable)
        if not self._system.is_sensor_stuck:  # else it prints why, and returns
            self._system.is_sensor_hdr = enable


class FakeCameraSystem:
    """A machine with a camera; a test sets what is wrong with it."""

    def __init__(self) -> None:
        self.controls: dict[str, Any] = PI_CONTROLS
        self.modes: list[dict[str, Any]] = []
        self.sizes: dict[str, tuple[int, int]] = {}
        self.is_plugged_in = True
        self.light: FakeAutoExposure | None = None
        self.has_imx708 = False
        self.is_sensor_hdr = False
        self.is_sensor_stuck = False
        self.hdr_switches: list[bool] = []
        self.hdr_when_opened: list[bool] = []
        self.can_turn = True
        self.open_fails: Callable[[FakeCamera], None] | None = None
        self.configure_fails: Exception | None = None
        self.close_fails: Exception | None = None
        self.cameras: list[FakeCamera] = []

    @property
    def camera(self) -> FakeCamera:
        return self.cameras[-1]

    def stack(self) -> CameraStack:
        system = self

        class SystemCamera(FakeCamera):
            def __init__(self) -> None:
                super().__init__(system)
                if system.open_fails is not None:
                    system.open_fails(self)
                system.cameras.append(self)
                system.hdr_when_opened.append(system.is_sensor_hdr)

            @staticmethod
            def global_camera_info() -> list[dict[str, Any]]:
                return [{"Model": "fake", "Num": 0}] if system.is_plugged_in else []

        return CameraStack(
            camera=SystemCamera,
            hardware_encoder=FakeEncoder,
            software_encoder=FakeEncoder,
            output=FakeOutput,
            mapped_array=FakeMappedArray,
            transform=FakeTransform,
            switch_sensor_hdr=switch_of(
                lambda: FakeImx708(system), lambda device: bool(device.is_sensor_hdr)
            ),
            has_hardware_encoder=True,
        )
