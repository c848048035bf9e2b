"""FFmpeg's reading of an MP4: another program's word beside that of our own reader."""

import io
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

import av

from firmware.clips.fragment import ClipUnit, SoundUnit
from firmware.clips.mp4 import TIME_BASE
from firmware.protocol.nal_units import split_length_prefixed

_START_CODE = b"\x00\x00\x00\x01"


def has_sound(mp4: bytes) -> bool:
    """Return whether an MP4 has any track beside one video track."""
    with av.open(io.BytesIO(mp4), "r") as container:
        return [stream.type for stream in container.streams] != ["video"]


def read_units(file: Path | BinaryIO) -> Iterator[ClipUnit]:
    """Yield the access units of a fragmented or plain MP4."""
    with av.open(str(file) if isinstance(file, Path) else file, "r") as container:
        for packet in container.demux(video=0):
            if packet.pts is not None and packet.size:
                nal_units = split_length_prefixed(bytes(packet))
                yield ClipUnit(
                    pts_90k=_ticks_90k(packet),
                    is_key=packet.is_keyframe,
                    data=b"".join(_START_CODE + unit for unit in nal_units),
                )


def read_sound(mp4: bytes) -> list[SoundUnit]:
    """Return the units of an MP4's sound, none if it has none."""
    with av.open(io.BytesIO(mp4), "r") as container:
        if not container.streams.audio:
            return []
        return [
            SoundUnit(pts_90k=_ticks_90k(packet), data=bytes(packet))
            for packet in container.demux(audio=0)
            if packet.pts is not None and packet.size
        ]


def _ticks_90k(packet: av.Packet) -> int:
    return round(Fraction(packet.pts or 0) * (packet.time_base or TIME_BASE) * 90_000)
