"""What happens to each picture of a Pi's camera, between camera and hub.

On the camera's thread: the mask is painted, luma goes to motion, a small picture to whoever wants
it, and the picture to the encoder, as a key frame if it is time. On the encoder's: the access unit
goes out. Nothing here may raise (picamera2's thread would end without a word) or wait. Knows
picamera2 only by what it is given.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from firmware.capture.camera_output import AccessUnit, LumaFrame, SmallPicture, pts_90k_of
from firmware.capture.frame_selection import KeyFramePacer, RatePacer, luma_pacer, small_pacer
from firmware.capture.pi.night import NightSwitch
from firmware.capture.pi.streams import Stream, i420_of
from firmware.capture.video_source import Mask, OnLuma, OnSmall, OnUnit
from firmware.protocol.encoding import WireError
from firmware.protocol.nal_units import split_annex_b

if TYPE_CHECKING:
    from firmware.capture.mask import MaskPainter

log = logging.getLogger(__name__)

SPS, PPS = 7, 8
PARAMETER_SETS = frozenset({SPS, PPS})
START_CODE = b"\x00\x00\x00\x01"
HEAD_BYTES = 64
"""An encoder's SPS comes first, or after an access unit delimiter."""
CLOCKS_DIFFER_NS = 1_000_000
LOG_EVERY = 300


@dataclass(frozen=True, slots=True, eq=False)
class _Masking:
    """A mask as it was set; each setting is another object. None: nothing is hidden."""

    main: MaskPainter | None = None
    lores: MaskPainter | None = None


