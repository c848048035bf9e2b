"""The H.264 software encoder (libx264), and the mask before it.

H.264 constrained baseline by libx264, no B-frames, no look-ahead, SPS and PPS before each IDR, a
key frame every second and on request. `Finisher` is the one way from a picture of the replay
camera or a webcam to whoever sees it: it paints the mask first. Importing this needs no NumPy.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import av
from av.video.frame import PictureType

from firmware.capture.camera_output import TICKS_PER_S, AccessUnit, LumaFrame
from firmware.capture.frame_selection import KeyFrameSelector, luma_pacer, small_pacer
from firmware.capture.small_frames import Shrinker
from firmware.capture.turn import coded_mask
from firmware.capture.video_source import LUMA_WIDTH, Mask, PictureSink
from firmware.protocol.media.rotation import Rotation

if TYPE_CHECKING:
    from firmware.capture.i420 import Planes
    from firmware.capture.mask import MaskPainter

log = logging.getLogger(__name__)

PRESET = "superfast"
"""Chosen by docs/picture.md: far better than "ultrafast", and "veryfast" is hardly better."""
BT601 = {"colorspace": "smpte170m", "color_range": "tv"}
BT709 = {"colorspace": "bt709", "color_range": "tv"}
"""FFmpeg's names of the matrices by which decoders make RGB."""


@dataclass(frozen=True, slots=True, eq=False)
class _Masking:
    """A mask as it was set; each setting is another object, so that it is noticed."""

    painter: MaskPainter


