"""Signature of the doorbell's identity over the SHA-256 of a saved state of the register.

    length of the signature (1 byte) ‖ signature ‖ state

Storage can't show whether a state follows from its entries, so only a state that this very doorbell
signed is trusted. The state itself (firmware/protocol/register/saved_form.py) names its kind, log,
number of entries, root and code.

The tag is for this alone. Whatever else the identity signs (manifests, notes, answers, deletions,
contents) has a tag of its own before it, is a C2PA claim or a certificate request, or belongs to a
TLS handshake: none of them begins like this one, so nobody can have a state signed elsewhere.
"""

import hashlib
from collections.abc import Sequence
from typing import Protocol

from firmware.protocol.passkeys import verify_p256
from firmware.protocol.register.saved_form import SavedUnusable
from firmware.transparency.memory_limits import MAX_STATE_BYTES

VOUCH_TAG = b"doorward/saved-state/v2\x00"


class IdentitySigner(Protocol):
    """The doorbell's identity key."""

    @property
    def spki(self) -> bytes:
        """The public key as SubjectPublicKeyInfo (DER)."""
        ...

    def sign(self, data: bytes) -> bytes:
        """Return an ECDSA P-256 signature with SHA-256 over `data`, in DER."""
        ...


def sign_state(state: Sequence[bytes], signer: IdentitySigner) -> list[bytes]:
    """Return a state, given in pieces, with the doorbell's signature before it.

    Raises SavedUnusable if it is too large.
    """
    signature = signer.sign(VOUCH_TAG + _digest_of(state))
    pieces = [bytes([len(signature)]), signature, *state]
    size = sum(map(len, pieces))
    if size > MAX_STATE_BYTES:
        raise SavedUnusable(f"it has {size} bytes, at most {MAX_STATE_BYTES} are kept")
    return pieces


def verify_state(data: bytes, signer: IdentitySigner) -> memoryview:
    """Return the state that this doorbell signed, or raise SavedUnusable."""
    end = 1 + int.from_bytes(data[:1])
    signature, state = data[1:end], memoryview(data)[end:]
    if not verify_p256(signer.spki, signature, VOUCH_TAG + _digest_of([state])):
        raise SavedUnusable("it is damaged, or this doorbell didn't sign it")
    return state


def _digest_of(pieces: Sequence[bytes | memoryview]) -> bytes:
    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(piece)
    return digest.digest()
