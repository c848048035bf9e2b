"""Builds and signs clip manifests: the doorbell's signed descriptions of clips.

The format and its checks are `firmware.protocol.footage`; the key comes in as a `Signer`.
"""

from typing import Protocol

import msgspec

from firmware.clips.record import ClipEnd, ClipStart
from firmware.protocol.encoding import b64u
from firmware.protocol.footage import MANIFEST_TAG, ClipManifest, SignedManifest, merkle_root


class Signer(Protocol):
    """The doorbell's identity key."""

    def sign(self, data: bytes) -> bytes:
        """Return an ECDSA P-256 signature with SHA-256 over `data`, in DER."""
        ...


class ManifestSigner:
    """Signs the manifests of one doorbell; give `sign` to the recorder."""

    def __init__(self, signer: Signer, device: str) -> None:
        self._signer = signer
        self._device = device

    def sign(self, start: ClipStart, end: ClipEnd) -> SignedManifest:
        """Return the signed manifest of a clip that has just ended."""
        text = self.build(start, end).encode()
        signature = self._signer.sign(MANIFEST_TAG + text)
        return SignedManifest(manifest=text.decode(), signature=b64u(signature))

    def build(self, start: ClipStart, end: ClipEnd) -> ClipManifest:
        """Return the manifest, unsigned."""
        return ClipManifest(
            clip_id=start.clip_id,
            device=self._device,
            boot_id=start.boot_id,
            counter=start.counter,
            started_ms=start.started_ms,
            is_clock_trusted=start.is_clock_trusted,
            duration_90k=end.duration_90k,
            width=start.width,
            height=start.height,
            pre_roll_90k=start.pre_roll_90k,
            ended=end.ended,
            lost_units=end.lost_units,
            mask_digest=start.mask_digest,
            triggers=start.triggers,
            gops=end.gops,
            video_root=merkle_root(gop.leaf for gop in end.gops),
            sound=end.sound or msgspec.UNSET,
            witnessed=start.witnessed or msgspec.UNSET,
            gaps=end.gaps or msgspec.UNSET,
            rotation=start.rotation or msgspec.UNSET,
        )
