"""A passkey in software that lies in one respect of an assertion; what it signs, it signs truly.

Each lie breaks one step of WebAuthn Level 3 section 7.2, and nothing but that step's check tells.
"""

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from firmware.protocol.passkeys import AssertionReason
from tests.story.authenticator import SoftPasskey

USER_PRESENT, USER_VERIFIED = 0x01, 0x04


@dataclass(frozen=True, slots=True, kw_only=True)
class Lie:
    """What is said instead of the truth; None or no member: the truth."""

    reason: AssertionReason
    """The check that must notice."""
    client_data: dict[str, Any] | None = None
    """Members of the client data that are replaced."""
    without: str | None = None
    """A member that is left out."""
    rp_id: str | None = None
    flags: int = USER_PRESENT | USER_VERIFIED
    flips_challenge: bool = False
    is_cut: bool = False
    """Whether the authenticator data ends before the counter."""


LIES: dict[str, Lie] = {
    "made at registration": Lie(reason="type", client_data={"type": "webauthn.create"}),
    "made for a payment": Lie(reason="type", client_data={"type": "payment.get"}),
    "no type": Lie(reason="type", without="type"),
    "another challenge": Lie(reason="challenge", flips_challenge=True),
    "no challenge": Lie(reason="challenge", without="challenge"),
    "on a look-alike": Lie(reason="origin", client_data={"origin": "https://owner.example.evil"}),
    "on another port": Lie(reason="origin", client_data={"origin": "https://owner.example:8443"}),
    "without TLS": Lie(reason="origin", client_data={"origin": "http://owner.example"}),
    "no origin": Lie(reason="origin", without="origin"),
    "in a frame": Lie(reason="cross_origin", client_data={"crossOrigin": True}),
    "in a frame, perhaps": Lie(reason="cross_origin", client_data={"crossOrigin": None}),
    "in a frame, as text": Lie(reason="cross_origin", client_data={"crossOrigin": "false"}),
    "for another site": Lie(reason="rp_id", rp_id="evil.example"),
    "for a wider site": Lie(reason="rp_id", rp_id="example"),
    "cut off": Lie(reason="rp_id", is_cut=True),
    "nobody touched it": Lie(reason="user_present", flags=USER_VERIFIED),
    "nobody was verified": Lie(reason="user_verified", flags=USER_PRESENT),
    "neither": Lie(reason="user_present", flags=0),
}


class LyingPasskey(SoftPasskey):
    """A passkey that tells one lie in whatever it signs."""

    lie: Lie

    @classmethod
    def of(cls, honest: SoftPasskey, lie: Lie) -> "LyingPasskey":
        """Return a passkey with the same key and id."""
        other = cls.load(honest.save())
        other.lie = lie
        return other

    def _client_data(self, kind: str, challenge: bytes) -> bytes:
        if self.lie.flips_challenge:
            challenge = challenge[:-1] + bytes([challenge[-1] ^ 1])
        told = json.loads(super()._client_data(kind, challenge)) | (self.lie.client_data or {})
        told.pop(self.lie.without or "", None)
        return json.dumps(told, separators=(",", ":")).encode()

    def _authenticator_data(self, flags: int) -> bytes:
        rp_id_hash = hashlib.sha256((self.lie.rp_id or self.key.rp_id).encode()).digest()
        others = flags & ~(USER_PRESENT | USER_VERIFIED)
        said = rp_id_hash + bytes([others | self.lie.flags]) + (0).to_bytes(4, "big")
        return said[:36] if self.lie.is_cut else said
