"""The reading of sealed clips, for recovery, players, evidence and export."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

from firmware.capture.gaps import GapCounter
from firmware.clips.fragment import (
    ClipUnit,
    SoundPart,
    SoundUnit,
    decode_fragment,
    decode_sound,
)
from firmware.clips.library import Library
from firmware.clips.mp4 import plain_mp4
from firmware.clips.record import (
    DEFAULT_FRAME_90K,
    ClipEnd,
    ClipRecord,
    ClipStart,
    Ended,
    manifest_of,
)
from firmware.errors import VaultError
from firmware.protocol.encoding import WireError, decode
from firmware.protocol.footage import (
    MAX_MANIFEST_BYTES,
    SOUND_UNIT_90K,
    SPAN_UNITS,
    ClipManifest,
    Gaps,
    GopHasher,
    SignedManifest,
    SoundHasher,
)
from firmware.protocol.media.tags import tags_of_manifest
from firmware.protocol.released_part import ReleasedPart
from firmware.vault.sealed_file import Kind, Record, SealedFile, Vault


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipFile:
    """The contents of one sealed file, up to its end or to the first unreadable record."""

    start: ClipStart | None
    end: ClipEnd | None
    signed_manifest: SignedManifest | None
    damage: str
    """Why it can't be read further; "" if it can be read to its end."""


class ClipReader:
    """Reads one sealed clip's records in order; its attributes fill up while it is read."""

    def __init__(self, file: SealedFile) -> None:
        self._file = file
        self.start: ClipStart | None = None
        self.signed_manifest: SignedManifest | None = None
        self.end_bytes = 0
        self.sound = SoundPart(units=[], lost_90k=0)

    def units(self) -> Iterator[ClipUnit]:
        """Yield the access units; a torn end is passed over, damage raises VaultError."""
        for record in self._file.records():
            yield from self._read(record)
            self.end_bytes = record.end

    def _read(self, record: Record) -> list[ClipUnit]:
        try:
            match record.kind:
                case Kind.START:
                    self.start = decode(ClipStart, record.plain)
                case Kind.END:
                    self.signed_manifest = decode(
                        SignedManifest, record.plain, max_bytes=2 * MAX_MANIFEST_BYTES
                    )
                case Kind.FRAGMENT:
                    return decode_fragment(record.plain)
                case Kind.SOUND:
                    self._hear(decode_sound(record.plain))
        except WireError as error:
            name = self._file.path.name
            raise VaultError(
                f"{name}: record {record.number} is of another form: {error}"
            ) from error
        return []

    def _hear(self, part: SoundPart) -> None:
        units = self.sound.units
        due_90k = units[-1].pts_90k + SOUND_UNIT_90K if units else -SOUND_UNIT_90K
        if part.units[0].pts_90k != due_90k:
            raise WireError("its sound doesn't begin where the sound before it ended")
        units.extend(part.units)
        self.sound = SoundPart(units=units, lost_90k=part.lost_90k)


class Footage:
    """Builds a clip's description from its access units, except for how it ended."""

    def __init__(self) -> None:
        self._hasher = GopHasher()
        self._last_pts_90k = 0
        self._frame_90k = DEFAULT_FRAME_90K
        self._gaps = GapCounter()
        self._sound_hasher = SoundHasher()
        self._lost_sound_90k = 0
        self.unit_count = 0

    def add(self, unit: ClipUnit) -> None:
        """Take the next unit; the first must be a key frame."""
        self._hasher.add(unit.pts_90k, unit.is_key, unit.nal_units)
        self._gaps.add(unit.pts_90k)
        if self.unit_count:
            self._frame_90k = unit.pts_90k - self._last_pts_90k
        self._last_pts_90k = unit.pts_90k
        self.unit_count += 1

    def add_sound(self, part: SoundPart) -> None:
        """Take the next sound."""
        for unit in part.units:
            self._sound_hasher.add(unit.pts_90k, unit.data)
        self._lost_sound_90k = part.lost_90k

    def end(self, *, ended: Ended, lost_units: int, size_bytes: int) -> ClipEnd | None:
        """Return the description, or None if there was no unit."""
        if self.unit_count == 0:
            return None
        return ClipEnd(
            duration_90k=self._last_pts_90k + self._frame_90k,
            gops=self._hasher.finish(),
            ended=ended,
            lost_units=lost_units,
            size_bytes=size_bytes,
            sound=self._sound_hasher.finish(lost_90k=self._lost_sound_90k),
            gaps=self._found_gaps(),
        )

    def _found_gaps(self) -> Gaps | None:
        found = self._gaps
        return Gaps(count=found.count, longest_90k=found.longest_90k) if found.count else None


