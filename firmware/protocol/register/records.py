"""The register's records of entries with effect, and of void ones.

Written by replay.py alone; everybody else reads.
"""

from dataclasses import dataclass

import msgspec

from firmware.protocol.encoding import WireError, unb64u
from firmware.protocol.register.entries import Agreement, Limits, ProgramReleased
from firmware.protocol.requests import (
    EvidenceRequest,
    OfficerCertificate,
    SignedCertificate,
    SignedRequest,
    check_certificate,
)

KEEPS_NONE = 2**53 - 1
"""`RequestRecord.keeps_from` of a request that counts, and lets nobody ask by any limits."""


class EntryVoid(WireError):
    """An entry is void: its signers had no right to make it."""


@dataclass(slots=True, kw_only=True)
class AgreementRecord:
    """One agreement of an agency, and where it stands in the log.

    `suspended_index` is the place of the first suspension after it, None as long as there is none.
    """

    index: int
    agreement: Agreement
    is_suspended: bool = False
    suspended_index: int | None = None


@dataclass(slots=True, kw_only=True)
class OfficerRecord:
    """One certificate of an officer; `signing_key` (base64url) is the agency's that made it."""

    index: int
    certificate: OfficerCertificate
    signed: SignedCertificate
    signing_key: str
    is_revoked: bool = False

    def is_of(self, signed: SignedCertificate) -> bool:
        """Return whether it is this certificate's: the same text, signed with the same key."""
        if signed.certificate != self.signed.certificate:
            return False
        if signed.signature == self.signed.signature:
            return True
        try:
            check_certificate(signed, unb64u(self.signing_key))
        except WireError:
            return False
        return True


@dataclass(slots=True, kw_only=True)
class RequestRecord:
    """One published request.

    `keeps_from` is the place in `Register.limits` of the oldest limits whose counts (R4) it kept
    when it was published, with all that came after them: those that it was let in by may be too
    young to count (facts.py). `withdrawn_index` is the entry that took it back.
    """

    index: int
    request: EvidenceRequest
    signed: SignedRequest
    keeps_from: int
    withdrawn_index: int | None = None
    renewed_by: str | None = None

    @property
    def is_withdrawn(self) -> bool:
        """Whether its agency took it back."""
        return self.withdrawn_index is not None


@dataclass(slots=True, kw_only=True)
class LimitsRecord:
    """Limits, and since which entry."""

    index: int
    limits: Limits


@dataclass(slots=True, kw_only=True)
class ProgramRecord:
    """One released program, and where it stands in the log."""

    index: int
    program: ProgramReleased


@dataclass(frozen=True, slots=True, kw_only=True)
class Void:
    """An entry without effect."""

    index: int
    why: str


def sharing(
    signed: SignedRequest, officer: SignedCertificate, cosigner: SignedCertificate
) -> SignedRequest:
    """Return the request with these objects for certificates that equal them.

    An officer's certificate stands in each request in full: shared, it is in memory once.
    """
    return msgspec.structs.replace(
        signed,
        officer=officer if signed.officer == officer else signed.officer,
        cosigner=cosigner if signed.cosigner == cosigner else signed.cosigner,
    )
