"""Clip manifests: signed descriptions of clips, independent of their container.

A leaf per GOP = SHA-256(GOP_TAG ‖ for each access unit: pts relative to the clip (8 bytes, 90
kHz, big endian), key flag (1 byte), count of NAL units (2 bytes), then each NAL unit without
its start code behind its length (4 bytes)). SPS and PPS count as any NAL unit. Container bytes
are never hashed, so fragmented MP4, plain MP4 and Annex B of one clip give one root. The root
is the Merkle tree hash of RFC 6962 section 2.1 over the leaves.

Sound has a tree of its own, so a release without it still verifies. It is AAC-LC, in units of
1,024 samples that follow each other without a gap from clip time -SOUND_UNIT_90K on: the first
only primes the decoder, the second begins with the first picture. A leaf per SPAN_UNITS =
SHA-256(SOUND_TAG ‖ for each unit: pts relative to the clip (8 bytes, 90 kHz, big endian, signed),
size (4 bytes), the raw data block without ADTS header).
"""

import hashlib
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Annotated, Literal

import msgspec

from firmware.protocol.encoding import (
    B64u,
    DeviceId,
    Digest,
    Document,
    Id,
    WallTimeMs,
    WireError,
    decode_canonical,
    unb64u,
)
from firmware.protocol.media.rotation import Rotation
from firmware.protocol.passkeys import verify_p256
from firmware.protocol.tlog.merkle import Tree, leaf_hash

GOP_TAG = b"doorward/gop/v1\x00"
SOUND_TAG = b"doorward/sound/v1\x00"
MANIFEST_TAG = b"doorward/clip/v1\x00"
MAX_MANIFEST_BYTES = 256 * 1024
SOUND_UNIT_90K = 1920
"""1,024 samples at 48 kHz, exactly."""
SPAN_UNITS = 48
"""1.024 s of sound: about a GOP."""
TICKS_PER_MS = 90
LONGEST_CLIP_90K = 600 * 90_000
"""No doorbell makes a longer one.

Settings allow 155 s. A press at its end wants another 120 s, and if the camera is silent until then
that silence counts twice: the last picture is taken to last as long as it was waited for.
"""
LONGEST_PRE_ROLL_90K = 60 * 90_000
"""Settings allow 32 s before a trigger."""
MAX_WITNESSED_BYTES = 4096
NO_MASK_DIGEST = hashlib.sha256(b"[]").hexdigest()


WitnessedText = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_WITNESSED_BYTES)]


class Gop(Document, frozen=True, kw_only=True):
    """One group of pictures: a key frame and all until the next."""

    first_pts_90k: Annotated[int, msgspec.Meta(ge=0)]
    unit_count: Annotated[int, msgspec.Meta(ge=1)]
    leaf: Digest


class SoundSpan(Document, frozen=True, kw_only=True):
    """SPAN_UNITS of sound; the last span of a clip may be shorter."""

    first_pts_90k: Annotated[int, msgspec.Meta(ge=-SOUND_UNIT_90K)]
    unit_count: Annotated[int, msgspec.Meta(ge=1, le=SPAN_UNITS)]
    leaf: Digest


class SoundTrack(Document, frozen=True, kw_only=True):
    """The sound of a clip. `lost_90k` of it is silence because the microphone gave nothing."""

    codec: Literal["aac-lc"] = "aac-lc"
    sample_rate_hz: Literal[48_000] = 48_000
    channels: Literal[1] = 1
    lost_90k: Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)]
    spans: Annotated[list[SoundSpan], msgspec.Meta(min_length=1, max_length=1000)]
    root: Digest


class Gaps(Document, frozen=True, kw_only=True):
    """How often a clip goes a quarter of a second or more without a picture, and how long at most.

    Counted where pictures came clearly faster before (firmware.capture.gaps).
    """

    count: Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)]
    longest_90k: Annotated[int, msgspec.Meta(ge=1, le=LONGEST_CLIP_90K)]


class ClipTrigger(Document, frozen=True, kw_only=True):
    """A trigger that started or prolonged the clip, and its time in it."""

    event_id: Id
    kind: Literal["pressed", "motion"]
    at_90k: Annotated[int, msgspec.Meta(ge=0)]


