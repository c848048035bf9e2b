"""Evidence requests, and the certificates of the officers who sign them.

A request is canonical JSON, its digest the SHA-256 of it. The officer who drafts it signs
`challenge(REQUEST_TAG, …)` over it with their passkey, the one who co-signs
`challenge(COSIGN_TAG, …)`: so an ordinary login can never be a request, and no signature can serve
as the other. An officer's passkey counts because the agency's own key signed a certificate for it,
which the register holds.

`check_form` and `check_signatures` are what everybody checks alike: the relay before it publishes,
each follower of the register, the doorbell, and whoever verifies evidence.
"""

from typing import Annotated, Literal, get_args

import msgspec

from firmware.protocol.encoding import (
    SAID_PATTERN,
    TEXT_PATTERN,
    AgencyId,
    B64u,
    Digest,
    Document,
    Id,
    Line,
    WallTimeMs,
    WireError,
    decode_canonical,
    sha256_hex,
    unb64u,
)
from firmware.protocol.passkeys import (
    Assertion,
    PasskeyKey,
    challenge,
    check_assertion,
    is_same_passkey,
    verify_p256,
)

REQUEST_TAG = b"doorward/request/v1"
COSIGN_TAG = b"doorward/request-cosign/v1"
WITHDRAW_TAG = b"doorward/request-withdrawal/v1"
OFFICER_TAG = b"doorward/officer/v1"

# What a request may ask for (R2, R13): the relay checks it, and each doorbell again.
_MINUTE_MS = 60 * 1000
_DAY_MS = 24 * 60 * _MINUTE_MS
MIN_WINDOW_MS = 15 * _MINUTE_MS
MAX_WINDOW_MS = 12 * 60 * _MINUTE_MS
LONG_WINDOW_MS = 2 * 60 * _MINUTE_MS
"""A longer one needs a written reason (R2); an emergency can't have a longer one (R15)."""
MAX_AGE_MS = 30 * _DAY_MS
MAX_LIFE_MS = 7 * _DAY_MS
MAX_SKEW_MS = 10 * _MINUTE_MS
"""How far the clocks of relay, officer and doorbell may differ."""
MAX_PER_CASE = 2
MAX_OPEN_PER_OFFICER = 5
AREA_QUIET_MS = _DAY_MS
"""R4: the same agency asks about the same place once in this time."""

IncidentType = Literal[
    "burglary", "theft", "robbery", "assault", "vehicle", "damage", "missing_person", "traffic",
]  # fmt: skip
INCIDENT_TYPES: tuple[str, ...] = get_args(IncidentType)
Cell = Annotated[str, msgspec.Meta(pattern=r"^89[0-9a-f]{13}\Z")]
"""An H3 index of resolution 9, 15 hexadecimal digits."""
CaseNumber = Annotated[str, msgspec.Meta(pattern=r"^[A-Z0-9/-]{1,24}\Z")]


class EvidenceRequest(Document, frozen=True, kw_only=True):
    """A request by two officers; all fields are signed (trust rule R1), and public.

    `contact` is the agency's desk, never an officer's own telephone. `reason` says why the window
    is longer than two hours ("" where it isn't). `danger` makes it an emergency (R15) and says to
    whom. `renews` names the request that this one renews, once, with a fresh co-signature (R13):
    the same agency, case, place and time.
    """

    v: Literal[1] = 1
    domain: Literal["doorward/request/v1"] = "doorward/request/v1"
    id: Id
    agency: AgencyId
    officer_id: Id
    officer_name: Line
    cosigner_id: Id
    cosigner_name: Line
    contact: Line
    case_number: CaseNumber
    incident_type: IncidentType
    text: Annotated[str, msgspec.Meta(min_length=1, max_length=2000, pattern=SAID_PATTERN)]
    cells: Annotated[list[Cell], msgspec.Meta(min_length=1, max_length=12)]
    from_ms: WallTimeMs
    to_ms: WallTimeMs
    retention_days: Annotated[int, msgspec.Meta(ge=1, le=3650)]
    onward_sharing: Literal["none", "prosecutor"]
    created_ms: WallTimeMs
    expires_ms: WallTimeMs
    reason: Annotated[str, msgspec.Meta(max_length=500, pattern=TEXT_PATTERN)] = ""
    danger: Annotated[str, msgspec.Meta(max_length=500, pattern=TEXT_PATTERN)] = ""
    renews: Id | msgspec.UnsetType = msgspec.UNSET

    @property
    def is_emergency(self) -> bool:
        """Whether it takes the emergency path (R15): the same checks, and some more."""
        return bool(self.danger)

    @property
    def renewed_id(self) -> str | None:
        """The request that this one renews, if it is a renewal."""
        return None if isinstance(self.renews, msgspec.UnsetType) else self.renews


OfficerRole = Literal["officer", "approver", "records", "admin"]
"""What an agency lets somebody do.

An officer and an approver sign requests; an approver may co-sign an emergency as well (R15).
`records` looks after what arrived, `admin` after the agency's own people: neither asks anything.
"""
ASKING_ROLES: frozenset[OfficerRole] = frozenset({"officer", "approver"})
"""Who may sign, co-sign and withdraw a request."""


