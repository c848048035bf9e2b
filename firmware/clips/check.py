"""The consistency check of the clip library (`doorward-firmware clips check`).

Reads only. What recovery.py can put right says so.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from firmware.clips.library import Library
from firmware.clips.playback import ClipFile, examine
from firmware.clips.record import ClipRecord
from firmware.clips.thumbnail import Thumbnails
from firmware.errors import VaultError
from firmware.protocol.deletions import check_deletion
from firmware.protocol.encoding import WireError, sha256_hex
from firmware.protocol.footage import ClipManifest, check_manifest
from firmware.vault.sealed_file import Vault


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One inconsistency of the library."""

    clip_id: str
    """"" if it concerns no one clip."""
    text: str
    is_repairable: bool = False


class LibraryCheck:
    """Checks everything that a library and its folder hold."""

    def __init__(
        self, library: Library, vault: Vault, *, identity_spki: bytes, is_recording: bool
    ) -> None:
        """`is_recording`: a doorbell is running on it, so open clips are no fault."""
        self._library = library
        self._vault = vault
        self._thumbnails = Thumbnails(library, vault)
        self._identity_spki = identity_spki
        self._is_recording = is_recording

    def faults(self, on_progress: Callable[[int, int], None] = lambda *_: None) -> Iterator[Fault]:
        """Yield all faults; `on_progress` gets how many clips of how many were read."""
        for text in self._library.faults():
            yield Fault(clip_id="", text=f"the index is damaged: {text}")
        yield from self._folder_faults()
        if not self._is_recording:
            for start in self._library.open_starts():
                text = "was being recorded when the doorbell died"
                yield Fault(clip_id=start.clip_id, text=text, is_repairable=True)
        records = self._library.in_order()
        counters: set[int] = set()
        for number, record in enumerate(records, start=1):
            yield from self._clip_faults(record)
            if record.counter in counters:
                yield Fault(clip_id=record.clip_id, text=f"number {record.counter} comes twice")
            counters.add(record.counter)
            on_progress(number, len(records))
        yield from self._deletion_faults()

    def _folder_faults(self) -> Iterator[Fault]:
        known, deleted = self._library.clip_ids(), self._library.deleted_ids()
        for path in sorted(self._library.clips_dir.iterdir()):
            clip_id = path.stem
            if path.suffix not in (".clip", ".thumb"):
                yield Fault(clip_id="", text=f"{path.name} is none of the doorbell's files")
            elif clip_id not in known and not self._is_recording:
                text = f"{path.name} is there, but not in the index"
                if clip_id in deleted:
                    text = f"{path.name} was deleted, but is still there"
                yield Fault(clip_id=clip_id, text=text, is_repairable=True)

    def _clip_faults(self, record: ClipRecord) -> Iterator[Fault]:
        try:
            manifest = check_manifest(record.signed_manifest, self._identity_spki)
        except WireError as error:
            yield Fault(clip_id=record.clip_id, text=str(error))
            return
        try:
            found = examine(self._vault.open(record.path))
        except FileNotFoundError:
            if self._library.find(record.clip_id) is None:
                return  # retention was faster
            text = "its file is gone"
            yield Fault(clip_id=record.clip_id, text=text, is_repairable=not record.is_held)
            return
        except (OSError, VaultError) as error:
            yield Fault(clip_id=record.clip_id, text=f"can't be opened: {error}")
            return
        text = _disagreement(record, manifest, found)
        if text:
            yield Fault(clip_id=record.clip_id, text=text)
        elif not self._thumbnails.is_there(record) and not self._is_recording:
            yield Fault(clip_id=record.clip_id, text="has no thumbnail", is_repairable=True)

    def _deletion_faults(self) -> Iterator[Fault]:
        for signed in self._library.deletions():
            try:
                check_deletion(signed, self._identity_spki)
            except WireError as error:
                yield Fault(clip_id="", text=str(error))


def _disagreement(record: ClipRecord, manifest: ClipManifest, found: ClipFile) -> str:
    """Return in what a clip's file, row and manifest disagree, or ""."""
    if sha256_hex(record.signed_manifest.manifest.encode()) != record.manifest_digest:
        return "the index has another digest than its manifest"
    if manifest.clip_id != record.clip_id or manifest.counter != record.counter:
        return "its manifest is that of another clip"
    if found.end is None:
        return f"has no pictures that can be read: {found.damage or 'its file is empty'}"
    kept = len(found.end.gops)
    if found.end.gops != manifest.gops:
        place = next(
            (
                n
                for n in range(min(kept, len(manifest.gops)))
                if found.end.gops[n] != manifest.gops[n]
            ),
            min(kept, len(manifest.gops)),
        )
        at_s = manifest.gops[min(place, len(manifest.gops) - 1)].first_pts_90k / 90_000
        why = found.damage or "its pictures aren't those that were signed"
        return f"from {at_s:.1f} s on: {why}"
    if found.end.sound != manifest.sound_track:
        return "its sound isn't what was signed"
    if manifest.ended == "cut_short":
        return ""
    if found.damage:
        return found.damage
    if found.signed_manifest is None:
        return "its last record is missing"
    if found.signed_manifest.manifest != record.signed_manifest.manifest:
        return "its file holds another manifest than the index"
    return ""
