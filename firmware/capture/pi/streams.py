"""The two streams of a Pi's camera: their configuration and their buffers' layout.

Pure functions over picamera2's configurations and buffers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from firmware.config.settings import CameraConfig
from firmware.errors import CameraError
from firmware.protocol.media.rotation import Rotation

if TYPE_CHECKING:
    from firmware.capture.i420 import Bytes

WANTED_FORMAT = "YUV420"
SUPPORTED_FORMATS = ("YUV420", "NV12")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """The buffers of one stream: planar YUV420 (a Pi's) or NV12, `stride` bytes a row of Y.

    `is_bt709`: by which matrix its colours are meant; else BT.601.
    """

    name: str
    width: int
    height: int
    stride: int
    format: str
    is_bt709: bool = False


def streams_of(
    configuration: dict[str, Any], wanted: CameraConfig, transform: Any
) -> tuple[Stream, Stream]:
    """Return the camera's actual streams; CameraError if they aren't as configured."""
    given = configuration["transform"]
    if (given.hflip, given.vflip) != (transform.hflip, transform.vflip):
        raise CameraError("unsupported", "this camera can't turn or mirror its picture")
    encoding = getattr(configuration.get("colour_space"), "ycbcrEncoding", None)
    is_bt709 = getattr(encoding, "name", "") == "Rec709"
    streams = [_stream(name, configuration[name], is_bt709) for name in ("main", "lores")]
    main, lores = streams
    if (main.width, main.height) != (wanted.width, wanted.height):
        raise CameraError(
            "unsupported",
            f"this camera can't give {wanted.width}×{wanted.height}; {main.width}×{main.height} "
            "would do",
        )
    return main, lores


def shown_luma(luma: Bytes, stream: Stream, rotation: Rotation) -> Bytes:
    """Return a view of a stream's luma (flat bytes) without padding, turned clockwise."""
    from firmware.capture.i420 import turned  # NumPy comes with picamera2, not with us

    return turned(luma.reshape(stream.height, stream.stride)[:, : stream.width], rotation)


def i420_of(buffer: Any, stream: Stream, rotation: Rotation = 0) -> bytes:
    """Return a stream's buffer (flat bytes) as I420 without padding, turned clockwise.

    The buffer is a NumPy array, as MappedArray's. ValueError if it is too short.
    """
    from firmware.capture.i420 import turned  # as above

    width, height, stride = stream.width, stream.height, stream.stride
    luma = buffer[: height * stride].reshape(height, stride)[:, :width]
    chroma = buffer[height * stride : height * stride * 3 // 2]
    if stream.format == "YUV420":
        u, v = chroma.reshape(2, height // 2, stride // 2)[:, :, : width // 2]
    else:
        pairs = chroma.reshape(height // 2, stride)[:, :width]
        u, v = pairs[:, 0::2], pairs[:, 1::2]
    return b"".join(turned(plane, rotation).tobytes() for plane in (luma, u, v))


def _stream(name: str, given: dict[str, Any], is_bt709: bool) -> Stream:
    if given["format"] not in SUPPORTED_FORMATS:
        raise CameraError(
            "unsupported", f"this camera gives {given['format']}, not {WANTED_FORMAT} or NV12"
        )
    width, height = given["size"]
    return Stream(
        name=name,
        width=width,
        height=height,
        stride=given["stride"],
        format=given["format"],
        is_bt709=is_bt709,
    )
