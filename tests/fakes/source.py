"""A small camera for tests: real H.264 from a thread, in real time, and key frames on request."""

import fractions
import threading
import time

import av
import numpy as np

from firmware.capture.camera_output import AccessUnit, LumaFrame, SmallPicture, pts_90k_of
from firmware.capture.mask import MaskPainter
from firmware.capture.video_source import LUMA_PER_S, SMALL_PER_S, Mask, PictureSink

GOP_UNITS = 10_000
"""So long that every key frame after the first was asked for."""


class QuickSource:
    """Implements `firmware.capture.video_source.VideoSource`: a grey level that rises by one a
    picture.

    The first pixel of each picture tells which one it is (modulo 200), unless it is masked. Its
    small pictures are as large as its others.
    """

    def __init__(self, *, width: int = 320, height: int = 240, fps: int = 60) -> None:
        self.width = width
        self.height = height
        self.fps = self._configured_fps = fps
        self.key_frame_requests = 0
        self._bitrate_bps = 0
        self._painter = MaskPainter(Mask(), width, height)
        self._is_small_wanted = False
        self._is_key_wanted = True
        self._is_restart_wanted = True
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, sink: PictureSink) -> None:
        self._stopped.clear()
        self._is_restart_wanted = True
        self._thread = threading.Thread(target=self._run, args=(sink,), daemon=True)
        self._thread.start()

    def request_key_frame(self) -> None:
        self.key_frame_requests += 1
        self._is_key_wanted = True

    def set_small(self, is_wanted: bool) -> None:
        self._is_small_wanted = is_wanted

    def set_mask(self, mask: Mask) -> None:
        self._painter = MaskPainter(mask, self.width, self.height)
        self._is_key_wanted = True

    def set_max_fps(self, fps: int) -> None:
        self.fps = min(fps, self._configured_fps)

    def set_bitrate(self, bitrate_bps: int) -> None:
        self._bitrate_bps = bitrate_bps
        self._is_restart_wanted = True

    def restart_encoder(self) -> None:
        self._is_restart_wanted = True

    def stop(self) -> None:
        self._stopped.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _run(self, sink: PictureSink) -> None:
        count = 0
        while not self._stopped.wait(1 / self.fps):
            if self._is_restart_wanted:
                self._is_restart_wanted = False
                encoder = self._encoder()
            picture = self._picture(count)
            pts_90k = pts_90k_of(time.monotonic_ns())
            if count % max(1, self.fps // LUMA_PER_S) == 0:
                sink.on_luma(self._luma(picture, pts_90k))
            if self._is_small_wanted and count % max(1, self.fps // SMALL_PER_S) == 0:
                sink.on_small(self._small(picture, pts_90k))
            for packet in encoder.encode(self._frame(picture, pts_90k)):
                unit = AccessUnit(
                    pts_90k=int(packet.pts or 0), is_key=packet.is_keyframe, data=bytes(packet)
                )
                sink.on_unit(unit)
            count += 1

    def _encoder(self) -> av.VideoCodecContext:
        encoder = av.CodecContext.create("libx264", "w")
        encoder.width, encoder.height, encoder.pix_fmt = self.width, self.height, "yuv420p"
        encoder.time_base = fractions.Fraction(1, 90_000)
        encoder.framerate = fractions.Fraction(self._configured_fps, 1)
        if self._bitrate_bps:
            encoder.bit_rate = self._bitrate_bps
        encoder.options = {
            "preset": "ultrafast",
            "tune": "zerolatency",
            "profile": "baseline",
            "x264-params": f"keyint={GOP_UNITS}:scenecut=0:annexb=1:repeat-headers=1",
        }
        return encoder

    def _picture(self, count: int) -> np.ndarray:
        picture = np.full((self.height * 3 // 2, self.width), 128, dtype=np.uint8)
        picture[: self.height] = 20 + count % 200
        self._painter.paint_yuv420(picture, self.width)
        return picture

    def _luma(self, picture: np.ndarray, pts_90k: int) -> LumaFrame:
        return LumaFrame(
            pts_90k=pts_90k,
            width=self.width,
            height=self.height,
            stride=self.width,
            data=picture[: self.height].tobytes(),
        )

    def _small(self, picture: np.ndarray, pts_90k: int) -> SmallPicture:
        return SmallPicture(
            pts_90k=pts_90k, width=self.width, height=self.height, data=picture.tobytes()
        )

    def _frame(self, picture: np.ndarray, pts_90k: int) -> av.VideoFrame:
        frame = av.VideoFrame.from_ndarray(picture, "yuv420p")
        frame.pts = pts_90k
        frame.time_base = fractions.Fraction(1, 90_000)
        if self._is_key_wanted:
            self._is_key_wanted = False
            frame.pict_type = av.video.frame.PictureType.I
        return frame
