"""Clip manifests: what a clip is, independent of the container it lies in.

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

What was granted may be less than the clip. `part_within` says which whole GOPs and spans lie in
a range, the same on both sides; a released file holds these alone, and its times count from its
own first picture. `check_part` puts the offset back, so the leaves are those that were signed.
"""

import hashlib
from collections.abc import Iterable, Sequence
from typing import Annotated, Literal, Protocol

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
SOUND_SLACK_90K = 4
"""How far sound in a file may lie from its exact time: MP4 counts it in 1/48,000 s (44 µs)."""
TICKS_PER_MS = 90
MAX_NAL_UNITS = 0xFFFF
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


class ClipTrigger(Document, frozen=True, kw_only=True):
    """What started or prolonged the clip, and when in it."""

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
    `sound` is left out where none was recorded. `witnessed` is the newest checkpoint of the public
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


Provenance = Annotated[str, msgspec.Meta(pattern=r"^(c2pa|none: [ -~]{1,200})$")]


class ReleasedPart(Document, frozen=True, kw_only=True):
    """Which part of a clip a released file holds: `part-N.json`, also for a whole clip.

    The spans lie inside the pictures; `span_count` is 0 without sound. It isn't signed: the
    manifest and the grant give the same numbers (`part_within`), and the leaves prove them.
    `provenance` is "c2pa" if the file carries C2PA content credentials, else "none: " and why.
    `corrected_ms` is how much later the clip began than its manifest says, as the doorbell learnt
    once it knew the time; 0 for a clip that was recorded by a clock that was right.
    """

    v: Literal[1] = 1
    clip_id: Id
    first_gop: Annotated[int, msgspec.Meta(ge=0, le=999)]
    gop_count: Annotated[int, msgspec.Meta(ge=1, le=1000)]
    first_span: Annotated[int, msgspec.Meta(ge=0, le=1000)]
    span_count: Annotated[int, msgspec.Meta(ge=0, le=1000)]
    provenance: Provenance
    corrected_ms: Annotated[int, msgspec.Meta(ge=-(2**53 - 1), le=2**53 - 1)] = 0


class Picture(Protocol):
    """One access unit read from a file; `pts_90k` counts from the file's begin."""

    @property
    def pts_90k(self) -> int: ...

    @property
    def is_key(self) -> bool: ...

    @property
    def nal_units(self) -> list[bytes]: ...


class Sounding(Protocol):
    """One unit of sound read from a file; `pts_90k` counts from the file's begin."""

    @property
    def pts_90k(self) -> int: ...

    @property
    def data(self) -> bytes: ...


def split_annex_b(data: bytes | memoryview) -> list[bytes]:
    """Return the NAL units between the start codes (H.264 annex B.1), without them."""
    raw = bytes(data)
    units: list[bytes] = []
    begin = -1
    position = raw.find(b"\x00\x00\x01")
    if position < 0:
        raise WireError("no start code: not an Annex B access unit")
    while position >= 0:
        if begin >= 0:
            units.append(raw[begin:position].rstrip(b"\x00"))
        begin = position + 3
        position = raw.find(b"\x00\x00\x01", begin)
    units.append(raw[begin:].rstrip(b"\x00"))
    return [unit for unit in units if unit]


def split_length_prefixed(data: bytes | memoryview) -> list[bytes]:
    """Return the NAL units of one MP4 sample with 4-byte lengths (ISO/IEC 14496-15)."""
    raw = bytes(data)
    units: list[bytes] = []
    position = 0
    while position < len(raw):
        size = int.from_bytes(raw[position : position + 4], "big")
        unit = raw[position + 4 : position + 4 + size]
        if size == 0 or len(unit) != size:
            raise WireError("a NAL unit's length doesn't fit its sample")
        units.append(unit)
        position += 4 + size
    return units


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
    return manifest


