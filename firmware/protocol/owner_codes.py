"""Codes that an owner pastes into their app from `doorward approve` and `recovery`: public keys.

The text is a prefix and base64url of a canonical document; six words over the same keys
(protocol/pairing.py) stand beside it, in the app and on the doorbell's own page.
"""

from firmware.protocol.decisions import RecoveryKeys
from firmware.protocol.encoding import (
    Document,
    Line,
    WireError,
    b64u,
    decode_canonical,
    unb64u,
)
from firmware.protocol.passkeys import PasskeyKey, load_p256
from firmware.protocol.sealing import seal_to

APPROVER_PREFIX = "DWA1:"
RECOVERY_PREFIX = "DWR1:"
MAX_CODE_CHARS = 2048

APPROVER_RP_ID = "approve.doorward.invalid"
"""No site has this name (RFC 6761), so no page can ever ask an approver's key to sign."""
APPROVER_ORIGIN = f"https://{APPROVER_RP_ID}"


class ApproverCode(Document, frozen=True, kw_only=True):
    """The code of an approver key: its public half and its name."""

    name: Line
    key: PasskeyKey


def approver_code_text(code: ApproverCode) -> str:
    """Return the text for the owner's app."""
    return APPROVER_PREFIX + b64u(code.encode())


def parse_approver_code(text: str) -> ApproverCode:
    """Parse a pasted text, or raise WireError."""
    code = decode_canonical(ApproverCode, _pasted(text, APPROVER_PREFIX))
    load_p256(unb64u(code.key.public_key))
    return code


def recovery_code_text(keys: RecoveryKeys) -> str:
    """Return the text for the owner's app."""
    return RECOVERY_PREFIX + b64u(keys.encode())


def parse_recovery_code(text: str) -> RecoveryKeys:
    """Parse a pasted text, or raise WireError."""
    keys = decode_canonical(RecoveryKeys, _pasted(text, RECOVERY_PREFIX))
    seal_to(unb64u(keys.sealing_key), b"", b"")
    load_p256(unb64u(keys.signing_key))
    return keys


def _pasted(text: str, prefix: str) -> bytes:
    joined = "".join(text.split())
    if len(joined) > MAX_CODE_CHARS or not joined.startswith(prefix):
        raise WireError(f"the code begins with {prefix}")
    return unb64u(joined.removeprefix(prefix))
