"""The camera of a Raspberry Pi, by picamera2. The only importer of picamera2 and libcamera.

Opening, settings, the encoder and its restarts belong here; what happens to each picture is in
film.py. The encoder is found by looking: the VideoCore's H.264 encoder if it is there (Zero 2 W,
3, 4), else libx264 (Pi 5). Both: constrained baseline, so no B-frames.
"""

import fcntl
import logging
import os
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from firmware.capture.board import BoardProfile, check_fits, check_system
from firmware.capture.pi.controls import (
    MICROSECONDS,
    contrast_controls,
    controls_of,
    focus_controls,
    frame_durations,
    night_controls,
    widest_mode,
)
from firmware.capture.pi.encoders import film_output, filming, keyed
from firmware.capture.pi.face_exposure import FaceExposure
from firmware.capture.pi.faults import failure_of
from firmware.capture.pi.pipeline import PicturePipeline
from firmware.capture.pi.sensor_hdr import SwitchHdr, switch_of
from firmware.capture.pi.sensor_time import SensorTime
from firmware.capture.pi.streams import WANTED_FORMAT, Stream, streams_of
from firmware.capture.turn import turn_of
from firmware.capture.video_source import InfraredLamp, Mask, PictureSink, small_size
from firmware.config.settings import MIN_BITRATE_BPS, Backlight, CameraConfig, Metering
from firmware.errors import CameraError
from firmware.system.clock import Clock

log = logging.getLogger(__name__)

