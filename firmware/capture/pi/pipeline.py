"""The pipeline of a Pi's pictures between camera and hub: mask, encoder, luma, small pictures.

On the camera's thread: the mask is painted, luma goes to motion, a small picture to whoever wants
it, and the picture to the encoder, as a key frame if it is time. On the encoder's: the access unit
goes out. Nothing here may raise (picamera2's thread would end without a word) or wait. Knows
picamera2 only by what it is given.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from firmware.capture.camera_output import AccessUnit, LumaFrame, SmallPicture, pts_90k_of
from firmware.capture.frame_selection import (
    FrameRateLimiter,
    KeyFrameSelector,
    luma_pacer,
    small_pacer,
)
from firmware.capture.pi.face_exposure import FaceExposure, levels_of, place_of
from firmware.capture.pi.focus import FocusHold
from firmware.capture.pi.night import NightSwitch
from firmware.capture.pi.sensor_time import SensorTime
from firmware.capture.pi.streams import Stream, i420_of, shown_luma
from firmware.capture.turn import coded_mask
from firmware.capture.video_source import Mask, PictureSink
from firmware.protocol.encoding import WireError
from firmware.protocol.media.rotation import Rotation
from firmware.protocol.nal_units import split_annex_b

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from firmware.capture.i420 import Bytes
    from firmware.capture.mask import MaskPainter

log = logging.getLogger(__name__)

SPS, PPS = 7, 8
PARAMETER_SETS = frozenset({SPS, PPS})
START_CODE = b"\x00\x00\x00\x01"
HEAD_BYTES = 64
"""An encoder's SPS comes first, or after an access unit delimiter."""
LOG_EVERY = 300


@dataclass(frozen=True, slots=True, eq=False)
class _Masking:
    """A mask as it was set; each setting is another object. None: nothing is hidden.

    `shown` says which pixels of the place of faces aren't hidden.
    """

    main: MaskPainter | None = None
    lores: MaskPainter | None = None
    shown: NDArray[np.bool_] | None = None


class FilmedCamera(Protocol):
    """The camera of a pipeline; its methods are called on the camera's thread."""

    def turn_to_night(self, is_night: bool) -> None:
        """Called when night begins or ends."""
        ...

    def repeat_controls(self, is_night: bool) -> None:
        """Set again what changes while filming; called about once a second."""
        ...

    def hold_focus(self, is_held: bool) -> None:
        """Called when the lens is to be held where a visitor stands, or to be sharp by itself."""
        ...


