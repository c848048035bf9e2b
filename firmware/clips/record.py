"""The records of a clip: at its start, at its end, and in the library.

Pure data. `ClipStart` is the first record of a clip's file, so that a clip whose recorder died
can still be described and signed; it is written again when a trigger prolongs the clip, and the
last one counts.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from firmware.capture.camera_output import TICKS_PER_S
from firmware.errors import VaultError
from firmware.protocol.encoding import Digest, Document, Id, WallTimeMs, WireError, decode
from firmware.protocol.footage import (
    MAX_MANIFEST_BYTES,
    ClipManifest,
    ClipTrigger,
    Gaps,
    Gop,
    SignedManifest,
    SoundTrack,
)
from firmware.protocol.media.rotation import Rotation

DEFAULT_FRAME_90K = 3000
"""How long a clip's only picture is taken to last."""

Ended = Literal["complete", "cut_short"]

Dating = Literal[
    "trusted",  # the clock was right when the clip began
    "unknown",  # it wasn't, and hasn't become right since
    "dated",  # it became right later in the same run of the doorbell: corrected by the difference
    "latest",  # it became right in a later run only: the clip is not younger than this
]
"""How a clip's wall time is known."""


class ClipStart(Document, frozen=True, kw_only=True):
    """A clip that is being recorded."""

    clip_id: Id
    boot_id: Id
    counter: int
    started_ms: WallTimeMs
    is_clock_trusted: bool
    clock_difference_ms: int | None = None
    """Wall time minus monotonic time when it began: what dates it once the clock is right."""
    width: int
    height: int
    rotation: Rotation = 0
    """By how many degrees clockwise the pictures are turned to be shown."""
    pre_roll_90k: int
    mask_digest: Digest
    triggers: list[ClipTrigger]
    witnessed: str | None = None
    """The newest checkpoint of the register that was known then, with its cosignatures."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipEnd:
    """The description of the recorded access units."""

    duration_90k: int
    gops: list[Gop]
    ended: Ended
    lost_units: int
    size_bytes: int
    sound: SoundTrack | None = None
    gaps: Gaps | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipRecord:
    """One finished clip in the library.

    `told_ms` is when it began as its manifest says; `started_ms` is the best that is known.
    """

    clip_id: str
    path: Path
    counter: int
    boot_id: str
    started_ms: int
    told_ms: int
    dating: Dating
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

    @property
    def corrected_ms(self) -> int:
        """The correction of its begin against its manifest; 0 if the clock was right."""
        return self.started_ms - self.told_ms


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageState:
    """The state of recording storage; `detail` is one sentence for the owner."""

    code: Literal["ok", "full", "slow", "failing", "no_key"]
    detail: str


class ClipSigner(Protocol):
    """Builds and signs the manifests of clips (`firmware.evidence.manifest.ManifestSigner`)."""

    def sign(self, start: ClipStart, end: ClipEnd) -> SignedManifest:
        """Return the signed manifest of a clip that has ended; may be called from any thread."""
        ...


def manifest_of(signed: SignedManifest) -> ClipManifest:
    """Return the manifest, which this doorbell signed itself; VaultError if it has another form."""
    try:
        return decode(ClipManifest, signed.manifest.encode(), max_bytes=MAX_MANIFEST_BYTES)
    except WireError as error:
        raise VaultError(f"a manifest of another form: {error}") from error


def ms_of(ticks_90k: int) -> int:
    """Return 90 kHz ticks as whole milliseconds."""
    return ticks_90k * 1000 // TICKS_PER_S
