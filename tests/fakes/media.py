"""Readers and writers of media and packages over bytes in memory, as tests have them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from firmware.protocol.media.byte_source import ByteSource, MemorySource
from firmware.protocol.media.mp4 import ClipUnit, Mp4, Sample, SoundUnit
from firmware.protocol.media.tags import UNTAGGED, Tags
from firmware.protocol.packages import open_package
from firmware.protocol.released_part import ReleasedPart
from relay.verify.agency_key import AgencyKey, OpeningKey
from relay.verify.evidence import Evidence, evidence_of_folder, open_sealed_evidence
from relay.verify.mp4_writer import plain_mp4
from relay.verify.trim import trim


class Unit(Protocol):
    """An access unit."""

    @property
    def pts_90k(self) -> int: ...
    @property
    def is_key(self) -> bool: ...
    @property
    def nal_units(self) -> list[bytes]: ...


def mp4_of(data: bytes) -> Mp4:
    return Mp4(MemorySource(data))


def access_units(data: bytes) -> list[ClipUnit]:
    return list(mp4_of(data).pictures())


def sound_units(data: bytes) -> list[SoundUnit] | None:
    mp4 = mp4_of(data)
    return list(mp4.sound()) if mp4.has_sound else None


def in_memory(files: Mapping[str, bytes]) -> dict[str, ByteSource]:
    return {name: MemorySource(data) for name, data in files.items()}


def bytes_of(files: Mapping[str, ByteSource]) -> dict[str, bytes]:
    return {name: b"".join(source.pieces()) for name, source in files.items()}


def evidence_of_files(files: Mapping[str, bytes]) -> Evidence:
    """Return evidence made of opened files."""
    return evidence_of_folder(in_memory(files))


def evidence_of_package(sealed: bytes, key: AgencyKey | OpeningKey) -> Evidence:
    """Open a package with the agency's key."""
    return open_sealed_evidence(MemorySource(sealed), key)


def opened_package(sealed: bytes, private_key: bytes, public_key: bytes) -> dict[str, bytes]:
    """Return a package's files by name."""
    return bytes_of(open_package(MemorySource(sealed), private_key, public_key))


def written_mp4(
    units: Sequence[Unit],
    sound: Sequence[SoundUnit] = (),
    *,
    width: int,
    height: int,
    tags: Tags = UNTAGGED,
) -> bytes:
    """Return what the writer of trims makes of these units."""
    media = bytearray()

    def added(pts_90k: int, data: bytes) -> Sample:
        media.extend(data)
        return Sample(pts_90k=pts_90k, begin=len(media) - len(data), size_bytes=len(data))

    pictures = [
        added(unit.pts_90k, b"".join(len(nal).to_bytes(4, "big") + nal for nal in unit.nal_units))
        for unit in units
    ]
    sounds = [added(unit.pts_90k, unit.data) for unit in sound]
    keys = [place for place, unit in enumerate(units) if unit.is_key]
    source = MemorySource(bytes(media))
    mp4 = plain_mp4(source, pictures, sounds, keys=keys, width=width, height=height, tags=tags)
    return b"".join(mp4.pieces())


@dataclass(frozen=True, kw_only=True)
class TrimmedFiles:
    """A trim with its files in memory."""

    files: dict[str, bytes]
    part: ReleasedPart
    begin_s: float
    end_s: float


def trim_files(
    files: Mapping[str, bytes], number: int, *, from_s: float, to_s: float
) -> TrimmedFiles:
    """Trim evidence that is in memory."""
    found = trim(in_memory(files), number, from_s=from_s, to_s=to_s)
    return TrimmedFiles(
        files=bytes_of(found.files), part=found.part, begin_s=found.begin_s, end_s=found.end_s
    )
