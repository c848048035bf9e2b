"""The migration of Doorward 0.1's clips (plain fragmented MP4), sealed at the first start.

Each clip goes through four steps, and a crash after any of them is made good at the next start:
a sealed file with a manifest of today's form, synced; the row; the old file's removal. The new
manifest has another digest, so the clip is told to its owner again. Footage that isn't what the
old manifest says is not vouched for anew: its row goes, its file is left where it is.
"""

import io
import json
import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from firmware.clips.fragment import ClipUnit, encode_fragment
from firmware.clips.library import Library
from firmware.clips.mp4 import UnreadableClip, read_units
from firmware.clips.playback import Footage, examine
from firmware.clips.record import ClipEnd, ClipSigner, ClipStart
from firmware.errors import VaultError
from firmware.protocol.encoding import WireError
from firmware.protocol.footage import SignedManifest
from firmware.vault.sealed_file import Kind, Vault

log = logging.getLogger(__name__)

FRAGMENT_90K = 36_000


def seal_old_clips(library: Library, vault: Vault, signer: ClipSigner) -> int:
    """Seal every old clip that has a row; return how many were sealed."""
    old = sorted(library.clips_dir.glob("*.mp4"))
    sealed_count = 0
    for number, path in enumerate(old, start=1):
        try:
            sealed_count += _seal(library, vault, path, signer)
        except (OSError, VaultError):
            log.exception("%s can't be sealed yet; the next start tries again", path.name)
        if number % 50 == 0:
            log.info("sealed %d of %d old clips", number, len(old))
    return sealed_count


def _seal(library: Library, vault: Vault, path: Path, signer: ClipSigner) -> bool:
    start = library.start_of(path.stem)
    if start is None:
        log.warning("%s has no row in the library; it is left alone", path.name)
        return False
    try:
        units = list(read_units(io.BytesIO(_whole_fragments(path)), name=path))
        old = library.find(start.clip_id)
        end = _described(units, is_cut_short=old is None or old.is_cut_short)
    except (UnreadableClip, WireError) as error:
        log.warning("an old clip can't be read and is forgotten: %s", error)
        library.remove([start.clip_id], "unreadable")
        return False
    if old is not None and [gop.leaf for gop in end.gops] != _leaves(old.signed_manifest):
        log.error("%s isn't what its manifest says; it is forgotten, its file left", path.name)
        library.remove([start.clip_id], "unreadable")
        return False
    end, signed = _sealed(library, vault, start, end, units, signer)
    library.replace(start, end, signed)
    path.unlink()
    return True


def _sealed(
    library: Library,
    vault: Vault,
    start: ClipStart,
    end: ClipEnd,
    units: list[ClipUnit],
    signer: ClipSigner,
) -> tuple[ClipEnd, SignedManifest]:
    path = library.path_of(start.clip_id)
    if path.exists():  # from a start that was broken off: never appended to
        path.unlink()
    signed = signer.sign(start, end)
    file = vault.create(path, start.clip_id)
    try:
        file.append(Kind.START, start.encode())
        for fragment in _fragments(units):
            file.append(Kind.FRAGMENT, encode_fragment(fragment))
        file.append(Kind.END, signed.encode())
        file.sync()
    finally:
        file.close()
    found = examine(vault.open(path)).end
    if found is None or found.gops != end.gops:
        raise VaultError(f"{path.name} isn't what was sealed")
    return replace(end, size_bytes=found.size_bytes), signed


def _described(units: list[ClipUnit], *, is_cut_short: bool) -> ClipEnd:
    footage = Footage()
    for unit in units:
        footage.add(unit)
    ended = footage.end(
        ended="cut_short" if is_cut_short else "complete", lost_units=0, size_bytes=0
    )
    if ended is None:
        raise WireError("no picture in it")
    return ended


def _fragments(units: list[ClipUnit]) -> Iterator[list[ClipUnit]]:
    fragment: list[ClipUnit] = []
    for unit in units:
        fragment.append(unit)
        if unit.pts_90k - fragment[0].pts_90k >= FRAGMENT_90K:
            yield fragment
            fragment = []
    if fragment:
        yield fragment


def _leaves(signed: SignedManifest) -> list[str]:
    """Return the leaves of a manifest of the old form, which `ClipManifest` doesn't parse."""
    return [gop["leaf"] for gop in json.loads(signed.manifest)["gops"]]


def _whole_fragments(path: Path) -> bytes:
    """Return the file without the fragment that a killed process left half written."""
    data = path.read_bytes()
    end = position = 0
    while position + 8 <= len(data):
        box_bytes = int.from_bytes(data[position : position + 4], "big")
        if box_bytes < 8 or position + box_bytes > len(data):
            break
        if data[position + 4 : position + 8] != b"moof":
            end = position + box_bytes
        position += box_bytes
    return data[:end]
