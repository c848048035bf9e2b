"""Encodes a picture, coded or not, as a JPEG below a size limit.

By FFmpeg's own encoder. JPEG means BT.601 and full range; what the frame means is converted.
"""

from collections.abc import Iterable
from fractions import Fraction

import av
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace

from firmware.protocol.media.rotation import Rotation

Try = tuple[int, int]
"""Width, and quality on FFmpeg's scale of quantisers: 2 is best, 31 is worst."""


def last_picture(coded: Iterable[bytes]) -> VideoFrame | None:
    """Decode access units from a key frame on; return the last picture. May raise FFmpegError."""
    decoder = av.CodecContext.create("h264", "r")
    if not isinstance(decoder, VideoCodecContext):
        raise TypeError("PyAV gave no video decoder for h264")
    last: VideoFrame | None = None
    for data in coded:
        for frame in decoder.decode(av.Packet(data)):
            last = frame
    for frame in decoder.decode(None):
        last = frame
    return last


def fitting_jpeg(
    frame: VideoFrame, tries: Iterable[Try], max_bytes: int, *, rotation: Rotation = 0
) -> bytes | None:
    """Return the first try that is small enough, or None; none is wider than the frame.

    It is turned by `rotation` once it has its size. May raise FFmpegError.
    """
    small: VideoFrame | None = None
    small_width = 0
    for width, quality in tries:
        width = min(width, frame.width)
        if small is None or small_width != width:
            small, small_width = _turned(_sized(frame, width), rotation), width
        jpeg = _encoded(small, quality)
        if 0 < len(jpeg) <= max_bytes:
            return jpeg
    return None


def _sized(frame: VideoFrame, width: int) -> VideoFrame:
    height = max(2, round(frame.height * width / frame.width / 2) * 2)
    return frame.reformat(
        width,
        height,
        "yuvj420p",
        dst_colorspace=Colorspace.ITU601,
        dst_color_range=ColorRange.JPEG,
    )


def _turned(frame: VideoFrame, rotation: Rotation) -> VideoFrame:
    if not rotation:
        return frame
    import numpy as np  # a camera that is turned has it

    from firmware.capture.i420 import Planes

    array = frame.to_ndarray().astype(np.uint8, copy=False)
    planes = Planes(array, frame.width, frame.height).turned(rotation)
    turned = VideoFrame.from_ndarray(planes.array, frame.format.name)
    turned.color_range, turned.colorspace = frame.color_range, frame.colorspace
    return turned


def _encoded(frame: VideoFrame, quality: int) -> bytes:
    encoder = av.CodecContext.create("mjpeg", "w")
    if not isinstance(encoder, VideoCodecContext):
        raise TypeError("PyAV gave no video encoder for mjpeg")
    encoder.width, encoder.height = frame.width, frame.height
    encoder.pix_fmt = "yuvj420p"
    encoder.time_base = Fraction(1, 1)
    encoder.qmin = encoder.qmax = quality
    frame.pts = 0
    frame.time_base = Fraction(1, 1)
    packets = [*encoder.encode(frame), *encoder.encode(None)]
    return b"".join(bytes(packet) for packet in packets)