class Film:
    """One run of the camera, from its start to its stop.

    `mapped_array` is picamera2's MappedArray. `on_night` is called on the camera's thread when
    night begins (True) or ends, and `on_key_frame` about once a second. `wants_small` says for each
    picture where a small one goes, if anybody wants one.
    """

    def __init__(
        self,
        *,
        on_unit: OnUnit,
        on_luma: OnLuma,
        wants_small: Callable[[], OnSmall | None],
        main: Stream,
        lores: Stream,
        mask: Mask,
        max_fps: int,
        day_frame_us: int,
        mapped_array: Callable[..., Any],  # Any: picamera2 has no types, here and below
        on_night: Callable[[bool], None],
        on_key_frame: Callable[[], None],
        monotonic_ns: Callable[[], int],
        boottime_ns: Callable[[], int] = lambda: time.clock_gettime_ns(time.CLOCK_BOOTTIME),
    ) -> None:
        self._on_unit = on_unit
        self._on_luma = on_luma
        self._wants_small = wants_small
        self._main = main
        self._lores = lores
        self._mapped_array = mapped_array
        self._on_night = on_night
        self._on_key_frame = on_key_frame
        self._monotonic_ns = monotonic_ns
        self._boottime_ns = boottime_ns
        self._offset_ns: int | None = None
        self._rate = RatePacer(max_fps)
        self._luma = luma_pacer()
        self._small = small_pacer()
        self._night = NightSwitch(day_frame_us=day_frame_us)
        self._masking = _masking_of(mask, main, lores)
        self._shown = (self._masking, 0)
        self._parameter_sets = b""
        self._encoder: Any = None
        self.keys = KeyFramePacer()
        self.dropped_pictures = 0
        self.dropped_small = 0

    @property
    def is_night(self) -> bool:
        """Whether the sensor has so little light that it is filmed as night."""
        return self._night.is_night

    def set_mask(self, mask: Mask) -> None:
        """Paint this from the next picture on, which is a key frame.

        What the encoder still holds from before is not handed on: when this returns, nothing
        comes any more that the new mask hides.
        """
        self._masking = _masking_of(mask, self._main, self._lores)

    def begin_encoder(self, encoder: Any) -> None:
        """Hear this encoder alone: it begins with a key frame and SPS of its own."""
        self._encoder = encoder
        self._parameter_sets = b""
        self.keys.begin()

    def end(self) -> None:
        """Hand on nothing more, whatever threads picamera2 has left behind."""
        self._encoder = None

    def set_max_fps(self, fps: int) -> None:
        """Leave out what comes faster, for cameras that don't follow their frame durations."""
        self._rate = RatePacer(fps)

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
        """Hand on what the encoder made; `timestamp_us` counts from its first picture."""
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
        pts_90k = pts_90k_of(sensor_us * 1000 + (self._offset_ns or 0))
        self._on_unit(AccessUnit(pts_90k=pts_90k, is_key=is_key, data=frame))

    def _take(self, encoder: Any, request: Any, encode: Callable[[], None]) -> None:
        metadata = request.get_metadata()
        at_ns = self._monotonic(metadata["SensorTimestamp"])
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
            and self._night.see(gain=gain, exposure_us=exposure_us, at_ns=at_ns)
        ):
            self._on_night(self._night.is_night)
        is_masked_anew = masking is not self._shown[0]
        if is_masked_anew:
            self.keys.force()
        if self.keys.is_due(at_ns):
            encoder.force_key_frame()
            self._on_key_frame()
        if is_masked_anew:
            self._shown = (masking, metadata["SensorTimestamp"] // 1000)
        encode()
        on_small = self._wants_small()
        if on_small is not None and self._small.is_due(at_ns):
            self._try_small(on_small, masking, request, at_ns)

    def _paint(self, painter: MaskPainter | None, stream: Stream, request: Any) -> None:
        if painter is None:
            return
        with self._mapped_array(request, stream.name, reshape=False) as mapped:
            if stream.format == "YUV420":
                painter.paint_yuv420(mapped.array, stream.stride)
            else:
                painter.paint_nv12(mapped.array, stream.stride)

    def _try_small(self, on_small: OnSmall, masking: _Masking, request: Any, at_ns: int) -> None:
        """Hand on a small picture; if that fails, the film goes on as if none were wanted."""
        try:
            self._hand_on_small(on_small, masking, request, at_ns)
        except Exception:
            if self.dropped_small % LOG_EVERY == 0:
                log.exception("a small picture was dropped (%d before)", self.dropped_small)
            self.dropped_small += 1

    def _hand_on_small(
        self, on_small: OnSmall, masking: _Masking, request: Any, at_ns: int
    ) -> None:
        stream = self._lores
        self._paint(masking.lores, stream, request)
        with self._mapped_array(request, stream.name, reshape=False) as mapped:
            data = i420_of(mapped.array, stream)
        if masking is not self._masking:
            return
        on_small(
            SmallPicture(
                pts_90k=pts_90k_of(at_ns),
                width=stream.width,
                height=stream.height,
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
            data = luma.tobytes()
        if masking is not self._masking:
            return
        self._on_luma(
            LumaFrame(
                pts_90k=pts_90k_of(at_ns),
                width=stream.width,
                height=stream.height,
                stride=stream.stride,
                data=data,
                gain=gain,
            )
        )

    def _monotonic(self, sensor_ns: int) -> int:
        """Return a sensor's time on the monotonic clock.

        libcamera says that SensorTimestamp is CLOCK_BOOTTIME; on a Pi it is what the kernel's
        video driver says, and that is CLOCK_MONOTONIC. They differ once a machine has slept. So
        the nearer one is believed, once a run.
        """
        if self._offset_ns is None:
            monotonic_ns, boottime_ns = self._monotonic_ns(), self._boottime_ns()
            is_boottime = abs(boottime_ns - sensor_ns) < abs(monotonic_ns - sensor_ns)
            slept_ns = boottime_ns - monotonic_ns
            self._offset_ns = -slept_ns if is_boottime and slept_ns > CLOCKS_DIFFER_NS else 0
        return sensor_ns + self._offset_ns

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


def _masking_of(mask: Mask, main: Stream, lores: Stream) -> _Masking:
    if not mask:
        return _Masking()
    from firmware.capture.mask import MaskPainter  # NumPy comes with picamera2, not with us

    return _Masking(
        MaskPainter(mask, main.width, main.height), MaskPainter(mask, lores.width, lores.height)
    )


def _is_full(encoder: Any) -> bool:
    """Return whether the hardware encoder has no buffer left: it is frozen, and would wait."""
    buffers = getattr(encoder, "buf_available", None)
    return buffers is not None and buffers.empty()


def _gain(metadata: dict[str, Any]) -> float | None:
    analogue = metadata.get("AnalogueGain")
    return None if analogue is None else float(analogue) * float(metadata.get("DigitalGain", 1.0))
