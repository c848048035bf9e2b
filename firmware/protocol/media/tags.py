"""The tags of an exported MP4: when it was recorded, and its title.

They are for people and their photo libraries, and prove nothing: what is signed is the manifest.
Where the doorbell's clock wasn't set, or a date doesn't fit an MP4, they say no time. The owner's
name for the doorbell isn't among them, because the same tags go to an agency.
"""

from dataclasses import dataclass
from datetime import UTC, datetime

from firmware.protocol.footage import TICKS_PER_MS, ClipManifest

EPOCH_1904_S = 2_082_844_800
"""Seconds from 1904, where MP4 counts from (ISO/IEC 14496-12 8.2.2), to 1970."""
LAST_1904_S = 2**32 - 1
"""In February 2040; FFmpeg writes what comes later as a date in 1904."""
LAST_MS = 253_402_300_799_999


@dataclass(frozen=True, slots=True, kw_only=True)
class Tags:
    """What an exported MP4 says of itself; `created_s` counts from 1970, None: it isn't known."""

    created_s: int | None
    title: str

    @property
    def created_1904_s(self) -> int:
        """The time as an MP4 counts it; 0 says nothing."""
        return 0 if self.created_s is None else self.created_s + EPOCH_1904_S


UNTAGGED = Tags(created_s=None, title="")


def tags_of(*, device: str, started_ms: int, is_clock_trusted: bool, begin_90k: int = 0) -> Tags:
    """Return the tags of a recording, or of a part that begins at `begin_90k` of it.

    An empty `device` isn't named.
    """
    name = f"Doorbell {device[-4:]}".rstrip()
    begin_ms = started_ms + begin_90k // TICKS_PER_MS
    if not is_clock_trusted or not 0 <= begin_ms <= LAST_MS:
        return Tags(created_s=None, title=name)
    created_s = begin_ms // 1000
    moment = datetime.fromtimestamp(created_s, UTC)
    return Tags(
        created_s=created_s if created_s + EPOCH_1904_S <= LAST_1904_S else None,
        title=f"{name}, {moment:%Y-%m-%d %H:%M:%S} UTC",
    )


def tags_of_manifest(manifest: ClipManifest, first_gop: int = 0) -> Tags:
    """Return the tags of a clip, or of a part that begins with one of its GOPs."""
    return tags_of(
        device=manifest.device,
        started_ms=manifest.started_ms,
        is_clock_trusted=manifest.is_clock_trusted,
        begin_90k=manifest.gops[first_gop].first_pts_90k,
    )
