"""Clips whose recorder died: what is readable of them is kept, described and signed.

Runs once at start, before the recorder. Such a clip says `cut_short` in its manifest.
"""

import logging

from firmware.clips.library import Library
from firmware.clips.mp4 import UnreadableClip, keep_whole_fragments, read_units
from firmware.clips.record import ClipEnd, ClipRecord, ClipStart, SignManifest
from firmware.protocol.footage import GopHasher

log = logging.getLogger(__name__)

_DEFAULT_FRAME_90K = 3000


def close_open_clips(library: Library, sign_manifest: SignManifest) -> list[ClipRecord]:
    """Finish every clip that was open when the process died; return those with video in them."""
    records = []
    for start in library.open_starts():
        record = close_cut_short(library, start, sign_manifest)
        if record is not None:
            records.append(record)
    for gone in [clip for clip in library.finished() if not clip.path.exists()]:
        log.warning("clip %s: its file is gone; forgotten", gone.clip_id)
        library.remove(gone.clip_id)
    return records


def close_cut_short(
    library: Library, start: ClipStart, sign_manifest: SignManifest
) -> ClipRecord | None:
    """Finish one open clip with what is on the disk; None if that is nothing."""
    try:
        end = _readable_part(library, start)
    except (UnreadableClip, FileNotFoundError) as error:
        log.info("clip %s held no whole fragment: %s", start.clip_id, error)
        library.remove(start.clip_id)
        return None
    log.info("clip %s was cut short; %d ms kept", start.clip_id, end.duration_90k // 90)
    return library.finish(start.clip_id, end, sign_manifest(start, end))


def _readable_part(library: Library, start: ClipStart) -> ClipEnd:
    path = library.path_of(start.clip_id)
    size_bytes = keep_whole_fragments(path)
    hasher = GopHasher()
    last_pts_90k = 0
    frame_90k = _DEFAULT_FRAME_90K
    for unit in read_units(path):
        hasher.add(unit.pts_90k, unit.is_key, unit.nal_units)
        if unit.pts_90k > 0:
            frame_90k = unit.pts_90k - last_pts_90k
        last_pts_90k = unit.pts_90k
    gops = hasher.finish()
    if not gops:
        raise UnreadableClip(path, "no whole fragment in it")
    return ClipEnd(
        duration_90k=last_pts_90k + frame_90k,
        gops=gops,
        ended="cut_short",
        size_bytes=size_bytes,
    )
