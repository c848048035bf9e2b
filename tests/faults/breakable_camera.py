"""A camera that breaks as cameras break: its encoder freezes, its cable comes loose, it gushes.

Real H.264 in real time from a thread of its own, encoded before (`encoded_film`). A test sets
what is wrong; what the keeper then does to it is counted.
"""

import random
import threading
import time
from itertools import cycle

from firmware.capture.camera_output import AccessUnit, pts_90k_of
from firmware.capture.video_source import Mask, PictureSink
from firmware.errors import CameraError
from tests.fakes.footage import HEIGHT, WIDTH
from tests.faults.encoded_film import RATES_FPS, EncodedFilm

FPS = RATES_FPS[0]
_FILLER = b"\x00\x00\x00\x01\x0c"
"""H.264 7.3.2.7: a NAL unit that holds nothing, as long as one likes."""


class BreakableCamera:
    """Implements `firmware.capture.video_source.VideoSource`."""

    width, height, fps = WIDTH, HEIGHT, FPS

    def __init__(self, dice: random.Random) -> None:
        self.is_frozen = False
        self.is_plugged_in = True
        self.bitrate_bps = 0
        """What it gives at least; 0: what the pictures need."""
        self.restarts_that_help = 0
        """After so many new beginnings of the encoder it is well again; 0: none helps."""
        self.encoder_restarts = 0
        self._film = EncodedFilm(dice).loop(FPS)
        self._is_stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, sink: PictureSink) -> None:
        self._check_cable()
        self._is_stopped.clear()
        self._thread = threading.Thread(target=self._run, args=(sink,), daemon=True)
        self._thread.start()

    def request_key_frame(self) -> None:
        """There is one each second."""

    def set_small(self, is_wanted: bool) -> None:
        """Nobody wants any here."""

    def set_mask(self, mask: Mask) -> None:
        """Nothing is hidden here."""

    def set_max_fps(self, fps: int) -> None:
        """It was filmed at 30."""

    def set_bitrate(self, bitrate_bps: int) -> None:
        """Forgotten at once, as by an encoder that has lost its way."""

    def restart_encoder(self) -> None:
        self._check_cable()
        self.encoder_restarts += 1
        self.restarts_that_help -= 1
        if self.restarts_that_help == 0:
            self.is_frozen, self.bitrate_bps = False, 0

    def stop(self) -> None:
        self._is_stopped.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _check_cable(self) -> None:
        if not self.is_plugged_in:
            raise CameraError("missing", "no camera is found")

    def _run(self, sink: PictureSink) -> None:
        began_s = time.monotonic()
        for number, unit in enumerate(cycle(self._film)):
            if self._is_stopped.wait(max(0.0, began_s + number / FPS - time.monotonic())):
                return
            if self.is_plugged_in and not self.is_frozen:
                pts_90k = pts_90k_of(time.monotonic_ns())
                data = self._swollen(unit.data)
                sink.on_unit(AccessUnit(pts_90k=pts_90k, is_key=unit.is_key, data=data))

    def _swollen(self, data: bytes) -> bytes:
        wanted = self.bitrate_bps // 8 // FPS - len(data) - len(_FILLER)
        return data + _FILLER + b"\xff" * wanted if wanted > 0 else data
