"""Clips in a library without a camera: rows and small files that stand for recordings."""

from firmware.clips.record import ClipEnd, ClipRecord, ClipStart, Ended
from firmware.protocol.encoding import new_id
from firmware.protocol.footage import NO_MASK_DIGEST, ClipTrigger, Gop, SignedManifest
from tests.fakes.recording import Shelves

SIGNED = SignedManifest(manifest="{}", signature="AA")


def start_of(
    shelves: Shelves,
    started_ms: int,
    *,
    is_clock_trusted: bool = True,
    boot_id: str | None = None,
) -> ClipStart:
    """How a clip with one press after a second of pre-roll begins."""
    return ClipStart(
        clip_id=new_id(),
        boot_id=boot_id or shelves.boot_id,
        counter=shelves.library.next_counter(),
        started_ms=started_ms,
        is_clock_trusted=is_clock_trusted,
        clock_difference_ms=0,
        width=96,
        height=64,
        pre_roll_90k=90_000,
        mask_digest=NO_MASK_DIGEST,
        triggers=[ClipTrigger(event_id=new_id(), kind="pressed", at_90k=90_000)],
    )


def end_of(*, size_bytes: int = 100, ended: Ended = "complete") -> ClipEnd:
    """How one of ten seconds ends."""
    gop = Gop(first_pts_90k=0, unit_count=1, leaf="0" * 64)
    return ClipEnd(
        duration_90k=900_000, gops=[gop], ended=ended, lost_units=0, size_bytes=size_bytes
    )


def keep(
    shelves: Shelves,
    started_ms: int,
    *,
    size_bytes: int = 100,
    is_clock_trusted: bool = True,
    boot_id: str | None = None,
) -> ClipRecord:
    """Put a finished clip of ten seconds into the library; its file holds zeros."""
    start = start_of(shelves, started_ms, is_clock_trusted=is_clock_trusted, boot_id=boot_id)
    shelves.library.path_of(start.clip_id).write_bytes(bytes(size_bytes))
    end = end_of(size_bytes=size_bytes)
    return shelves.library.finish(start, end, shelves.manifest_signer.sign(start, end))
