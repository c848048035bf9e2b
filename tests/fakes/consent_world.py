"""A small world with real keys in which a grant is right, so that tests can make it wrong."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import msgspec
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from firmware.consent.facts import ClipFact, Confirmation, Facts
from firmware.protocol.claims import Agency
from firmware.protocol.encoding import b64u, new_id, sha256_hex
from firmware.protocol.grants import (
    STATEMENT_TAG,
    ClipRange,
    GrantTerms,
    Owner,
    Recipient,
    SignedStatement,
    Statement,
)
from firmware.protocol.passkeys import challenge
from firmware.protocol.requests import (
    REQUEST_TAG,
    EvidenceRequest,
    OfficerCertificate,
    SignedCertificate,
    SignedRequest,
    certificate_message,
)
from tests.story.authenticator import SoftPasskey

NOW_MS = 1_790_000_000_000
MINUTE_MS = 60_000
CELL = "891f0000003ffff"
DEVICE = "abcdefghijklmnop2345"


def _x25519() -> str:
    return b64u(X25519PrivateKey.generate().public_key().public_bytes_raw())


@dataclass
class ConsentWorld:
    """One doorbell, one owner, one agency with one officer, one request, one clip."""

    owner: SoftPasskey
    officer: SoftPasskey
    agency_key: ec.EllipticCurvePrivateKey
    agency: Agency
    request: EvidenceRequest
    signed_request: SignedRequest
    facts: Facts
    clip_id: str

    def terms(self, **changes: Any) -> GrantTerms:
        fact = self.facts.clips[self.clip_id]
        right = GrantTerms(
            request_digest=sha256_hex(self.signed_request.request.encode()),
            clips=[
                ClipRange(
                    clip_id=self.clip_id,
                    manifest_digest=fact.manifest_digest,
                    from_ms=fact.started_ms,
                    to_ms=fact.ended_ms,
                )
            ],
            has_audio=False,
            recipient=Recipient(agency=self.agency.id, sealing_keys=list(self.agency.sealing_keys)),
        )
        return msgspec.structs.replace(right, **changes)

    def statement(self, terms: Any = None, **changes: Any) -> Statement:
        right = Statement(
            device=DEVICE,
            nonce=new_id(),
            not_after_ms=NOW_MS + 60 * MINUTE_MS,
            terms=terms if terms is not None else self.terms(),
        )
        return msgspec.structs.replace(right, **changes)

    def sign(self, statement: Statement, by: SoftPasskey | None = None) -> bytes:
        text = statement.encode()
        signer = by or self.owner
        return SignedStatement(
            statement=text.decode(), assertion=signer.sign(challenge(STATEMENT_TAG, text))
        ).encode()

    def with_request(self, request: EvidenceRequest, by: SoftPasskey | None = None) -> ConsentWorld:
        signed = sign_request(request, by or self.officer, self.signed_request.officer)
        digest = sha256_hex(signed.request.encode())
        return replace(
            self,
            request=request,
            signed_request=signed,
            facts=replace(self.facts, requests={digest: signed}),
        )

    def confirmation(self, digest: str, **changes: Any) -> Confirmation:
        right = Confirmation(
            statement_digest=digest,
            way="door_page",
            asked_ms=NOW_MS - MINUTE_MS,
            confirmed_ms=NOW_MS,
        )
        return replace(right, **changes)


def sign_request(
    request: EvidenceRequest, officer: SoftPasskey, certificate: SignedCertificate
) -> SignedRequest:
    text = request.encode()
    return SignedRequest(
        request=text.decode(),
        assertion=officer.sign(challenge(REQUEST_TAG, text)),
        officer=certificate,
    )


def certify(
    agency_key: ec.EllipticCurvePrivateKey, agency: str, officer_id: str, passkey: SoftPasskey
) -> SignedCertificate:
    text = OfficerCertificate(
        agency=agency,
        officer_id=officer_id,
        name="Officer Lund",
        passkey=passkey.key,
        not_after_ms=NOW_MS + 365 * 24 * 60 * MINUTE_MS,
    ).encode()
    signature = agency_key.sign(certificate_message(text), ec.ECDSA(hashes.SHA256()))
    return SignedCertificate(certificate=text.decode(), signature=b64u(signature))


def make_world() -> ConsentWorld:
    owner = SoftPasskey.create(rp_id="owner.example", origin="https://owner.example")
    officer = SoftPasskey.create(rp_id="relay.example", origin="https://relay.example")
    agency_key = ec.generate_private_key(ec.SECP256R1())
    spki = agency_key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    agency = Agency(
        id="lakeland",
        name="Lakeland Police",
        signing_key=b64u(spki),
        sealing_keys=[_x25519()],
        agreement_until_ms=NOW_MS + 300 * 24 * 60 * MINUTE_MS,
        cells=[CELL],
    )
    request = EvidenceRequest(
        id=new_id(),
        agency=agency.id,
        officer_id=new_id(),
        officer_name="Officer Lund",
        contact="desk@lakeland.example",
        case_number="LK-2026/0117",
        incident_type="burglary",
        text="A garage was broken into.",
        cells=[CELL],
        from_ms=NOW_MS - 90 * MINUTE_MS,
        to_ms=NOW_MS - 30 * MINUTE_MS,
        retention_days=90,
        onward_sharing="none",
        created_ms=NOW_MS - 10 * MINUTE_MS,
        expires_ms=NOW_MS + 24 * 60 * MINUTE_MS,
    )
    certificate = certify(agency_key, agency.id, request.officer_id, officer)
    signed = sign_request(request, officer, certificate)
    clip_id = new_id()
    facts = Facts(
        device=DEVICE,
        cell=CELL,
        now_ms=NOW_MS,
        is_clock_trusted=True,
        owners=(Owner(name="Ada", passkey=owner.key),),
        agencies=(agency,),
        requests={sha256_hex(signed.request.encode()): signed},
        clips={
            clip_id: ClipFact(
                manifest_digest="ab" * 32,
                started_ms=NOW_MS - 60 * MINUTE_MS,
                ended_ms=NOW_MS - 59 * MINUTE_MS,
            )
        },
        spent=frozenset(),
        browsers={},
    )
    return ConsentWorld(
        owner=owner,
        officer=officer,
        agency_key=agency_key,
        agency=agency,
        request=request,
        signed_request=signed,
        facts=facts,
        clip_id=clip_id,
    )
