"""Builds and signs deletion records; their format is `firmware.protocol.deletions`."""

from dataclasses import dataclass
from typing import Protocol

from firmware.protocol.deletions import DELETION_TAG, Deletion, DeletionReason, SignedDeletion
from firmware.protocol.encoding import b64u
from firmware.system.clock import Clock


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal:
    """A clip that is to be removed."""

    clip_id: str
    manifest_digest: str | None
    counter: int
    why: DeletionReason


class Signer(Protocol):
    """The doorbell's identity key."""

    def sign(self, data: bytes) -> bytes:
        """Return an ECDSA P-256 signature with SHA-256, in DER."""
        ...


class DeletionSigner:
    """Signs the deletions of one doorbell."""

    def __init__(self, signer: Signer, device: str, clock: Clock) -> None:
        self._signer = signer
        self._device = device
        self._clock = clock

    def sign(self, removal: Removal) -> SignedDeletion:
        """Return the signed record of a removal that happens now."""
        text = Deletion(
            device=self._device,
            clip_id=removal.clip_id,
            manifest_digest=removal.manifest_digest,
            counter=removal.counter,
            deleted_ms=self._clock.wall_ms(),
            is_clock_trusted=self._clock.is_trusted(),
            why=removal.why,
        ).encode()
        signature = self._signer.sign(DELETION_TAG + text)
        return SignedDeletion(deletion=text.decode(), signature=b64u(signature))
