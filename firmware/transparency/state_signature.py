"""Signature of the doorbell's identity over a saved state of the register.

    length of the signature (1 byte) ‖ signature ‖ state

Storage can't show whether a state follows from its entries, so only a state that this very doorbell
signed is trusted. The state itself (firmware/protocol/register/saved_form.py) names its kind, log,
number of entries, root and code.

The tag is for this alone. Whatever else the identity signs (manifests, notes, answers, deletions,
contents) has a tag of its own before it, is a C2PA claim or a certificate request, or belongs to a
TLS handshake: none of them begins like this one, so nobody can have a state signed elsewhere.
"""

from typing import Protocol

from firmware.protocol.passkeys import verify_p256
from firmware.protocol.register.saved_form import MAX_SAVED_BYTES, SavedUnusable

VOUCH_TAG = b"doorward/saved-state/v1\x00"


class IdentitySigner(Protocol):
    """The doorbell's identity key."""

    @property
    def spki(self) -> bytes:
        """The public key as SubjectPublicKeyInfo (DER)."""
        ...

    def sign(self, data: bytes) -> bytes:
        """Return an ECDSA P-256 signature with SHA-256 over `data`, in DER."""
        ...


def sign_state(state: bytes, signer: IdentitySigner) -> bytes:
    """Return the state with the doorbell's signature, or raise SavedUnusable if it is too large."""
    signature = signer.sign(VOUCH_TAG + state)
    data = bytes([len(signature)]) + signature + state
    if len(data) > MAX_SAVED_BYTES:
        raise SavedUnusable(f"it has {len(data)} bytes, at most {MAX_SAVED_BYTES} are kept")
    return data


def verify_state(data: bytes, signer: IdentitySigner) -> bytes:
    """Return the state that this doorbell signed, or raise SavedUnusable."""
    end = 1 + int.from_bytes(data[:1])
    signature, state = data[1:end], data[end:]
    if not verify_p256(signer.spki, signature, VOUCH_TAG + state):
        raise SavedUnusable("it is damaged, or this doorbell didn't sign it")
    return state