class OfficerCertificate(Document, frozen=True, kw_only=True):
    """An agency's certificate that a passkey is an officer's."""

    v: Literal[1] = 1
    domain: Literal["doorward/officer/v1"] = "doorward/officer/v1"
    agency: AgencyId
    officer_id: Id
    name: Line
    role: OfficerRole = "officer"
    passkey: PasskeyKey
    not_after_ms: WallTimeMs


class SignedCertificate(Document, frozen=True, kw_only=True):
    """`certificate` is the canonical text, `signature` the agency's over `certificate_message`.

    ECDSA P-256 with SHA-256, in DER, by the agency's signing key.
    """

    certificate: Annotated[str, msgspec.Meta(max_length=4096)]
    signature: B64u


class SignedRequest(Document, frozen=True, kw_only=True):
    """`request` is the canonical text; two officers signed it, whom their certificates name."""

    request: Annotated[str, msgspec.Meta(max_length=32 * 1024)]
    assertion: Assertion
    officer: SignedCertificate
    cosignature: Assertion
    cosigner: SignedCertificate

    @property
    def request_digest(self) -> str:
        """SHA-256 of the request's canonical text, which grants name."""
        return sha256_hex(self.request.encode())


class Withdrawal(Document, frozen=True, kw_only=True):
    """The withdrawal of a request by an officer of its agency."""

    v: Literal[1] = 1
    domain: Literal["doorward/request-withdrawal/v1"] = "doorward/request-withdrawal/v1"
    request_digest: Digest
    agency: AgencyId
    officer_id: Id


class SignedWithdrawal(Document, frozen=True, kw_only=True):
    """`withdrawal` is the canonical text; the assertion signs `challenge(WITHDRAW_TAG, …)`."""

    withdrawal: Annotated[str, msgspec.Meta(max_length=1024)]
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


def parse_request(signed: SignedRequest) -> EvidenceRequest:
    """Return the request's fields; only its form is checked."""
    return decode_canonical(EvidenceRequest, signed.request.encode())


def check_signatures(
    signed: SignedRequest, signing_key: bytes
) -> tuple[OfficerCertificate, OfficerCertificate]:
    """Return the certificates of who drafted and who co-signed, or raise WireError.

    `signing_key` is the agency's (SubjectPublicKeyInfo). They are two people with two passkeys.
    Whether a certificate is registered, revoked or over is not checked here.
    """
    drafter = check_certificate(signed.officer, signing_key)
    cosigner = check_certificate(signed.cosigner, signing_key)
    check_officers(signed, parse_request(signed), drafter, cosigner)
    return drafter, cosigner


def check_officers(
    signed: SignedRequest,
    request: EvidenceRequest,
    drafter: OfficerCertificate,
    cosigner: OfficerCertificate,
) -> None:
    """Do what `check_signatures` does, with what was parsed and certificates that were checked."""
    for certificate in (drafter, cosigner):
        check_may_ask(certificate)
    _check_named(drafter, agency=request.agency, officer=(request.officer_id, request.officer_name))
    _check_named(
        cosigner, agency=request.agency, officer=(request.cosigner_id, request.cosigner_name)
    )
    if drafter.officer_id == cosigner.officer_id:
        raise WireError("an officer can't co-sign their own request")
    if is_same_passkey(drafter.passkey, cosigner.passkey):
        raise WireError("both signatures are by one passkey")
    if request.is_emergency and cosigner.role != "approver":
        raise WireError("an emergency is co-signed by an officer with the approver's role")
    text = signed.request.encode()
    check_assertion(signed.assertion, drafter.passkey, challenge(REQUEST_TAG, text))
    check_assertion(signed.cosignature, cosigner.passkey, challenge(COSIGN_TAG, text))


def check_withdrawal(signed: SignedWithdrawal, signing_key: bytes) -> Withdrawal:
    """Return the withdrawal if an officer whom the agency's key certified signed it, or raise."""
    text = signed.withdrawal.encode()
    withdrawal = decode_canonical(Withdrawal, text)
    certificate = check_certificate(signed.officer, signing_key)
    if (certificate.agency, certificate.officer_id) != (withdrawal.agency, withdrawal.officer_id):
        raise WireError("the certificate is another officer's")
    check_may_ask(certificate)
    check_assertion(signed.assertion, certificate.passkey, challenge(WITHDRAW_TAG, text))
    return withdrawal


def check_may_ask(certificate: OfficerCertificate) -> None:
    """Raise WireError unless whoever is certified may sign requests and withdrawals."""
    if certificate.role not in ASKING_ROLES:
        raise WireError(
            f"the certificate of {certificate.name!r} has the role {certificate.role}: only an "
            "officer or an approver signs requests"
        )


def _check_named(certificate: OfficerCertificate, *, agency: str, officer: tuple[str, str]) -> None:
    if certificate.agency != agency or certificate.officer_id != officer[0]:
        raise WireError("an officer's certificate is for somebody else")
    if certificate.name != officer[1]:
        raise WireError(f"the officer's certificate names {certificate.name!r}")
