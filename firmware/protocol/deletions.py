"""Deletion records: the doorbell's signed statement that a clip is gone, when and why.

A clip's counter that is missing from the library, and in no deletion record either, was taken
away by somebody else, or its file could never be made. Signed is DELETION_TAG ‖ the canonical
bytes.
"""

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

DELETION_TAG = b"doorward/deletion/v1\x00"
MAX_DELETION_BYTES = 4096

DeletionReason = Literal[
    "age",  # older than the owner keeps clips
    "space",  # the oldest, when the card or the owner's limit was full
    "owner",  # the owner wanted it
    "unreadable",  # nothing of it could be read
]


class Deletion(Document, frozen=True, kw_only=True):
    """One clip that is gone; `manifest_digest` is None for one that never had a manifest."""

    v: Literal[1] = 1
    domain: Literal["doorward/deletion/v1"] = "doorward/deletion/v1"
    device: DeviceId
    clip_id: Id
    manifest_digest: Digest | None
    counter: Annotated[int, msgspec.Meta(ge=1, le=2**53 - 1)]
    deleted_ms: WallTimeMs
    is_clock_trusted: bool
    why: DeletionReason


class SignedDeletion(Document, frozen=True, kw_only=True):
    """`deletion` is the canonical text, `signature` ECDSA P-256/SHA-256 (DER) by the doorbell."""

    deletion: Annotated[str, msgspec.Meta(max_length=MAX_DELETION_BYTES)]
    signature: B64u


def check_deletion(signed: SignedDeletion, identity_spki: bytes) -> Deletion:
    """Return the record if the doorbell's key signed it, or raise WireError."""
    text = signed.deletion.encode()
    if not verify_p256(identity_spki, unb64u(signed.signature), DELETION_TAG + text):
        raise WireError("the deletion record isn't signed by this doorbell")
    return decode_canonical(Deletion, text, max_bytes=MAX_DELETION_BYTES)
