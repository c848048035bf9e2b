"""Owner statements: what an owner decides, signed by passkey and sealed to the doorbell.

A statement is canonical JSON with a domain tag, device, nonce and not-after. The passkey's
challenge is SHA-256 over it, so an ordinary login can never be one. Types say how far it was
checked: `SignedStatement` (parsed), then in firmware.consent `Grant`, then `Release`.
"""

from typing import Annotated, Literal

import msgspec

from firmware.protocol.browsers import BrowserId, BrowserKeys, check_browser_keys
from firmware.protocol.encoding import (
    AgencyId,
    B64u,
    DeviceId,
    Digest,
    Document,
    Id,
    Line,
    WallTimeMs,
    unb64u,
)
from firmware.protocol.passkeys import Assertion, PasskeyKey, load_p256

STATEMENT_TAG = b"doorward/statement/v1"
SEAL_INFO = b"doorward/sealed-statement/v1"
MAX_GRANT_LIFE_MS = 24 * 3600 * 1000


class ClipRange(Document, frozen=True, kw_only=True):
    """One clip that is given, whole: from its first to its last moment."""

    clip_id: Id
    manifest_digest: Digest
    from_ms: WallTimeMs
    to_ms: WallTimeMs


class Recipient(Document, frozen=True, kw_only=True):
    """The agency and those of its sealing keys (raw X25519) that will open the package."""

    agency: AgencyId
    sealing_keys: Annotated[list[B64u], msgspec.Meta(min_length=1, max_length=8)]


class GrantTerms(Document, frozen=True, kw_only=True, tag="grant", tag_field="kind"):
    """Give these clips to this agency for this request."""

    request_digest: Digest
    clips: Annotated[list[ClipRange], msgspec.Meta(min_length=1, max_length=16)]
    has_audio: bool
    recipient: Recipient


class Owner(Document, frozen=True, kw_only=True):
    """One owner of a doorbell: who signs its statements."""

    name: Line
    passkey: PasskeyKey


class OwnerKeys(Document, frozen=True, kw_only=True):
    """The public keys of one owner: the passkey, and those of the browser that they paired with."""

    name: Line
    passkey: PasskeyKey
    browser: BrowserKeys

    @property
    def owner(self) -> Owner:
        """The owner alone, without the browser."""
        return Owner(name=self.name, passkey=self.passkey)


def check_owner_keys(keys: OwnerKeys) -> None:
    """Raise WireError unless signatures can be checked and notes sealed with these keys."""
    load_p256(unb64u(keys.passkey.public_key))
    check_browser_keys(keys.browser)


class AddOwner(Document, frozen=True, kw_only=True, tag="add_owner", tag_field="kind"):
    """Let this person be an owner too. It widens, so the doorbell asks for confirmation."""

    pairing_id: Id
    owner: OwnerKeys


class EnrolBrowser(Document, frozen=True, kw_only=True, tag="session", tag_field="kind"):
    """Let this browser of mine watch and hear, for 30 days from now.

    A new session key widens who may see, so the doorbell asks for confirmation; one that it knows
    already is only renewed.
    """

    browser: BrowserKeys


class EndBrowser(Document, frozen=True, kw_only=True, tag="end_session", tag_field="kind"):
    """Let that browser of mine no longer watch; it takes effect at once."""

    browser: BrowserId


class Statement(Document, frozen=True, kw_only=True):
    """The envelope of everything an owner decides."""

    v: Literal[1] = 1
    domain: Literal["doorward/statement/v1"] = "doorward/statement/v1"
    device: DeviceId
    nonce: Id
    not_after_ms: WallTimeMs
    terms: GrantTerms | AddOwner | EnrolBrowser | EndBrowser


class SignedStatement(Document, frozen=True, kw_only=True):
    """`statement` is the canonical text; the owner's passkey signs its challenge.

    A grant also carries the request's canonical text and its proofs as published, so that the
    doorbell judges it by itself.
    """

    statement: Annotated[str, msgspec.Meta(max_length=32 * 1024)]
    assertion: Assertion