def part_within(
    manifest: ClipManifest,
    *,
    from_ms: int,
    to_ms: int,
    with_sound: bool,
    provenance: str,
    corrected_ms: int = 0,
) -> ReleasedPart:
    """Return the whole GOPs between two wall times, and their sound; WireError if there is none.

    A range that reaches the clip's last millisecond reaches its end. Sound outside the pictures
    is left out, since no player would play it: spans are rounded inwards once more.
    """
    if manifest.is_clock_trusted and corrected_ms:
        raise WireError("a clip whose clock was right has no other time than its own")
    started_ms = manifest.started_ms + corrected_ms
    begin_90k = (from_ms - started_ms) * TICKS_PER_MS
    end_90k = (to_ms - started_ms) * TICKS_PER_MS
    is_to_end = end_90k >= manifest.duration_90k // TICKS_PER_MS * TICKS_PER_MS
    borders = [*(gop.first_pts_90k for gop in manifest.gops), manifest.duration_90k]
    gops = [
        number
        for number in range(len(manifest.gops))
        if borders[number] >= begin_90k
        and (borders[number + 1] <= end_90k or (is_to_end and number + 1 == len(manifest.gops)))
    ]
    if not gops:
        raise WireError("no whole group of pictures lies between these times; choose a longer part")
    spans = _spans_within(manifest, gops[0], gops[-1]) if with_sound else []
    return ReleasedPart(
        clip_id=manifest.clip_id,
        first_gop=gops[0],
        gop_count=len(gops),
        first_span=spans[0] if spans else 0,
        span_count=len(spans),
        provenance=provenance,
        corrected_ms=corrected_ms,
    )


def _spans_within(manifest: ClipManifest, first_gop: int, last_gop: int) -> list[int]:
    sound = manifest.sound_track
    if sound is None:
        return []
    is_to_end = last_gop + 1 == len(manifest.gops)
    begin_90k = manifest.gops[first_gop].first_pts_90k if first_gop else -SOUND_UNIT_90K
    end_90k = 0 if is_to_end else manifest.gops[last_gop + 1].first_pts_90k
    return [
        number
        for number, span in enumerate(sound.spans)
        if span.first_pts_90k >= begin_90k
        and (is_to_end or span.first_pts_90k + span.unit_count * SOUND_UNIT_90K <= end_90k)
    ]


def check_part(
    manifest: ClipManifest,
    part: ReleasedPart,
    pictures: Iterable[Picture],
    sound: Iterable[Sounding],
) -> None:
    """Return if a file holds exactly this part of the signed clip, at its times; else WireError."""
    signed = _signed_gops(manifest, part)
    offset_90k = signed[0].first_pts_90k
    hasher = GopHasher()
    for picture in pictures:
        nal_units = picture.nal_units
        if picture.pts_90k < 0 or len(nal_units) > MAX_NAL_UNITS:
            raise WireError("a picture lies before the file's begin, or is of too many pieces")
        hasher.add(picture.pts_90k + offset_90k, picture.is_key, nal_units)
    gops = hasher.finish()
    if gops != signed:
        same = (a == b for a, b in zip(gops, signed, strict=False))
        bad = next(
            (i for i, is_same in enumerate(same) if not is_same), min(len(gops), len(signed))
        )
        raise WireError(
            f"the pictures differ from what was signed, from part {part.first_gop + bad + 1} on"
        )
    _check_sound_part(manifest, part, sound, offset_90k)


def check_sound_part(manifest: ClipManifest, part: ReleasedPart, sound: Iterable[Sounding]) -> None:
    """The same for the sound alone, whatever the pictures are."""
    _check_sound_part(manifest, part, sound, _signed_gops(manifest, part)[0].first_pts_90k)


def _signed_gops(manifest: ClipManifest, part: ReleasedPart) -> list[Gop]:
    signed = manifest.gops[part.first_gop : part.first_gop + part.gop_count]
    if part.clip_id != manifest.clip_id or len(signed) != part.gop_count:
        raise WireError("the released part isn't one of this clip")
    return signed


def _check_sound_part(
    manifest: ClipManifest, part: ReleasedPart, sound: Iterable[Sounding], offset_90k: int
) -> None:
    units = list(sound)
    track = manifest.sound_track
    signed = track.spans[part.first_span :][: part.span_count] if track is not None else []
    if len(signed) != part.span_count:
        raise WireError("the released sound isn't of this clip")
    if not signed:
        if units:
            raise WireError("it has sound, which isn't part of what was released")
        return
    hasher = SoundHasher()
    due_90k = signed[0].first_pts_90k
    for unit in units:
        if abs(unit.pts_90k + offset_90k - due_90k) > SOUND_SLACK_90K:
            raise WireError("the sound lies at another time than was signed")
        hasher.add(due_90k, unit.data)
        due_90k += SOUND_UNIT_90K
    found = hasher.finish(lost_90k=0)
    if found is None or found.spans != signed:
        raise WireError("the sound differs from what was signed")