class ClipManifest(Document, frozen=True, kw_only=True):
    """The signed description of one clip; its SHA-256 is the clip's digest.

    `started_ms` is the wall time of the first access unit, as the doorbell's clock had it.
    `counter` rises by one a clip of this doorbell, so a missing one shows. `pre_roll_90k` is how
    much video there is before the first trigger. `ended` is "cut_short" where the recording was
    broken off; then `duration_90k` says where. `lost_units` were dropped for a slow card.
    `mask_digest` is SHA-256 over the privacy mask's canonical JSON (`NO_MASK_DIGEST`: none).
    `width` and `height` are of the coded pictures; `rotation` is by how many degrees clockwise they
    are turned to be shown, left out where they aren't. `mask_digest` is of the shown picture.
    `gaps` is left out where the camera skipped nothing that shows, `sound` where none was recorded.
    `witnessed` is the newest checkpoint of the public
    register that the doorbell knew when the clip began, with its cosignatures (a note as text): so
    the description wasn't made before witnesses signed that. It is left out where none was known.
    """

    v: Literal[1] = 1
    domain: Literal["doorward/clip/v1"] = "doorward/clip/v1"
    clip_id: Id
    device: DeviceId
    boot_id: Id
    counter: Annotated[int, msgspec.Meta(ge=1, le=2**53 - 1)]
    started_ms: WallTimeMs
    is_clock_trusted: bool
    duration_90k: Annotated[int, msgspec.Meta(ge=1)]
    width: Annotated[int, msgspec.Meta(ge=16, le=8192)]
    height: Annotated[int, msgspec.Meta(ge=16, le=8192)]
    pre_roll_90k: Annotated[int, msgspec.Meta(ge=0)]
    ended: Literal["complete", "cut_short"]
    lost_units: Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)]
    mask_digest: Digest
    triggers: Annotated[list[ClipTrigger], msgspec.Meta(min_length=1, max_length=100)]
    gops: Annotated[list[Gop], msgspec.Meta(min_length=1, max_length=1000)]
    video_root: Digest
    sound: SoundTrack | msgspec.UnsetType = msgspec.UNSET
    witnessed: WitnessedText | msgspec.UnsetType = msgspec.UNSET
    rotation: Literal[90, 180, 270] | msgspec.UnsetType = msgspec.UNSET
    gaps: Gaps | msgspec.UnsetType = msgspec.UNSET

    @property
    def picture_gaps(self) -> Gaps | None:
        """Return the gaps between pictures, or None if there are none."""
        return None if isinstance(self.gaps, msgspec.UnsetType) else self.gaps

    @property
    def shown_rotation(self) -> Rotation:
        """Return by how many degrees clockwise the pictures are turned to be shown."""
        return 0 if isinstance(self.rotation, msgspec.UnsetType) else self.rotation

    @property
    def shown_size(self) -> tuple[int, int]:
        """Return width and height of the pictures as they are shown."""
        is_upright = self.shown_rotation in (0, 180)
        return (self.width, self.height) if is_upright else (self.height, self.width)

    @property
    def sound_track(self) -> SoundTrack | None:
        """Return the description of the sound, or None where none was recorded."""
        return None if isinstance(self.sound, msgspec.UnsetType) else self.sound

    @property
    def witnessed_note(self) -> bytes | None:
        """Return the checkpoint that was known when the clip began, or None if none was."""
        return None if isinstance(self.witnessed, msgspec.UnsetType) else self.witnessed.encode()


class SignedManifest(Document, frozen=True, kw_only=True):
    """`manifest` is the canonical text, `signature` ECDSA P-256/SHA-256 (DER) by the doorbell.

    Signed is MANIFEST_TAG ‖ the canonical bytes.
    """

    manifest: Annotated[str, msgspec.Meta(max_length=MAX_MANIFEST_BYTES)]
    signature: B64u