class Finisher:
    """Paints the mask into each picture, then makes its access unit and, now and then, its luma.

    While small pictures are wanted, it makes those as well.

    `take` is called on the source's thread, all else from any. A picture whose painting fails
    is dropped and counted; nothing of it is encoded.
    """

    def __init__(
        self,
        width: int,
        height: int,
        *,
        fps: int,
        bitrate_bps: int,
        thread_count: int = 1,
        rotation: Rotation = 0,
    ) -> None:
        """`rotation`: masks are of the picture turned so, and only what isn't coded is turned."""
        self._size = (width, height)
        self._rotation = rotation
        self._fps = fps
        self._bitrate_bps = bitrate_bps
        self._thread_count = thread_count
        self._luma_scale = max(1, width // LUMA_WIDTH)
        self._masking = self._used_masking = self._painting(Mask())
        self._luma_pacer = luma_pacer()
        self._is_small_wanted = False
        self._small_pacer = small_pacer()
        self._shrinker = Shrinker(width, height, rotation)
        self._keys = KeyFrameSelector()
        self._restart_wanted = threading.Event()
        self._encoder: Encoder | None = None
        self.dropped_frames = 0
        self.dropped_small = 0

    def set_mask(self, mask: Mask) -> None:
        """Hide these parts from the next picture on, which becomes a key frame."""
        self._masking = self._painting(mask)

    def set_small(self, is_wanted: bool) -> None:
        """Hand out small pictures from the next one on, or no more."""
        self._is_small_wanted = is_wanted

    def set_bitrate(self, bitrate_bps: int) -> None:
        """Set the target bitrate, from a key frame on."""
        self._bitrate_bps = bitrate_bps
        self.restart()

    def restart(self) -> None:
        """Begin the encoder anew at the next picture."""
        self._restart_wanted.set()

    def request_key_frame(self) -> None:
        """Make the next picture a key frame, if the last one is half a second ago."""
        self._keys.request()

    def take(self, picture: Planes, pts_90k: int, sink: PictureSink) -> None:
        """Finish one picture; it is drawn into. `pts_90k` mustn't be later than now."""
        masking = self._masking
        try:
            masking.painter.paint_yuv420(picture.array, picture.width)
        except Exception:  # whatever it is: what isn't masked isn't shown
            if self.dropped_frames == 0:
                log.exception("the mask can't be painted; pictures are dropped")
            self.dropped_frames += 1
            return
        if self._luma_pacer.is_due(_ns(pts_90k)):
            sink.on_luma(self._luma_of(picture, pts_90k))
        if self._encoder is None or self._restart_wanted.is_set():
            self._restart_wanted.clear()
            self._encoder = self._new_encoder()
        if masking is not self._used_masking:
            self._used_masking = masking
            self._keys.force()
        for unit in self._encoder.encode(picture, pts_90k):
            sink.on_unit(unit)
        if self._is_small_wanted and self._small_pacer.is_due(_ns(pts_90k)):
            self._try_small(sink, picture, pts_90k)

    def _try_small(self, sink: PictureSink, picture: Planes, pts_90k: int) -> None:
        """Pass on a small picture; if that fails, filming goes on without small pictures."""
        try:
            sink.on_small(self._shrinker.small(picture, pts_90k))
        except Exception:
            if self.dropped_small == 0:
                log.exception("small pictures are dropped")
            self.dropped_small += 1

    def _painting(self, mask: Mask) -> _Masking:
        from firmware.capture.mask import MaskPainter  # NumPy may be missing where nothing films

        return _Masking(MaskPainter(coded_mask(mask, self._rotation), *self._size))

    def _new_encoder(self) -> Encoder:
        self._keys.begin()
        return Encoder(
            *self._size,
            self._fps,
            self._bitrate_bps,
            thread_count=self._thread_count,
            keys=self._keys,
        )

    def _luma_of(self, picture: Planes, pts_90k: int) -> LumaFrame:
        from firmware.capture.i420 import turned  # as above

        luma = turned(picture.luma(self._luma_scale), self._rotation)
        height, width = luma.shape
        return LumaFrame(
            pts_90k=pts_90k, width=width, height=height, stride=width, data=luma.tobytes()
        )


class Encoder:
    """libx264 set up like a Pi's hardware encoder; each thread makes a slice of the picture.

    `keys` says which pictures are key frames: the first, one each second, and those asked for.
    With `buffer_s`, no picture is larger than a line of that bitrate carries in so much time.
    """

    def __init__(
        self,
        width: int,
        height: int,
        fps: int,
        bitrate_bps: int,
        *,
        thread_count: int = 1,
        keys: KeyFrameSelector | None = None,
        buffer_s: float | None = None,
        is_bt709: bool | None = None,
        preset: str = PRESET,
    ) -> None:
        """`is_bt709` says so in the SPS (False: BT.601); None: it says nothing of colours."""
        codec = av.CodecContext.create("libx264", "w")
        codec.width, codec.height, codec.pix_fmt = width, height, "yuv420p"
        codec.time_base = Fraction(1, TICKS_PER_S)
        codec.framerate = Fraction(fps)
        codec.bit_rate = bitrate_bps
        codec.gop_size = 10 * fps  # never reached: key frames go by time
        codec.max_b_frames = 0
        codec.thread_count = thread_count
        codec.options = {
            "preset": preset,
            "tune": "zerolatency",
            "profile": "baseline",
            "level": _level(width, height, fps),
            "forced-idr": "1",
            "x264-params": "scenecut=0:repeat-headers=1:annexb=1",
        }
        if buffer_s is not None:
            bounds = {"maxrate": str(bitrate_bps), "bufsize": str(round(bitrate_bps * buffer_s))}
            codec.options |= bounds
        if is_bt709 is not None:
            codec.options |= BT709 if is_bt709 else BT601
        self._codec = codec
        self._keys = keys or KeyFrameSelector()

    def encode(self, picture: Planes, pts_90k: int) -> list[AccessUnit]:
        """Return the access unit of one picture."""
        return self.encode_frame(av.VideoFrame.from_ndarray(picture.array, "yuv420p"), pts_90k)

    def lower_bitrate(self, bitrate_bps: int) -> None:
        """Aim at less than it began with, from the next picture on, without a key frame.

        libx264 takes that only with `buffer_s`, and no more than it began with.
        """
        self._codec.bit_rate = bitrate_bps

    def encode_frame(self, frame: av.VideoFrame, pts_90k: int) -> list[AccessUnit]:
        """Return the access unit of one frame (yuv420p of this size)."""
        frame.pts = pts_90k
        frame.time_base = self._codec.time_base
        if self._keys.is_due(_ns(pts_90k)):
            frame.pict_type = PictureType.I
        return [
            AccessUnit(pts_90k=int(packet.pts or 0), is_key=packet.is_keyframe, data=bytes(packet))
            for packet in self._codec.encode(frame)
        ]


def _ns(pts_90k: int) -> int:
    return pts_90k * 100_000 // 9


def _level(width: int, height: int, fps: int) -> str:
    """Return the H.264 level (table A-1), of size and rate alone.

    So a new bitrate changes nothing in the SPS, and a clip that it falls into keeps one.
    """
    macroblocks = -(-width // 16) * -(-height // 16)
    for level, most, most_per_s in (("3.1", 3_600, 108_000), ("4.0", 8_192, 245_760)):
        if macroblocks <= most and macroblocks * fps <= most_per_s:
            return level
    return "5.1"
