"""Checks of an owner's export: the doorbell's signed index, and each recording against it.

    doorward-verify export FOLDER

The key is the one in the index, whose digest is the doorbell's id: `--device` says which id that
has to be. What nobody signed (events.json, neighbours.json, who-looked.json) is only held against
the digests of index.json, which nobody signed either.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import msgspec

from firmware.protocol.encoding import (
    Digest,
    Document,
    WireError,
    decode,
    device_id_of,
    sha256_hex,
    unb64u,
)
from firmware.protocol.exports import (
    MAX_INDEX_BYTES,
    ExportedClip,
    ExportIndex,
    SignedExportIndex,
    check_index,
)
from firmware.protocol.footage import (
    MAX_MANIFEST_BYTES,
    ClipManifest,
    GopHasher,
    SignedManifest,
    SoundHasher,
    check_manifest,
)
from firmware.protocol.media.mp4 import Mp4
from relay.verify.checks import Exit
from relay.verify.file_reader import FileSource

MAX_CLIP_BYTES = 512 * 1024 * 1024
MAX_LIST_BYTES = 64 * 1024 * 1024
PIECE_BYTES = 1024 * 1024


class ListedFile(Document, frozen=True, kw_only=True):
    """One file of index.json."""

    path: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?\Z")]
    size: int
    sha256: Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Something that fails, or is missing; `code` names its kind."""

    code: Exit
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportReport:
    """The result of checking an export."""

    device: str
    clips: int
    files: int
    failures: tuple[Failure, ...]

    @property
    def exit_code(self) -> Exit:
        """The first kind of failure; missing recordings alone are incomplete."""
        failed = [one.code for one in self.failures if one.code is not Exit.INCOMPLETE]
        if failed:
            return min(failed)
        return Exit.INCOMPLETE if self.failures else Exit.HOLDS

    def lines(self) -> Iterator[str]:
        """Yield the report, for people."""
        yield f"doorbell {self.device}: {self.clips} recordings, {self.files} files"
        for one in self.failures:
            yield f"{'missing' if one.code is Exit.INCOMPLETE else 'FAILS'}: {one.what}"
        yield self.exit_code.words


def check_export(folder: Path, *, device: str | None = None) -> ExportReport:
    """Check an export's folder; WireError or OSError if it has no index that can be read."""
    index = read_index(folder, device=device)
    identity = unb64u(index.identity_key)
    listed = _listed(folder)
    failures = list(_changed_files(folder, listed))
    for clip in index.clips:
        failures += _check_clip(folder, clip, identity)
    return ExportReport(
        device=index.device,
        clips=len(index.clips),
        files=len(listed),
        failures=tuple(failures),
    )


def read_index(folder: Path, *, device: str | None) -> ExportIndex:
    """Return the index that the doorbell signed, or raise WireError."""
    data = _read(folder / "doorbell.json", 2 * MAX_INDEX_BYTES)
    signed = decode(SignedExportIndex, data, max_bytes=2 * MAX_INDEX_BYTES)
    claimed = msgspec.json.decode(signed.index, type=dict[str, Any])  # Any: JSON values
    key = claimed.get("identity_key")
    if not isinstance(key, str):
        raise WireError("the index names no key")
    index = check_index(signed, unb64u(key))
    if device_id_of(unb64u(key)) != index.device:
        raise WireError("the index is signed by another key than its doorbell's")
    if device is not None and device != index.device:
        raise WireError(f"this is the export of doorbell {index.device}")
    return index


def _check_clip(folder: Path, clip: ExportedClip, identity: bytes) -> Iterator[Failure]:
    found = sorted((folder / "clips").glob(f"*_{clip.clip_id}.mp4"))
    if not found:
        yield Failure(code=Exit.INCOMPLETE, what=f"recording {clip.clip_id}")
        return
    video = found[0]
    try:
        manifest = _manifest(video.with_suffix(".json"), clip, identity)
    except (WireError, OSError) as error:
        yield Failure(code=Exit.DEVICE, what=f"{video.name}: {error}")
        return
    try:
        check_footage(Mp4(FileSource(video, max_bytes=MAX_CLIP_BYTES)), manifest)
    except (WireError, OSError) as error:
        yield Failure(code=Exit.PICTURES, what=f"{video.name}: {error}")


def _manifest(path: Path, clip: ExportedClip, identity: bytes) -> ClipManifest:
    data = _read(path, 2 * MAX_MANIFEST_BYTES)
    signed = decode(SignedManifest, data, max_bytes=2 * MAX_MANIFEST_BYTES)
    if sha256_hex(signed.manifest.encode()) != clip.manifest_digest:
        raise WireError("another manifest than the doorbell's index names")
    manifest = check_manifest(signed, identity)
    if manifest.clip_id != clip.clip_id:
        raise WireError("the manifest is another recording's")
    return manifest


def check_footage(mp4: Mp4, manifest: ClipManifest) -> None:
    """Raise WireError unless these are all of the recording's pictures, and its sound or none."""
    pictures = GopHasher()
    for unit in mp4.pictures():
        pictures.add(unit.pts_90k, unit.is_key, unit.nal_units)
    if pictures.finish() != manifest.gops:
        raise WireError("its pictures aren't those that the doorbell signed")
    if not mp4.has_sound:
        if manifest.sound_track is not None:
            raise WireError("its sound is missing")
        return
    track = manifest.sound_track
    sound = SoundHasher()
    for one in mp4.sound():
        sound.add(one.pts_90k, one.data)
    if track is None or sound.finish(lost_90k=track.lost_90k) != track:
        raise WireError("its sound isn't that which the doorbell signed")


def _listed(folder: Path) -> list[ListedFile]:
    data = _read(folder / "index.json", MAX_LIST_BYTES)
    try:
        files = msgspec.json.decode(data, type=dict[str, Any])["files"]  # Any: JSON values
        return msgspec.convert(files, list[ListedFile])
    except (msgspec.DecodeError, KeyError) as error:
        raise WireError(f"index.json: {error}") from error


def _changed_files(folder: Path, listed: list[ListedFile]) -> Iterator[Failure]:
    for one in listed:
        path = folder / one.path
        try:
            is_same = path.stat().st_size == one.size and _digest(path) == one.sha256
        except OSError as error:
            yield Failure(code=Exit.PACKAGE, what=f"{one.path}: {error.strerror}")
            continue
        if not is_same:
            yield Failure(code=Exit.PACKAGE, what=f"{one.path} isn't the file that was saved")


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(PIECE_BYTES):
            digest.update(piece)
    return digest.hexdigest()


def _read(path: Path, max_bytes: int) -> bytes:
    with path.open("rb") as file:
        data = file.read(max_bytes + 1)
    if len(data) > max_bytes:
        raise WireError(f"{path.name} is larger than {max_bytes} bytes")
    return data
