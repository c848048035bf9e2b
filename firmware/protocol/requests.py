"""Evidence requests, and the certificates of the officers who sign them.

A request is canonical JSON, its digest the SHA-256 of it. The officer's passkey signs
`challenge(REQUEST_TAG, …)` over it, so an ordinary login can never be a request. An officer's
passkey counts because the agency's own key signed a certificate for it.
"""

from typing import Annotated, Literal, get_args

import msgspec

from firmware.protocol.encoding import (
    AgencyId,
    B64u,
    Document,
    Id,
    Line,
    WallTimeMs,
    WireError,
    decode_canonical,
    unb64u,
)
from firmware.protocol.passkeys import Assertion, PasskeyKey, verify_p256

REQUEST_TAG = b"doorward/request/v1"
OFFICER_TAG = b"doorward/officer/v1"

# What a request may ask for (R2, R13): the relay checks it, and each doorbell again.
_MINUTE_MS = 60 * 1000
_DAY_MS = 24 * 60 * _MINUTE_MS
MIN_WINDOW_MS = 15 * _MINUTE_MS
MAX_WINDOW_MS = 12 * 60 * _MINUTE_MS
MAX_AGE_MS = 30 * _DAY_MS
MAX_LIFE_MS = 7 * _DAY_MS
MAX_SKEW_MS = 10 * _MINUTE_MS
"""How far the clocks of relay, officer and doorbell may differ."""

IncidentType = Literal[
    "burglary", "theft", "robbery", "assault", "vehicle", "damage", "missing_person", "traffic",
]  # fmt: skip
INCIDENT_TYPES: tuple[str, ...] = get_args(IncidentType)
Cell = Annotated[str, msgspec.Meta(pattern=r"^89[0-9a-f]{13}\Z")]
"""An H3 index of resolution 9, 15 hexadecimal digits."""
CaseNumber = Annotated[str, msgspec.Meta(pattern=r"^[A-Z0-9/-]{1,24}\Z")]


class EvidenceRequest(Document, frozen=True, kw_only=True):
    """What an officer asks for; all fields are signed (trust rule R1)."""

    v: Literal[1] = 1
    domain: Literal["doorward/request/v1"] = "doorward/request/v1"
    id: Id
    agency: AgencyId
    officer_id: Id
    officer_name: Line
    contact: Line
    case_number: CaseNumber
    incident_type: IncidentType
    text: Annotated[str, msgspec.Meta(min_length=1, max_length=2000)]
    cells: Annotated[list[Cell], msgspec.Meta(min_length=1, max_length=12)]
    from_ms: WallTimeMs
    to_ms: WallTimeMs
    retention_days: Annotated[int, msgspec.Meta(ge=1, le=3650)]
    onward_sharing: Literal["none", "prosecutor"]
    created_ms: WallTimeMs
    expires_ms: WallTimeMs


class OfficerCertificate(Document, frozen=True, kw_only=True):
    """The agency's word that a passkey is an officer's."""

    v: Literal[1] = 1
    domain: Literal["doorward/officer/v1"] = "doorward/officer/v1"
    agency: AgencyId
    officer_id: Id
    name: Line
    passkey: PasskeyKey
    not_after_ms: WallTimeMs


class SignedCertificate(Document, frozen=True, kw_only=True):
    """`certificate` is the canonical text, `signature` the agency's over `certificate_message`.

    ECDSA P-256 with SHA-256, in DER, by the agency's signing key.
    """

    certificate: Annotated[str, msgspec.Meta(max_length=4096)]
    signature: B64u


class SignedRequest(Document, frozen=True, kw_only=True):
    """`request` is the canonical text; the assertion signs it; the certificate names who."""

    request: Annotated[str, msgspec.Meta(max_length=32 * 1024)]
    assertion: Assertion
    officer: SignedCertificate


def certificate_message(certificate: bytes) -> bytes:
    """Return the bytes that the agency signs for a certificate's canonical text."""
    return OFFICER_TAG + b"\x00" + certificate


def check_certificate(signed: SignedCertificate, agency_signing_key: bytes) -> OfficerCertificate:
    """Return the certificate if the agency's key (SubjectPublicKeyInfo) signed it, or raise."""
    text = signed.certificate.encode()
    message = certificate_message(text)
    if not verify_p256(agency_signing_key, unb64u(signed.signature), message):
        raise WireError("the agency didn't certify this officer")
    return decode_canonical(OfficerCertificate, text)
