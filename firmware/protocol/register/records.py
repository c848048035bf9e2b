"""What a register holds of each entry that has effect, and of those that have none.

Written by replay.py alone; everybody else reads.
"""

from dataclasses import dataclass

from firmware.protocol.encoding import WireError
from firmware.protocol.register.entries import Agreement, Limits
from firmware.protocol.requests import (
    EvidenceRequest,
    OfficerCertificate,
    SignedCertificate,
    SignedRequest,
)


class EntryVoid(WireError):
    """Nobody had the right to make this entry; it has no effect."""


@dataclass(slots=True, kw_only=True)
class AgreementRecord:
    """One agreement of an agency, and where it stands in the log."""

    index: int
    agreement: Agreement
    is_suspended: bool = False


@dataclass(slots=True, kw_only=True)
class OfficerRecord:
    """One certificate of an officer; `signing_key` (base64url) is the agency's that made it."""

    index: int
    certificate: OfficerCertificate
    signed: SignedCertificate
    signing_key: str
    is_revoked: bool = False


@dataclass(slots=True, kw_only=True)
class RequestRecord:
    """One published request."""

    index: int
    request: EvidenceRequest
    signed: SignedRequest
    is_withdrawn: bool = False
    renewed_by: str | None = None


@dataclass(slots=True, kw_only=True)
class LimitsRecord:
    """Limits, and since which entry."""

    index: int
    limits: Limits


@dataclass(frozen=True, slots=True, kw_only=True)
class Void:
    """An entry without effect."""

    index: int
    why: str
