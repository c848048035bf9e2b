"""What the verifier is told about the world, and what it answers."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from firmware.protocol.browsers import BrowserKeys
from firmware.protocol.claims import Agency
from firmware.protocol.grants import (
    AddOwner,
    EndBrowser,
    EnrolBrowser,
    GrantTerms,
    Owner,
    SignedStatement,
)
from firmware.protocol.requests import EvidenceRequest, SignedRequest

Reason = Literal[
    "form", "device", "owner", "assertion", "clock", "expired", "too_long", "spent",
    "request_unknown", "agency", "agreement", "officer", "request_form", "request_signature",
    "request_expired", "window", "area", "clip_unknown", "clip_digest", "clip_range",
    "clip_window", "clip_repeated", "recipient", "not_confirmed", "already_owner",
    "browser",
]  # fmt: skip
"""The name of the first check that failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipFact:
    """The library's row of one finished clip."""

    manifest_digest: str
    started_ms: int
    ended_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BrowserFact:
    """One enrolled browser, and whose it is."""

    credential_id: str
    keys: BrowserKeys


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Everything that may decide, gathered at one moment by app.

    `requests` holds the published requests that this doorbell received, by digest.
    `clips` holds the finished clips by id. `spent` holds digests of statements already used.
    """

    device: str
    cell: str
    now_ms: int
    is_clock_trusted: bool
    owners: tuple[Owner, ...]
    agencies: tuple[Agency, ...]
    requests: Mapping[str, SignedRequest]
    clips: Mapping[str, ClipFact]
    spent: frozenset[str]
    browsers: Mapping[str, BrowserFact]
    """The enrolled browsers by `BrowserId`, expired ones too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Nothing leaves; `reason` names the check and `detail` says why, for the owner alone."""

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
    agency: Agency
    credential_id: str
    not_after_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnerAddition:
    """An owner's statement that adds an owner, checked but not confirmed."""

    digest: str
    signed: SignedStatement
    terms: AddOwner
    credential_id: str
    not_after_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BrowserEnrolment:
    """An owner's statement that lets a browser of theirs watch, checked but not confirmed.

    `is_known`: the doorbell has these very keys of this owner, so they are only renewed.
    """

    digest: str
    signed: SignedStatement
    terms: EnrolBrowser
    credential_id: str
    not_after_ms: int
    is_known: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class BrowserEnding:
    """An owner's statement that ends a browser of theirs: it narrows, so nobody is asked."""

    digest: str
    signed: SignedStatement
    terms: EndBrowser
    credential_id: str


Judged = Grant | OwnerAddition | BrowserEnrolment | BrowserEnding


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmation:
    """The owner said yes outside the relay (R10b), to exactly this statement."""

    statement_digest: str
    way: Literal["door_page"]
    asked_ms: int
    confirmed_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """The only type that opens the clips to evidence/: granted, confirmed, checked twice."""

    grant: Grant
    confirmation: Confirmation


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """A new owner, signed for by an owner and confirmed at the doorbell."""

    addition: OwnerAddition
    confirmation: Confirmation


@dataclass(frozen=True, slots=True, kw_only=True)
class BrowserAdmission:
    """A browser that may watch: renewed, or confirmed at the doorbell."""

    enrolment: BrowserEnrolment
