"""The interface of approvers' keys (R10b b), of both kinds: `key_file.py` and `fido_key.py`.

An approver's key signs as a passkey does (WebAuthn), but for a site that nobody can have: no page
can ask for it. What it signs is a `Confirm` of exactly one statement, for one doorbell.
"""

import secrets
from typing import Literal, Protocol

from firmware.protocol.decisions import Confirm
from firmware.protocol.encoding import b64u, new_id
from firmware.protocol.grants import STATEMENT_TAG, SignedStatement, Statement
from firmware.protocol.owner_codes import ApproverCode
from firmware.protocol.passkeys import Assertion, challenge

WORD_LIFE_MS = 10 * 60 * 1000
"""Longer than a statement waits, so never the reason why a word comes too late."""


class ApproverKey(Protocol):
    """One approver's key."""

    @property
    def code(self) -> ApproverCode:
        """Its public half, and what it is called."""
        ...

    def sign(self, challenge: bytes) -> Assertion:
        """Sign as a passkey does, or raise KeyRefused. May wait for a touch: not on a loop."""
        ...


def sign_confirmation(
    key: ApproverKey,
    *,
    device: str,
    statement_digest: str,
    answer: Literal["yes", "no"],
    now_ms: int,
) -> SignedStatement:
    """Return the key's word on exactly this statement of this doorbell."""
    text = Statement(
        device=device,
        nonce=new_id(),
        not_after_ms=now_ms + WORD_LIFE_MS,
        terms=Confirm(statement_digest=statement_digest, answer=answer),
    ).encode()
    return SignedStatement(
        statement=text.decode(), assertion=key.sign(challenge(STATEMENT_TAG, text))
    )


def new_credential_id() -> str:
    """Return a fresh credential id for a key that has none of its own."""
    return b64u(secrets.token_bytes(16))
