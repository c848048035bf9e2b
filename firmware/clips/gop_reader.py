"""A reader of a clip's GOPs, each verified against the clip's manifest before it is shown.

Somebody who can write to storage may swap files; as with plain MP4, nothing leaves that its
manifest doesn't describe. Reading goes from the clip's beginning, since that is how it is sealed.
"""

from collections.abc import Iterator, Sequence

from firmware.clips.fragment import ClipUnit
from firmware.clips.playback import Playback
from firmware.clips.record import ClipRecord, manifest_of
from firmware.errors import VaultError
from firmware.protocol.footage import Gop, GopHasher


def begin_90k(record: ClipRecord, from_90k: int) -> int:
    """Return the pts of the last key frame at or before `from_90k`."""
    firsts = [gop.first_pts_90k for gop in manifest_of(record.signed_manifest).gops]
    return max((first for first in firsts if first <= from_90k), default=firsts[0])


def gops_from(
    playback: Playback, record: ClipRecord, first_pts_90k: int
) -> Iterator[Sequence[ClipUnit]]:
    """Yield the GOPs from the one that begins there; VaultError where one isn't the manifest's."""
    said = {gop.first_pts_90k: gop for gop in manifest_of(record.signed_manifest).gops}
    gop: list[ClipUnit] = []
    for unit in playback.units(record):
        if unit.is_key and gop:
            yield _checked(gop, said)
            gop = []
        if gop or (unit.is_key and unit.pts_90k >= first_pts_90k):
            gop.append(unit)
    if gop:
        yield _checked(gop, said)


def _checked(gop: list[ClipUnit], said: dict[int, Gop]) -> Sequence[ClipUnit]:
    hasher = GopHasher()
    for unit in gop:
        hasher.add(unit.pts_90k, unit.is_key, unit.nal_units)
    if hasher.finish() != [said.get(gop[0].pts_90k)]:
        raise VaultError(f"the pictures from {gop[0].pts_90k} on aren't what the manifest says")
    return gop
