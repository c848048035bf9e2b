"""What is known of a clip while it is recorded, when it ends, and when it lies in the library.

Pure data. `ClipStart` is stored when the recording begins, so that a clip whose recorder died
can still be described and signed.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from firmware.capture.packets import TICKS_PER_S
from firmware.protocol.encoding import Document, Id, WallTimeMs
from firmware.protocol.footage import ClipTrigger, Gop, SignedManifest

Ended = Literal["complete", "cut_short"]


class ClipStart(Document, frozen=True, kw_only=True):
    """A clip that is being recorded."""

    clip_id: Id
    boot_id: Id
    started_ms: WallTimeMs
    is_clock_trusted: bool
    width: int
    height: int
    pre_roll_90k: int
    triggers: list[ClipTrigger]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipEnd:
    """What the recorded access units turned out to be."""

    duration_90k: int
    gops: list[Gop]
    ended: Ended
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipRecord:
    """One finished clip in the library."""

    clip_id: str
    path: Path
    started_ms: int
    duration_ms: int
    pre_roll_ms: int
    size_bytes: int
    is_cut_short: bool
    is_held: bool
    trigger_event_id: str
    manifest_digest: str
    signed_manifest: SignedManifest

    @property
    def ended_ms(self) -> int:
        """The wall time of the clip's last moment."""
        return self.started_ms + self.duration_ms


SignManifest = Callable[[ClipStart, ClipEnd], SignedManifest]
"""Builds and signs the manifest of a clip (firmware.evidence.manifest does)."""


def ms_of(ticks_90k: int) -> int:
    """Return 90 kHz ticks as whole milliseconds."""
    return ticks_90k * 1000 // TICKS_PER_S
