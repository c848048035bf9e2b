"""The export of everything: what a doorbell gives an owner who asked for it with their passkey.

`ExportIndex` names each recording, and holds all else that the doorbell keeps of its household. Its
identity key signs EXPORT_TAG ‖ the canonical text. The recordings come one by one over the data
channel "clips", each with its own signed manifest. What happened at the door and who looked isn't
here: a doorbell keeps no history of events, so the owner's app adds what it has.
"""

from typing import Annotated, Literal

import msgspec

from firmware.protocol.decisions import FileSettings, OwnerSettings, Preferences
from firmware.protocol.deletions import SignedDeletion
from firmware.protocol.encoding import (
    AgencyId,
    DeviceId,
    Digest,
    Document,
    Id,
    Line,
    P256Key,
    ShortB64u,
    WallTimeMs,
    WireError,
    decode_canonical,
    unb64u,
)
from firmware.protocol.grants import SignedStatement
from firmware.protocol.notes import HeldTime
from firmware.protocol.passkeys import verify_p256
from firmware.protocol.rights import Holder, Whats

EXPORT_TAG = b"doorward/export/v1\x00"
EXPORT_LIFE_MS = 24 * 3600 * 1000
"""How long the right to an export lasts, by the doorbell's clock."""
MAX_INDEX_BYTES = 32 * 1024 * 1024
MAX_EXPORTED_STATEMENTS = 2000
"""The newest; each is at most 32 KiB, and hardly any is over 2."""
MAX_EXPORTED_DELETIONS = 10_000

Text = Annotated[str, msgspec.Meta(max_length=4000)]


class ExportedClip(Document, frozen=True, kw_only=True):
    """One recording; `size_bytes` is what it takes on the card, near to what its file has.

    `started_ms` and `dating` are as the library has them now. `kept_by` are owners' names.
    """

    clip_id: Id
    started_ms: WallTimeMs
    duration_ms: Annotated[int, msgspec.Meta(ge=0)]
    dating: Literal["trusted", "unknown", "dated", "latest"]
    manifest_digest: Digest
    size_bytes: Annotated[int, msgspec.Meta(ge=0)]
    is_held: bool
    kept_by: list[Text]


class ExportedOwner(Document, frozen=True, kw_only=True):
    """One owner, by name and passkey."""

    name: Text
    credential_id: ShortB64u


class ExportedRight(Document, frozen=True, kw_only=True):
    """The right of one browser, guest or player; `by_name` is the owner's who gave it."""

    browser: Line
    name: Text
    by_name: Text
    holder: Holder
    what: Whats
    from_ms: WallTimeMs
    until_ms: WallTimeMs | None


class ExportedApprover(Document, frozen=True, kw_only=True):
    """A key that confirms statements from anywhere."""

    name: Text
    by_name: Text
    credential_id: ShortB64u


class ExportedStatement(Document, frozen=True, kw_only=True):
    """A statement as its owner signed it, and its state at the doorbell."""

    statement_digest: Digest
    kind: Line
    state: Literal["waiting", "confirmed", "refused", "done"]
    received_ms: WallTimeMs
    signed: SignedStatement


class ExportIndex(Document, frozen=True, kw_only=True):
    """All that the doorbell keeps, at `made_ms`; `export_digest` is the statement's that asked."""

    v: Literal[1] = 1
    domain: Literal["doorward/export/v1"] = "doorward/export/v1"
    device: DeviceId
    identity_key: P256Key
    export_digest: Digest
    made_ms: WallTimeMs
    until_ms: WallTimeMs
    clips: list[ExportedClip]
    """Oldest first; those that an owner deleted aren't among them."""
    settings: OwnerSettings | None
    preferences: Preferences
    file: FileSettings
    owners: list[ExportedOwner]
    rights: list[ExportedRight]
    approvers: list[ExportedApprover]
    has_recovery_key: bool
    holds: list[HeldTime]
    refused_agencies: list[AgencyId]
    declined_requests: list[Digest]
    revoked_grants: list[Digest]
    statements: list[ExportedStatement]
    deletions: list[SignedDeletion]


class SignedExportIndex(Document, frozen=True, kw_only=True):
    """`index` is the canonical text, `signature` ECDSA P-256/SHA-256 (DER) by the doorbell."""

    index: Annotated[str, msgspec.Meta(max_length=MAX_INDEX_BYTES)]
    signature: ShortB64u


def check_index(signed: SignedExportIndex, identity_spki: bytes) -> ExportIndex:
    """Return the index if the doorbell's key signed it, or raise WireError."""
    text = signed.index.encode()
    if not verify_p256(identity_spki, unb64u(signed.signature), EXPORT_TAG + text):
        raise WireError("this export isn't signed by this doorbell")
    return decode_canonical(ExportIndex, text, max_bytes=MAX_INDEX_BYTES)
