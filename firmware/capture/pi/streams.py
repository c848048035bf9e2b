"""The two streams that a Pi's camera gives: what is asked for, and what really comes.

Pure functions over picamera2's configurations.
"""

from dataclasses import dataclass
from typing import Any

from firmware.capture.source import LUMA_WIDTH
from firmware.config import CameraConfig
from firmware.errors import CameraError

WANTED_FORMAT = "YUV420"
SUPPORTED_FORMATS = ("YUV420", "NV12")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """The buffers of one stream: planar YUV420 (a Pi's) or NV12, `stride` bytes a row of Y."""

    name: str
    width: int
    height: int
    stride: int
    format: str


def lores_size(width: int, height: int) -> tuple[int, int]:
    lores_width = min(LUMA_WIDTH, width)
    return lores_width, round(height * lores_width / width / 2) * 2


def streams_of(
    configuration: dict[str, Any], wanted: CameraConfig, transform: Any
) -> tuple[Stream, Stream]:
    """Return what the camera really gives; CameraError if that isn't what was asked for."""
    given = configuration["transform"]
    if (given.hflip, given.vflip) != (transform.hflip, transform.vflip):
        raise CameraError("unsupported", "this camera can't turn or mirror its picture")
    streams = [_stream(name, configuration[name]) for name in ("main", "lores")]
    main, lores = streams
    if (main.width, main.height) != (wanted.width, wanted.height):
        raise CameraError(
            "unsupported",
            f"this camera can't give {wanted.width}×{wanted.height}; {main.width}×{main.height} "
            "would do",
        )
    return main, lores


def _stream(name: str, given: dict[str, Any]) -> Stream:
    if given["format"] not in SUPPORTED_FORMATS:
        raise CameraError(
            "unsupported", f"this camera gives {given['format']}, not {WANTED_FORMAT} or NV12"
        )
    width, height = given["size"]
    return Stream(
        name=name, width=width, height=height, stride=given["stride"], format=given["format"]
    )
