"""Clips as players and programs know them: plain MP4, fragmented MP4, Annex B. Meets PyAV.

Nothing is re-encoded and NAL units are never changed, so all forms of a clip give the same GOP
leaves. Clips never lie on the card like this: they are made from the vault's fragments when one
is played or exported. pts count from the clip's first access unit, time base 1/90000.
"""

import io
from collections.abc import Iterable, Iterator
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO

import av
import av.container
import av.error
from av.stream import Stream
from av.video.stream import VideoStream

from firmware.capture.packets import TICKS_PER_S
from firmware.clips.fragment import ClipUnit
from firmware.clips.record import DEFAULT_FRAME_90K
from firmware.errors import StoreError
from firmware.protocol.footage import split_length_prefixed

TIME_BASE = Fraction(1, TICKS_PER_S)
FRAGMENT_US = 450_000
_FRAGMENTED = {
    "movflags": "empty_moov+default_base_moof+skip_trailer",
    "frag_duration": str(FRAGMENT_US),
}
_START_CODE = b"\x00\x00\x00\x01"


class UnreadableClip(StoreError):
    """The file holds no video that can be read."""


def plain_mp4(units: Iterable[ClipUnit], *, width: int, height: int) -> bytes:
    """Return the clip as plain MP4 with its index in front, for players and for evidence."""
    listed = list(units)
    options = {"moov_size": str(4096 + 40 * len(listed))}
    return _muxed(listed, options, width=width, height=height)


def fragmented_mp4(units: Iterable[ClipUnit], *, width: int, height: int) -> bytes:
    """Return the clip as fragmented MP4, for players that begin before they have all of it."""
    return _muxed(list(units), _FRAGMENTED, width=width, height=height)


def annex_b(units: Iterable[ClipUnit]) -> Iterator[bytes]:
    """Yield the clip as a plain H.264 byte stream; its times are lost."""
    for unit in units:
        yield unit.data


def read_units(file: Path | BinaryIO, *, name: Path | None = None) -> Iterator[ClipUnit]:
    """Yield the access units of a fragmented or plain MP4, or raise UnreadableClip."""
    path = file if isinstance(file, Path) else name or Path("clip.mp4")
    try:
        with av.open(str(file) if isinstance(file, Path) else file, "r") as container:
            if not container.streams.video:
                raise UnreadableClip(path, "no video in it")
            for packet in container.demux(video=0):
                if packet.pts is not None and packet.size:
                    pts = Fraction(packet.pts) * (packet.time_base or TIME_BASE) * TICKS_PER_S
                    nal_units = split_length_prefixed(bytes(packet))
                    yield ClipUnit(
                        pts_90k=int(pts),
                        is_key=packet.is_keyframe,
                        data=b"".join(_START_CODE + unit for unit in nal_units),
                    )
    except (av.error.FFmpegError, OSError) as error:
        raise UnreadableClip(path, f"not a readable clip: {error}") from error


def _muxed(units: list[ClipUnit], options: dict[str, str], *, width: int, height: int) -> bytes:
    output = io.BytesIO()
    with av.open(output, "w", "mp4", options=options) as container:
        stream = _add_h264(container, width=width, height=height)
        for unit, duration_90k in zip(units, _durations_90k(units), strict=True):
            container.mux(_packet(stream, unit, duration_90k))
    return output.getvalue()


def _add_h264(container: av.container.OutputContainer, *, width: int, height: int) -> VideoStream:
    stream = container.add_mux_stream("h264", width=width, height=height)
    if not isinstance(stream, VideoStream):
        raise TypeError("PyAV gave no video stream for h264")
    stream.time_base = TIME_BASE
    return stream


def _durations_90k(units: list[ClipUnit]) -> list[int]:
    """Return how long each picture lasts; the last as long as the one before it, as in manifests.

    Without it the film ends where the last picture begins, and one picture alone isn't shown.
    """
    lasting = [later.pts_90k - unit.pts_90k for unit, later in pairwise(units)]
    return [*lasting, lasting[-1] if lasting else DEFAULT_FRAME_90K][: len(units)]


def _packet(stream: VideoStream, unit: ClipUnit, duration_90k: int) -> "av.Packet[Stream]":
    packet = av.Packet(unit.data)
    packet.pts = packet.dts = unit.pts_90k
    packet.duration = duration_90k
    packet.time_base = TIME_BASE
    packet.is_keyframe = unit.is_key
    packet.stream = stream
    return packet
