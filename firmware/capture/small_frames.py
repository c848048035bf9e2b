"""Small pictures: scaling whole pictures down, and conversion to PyAV frames.

What is made of a small picture (a stream, a JPEG) begins with `frame_of`. A picture is masked
before it is made small: what is hidden is black by then, and nothing of it is mixed in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from av import VideoFrame
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter

from firmware.capture.camera_output import SmallPicture
from firmware.capture.video_source import small_size
from firmware.protocol.media.rotation import Rotation

if TYPE_CHECKING:
    from firmware.capture.i420 import Planes

FORMAT = "yuv420p"


class Shrinker:
    """Scales pictures of one size down, and turns them upright. For one thread."""

    def __init__(self, width: int, height: int, rotation: Rotation = 0) -> None:
        self._rotation = rotation
        self._small_size = small_size(width, height)
        self._reformatter = VideoReformatter()

    def small(self, picture: Planes, pts_90k: int) -> SmallPicture:
        """Return a small picture of its own."""
        small = self._shrunk(picture)
        if self._rotation:
            small = small.turned(self._rotation)
        return SmallPicture(
            pts_90k=pts_90k, width=small.width, height=small.height, data=small.array.tobytes()
        )

    def _shrunk(self, picture: Planes) -> Planes:
        import numpy as np  # it may be missing where nothing films

        from firmware.capture.i420 import Planes

        width, height = self._small_size
        if (width, height) == (picture.width, picture.height):
            return picture
        frame = VideoFrame.from_ndarray(picture.array, FORMAT)
        # A new reformatter each time would work out its filters anew: 4 ms instead of 1.
        small = self._reformatter.reformat(frame, width, height, interpolation=Interpolation.AREA)
        return Planes(small.to_ndarray().astype(np.uint8, copy=False), width, height)


def frame_of(picture: SmallPicture) -> VideoFrame:
    """Return the picture as a frame with its colour space set; its bytes are copied once."""
    frame = VideoFrame(picture.width, picture.height, FORMAT)
    begin = 0
    for plane in frame.planes:
        end = begin + plane.width * plane.height
        plane.update(_padded(picture.data[begin:end], plane.width, plane.line_size))
        begin = end
    frame.colorspace = Colorspace.ITU709 if picture.is_bt709 else Colorspace.ITU601
    frame.color_range = ColorRange.MPEG
    return frame


def _padded(rows: bytes, width: int, stride: int) -> bytes:
    if width == stride:
        return rows
    padding = bytes(stride - width)
    return b"".join(rows[at : at + width] + padding for at in range(0, len(rows), width))
