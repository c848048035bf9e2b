"""Builds and signs deletion records; their format is `firmware.protocol.deletions`."""

from collections.abc import Callable
from dataclasses import dataclass

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


SignDeletion = Callable[[Removal], SignedDeletion]


class DeletionSigner:
    """Signs the deletions of one doorbell; give `sign` to the library."""

    def __init__(self, sign: Callable[[bytes], bytes], device: str, clock: Clock) -> None:
        """`sign` is the identity key's: an ECDSA P-256 signature with SHA-256, in DER."""
        self._sign = sign
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
        signature = self._sign(DELETION_TAG + text)
        return SignedDeletion(deletion=text.decode(), signature=b64u(signature))
