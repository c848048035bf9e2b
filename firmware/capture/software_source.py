"""The half of a video source that encodes in software: what the encoder alone answers.

A camera builds upon it, hands its pictures to the finisher, and decides when it films.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from firmware.capture.turn import UPRIGHT, Turn
from firmware.capture.video_source import Mask
from firmware.capture.x264 import Finisher

if TYPE_CHECKING:
    from firmware.capture.i420 import Planes


class SoftwareSource:
    """Implements of `video_source.VideoSource` what isn't the camera's own.

    `fps` is the highest frame rate; `set_max_fps` of the camera may lower it.
    """

    def __init__(
        self,
        width: int,
        height: int,
        *,
        fps: int,
        bitrate_bps: int,
        thread_count: int,
        turn: Turn = UPRIGHT,
    ) -> None:
        self._width, self._height = width, height
        self._configured_fps = self._fps = fps
        self._finisher = Finisher(
            width,
            height,
            fps=fps,
            bitrate_bps=bitrate_bps,
            thread_count=thread_count,
            rotation=turn.rotation,
        )
        self._turn = turn

    @property
    def width(self) -> int:
        """Pixels in a row."""
        return self._width

    @property
    def height(self) -> int:
        """Rows."""
        return self._height

    @property
    def fps(self) -> int:
        """Frames a second that are aimed at; fewer come from a slower camera or machine."""
        return self._fps

    @property
    def dropped_frames(self) -> int:
        """The number of pictures dropped because the mask couldn't be painted."""
        return self._finisher.dropped_frames

    def request_key_frame(self) -> None:
        """Make the next frame a key frame, if the last one is half a second ago."""
        self._finisher.request_key_frame()

    def set_small(self, is_wanted: bool) -> None:
        """Hand out small pictures from the next one on, or no more."""
        self._finisher.set_small(is_wanted)

    def set_mask(self, mask: Mask) -> None:
        """Hide these parts from the next frame on, and make it a key frame."""
        self._finisher.set_mask(mask)

    def set_bitrate(self, bitrate_bps: int) -> None:
        """Set the encoder's target bitrate, from a key frame on."""
        self._finisher.set_bitrate(bitrate_bps)

    def restart_encoder(self) -> None:
        """Begin the encoder anew at the next frame."""
        self._finisher.restart()

    def _flip(self, picture: Planes) -> None:
        """Flip a picture as a Pi's sensor does."""
        turn = self._turn
        if turn.is_flipped_x or turn.is_flipped_y:
            picture.flip(is_flipped_x=turn.is_flipped_x, is_flipped_y=turn.is_flipped_y)
