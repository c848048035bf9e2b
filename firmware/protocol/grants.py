"""Owner statements: an owner's decisions, signed by passkey and sealed to the doorbell.

A statement is canonical JSON with a domain tag, device, nonce and not-after. The passkey's
challenge is SHA-256 over it, so an ordinary login can never be one. Types say how far it was
checked: `SignedStatement` (parsed), then in firmware.consent `Grant`, then `Release`.
"""

from collections.abc import Iterable
from typing import Annotated, Literal

import msgspec

from firmware.protocol.browsers import BrowserKeys, check_browser_keys
from firmware.protocol.decisions import (
    AddApprover,
    ChangeSettings,
    Confirm,
    Decline,
    DeleteClips,
    EndApprover,
    EndBrowser,
    EndExport,
    ExportAll,
    GiveRight,
    Hold,
    IdentityGiven,
    KeepClips,
    Knock,
    RefuseAgency,
    RemoveOwner,
    Revoke,
    SetRecovery,
    Undelete,
    Unhold,
)
from firmware.protocol.encoding import (
    AgencyId,
    DeviceId,
    Digest,
    Document,
    Id,
    Line,
    WallTimeMs,
    WireError,
    X25519Key,
    unb64u,
)
from firmware.protocol.passkeys import (
    Assertion,
    PasskeyKey,
    challenge,
    check_assertion,
    load_passkey,
)
from firmware.protocol.sealing import open_sealed, seal_to

STATEMENT_TAG = b"doorward/statement/v1"
SEAL_INFO = b"doorward/sealed-statement/v1"
MAX_GRANT_LIFE_MS = 24 * 3600 * 1000
STATEMENT_STEP_BYTES = 16 * 1024
"""Every statement is padded to a multiple of this; hardly any needs a second one."""


class ClipRange(Document, frozen=True, kw_only=True):
    """The granted part of one clip: the whole groups of pictures between two moments of it."""

    clip_id: Id
    manifest_digest: Digest
    from_ms: WallTimeMs
    to_ms: WallTimeMs


class Recipient(Document, frozen=True, kw_only=True):
    """The agency and those of its sealing keys (raw X25519) that will open the package."""

    agency: AgencyId
    sealing_keys: Annotated[list[X25519Key], msgspec.Meta(min_length=1, max_length=8)]


class GrantTerms(Document, frozen=True, kw_only=True, tag="grant", tag_field="kind"):
    """A grant: these clips to this agency for this request, with the ticked identity data."""

    request_digest: Digest
    clips: Annotated[list[ClipRange], msgspec.Meta(min_length=1, max_length=16)]
    has_audio: bool
    identity: IdentityGiven = msgspec.field(default_factory=IdentityGiven)
    recipient: Recipient


class Owner(Document, frozen=True, kw_only=True):
    """One owner of a doorbell, who signs its statements."""

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
    load_passkey(unb64u(keys.passkey.public_key))
    check_browser_keys(keys.browser)


class AddOwner(Document, frozen=True, kw_only=True, tag="add_owner", tag_field="kind"):
    """Add an owner. It widens, so the doorbell asks for confirmation.

    `commitment` is the first message of the new owner's pairing.
    """

    pairing_id: Id
    owner: OwnerKeys
    commitment: Digest


Terms = (
    GrantTerms
    | AddOwner
    | RemoveOwner
    | GiveRight
    | EndBrowser
    | Hold
    | Unhold
    | DeleteClips
    | Undelete
    | KeepClips
    | ExportAll
    | EndExport
    | Revoke
    | Decline
    | RefuseAgency
    | ChangeSettings
    | SetRecovery
    | AddApprover
    | EndApprover
    | Confirm
    | Knock
)


class Statement(Document, frozen=True, kw_only=True):
    """The envelope of everything an owner decides."""

    v: Literal[1] = 1
    domain: Literal["doorward/statement/v1"] = "doorward/statement/v1"
    device: DeviceId
    nonce: Id
    not_after_ms: WallTimeMs
    terms: Terms


class SignedStatement(Document, frozen=True, kw_only=True):
    """`statement` is the canonical text; the owner's passkey signs its challenge."""

    statement: Annotated[str, msgspec.Meta(max_length=32 * 1024)]
    assertion: Assertion


def kind_of(terms: Terms) -> str:
    """Return the tag that a statement's terms have on the wire."""
    return str(type(terms).__struct_config__.tag)


def newcomer_in(terms: Terms) -> dict[str, OwnerKeys | BrowserKeys]:
    """Return the keys that a statement lets in, by the commitment of their pairing."""
    match terms:
        case AddOwner(owner=owner, commitment=commitment):
            return {commitment: owner}
        case GiveRight(browser=browser, commitment=str() as commitment):
            return {commitment: browser}
        case _:
            return {}


def signer_of(signed: SignedStatement, owners: Iterable[Owner]) -> Owner | None:
    """Return the owner who truly signed this text, whatever else is wrong with it."""
    expected = challenge(STATEMENT_TAG, signed.statement.encode())
    for owner in owners:
        try:
            check_assertion(signed.assertion, owner.passkey, expected)
        except WireError:
            continue
        return owner
    return None


def seal_statement(signed: SignedStatement, sealing_key: bytes) -> bytes:
    """Pad and seal a statement to a doorbell (raw X25519): its size doesn't say what it decides."""
    plain = signed.encode()
    size_bytes = -(-len(plain) // STATEMENT_STEP_BYTES) * STATEMENT_STEP_BYTES
    return seal_to(sealing_key, plain.ljust(size_bytes), SEAL_INFO)


def open_statement(sealed: bytes, private_key: bytes) -> bytes:
    """Return the bytes of a `SignedStatement` without its padding, or raise WireError."""
    return open_sealed(private_key, sealed, SEAL_INFO).rstrip(b" ")
