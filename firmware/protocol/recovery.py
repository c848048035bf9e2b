"""The use of the printed recovery code: its signing key admits a new passkey after a loss.

What is signed names the doorbell and exactly the keys that the new owner's app revealed in this
pairing, so that it is good for nothing else, and once.
"""

from typing import Annotated, Literal

import msgspec

from firmware.protocol.decisions import RecoveryKeys
from firmware.protocol.encoding import (
    DeviceId,
    Digest,
    Document,
    ShortB64u,
    WireError,
    b64u,
    decode_canonical,
    unb64u,
)
from firmware.protocol.pairing import PairingReveal
from firmware.protocol.passkeys import verify_p256

RECOVERY_TAG = b"doorward/recovery/v1\x00"
USE_PREFIX = "DWU1:"


class RecoveryUse(Document, frozen=True, kw_only=True):
    """The admission of the person of this pairing as an owner of this doorbell."""

    v: Literal[1] = 1
    domain: Literal["doorward/recovery/v1"] = "doorward/recovery/v1"
    device: DeviceId
    reveal_digest: Digest
    """Of the `pairing.PairingReveal` to which the code committed that the camera read."""


class SignedRecoveryUse(Document, frozen=True, kw_only=True):
    """`use` is the canonical text; the recovery signing key signs RECOVERY_TAG ‖ it (DER)."""

    use: Annotated[str, msgspec.Meta(max_length=512)]
    signature: ShortB64u


def recovery_use_text(signed: SignedRecoveryUse) -> str:
    """Return the text that is sent instead of the words, by a program that signed itself."""
    return USE_PREFIX + b64u(signed.encode())


def is_recovery_use_text(text: str) -> bool:
    """Return whether a text is meant to be one, rather than words."""
    return text.strip().startswith(USE_PREFIX)


def parse_recovery_use_text(text: str) -> SignedRecoveryUse:
    """Parse one, or raise WireError; nothing is checked yet."""
    encoded = text.strip().removeprefix(USE_PREFIX)
    return decode_canonical(SignedRecoveryUse, unb64u(encoded), max_bytes=2048)


def recovery_message(use: RecoveryUse) -> bytes:
    """Return the bytes that are signed."""
    return RECOVERY_TAG + use.encode()


def check_recovery_use(
    signed: SignedRecoveryUse, keys: RecoveryKeys, *, device: str, reveal: PairingReveal
) -> None:
    """Raise WireError unless the recovery key signed exactly this pairing of this doorbell."""
    text = signed.use.encode()
    if not verify_p256(unb64u(keys.signing_key), unb64u(signed.signature), RECOVERY_TAG + text):
        raise WireError("not signed by the recovery key that counts here")
    use = decode_canonical(RecoveryUse, text)
    if use.device != device:
        raise WireError("signed for another doorbell")
    if use.reveal_digest != reveal.digest():
        raise WireError("signed for another pairing")
