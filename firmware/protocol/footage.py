"""Clip manifests: what a clip is, independent of the container it lies in.

A leaf per GOP = SHA-256(GOP_TAG ‖ for each access unit: pts relative to the clip (8 bytes, 90
kHz, big endian), key flag (1 byte), count of NAL units (2 bytes), then each NAL unit without
its start code behind its length (4 bytes)). SPS and PPS count as any NAL unit. Container bytes
are never hashed, so fragmented MP4, plain MP4 and Annex B of one clip give one root. The root
is the Merkle tree hash of RFC 6962 section 2.1 over the leaves.
"""

import hashlib
from collections.abc import Iterable, Sequence
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
from firmware.protocol.passkeys import verify_p256

GOP_TAG = b"doorward/gop/v1\x00"
MANIFEST_TAG = b"doorward/clip/v1\x00"
MAX_MANIFEST_BYTES = 256 * 1024
NO_MASK_DIGEST = hashlib.sha256(b"[]").hexdigest()


class Gop(Document, frozen=True, kw_only=True):
    """One group of pictures: a key frame and all until the next."""

    first_pts_90k: Annotated[int, msgspec.Meta(ge=0)]
    unit_count: Annotated[int, msgspec.Meta(ge=1)]
    leaf: Digest


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


class SignedManifest(Document, frozen=True, kw_only=True):
    """`manifest` is the canonical text, `signature` ECDSA P-256/SHA-256 (DER) by the doorbell.

    Signed is MANIFEST_TAG ‖ the canonical bytes.
    """

    manifest: Annotated[str, msgspec.Meta(max_length=MAX_MANIFEST_BYTES)]
    signature: B64u


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


def merkle_root(leaves: Iterable[str]) -> str:
    """Return the RFC 6962 tree hash over leaf data given in hexadecimal."""
    level = [hashlib.sha256(b"\x00" + bytes.fromhex(leaf)).digest() for leaf in leaves]
    if not level:
        return hashlib.sha256(b"").hexdigest()
    while len(level) > 1:
        paired = [
            hashlib.sha256(b"\x01" + level[i] + level[i + 1]).digest()
            for i in range(0, len(level) - 1, 2)
        ]
        level = paired + ([level[-1]] if len(level) % 2 else [])
    return level[0].hex()


def check_manifest(signed: SignedManifest, identity_spki: bytes) -> ClipManifest:
    """Return the manifest if the doorbell's key signed it and it agrees with itself."""
    text = signed.manifest.encode()
    if not verify_p256(identity_spki, unb64u(signed.signature), MANIFEST_TAG + text):
        raise WireError("the clip manifest isn't signed by this doorbell")
    manifest = decode_canonical(ClipManifest, text, max_bytes=MAX_MANIFEST_BYTES)
    if merkle_root(gop.leaf for gop in manifest.gops) != manifest.video_root:
        raise WireError("the clip manifest's root doesn't match its own leaves")
    return manifest
