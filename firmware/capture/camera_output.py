"""A camera's output: access units, luma frames for motion detection and QR codes, small pictures.

Pure data. Times are pts in 90 kHz ticks of the monotonic clock, whichever camera made them.
"""

from dataclasses import dataclass

TICKS_PER_S = 90_000


def pts_90k_of(monotonic_ns: int) -> int:
    """Return the pts of a moment of the monotonic clock."""
    return monotonic_ns * 9 // 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessUnit:
    """One coded picture (H.264, Annex B); a key frame carries SPS and PPS before its IDR."""

    pts_90k: int
    is_key: bool
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class LumaFrame:
    """The luma plane of one picture: `height` rows of `stride` bytes, `width` of them used.

    `gain` is the sensor's analogue times digital gain (1 in bright light; None: not known).
    What the owner's mask hides is painted here too.
    """

    pts_90k: int
    width: int
    height: int
    stride: int
    data: bytes
    gain: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SmallPicture:
    """One whole picture, small (`source.small_size`) and masked: for thumbnails, the small stream.

    `data` is I420 without padding: Y, then U and V of half as many rows and columns. BT.601 or,
    if `is_bt709`, BT.709; limited range.
    """

    pts_90k: int
    width: int
    height: int
    data: bytes
    is_bt709: bool = False
