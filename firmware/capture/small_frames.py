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

if TYPE_CHECKING:
    from firmware.capture.i420 import Planes

FORMAT = "yuv420p"


class Shrinker:
    """Scales pictures of one size down. For one thread."""

    def __init__(self, width: int, height: int) -> None:
        self._small_size = small_size(width, height)
        self._reformatter = VideoReformatter()

    def small(self, picture: Planes, pts_90k: int) -> SmallPicture:
        """Return a small picture of its own."""
        width, height = self._small_size
        return SmallPicture(
            pts_90k=pts_90k, width=width, height=height, data=self._small_bytes(picture)
        )

    def _small_bytes(self, picture: Planes) -> bytes:
        width, height = self._small_size
        if (width, height) == (picture.width, picture.height):
            return picture.array.tobytes()
        frame = VideoFrame.from_ndarray(picture.array, FORMAT)
        # A new reformatter each time would work out its filters anew: 4 ms instead of 1.
        return (
            self._reformatter.reformat(frame, width, height, interpolation=Interpolation.AREA)
            .to_ndarray()
            .tobytes()
        )


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