class PicturePipeline:
    """One run of the camera, from its start to its stop.

    `streams` are main and lores; `mapped_array` is picamera2's MappedArray. `is_small_wanted` says
    for each picture whether a small one is handed to the sink as well. Masks are of the shown
    picture, which is the coded one turned by `rotation`; luma frames and small pictures are handed
    out as they are shown.
    `exposure` None: it is all libcamera's.
    """

    def __init__(
        self,
        sink: PictureSink,
        camera: FilmedCamera,
        *,
        streams: tuple[Stream, Stream],
        mask: Mask,
        rotation: Rotation = 0,
        max_fps: int,
        day_frame_us: int,
        mapped_array: type[Any],  # Any: picamera2 has no types, here and below
        time: SensorTime,
        exposure: FaceExposure | None = None,
    ) -> None:
        self._sink = sink
        self._camera = camera
        self._time = time
        self.is_small_wanted = False
        self._main, self._lores = streams
        self._mapped_array = mapped_array
        self._rate = FrameRateLimiter(max_fps)
        self._luma = luma_pacer()
        self._small = small_pacer()
        self._night = NightSwitch(day_frame_us=day_frame_us)
        self._focus = FocusHold()
        self._exposure = exposure
        self._rotation = rotation
        self._masking = self._painting(mask)
        self._shown = (self._masking, 0)
        self._parameter_sets = b""
        self._encoder: Any = None
        self.keys = KeyFrameSelector()
        self.metadata: dict[str, Any] = {}
        self.dropped_pictures = 0
        self.dropped_small = 0

    @property
    def is_night(self) -> bool:
        """Whether the sensor has so little light that it is filmed as night."""
        return self._night.is_night

    @property
    def exposure_ev(self) -> float:
        """By how many stops libcamera's exposure is corrected for faces."""
        return 0.0 if self._exposure is None else self._exposure.ev

    def set_mask(self, mask: Mask) -> None:
        """Paint this from the next picture on, which is a key frame.

        What the encoder still holds from before is not handed on: when this returns, nothing
        comes any more that the new mask hides.
        """
        self._masking = self._painting(mask)

    def begin_encoder(self, encoder: Any) -> None:
        """Accept only this encoder's output: it begins with a key frame and SPS of its own."""
        self._encoder = encoder
        self._parameter_sets = b""
        self.keys.begin()

    def end(self) -> None:
        """Pass nothing more on, whatever threads picamera2 has left behind."""
        self._encoder = None

    def set_max_fps(self, fps: int) -> None:
        """Drop pictures that come faster, for cameras that ignore their frame durations."""
        self._rate = FrameRateLimiter(fps)

    def take(self, encoder: Any, request: Any, encode: Callable[[], None]) -> None:
        """Take one picture; `encode` hands it to the encoder. If anything fails, it is dropped.

        A mask that can't be painted is such a failure: nothing unmasked reaches the encoder.
        """
        if encoder is not self._encoder:
            return
        try:
            self._take(encoder, request, encode)
        except Exception:  # an exception would end picamera2's thread, and all pictures with it
            if self.dropped_pictures % LOG_EVERY == 0:
                log.exception("a picture was dropped (%d before)", self.dropped_pictures)
            self.dropped_pictures += 1
            self.keys.force()

    def emit(self, encoder: Any, frame: bytes, *, is_key: bool, timestamp_us: int) -> None:
        """Pass on an encoded picture; `timestamp_us` counts from its first picture."""
        if encoder is not self._encoder:
            return
        if is_key:
            frame = self._with_parameter_sets(frame)
        if not frame:
            return
        sensor_us = encoder.firsttimestamp + timestamp_us
        shown, since_us = self._shown
        if shown is not self._masking or sensor_us < since_us:
            return
        pts_90k = pts_90k_of(sensor_us * 1000 + self._time.offset_ns)
        self._sink.on_unit(AccessUnit(pts_90k=pts_90k, is_key=is_key, data=frame))

    def _take(self, encoder: Any, request: Any, encode: Callable[[], None]) -> None:
        metadata = request.get_metadata()
        at_ns = self._time.monotonic_ns(metadata["SensorTimestamp"])
        if not self._rate.is_due(at_ns):
            return
        if _is_full(encoder):
            self.dropped_pictures += 1
            return
        gain = _gain(metadata)
        masking = self._masking
        self._paint(masking.main, self._main, request)
        if self._luma.is_due(at_ns):
            self._hand_on_luma(masking, request, at_ns, gain)
        exposure_us = metadata.get("ExposureTime")
        if (
            gain is not None
            and exposure_us is not None
            # What is darkened, so that no lit face burns out, is as dark as before: no day begins.
            and self._night.see(
                gain=gain / 2 ** min(0.0, self.exposure_ev), exposure_us=exposure_us, at_ns=at_ns
            )
        ):
            self._camera.turn_to_night(self._night.is_night)
        self.metadata = metadata
        focus = metadata.get("AfState")
        if focus is not None and self._focus.see(state=focus, at_ns=at_ns):
            self._camera.hold_focus(self._focus.is_held)
        is_masked_anew = masking is not self._shown[0]
        if is_masked_anew:
            self.keys.force()
        if self.keys.is_due(at_ns):
            encoder.force_key_frame()
            self._camera.repeat_controls(self._night.is_night)
        if is_masked_anew:
            self._shown = (masking, metadata["SensorTimestamp"] // 1000)
        encode()
        if self.is_small_wanted and self._small.is_due(at_ns):
            self._try_small(masking, request, at_ns)

    def _paint(self, painter: MaskPainter | None, stream: Stream, request: Any) -> None:
        if painter is None:
            return
        with self._mapped_array(request, stream.name, reshape=False) as mapped:
            if stream.format == "YUV420":
                painter.paint_yuv420(mapped.array, stream.stride)
            else:
                painter.paint_nv12(mapped.array, stream.stride)

    def _see_exposure(self, masking: _Masking, luma: Bytes, at_ns: int) -> None:
        """Measure the place of faces, twice a second; HDR does by itself what this is for."""
        exposure = self._exposure
        if exposure is None or not exposure.is_due(at_ns):
            return
        if self.metadata.get("HdrMode"):
            is_other = exposure.reset()
        else:
            place = place_of(shown_luma(luma, self._lores, self._rotation))
            levels = levels_of(place, masking.shown)
            is_other = exposure.see(
                levels, is_night=self.is_night, darkness=self._night.darkness, at_ns=at_ns
            )
        if is_other:
            self._camera.repeat_controls(self.is_night)

    def _try_small(self, masking: _Masking, request: Any, at_ns: int) -> None:
        """Pass on a small picture; if that fails, filming goes on without small pictures."""
        try:
            self._hand_on_small(masking, request, at_ns)
        except Exception:
            if self.dropped_small % LOG_EVERY == 0:
                log.exception("a small picture was dropped (%d before)", self.dropped_small)
            self.dropped_small += 1

    def _hand_on_small(self, masking: _Masking, request: Any, at_ns: int) -> None:
        stream = self._lores
        self._paint(masking.lores, stream, request)
        with self._mapped_array(request, stream.name, reshape=False) as mapped:
            data = i420_of(mapped.array, stream, self._rotation)
        if masking is not self._masking:
            return
        is_upright = self._rotation in (0, 180)
        self._sink.on_small(
            SmallPicture(
                pts_90k=pts_90k_of(at_ns),
                width=stream.width if is_upright else stream.height,
                height=stream.height if is_upright else stream.width,
                data=data,
                is_bt709=stream.is_bt709,
            )
        )

    def _hand_on_luma(
        self, masking: _Masking, request: Any, at_ns: int, gain: float | None
    ) -> None:
        stream = self._lores
        with self._mapped_array(request, stream.name, reshape=False) as mapped:
            luma = mapped.array[: stream.height * stream.stride]
            if masking.lores is not None:
                masking.lores.paint_luma(luma, stream.stride)
            self._see_exposure(masking, luma, at_ns)
            if self._rotation:
                plane = shown_luma(luma, stream, self._rotation)
                height, width = plane.shape
                data, stride = plane.tobytes(), width
            else:
                data, width, height = luma.tobytes(), stream.width, stream.height
                stride = stream.stride
        if masking is not self._masking:
            return
        self._sink.on_luma(
            LumaFrame(
                pts_90k=pts_90k_of(at_ns),
                width=width,
                height=height,
                stride=stride,
                data=data,
                gain=gain,
            )
        )

    def _painting(self, mask: Mask) -> _Masking:
        return _masking_of(
            coded_mask(mask, self._rotation), self._main, self._lores, self._rotation
        )

    def _with_parameter_sets(self, frame: bytes) -> bytes:
        """Return a key frame with SPS and PPS: picamera2 drops a buffer that holds only them.

        b"" if there never were any, or if it is no H.264: nobody could decode it.
        """
        try:
            head = split_annex_b(frame[:HEAD_BYTES])
        except WireError:
            log.warning("the encoder gave %d bytes that are no access unit", len(frame))
            return b""
        if any(nal[0] & 31 == SPS for nal in head):
            if not self._parameter_sets:
                sets = [nal for nal in split_annex_b(frame) if nal[0] & 31 in PARAMETER_SETS]
                self._parameter_sets = b"".join(START_CODE + nal for nal in sets)
            return frame
        return self._parameter_sets + frame if self._parameter_sets else b""


def _masking_of(mask: Mask, main: Stream, lores: Stream, rotation: Rotation) -> _Masking:
    if not mask:
        return _Masking()
    import numpy as np  # it comes with picamera2, not with us

    from firmware.capture.mask import MaskPainter

    painter = MaskPainter(mask, lores.width, lores.height)
    luma = np.full(lores.height * lores.stride, 255, np.uint8)
    painter.paint_luma(luma, lores.stride)
    return _Masking(
        MaskPainter(mask, main.width, main.height),
        painter,
        place_of(shown_luma(luma, lores, rotation)) == 255,
    )


def _is_full(encoder: Any) -> bool:
    """Return whether the hardware encoder has no buffer left: it is frozen, and would wait."""
    buffers = getattr(encoder, "buf_available", None)
    return buffers is not None and buffers.empty()


def _gain(metadata: dict[str, Any]) -> float | None:
    analogue = metadata.get("AnalogueGain")
    return None if analogue is None else float(analogue) * float(metadata.get("DigitalGain", 1.0))
