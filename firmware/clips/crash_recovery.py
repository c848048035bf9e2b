"""Recovery at start: finishes clips that a crash cut short and makes index and files agree.

Runs at start, before the recorder, and for `clips check --repair`. Nothing is ever appended to
a clip's file, nor is it cut: a torn end is passed over by whoever reads it. A file with its last
record is whole, whatever its row says; one without is closed by a manifest that says
`cut_short` and where. If a file is damaged in its middle, what is before the damage is kept.
"""

import logging
import os

from firmware.clips.library import Library
from firmware.clips.playback import ClipFile, examine
from firmware.clips.record import ClipEnd, ClipRecord, ClipSigner, ClipStart, manifest_of
from firmware.errors import VaultError
from firmware.system.durable_files import sync_file, sync_folder
from firmware.vault.sealed_file import MAGIC, Vault, open_plain

log = logging.getLogger(__name__)


def close_open_clips(library: Library, vault: Vault, signer: ClipSigner) -> list[ClipRecord]:
    """Finish what was open when the process died and adopt files without a row.

    Returns the clips that were finished by this, with video in them.
    """
    records = []
    for start in [*library.open_starts(), *_without_row(library, vault)]:
        try:
            record = close_cut_short(library, vault, start, signer)
        except (OSError, VaultError) as error:
            log.error("clip %s can't be read now and stays open: %s", start.clip_id, error)
            continue
        if record is not None:
            records.append(record)
    _forget_what_is_gone(library)
    _remove_stray_pictures(library)
    return records


def close_cut_short(
    library: Library,
    vault: Vault,
    start: ClipStart,
    signer: ClipSigner,
    *,
    lost_units: int = 0,
) -> ClipRecord | None:
    """Finish one open clip with what is in its file; None if that is no picture at all.

    `lost_units` is how many are known to be missing from it. Raises VaultError if the file was
    sealed under another storage key: it is left alone.
    """
    path = library.path_of(start.clip_id)
    try:
        found = examine(vault.open(path), lost_units=lost_units)
    except (FileNotFoundError, VaultError) as error:
        if not _is_torn_header(library, start.clip_id):
            raise
        log.info("clip %s held nothing yet: %s", start.clip_id, error)
        _forget(library, start)
        return None
    if found.start is not None and found.start.clip_id != start.clip_id:
        raise VaultError(f"{path.name} holds clip {found.start.clip_id}")
    if found.end is None:
        log.info("clip %s held no whole fragment", start.clip_id)
        _forget(library, start)
        return None
    if found.damage:
        log.warning(
            "clip %s is damaged; what is before it is kept: %s", start.clip_id, found.damage
        )
    sync_file(path)  # the dead may have left it in memory only: what is signed must be there
    return _finish(library, found.start or start, found, found.end, signer)


def _finish(
    library: Library,
    start: ClipStart,
    found: ClipFile,
    end: ClipEnd,
    signer: ClipSigner,
) -> ClipRecord:
    signed = found.signed_manifest
    if signed is not None and not found.damage:
        manifest = manifest_of(signed)
        is_same = (manifest.gops, manifest.sound_track) == (end.gops, end.sound)
        if manifest.clip_id != start.clip_id or not is_same:
            raise VaultError(f"the file of clip {start.clip_id} isn't what its manifest says")
        end = ClipEnd(
            duration_90k=manifest.duration_90k,
            gops=manifest.gops,
            ended=manifest.ended,
            lost_units=manifest.lost_units,
            size_bytes=end.size_bytes,
            sound=manifest.sound_track,
            gaps=manifest.picture_gaps,
        )
    else:
        signed = signer.sign(start, end)
        log.info("clip %s was cut short; %d ms kept", start.clip_id, end.duration_90k // 90)
    return library.finish(start, end, signed)


def _forget_what_is_gone(library: Library) -> None:
    """Remove rows without files. Held clips keep theirs: the folder may only be missing for now."""
    gone = [clip.clip_id for clip in library.in_order() if not clip.path.exists()]
    if gone:
        log.warning("the files of these clips are gone: %s", ", ".join(gone))
        library.remove(gone, "unreadable")


def _without_row(library: Library, vault: Vault) -> list[ClipStart]:
    """Return the starts of the files without a row; delete those that were to be removed."""
    known, deleted = library.clip_ids(), library.deleted_ids()
    found = []
    for path in sorted(library.clips_dir.glob("*.clip")):
        clip_id = path.stem
        if clip_id in known:
            continue
        try:
            if clip_id in deleted or _is_torn_header(library, clip_id):
                path.unlink()
                continue
            start = examine(vault.open(path)).start
        except (OSError, VaultError) as error:
            log.warning("a clip without a row can't be opened and is left alone: %s", error)
            continue
        if start is None:
            log.info("clip %s held nothing yet", clip_id)
            path.unlink()
            continue
        if start.clip_id != clip_id:
            log.warning("%s holds clip %s; it is left alone", path.name, start.clip_id)
            continue
        found.append(start)
    return sorted(found, key=lambda start: start.counter)


def _forget(library: Library, start: ClipStart) -> None:
    library.save_open(start)
    library.remove([start.clip_id], "unreadable")


def _is_torn_header(library: Library, clip_id: str) -> bool:
    """Return whether the process died before the file's header was written (or the file made)."""
    library.clips_dir.stat()  # a folder that is gone (storage pulled out) is another matter
    try:
        with open_plain(library.path_of(clip_id)) as file:
            data = file.read(len(MAGIC) + 4)
            size = file.seek(0, os.SEEK_END)
    except FileNotFoundError:
        return True
    if not MAGIC.startswith(data[: len(MAGIC)]):
        return False
    return size < len(MAGIC) + 4 or size < len(MAGIC) + 4 + int.from_bytes(data[-4:], "big")


def _remove_stray_pictures(library: Library) -> None:
    known = library.clip_ids()
    stray = [path for path in library.clips_dir.glob("*.thumb") if path.stem not in known]
    for path in stray:
        path.unlink()
    if stray:
        sync_folder(library.clips_dir)