ENCODER_DEVICE = Path("/dev/video11")
"""Fixed in picamera2 (encoders/v4l2_encoder.py) and in the driver's defaults."""
ENCODER_NAME_FILE = Path("/sys/class/video4linux/video11/name")
ENCODER_NAME = "bcm2835-codec"
PROFILE = "constrained baseline"
VIDIOC_S_CTRL = 0xC008561C
V4L2_CID_MPEG_VIDEO_BITRATE = 0x009909CF
NOT_INSTALLED = (
    "picamera2 isn't installed, or not to be seen from here: sudo apt install python3-picamera2, "
    "and make Doorward's environment with --system-site-packages"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraStack:
    """The picamera2 classes in use; Any, because picamera2 has no types."""

    camera: type[Any]
    hardware_encoder: type[Any]
    software_encoder: type[Any]
    output: type[Any]
    mapped_array: type[Any]
    transform: type[Any]
    switch_sensor_hdr: SwitchHdr
    has_hardware_encoder: bool
    """Whether this board has the VideoCore's H.264 encoder."""


def load_stack() -> CameraStack:
    """Import picamera2; raise CameraError if it isn't there."""
    try:
        from libcamera import Transform
        from picamera2 import MappedArray, Picamera2
        from picamera2.encoders.h264_encoder import H264Encoder
        from picamera2.encoders.libav_h264_encoder import LibavH264Encoder
        from picamera2.outputs import Output
    except ImportError as error:
        raise CameraError("unsupported", f"{NOT_INSTALLED} ({error})") from error
    try:
        from picamera2.devices import imx708
    except ImportError:  # a picamera2 from before it
        imx708 = None
    return CameraStack(
        camera=Picamera2,
        hardware_encoder=H264Encoder,
        software_encoder=LibavH264Encoder,
        output=Output,
        mapped_array=MappedArray,
        transform=Transform,
        switch_sensor_hdr=switch_of(imx708 and imx708.IMX708),
        has_hardware_encoder=has_hardware_encoder(),
    )


def has_hardware_encoder(
    name_file: Path = ENCODER_NAME_FILE, device: Path = ENCODER_DEVICE
) -> bool:
    """Return whether the VideoCore's H.264 encoder is there and may be used.

    The device's number alone says nothing: on a Pi 5, /dev/video11 is something else.
    """
    try:
        name = name_file.read_text().strip()
    except OSError:
        return False
    if not name.startswith(ENCODER_NAME):
        return False
    if not os.access(device, os.R_OK | os.W_OK):
        log.warning("%s may not be used: is this user in the group video?", device)
        return False
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class _Running:
    """The resources that are open between `start` and `stop`."""

    stack: CameraStack
    camera: Any
    film: PicturePipeline
    is_hardware: bool


class PicameraSource:
    """Implements `source.VideoSource` and `film.FilmedCamera`; `lamp` None: there is none."""

    def __init__(
        self,
        *,
        settings: CameraConfig,
        profile: BoardProfile,
        clock: Clock,
        lamp: InfraredLamp | None = None,
        load: Callable[[], CameraStack] = load_stack,
    ) -> None:
        self._settings = settings
        self._profile = profile
        self._clock = clock
        self._lamp = lamp
        self._load = load
        self._lock = threading.Lock()  # between those who control; never taken for a picture
        self._mask = Mask()
        self._max_fps = settings.fps
        self._bitrate_bps = max(settings.bitrate_bps, MIN_BITRATE_BPS)
        self._sensor: dict[str, Any] | None = None
        self._has_looked_at_modes = False
        self._is_small_wanted = False
        self._is_focus_held = False
        self._running: _Running | None = None
        self._encoder: Any = None

    @property
    def width(self) -> int:
        """Pixels in a row."""
        return self._settings.width

    @property
    def height(self) -> int:
        """Rows."""
        return self._settings.height

    @property
    def fps(self) -> int:
        """Frames a second that are aimed at now; at night, those that are sure to come."""
        running = self._running
        if running is not None and running.film.is_night:
            return min(self._max_fps, self._settings.night_fps)
        return self._max_fps

    @property
    def dropped_pictures(self) -> int:
        """Pictures since the start that couldn't be masked or encoded."""
        running = self._running
        return 0 if running is None else running.film.dropped_pictures

    @property
    def metadata(self) -> dict[str, Any]:
        """What libcamera told of the last picture, by the names of its controls."""
        running = self._running
        return {} if running is None else dict(running.film.metadata)

    @property
    def model(self) -> str:
        """The sensor's name, as libcamera gives it (imx708_wide); "" while the camera is closed."""
        running = self._running
        return "" if running is None else str(running.camera.camera_properties.get("Model", ""))

    @property
    def lens_milli_dioptres(self) -> int | None:
        """libcamera's LensPosition of the last picture, in 1,000/m; None: a lens without motor."""
        position = self.metadata.get("LensPosition")
        return None if position is None else round(float(position) * 1000)

    @property
    def exposure_ev(self) -> float:
        """By how many stops the picture is made brighter or darker now, for faces."""
        running = self._running
        return 0.0 if running is None else running.film.exposure_ev

    def start(self, sink: PictureSink) -> None:
        """Open the camera and film; CameraError if that fails."""
        check_system()
        check_fits(self._profile, self._settings)
        with self._lock:
            if self._running is not None:
                self._end(self._running.camera)
            stack = self._load()
            stack.switch_sensor_hdr(self._settings.hdr == "sensor")
            camera = _open(stack)
            failure: CameraError | None = None
            try:
                self._begin(stack, camera, sink)
            except CameraError as error:
                failure = CameraError(error.state, error.detail)
            except Exception as error:  # noqa: BLE001 - whatever it is, the camera is given back
                failure = failure_of(error)
            # Outside of `except`: the error's frames would keep the camera open.
            if failure is not None:
                self._end(camera)
                raise failure

    def set_exposure(self, *, metering: Metering, backlight: Backlight) -> None:
        """Measure and brighten so from the next `start` on."""
        self._settings = replace(self._settings, metering=metering, backlight=backlight)

    def request_key_frame(self) -> None:
        """Make the next frame a key frame, if the last one is half a second ago."""
        running = self._running
        if running is not None:
            running.film.keys.request()

    def set_small(self, is_wanted: bool) -> None:
        """Hand out small pictures from the next one on, or no more; takes no lock."""
        self._is_small_wanted = is_wanted
        running = self._running
        if running is not None:
            running.film.is_small_wanted = is_wanted

    def set_mask(self, mask: Mask) -> None:
        """Hide these parts from the next frame on, which is a key frame."""
        with self._lock:
            self._mask = mask
            if self._running is not None:
                self._running.film.set_mask(mask)

    def set_max_fps(self, fps: int) -> None:
        """Film with at most this many frames a second; takes effect within a second."""
        with self._lock:
            self._max_fps = max(1, min(fps, self._settings.fps))
            if self._running is not None:
                self._running.film.set_max_fps(self._max_fps)
                self.repeat_controls(self._running.film.is_night)

    def set_bitrate(self, bitrate_bps: int) -> None:
        """Set the encoder's target bitrate, within the board's limits.

        libx264 can't be told so by picamera2: it begins anew, with a key frame.
        """
        with self._lock:
            limit = self._profile.max_bitrate_bps
            self._bitrate_bps = max(MIN_BITRATE_BPS, min(bitrate_bps, limit))
            if self._running is None:
                return
            if self._running.is_hardware:
                self._tell_bitrate()
            else:
                self._restart_encoder(self._running)

    def restart_encoder(self) -> None:
        """Begin the encoder anew, leaving the camera open; CameraError if it can't."""
        with self._lock:
            if self._running is not None:
                self._restart_encoder(self._running)

    def stop(self) -> None:
        """End filming and give the camera back, also if picamera2 is in a bad way."""
        with self._lock:
            if self._running is not None:
                self._end(self._running.camera)

    def _begin(self, stack: CameraStack, camera: Any, sink: PictureSink) -> None:
        streams = self._configure(stack, camera)
        film = PicturePipeline(
            sink,
            self,
            streams=streams,
            mask=self._mask,
            rotation=turn_of(self._settings).rotation,
            max_fps=self._max_fps,
            day_frame_us=MICROSECONDS // self._settings.fps,
            mapped_array=stack.mapped_array,
            time=SensorTime(self._clock),
            exposure=self._face_exposure(camera),
        )
        is_hardware = stack.has_hardware_encoder
        log.info(
            "filming %d×%d with %s",
            self.width,
            self.height,
            "hardware" if is_hardware else "x264",
        )
        self._is_focus_held = False
        self._running = _Running(stack=stack, camera=camera, film=film, is_hardware=is_hardware)
        film.is_small_wanted = self._is_small_wanted  # after it can be set from another thread
        self._start_encoder(self._running)
        camera.start()

    def _configure(self, stack: CameraStack, camera: Any) -> tuple[Stream, Stream]:
        wanted = self._settings
        if not self._has_looked_at_modes:
            self._sensor = _sensor_of(camera, wanted)
            self._has_looked_at_modes = True
        turn = turn_of(wanted)
        transform = stack.transform(hflip=turn.is_flipped_x, vflip=turn.is_flipped_y)
        listed = camera.camera_controls
        durations = frame_durations(max_fps=self._max_fps, min_fps=self._max_fps, listed=listed)
        more = {} if self._sensor is None else {"sensor": self._sensor}
        camera.configure(
            camera.create_video_configuration(
                main={"size": (wanted.width, wanted.height), "format": WANTED_FORMAT},
                lores={"size": small_size(wanted.width, wanted.height), "format": WANTED_FORMAT},
                raw=None,
                transform=transform,
                buffer_count=self._profile.buffer_count,
                controls=controls_of(wanted, listed) | durations,
                display=None,
                **more,
            )
        )
        return streams_of(camera.camera_configuration(), wanted, transform)

    def _face_exposure(self, camera: Any) -> FaceExposure | None:
        if self._settings.metering != "faces" or "ExposureValue" not in camera.camera_controls:
            return None
        return FaceExposure(is_backlight_lifted=self._settings.backlight == "auto")

    def _start_encoder(self, running: _Running) -> None:
        film, stack = running.film, running.stack
        kind = stack.hardware_encoder if running.is_hardware else keyed(stack.software_encoder)
        encoder = filming(kind, film)(
            bitrate=self._bitrate_bps,
            repeat=True,  # SPS and PPS before each key frame
            iperiod=self._settings.fps,  # besides, film.keys forces one each second
            framerate=self._settings.fps,
            profile=PROFILE,
        )
        if not hasattr(encoder, "force_key_frame"):
            raise CameraError(
                "unsupported", "this picamera2 is too old to force key frames: sudo apt upgrade"
            )
        self._encoder = encoder  # also one that fails in its start must be stopped
        film.begin_encoder(encoder)
        running.camera.start_encoder(encoder, film_output(stack.output, film, encoder))

    def _restart_encoder(self, running: _Running) -> None:
        self._stop_encoder(running.camera)
        failure: CameraError | None = None
        try:
            self._start_encoder(running)
        except (RuntimeError, OSError) as error:
            failure = failure_of(error)
        if failure is not None:
            raise failure

    def _tell_bitrate(self) -> None:
        order = struct.pack("=Ii", V4L2_CID_MPEG_VIDEO_BITRATE, self._bitrate_bps)
        try:
            fcntl.ioctl(self._encoder.vd, VIDIOC_S_CTRL, order)
        except OSError as error:
            raise failure_of(error) from error

    def _stop_encoder(self, camera: Any) -> None:
        encoder, self._encoder = self._encoder, None
        if encoder is None:
            return
        try:
            camera.stop_encoder(encoder)
        except Exception:  # a frozen one, or one that failed in its start
            log.exception("the encoder didn't stop well")
            camera.encoders.discard(encoder)

    def _end(self, camera: Any) -> None:
        """Close the camera, whatever state it is in.

        Not by picamera2's stop(): that waits for its thread, which may have died; close() ends
        the thread first.
        """
        running, self._running = self._running, None
        if running is not None:
            running.film.end()
        self._stop_encoder(camera)
        try:
            camera.close()
        except Exception:  # it may already be gone: unplugged, or libcamera has given up
            log.exception("the camera didn't close well")
        if self._lamp is not None:
            self._lamp.set_infrared(False)

    def turn_to_night(self, is_night: bool) -> None:
        """Switch the infrared light and let pictures take longer; on the camera's thread."""
        log.info("night begins" if is_night else "day begins")
        if self._lamp is not None:
            self._lamp.set_infrared(is_night)
        self.repeat_controls(is_night)

    def hold_focus(self, is_held: bool) -> None:
        """Hold the lens where a visitor stands, or let it focus again; on the camera's thread."""
        log.warning("the autofocus hunts, so the lens is held" if is_held else "it may focus again")
        self._is_focus_held = is_held
        self.repeat_controls(self._running is not None and self._running.film.is_night)

    def repeat_controls(self, is_night: bool) -> None:
        """Set the camera's controls that change while it films; on any thread.

        Said again at each key frame, because picamera2 may lose a control that is set while it
        hands a request back.
        """
        running = self._running
        if running is None:
            return
        listed = running.camera.camera_controls
        controls: dict[str, Any] = dict(  # Any: as libcamera takes them
            frame_durations(
                max_fps=self._max_fps,
                min_fps=self._settings.night_fps if is_night else self._max_fps,
                listed=listed,
            )
        )
        controls |= night_controls(
            is_night=is_night, has_infrared=self._lamp is not None, listed=listed
        )
        controls |= contrast_controls(
            self._settings, listed, is_night=is_night, ev=running.film.exposure_ev
        )
        controls |= focus_controls(self._settings, listed, is_held=self._is_focus_held)
        if controls:
            running.camera.set_controls(controls)


def _open(stack: CameraStack) -> Any:
    """Return the open camera.

    The error is raised outside of `except`: as its cause, picamera2's error would keep a half-open
    camera alive through its frames, and the next try would find it busy (picamera2 #1048).
    """
    try:
        if not stack.camera.global_camera_info():
            failure = CameraError(
                "missing", "no camera is found: is its cable in at both ends, the right way round?"
            )
        else:
            return stack.camera()
    except (RuntimeError, OSError, IndexError) as error:
        failure = failure_of(error)
    raise failure


def _sensor_of(camera: Any, wanted: CameraConfig) -> dict[str, Any] | None:
    if "ScalerCrop" not in camera.camera_controls:
        return None  # no camera of the Pi's own: its modes tell nothing
    return widest_mode(
        camera.sensor_modes, width=wanted.width, height=wanted.height, fps=wanted.fps
    )