def examine(file: SealedFile, *, lost_units: int = 0) -> ClipFile:
    """Read a file as far as possible and describe its contents."""
    reader, footage, damage = ClipReader(file), Footage(), ""
    try:
        for unit in reader.units():
            footage.add(unit)
    except (VaultError, WireError) as error:
        damage = str(error)
    footage.add_sound(reader.sound)
    is_whole = reader.signed_manifest is not None and not damage
    end = footage.end(
        ended="complete" if is_whole else "cut_short",
        lost_units=lost_units,
        size_bytes=reader.end_bytes,
    )
    return ClipFile(
        start=reader.start, end=end, signed_manifest=reader.signed_manifest, damage=damage
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _WholeClip:
    """A clip in memory that matches its manifest."""

    manifest: ClipManifest
    units: list[ClipUnit]
    sound: list[SoundUnit]
    width: int
    height: int

    def mp4(self, units: list[ClipUnit], sound: list[SoundUnit], *, first_gop: int = 0) -> bytes:
        tags = tags_of_manifest(self.manifest, first_gop)
        return plain_mp4(
            units,
            sound,
            width=self.width,
            height=self.height,
            rotation=self.manifest.shown_rotation,
            tags=tags,
        )


class Playback:
    """Plays the library's clips from the vault."""

    def __init__(self, library: Library, vault: Vault) -> None:
        self._library = library
        self._vault = vault

    def units(self, record: ClipRecord) -> Iterator[ClipUnit]:
        """Yield the clip's access units; VaultError if it can't be read to its end.

        One that was cut short ends where it ended when it was signed.
        """
        return self._reader_units(ClipReader(self._open(record.path, record)), record)

    def plain_mp4(self, record: ClipRecord, *, with_sound: bool = True) -> bytes:
        """Return the clip as plain MP4; VaultError or OSError if it can't be read.

        `with_sound` gives what sound it has. The footage is held against the clip's manifest
        first: somebody who can write to storage may swap files, and what leaves must be what its
        owner saw and signed for.
        """
        whole = self._whole(record)
        return whole.mp4(whole.units, whole.sound if with_sound else [])

    def plain_part(self, record: ClipRecord, part: ReleasedPart) -> bytes:
        """Return one part of the clip as plain MP4, after the same check of the whole clip."""
        whole = self._whole(record)
        borders = [0, *accumulate(gop.unit_count for gop in whole.manifest.gops)]
        begin, end = borders[part.first_gop], borders[part.first_gop + part.gop_count]
        first_sound = part.first_span * SPAN_UNITS
        sound = whole.sound[first_sound : first_sound + part.span_count * SPAN_UNITS]
        return whole.mp4(whole.units[begin:end], sound, first_gop=part.first_gop)

    def _whole(self, record: ClipRecord) -> "_WholeClip":
        reader = ClipReader(self._open(record.path, record))
        footage, units = Footage(), []
        for unit in self._reader_units(reader, record):
            footage.add(unit)
            units.append(unit)
        footage.add_sound(reader.sound)
        end = footage.end(ended="complete", lost_units=0, size_bytes=0)
        if reader.start is None or end is None:
            raise VaultError(f"clip {record.clip_id} has no pictures")
        manifest = manifest_of(record.signed_manifest)
        if end.gops != manifest.gops or end.sound != manifest.sound_track:
            raise VaultError(f"clip {record.clip_id} isn't what its manifest says")
        return _WholeClip(
            manifest=manifest,
            units=units,
            sound=reader.sound.units,
            width=reader.start.width,
            height=reader.start.height,
        )

    def picture(self, record: ClipRecord) -> bytes | None:
        """Return the clip's thumbnail (JPEG), or None if it has none that can be read."""
        try:
            file = self._open(self._library.picture_path_of(record.clip_id), record)
            return next((r.plain for r in file.records() if r.kind is Kind.PICTURE), None)
        except (OSError, VaultError):
            return None

    def _open(self, path: Path, record: ClipRecord) -> SealedFile:
        file = self._vault.open(path)
        if file.header.clip_id != record.clip_id:
            raise VaultError(f"{path.name} holds clip {file.header.clip_id}")
        return file

    def _reader_units(self, reader: ClipReader, record: ClipRecord) -> Iterator[ClipUnit]:
        try:
            yield from reader.units()
        except VaultError:
            if not record.is_cut_short:
                raise