class GopHasher:
    """Builds the leaves of one clip as its access units come; O(1) memory but for the leaves."""

    def __init__(self) -> None:
        self._gops: list[Gop] = []
        self._hash = hashlib.sha256()
        self._first_pts_90k = 0
        self._count = 0

    def add(self, pts_90k: int, is_key: bool, nal_units: Sequence[bytes]) -> None:
        """Add one access unit; `pts_90k` counts from the clip's first. The first must be a key."""
        if is_key:
            self._close()
            self._hash = hashlib.sha256(GOP_TAG)
            self._first_pts_90k = pts_90k
        elif self._count == 0 and not self._gops:
            raise WireError("a clip begins with a key frame")
        self._hash.update(pts_90k.to_bytes(8, "big"))
        self._hash.update(b"\x01" if is_key else b"\x00")
        self._hash.update(len(nal_units).to_bytes(2, "big"))
        for unit in nal_units:
            self._hash.update(len(unit).to_bytes(4, "big"))
            self._hash.update(unit)
        self._count += 1

    def finish(self) -> list[Gop]:
        """Close the last GOP and return all."""
        self._close()
        return self._gops

    def _close(self) -> None:
        if self._count:
            self._gops.append(
                Gop(
                    first_pts_90k=self._first_pts_90k,
                    unit_count=self._count,
                    leaf=self._hash.hexdigest(),
                )
            )
        self._count = 0


class SoundHasher:
    """Builds the leaves of one clip's sound as its units come."""

    def __init__(self) -> None:
        self._spans: list[SoundSpan] = []
        self._hash = hashlib.sha256(SOUND_TAG)
        self._first_pts_90k = 0
        self._count = 0

    def add(self, pts_90k: int, data: bytes) -> None:
        """Add one unit; `pts_90k` is relative to the clip."""
        if self._count == 0:
            self._first_pts_90k = pts_90k
        self._hash.update(pts_90k.to_bytes(8, "big", signed=True))
        self._hash.update(len(data).to_bytes(4, "big"))
        self._hash.update(data)
        self._count += 1
        if self._count == SPAN_UNITS:
            self._close()

    def finish(self, *, lost_90k: int) -> SoundTrack | None:
        """Close the last span and return the description, or None if there was no sound."""
        self._close()
        if not self._spans:
            return None
        root = merkle_root(span.leaf for span in self._spans)
        return SoundTrack(lost_90k=lost_90k, spans=self._spans, root=root)

    def _close(self) -> None:
        if self._count:
            self._spans.append(
                SoundSpan(
                    first_pts_90k=self._first_pts_90k,
                    unit_count=self._count,
                    leaf=self._hash.hexdigest(),
                )
            )
        self._hash = hashlib.sha256(SOUND_TAG)
        self._count = 0


def merkle_root(leaves: Iterable[str]) -> str:
    """Return the RFC 6962 tree hash over leaf data given in hexadecimal."""
    return Tree(leaf_hash(bytes.fromhex(leaf)) for leaf in leaves).root().hex()


def check_manifest(signed: SignedManifest, identity_spki: bytes) -> ClipManifest:
    """Return the manifest if the doorbell's key signed it and it agrees with itself."""
    text = signed.manifest.encode()
    if not verify_p256(identity_spki, unb64u(signed.signature), MANIFEST_TAG + text):
        raise WireError("the clip manifest isn't signed by this doorbell")
    manifest = decode_canonical(ClipManifest, text, max_bytes=MAX_MANIFEST_BYTES)
    if merkle_root(gop.leaf for gop in manifest.gops) != manifest.video_root:
        raise WireError("the clip manifest's root doesn't match its own leaves")
    sound = manifest.sound_track
    if sound is not None and merkle_root(span.leaf for span in sound.spans) != sound.root:
        raise WireError("the clip manifest's sound root doesn't match its own leaves")
    _check_times(manifest)
    return manifest


def _check_times(manifest: ClipManifest) -> None:
    """Raise WireError for times that no doorbell makes, but a thief of its key could.

    Gaps aren't bounded one by one: a slow card, or a camera that halts, may leave any.
    """
    if manifest.duration_90k > LONGEST_CLIP_90K:
        raise WireError("the clip manifest tells of a longer clip than a doorbell makes")
    if manifest.pre_roll_90k > LONGEST_PRE_ROLL_90K:
        raise WireError("the clip manifest tells of more before the first trigger than there is")
    borders = [*(gop.first_pts_90k for gop in manifest.gops), manifest.duration_90k]
    if any(begin >= end for begin, end in pairwise(borders)):
        raise WireError("the clip manifest's parts don't follow each other up to its end")
