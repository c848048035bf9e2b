"""Inputs and results of the verifier: facts of one moment, and the types that it returns."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NewType

from firmware.protocol.browsers import BrowserKeys
from firmware.protocol.decisions import FileSettings, MaskPolygon, OwnerSettings
from firmware.protocol.grants import GrantTerms, Owner, SignedStatement, Terms
from firmware.protocol.pairing import PairedKeys
from firmware.protocol.passkeys import PasskeyKey
from firmware.protocol.refused_checks import RefusedCheck
from firmware.protocol.register.entries import Agreement
from firmware.protocol.register.facts import RegisterFacts
from firmware.protocol.releases import ReleaseOpening
from firmware.protocol.requests import EvidenceRequest, SignedRequest
from firmware.protocol.rights import Right
from firmware.protocol.tlog.policy import Policy

Reason = RefusedCheck
"""The name of the first check that failed."""

UnverifiedStatement = NewType("UnverifiedStatement", bytes)
"""Bytes that an owner may have signed: canonical `SignedStatement`. Nothing is checked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipFact:
    """The library's row of one finished clip."""

    manifest_digest: str
    started_ms: int
    ended_ms: int
    has_sound: bool = False
    size_bytes: int = 0
    held_by: Literal["nobody", "hold", "grant"] = "nobody"
    """A hold of its time, or a grant that names it and isn't done."""
    kept_by: frozenset[str] = frozenset()
    """The owners who keep it, by their passkeys' credential ids."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BrowserFact:
    """One browser, its right, and the owner who gave it."""

    credential_id: str
    keys: BrowserKeys
    right: Right


@dataclass(frozen=True, slots=True, kw_only=True)
class ApproverFact:
    """A key that may confirm its owner's statements from anywhere, and its owner."""

    credential_id: str
    """The owner's passkey, not the approver's own."""
    name: str
    key: PasskeyKey


@dataclass(frozen=True, slots=True, kw_only=True)
class HouseholdFacts:
    """Earlier decisions of the owners that bear on new ones."""

    settings: OwnerSettings | None = None
    """None: none came yet, and the doorbell's own file counts."""
    file: FileSettings
    """What the doorbell's own file says."""
    file_zones: Sequence[MaskPolygon] = ()
    refused_agencies: frozenset[str] = frozenset()
    approvers: Mapping[str, ApproverFact]
    """By the approver key's own credential id."""
    holds: frozenset[str] = frozenset()
    """Digests of the statements that made them."""
    revoked: frozenset[str] = frozenset()
    """Digests of grants that were taken back, here or not."""
    waiting: Mapping[str, str]
    """Statements that wait for confirmation, by digest: by which owner's passkey."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """All facts that the rules read, gathered at one moment by `firmware.decisions.facts`.

    `register` is what this doorbell follows by itself, `policy` whom it believes about logs.
    `clips` holds the finished clips by id, `deleted_clips` those that an owner deleted and that can
    still come back. `spent` holds digests of statements already used.
    """

    device: str
    cell: str
    now_ms: int
    is_clock_trusted: bool
    is_card_cloned: bool
    """Another device has this doorbell's keys, as the relay has warned."""
    owners: tuple[Owner, ...]
    register: RegisterFacts
    policy: Policy
    custody_origin: str
    clips: Mapping[str, ClipFact]
    spent: frozenset[str]
    browsers: Mapping[str, BrowserFact]
    """The enrolled browsers by `BrowserId`, expired ones too."""
    newcomers: Mapping[str, PairedKeys]
    """By their commitments, the keys of those whose three messages of pairing are there."""
    household: HouseholdFacts
    deleted_clips: Mapping[str, ClipFact] = field(default_factory=dict)
    max_kept_bytes: int = 0
    """So much of the card all kept clips may fill."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A refused statement; `reason` names the check, `detail` the cause, for the owner alone."""

    reason: Reason
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """A grant whose every check held, but that nobody has confirmed at the doorbell yet."""

    digest: str
    signed: SignedStatement
    terms: GrantTerms
    request: EvidenceRequest
    signed_request: SignedRequest
    agreement: Agreement
    credential_id: str
    not_after_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """A decision other than a grant, every check held; a widening one needs confirmation (R10c)."""

    digest: str
    signed: SignedStatement
    terms: Terms
    credential_id: str
    """The owner's passkey; for an approver's word, that of the owner whose approver it is."""
    not_after_ms: int
    is_widening: bool


Judged = Grant | Decision


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmation:
    """An owner's confirmation outside the relay (R10b) of exactly this statement.

    `approval` is the signed word of an approver's key, where that was the way.
    """

    statement_digest: str
    way: Literal["door_page", "approver", "knock"]
    asked_ms: int
    confirmed_ms: int
    approval: SignedStatement | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Logged:
    """What a release committed to, and the custody log's proof of the commitment's inclusion."""

    opening: ReleaseOpening
    proof: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """The only type that opens the clips to evidence/: granted, confirmed, logged, checked twice.

    Nobody but `verifier.release` makes one.
    """

    grant: Grant
    confirmation: Confirmation
    logged: Logged


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """A decision that may be carried out now: checked twice, and confirmed if it widens."""

    decision: Decision
