"""Writes requests.json: requests that two officers signed, and some that must be refused.

    python tests/vectors/make_requests.py

Read by tests/js/requests.test.mjs and tests/firmware/test_request_vectors.py, which must agree.
Keys and signatures are random by nature, so a new run gives other ones that hold as well.
"""

import json
from pathlib import Path
from typing import Any

import msgspec
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from firmware.protocol.encoding import WireError, b64u, canonical, decode_canonical
from firmware.protocol.outcomes import Outcome
from firmware.protocol.passkeys import Assertion, challenge
from firmware.protocol.requests import (
    COSIGN_TAG,
    REQUEST_TAG,
    EvidenceRequest,
    OfficerCertificate,
    OfficerRole,
    SignedCertificate,
    SignedRequest,
    certificate_message,
)
from tests.story.authenticator import SoftPasskey

HERE = Path(__file__).parent
AN_ID = "a" * 26
ANOTHER_ID = "b" * 25 + "2"
DRAFTER = ("a" * 26, "Sgt. Öberg")
COSIGNER = ("c" * 26, "Insp. Dahl")


class Agency:
    """An agency's key, and officers whom it certified."""

    def __init__(self) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())

    @property
    def document(self) -> dict[str, Any]:
        spki = self.key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        return {
            "id": "lakeland",
            "name": "Lakeland Police",
            "signing_key": b64u(spki),
            "sealing_keys": [b64u(bytes(32))],
            "agreement_until_ms": 1_900_000_000_000,
            "cells": ["8908aa6a003ffff"],
        }

    def certify(
        self, who: tuple[str, str], passkey: SoftPasskey, role: OfficerRole = "officer"
    ) -> SignedCertificate:
        text = OfficerCertificate(
            agency="lakeland",
            officer_id=who[0],
            name=who[1],
            role=role,
            passkey=passkey.key,
            not_after_ms=1_900_000_000_000,
        ).encode()
        signature = self.key.sign(certificate_message(text), ec.ECDSA(hashes.SHA256()))
        return SignedCertificate(certificate=text.decode(), signature=b64u(signature))


def main() -> None:
    """Write the file."""
    text = json.dumps(vectors(), indent=1, ensure_ascii=False, sort_keys=True)
    (HERE / "requests.json").write_text(text + "\n", "utf-8")


FORMS: dict[str, tuple[Any, ...]] = {
    "v": (2, "1"),
    "domain": ("doorward/statement/v1",),
    "id": ("A" * 26, "a" * 25, 7),
    "agency": ("Lakeland", "-", "lake--land", "a", "a" * 40, ""),
    "officer_name": ("", "x" * 200, "x" * 201, "🏡" * 200, "Öberg\u202e", "Sgt.\nÖberg", None, 5),
    "cosigner_name": ("\u2066Dahl", "משה דהל"),
    "contact": (" ", "\u200b\u3000", "desk\u0085", "+46 70 1"),
    "case_number": ("LK-1/2", "lk-1", "LK 1", "", "A" * 25, "LK-1\n"),
    "incident_type": ("theft", "protest", None),
    "text": (
        "",
        " ",
        "\n\u200b\u2800",
        "x" * 2001,
        "🏡" * 2000,
        "Two\nlines",
        "turned\u202e",
        "mark\u200e",
        None,
    ),
    "cells": ([], ["8908aa6a003ffff"] * 12, ["8908aa6a003ffff"] * 13, ["8A08aa6a003ffff"], "89"),
    "from_ms": (-1, 253_402_300_799_999, 253_402_300_800_000, "1", None),
    "retention_days": (0, 1, 3650, 3651, True),
    "onward_sharing": ("prosecutor", "everybody"),
    "reason": (" ", "x" * 500, "x" * 501, "night\u2029", None),
    "danger": ("\u3164\ufeff", "🏡" * 500, "child\u061c", 1),
    "renews": ("b" * 26, "b", None),
    "urgency": (1, "high"),
    "__proto__": ("x",),
    "toString": ("x",),
}
"""What each field of a request is tried with; the last are no fields of one."""


def forms() -> list[list[Any]]:
    """Field, value, and whether a request with it is one."""
    right = msgspec.to_builtins(_request())
    return [
        [field, value, _is_request(right | {field: value})]
        for field, values in FORMS.items()
        for value in values
    ]


def _is_request(document: dict[str, Any]) -> bool:
    try:
        decode_canonical(EvidenceRequest, canonical(document))
    except WireError:
        return False
    return True


def vectors() -> dict[str, Any]:
    """A request by two passkeys of each kind, and what must be refused, with why."""
    agency = Agency()
    p256, other, rsa = _passkey(), _passkey(), _passkey(rsa_bits=2048)
    right = _signed(agency, p256, other)
    emergency = _request(danger="A child is missing.")
    return {
        "agency": agency.document,
        "signed": _plain(right),
        "digest": right.request_digest,
        "held": {
            "RS256 drafts": _plain(_signed(agency, rsa, other)),
            "RS256 co-signs": _plain(_signed(agency, p256, rsa)),
            "an approver co-signs an emergency": _plain(
                _signed(agency, p256, other, request=emergency, role="approver")
            ),
        },
        "forms": forms(),
        "outcome": _outcome(right.request_digest),
        "refused": {
            "an RSA key of 1024 bits": _plain(_signed(agency, _passkey(rsa_bits=1024), other)),
            "one passkey for both": _plain(_signed(agency, p256, p256)),
            "one officer as both": _plain(
                _signed(
                    agency,
                    p256,
                    other,
                    request=_request(cosigner_id=DRAFTER[0], cosigner_name=DRAFTER[1]),
                    cosigner=DRAFTER,
                )
            ),
            "an officer co-signs an emergency": _plain(
                _signed(agency, p256, other, request=emergency)
            ),
            "signatures that changed places": _plain(
                msgspec.structs.replace(
                    right, assertion=right.cosignature, cosignature=right.assertion
                )
            ),
            "the first signature again as the second": _plain(
                msgspec.structs.replace(
                    right, cosignature=other.sign(challenge(REQUEST_TAG, right.request.encode()))
                )
            ),
            "another co-signer than is named": _plain(
                _signed(agency, p256, other, cosigner=(ANOTHER_ID, COSIGNER[1]))
            ),
            "a co-signer of another name": _plain(
                _signed(agency, p256, other, cosigner=(COSIGNER[0], "Insp. Ek"))
            ),
            "the records office co-signs": _plain(_signed(agency, p256, other, role="records")),
            "an agency's administrator co-signs": _plain(
                _signed(agency, p256, other, role="admin")
            ),
            "the records office drafts": _plain(
                msgspec.structs.replace(right, officer=agency.certify(DRAFTER, p256, "records"))
            ),
            "an ES256 signature by an RSA key": _plain(_of_another_kind(agency, rsa, p256, other)),
        },
    }


def _signed(
    agency: Agency,
    drafter: SoftPasskey,
    second: SoftPasskey,
    *,
    request: EvidenceRequest | None = None,
    cosigner: tuple[str, str] = COSIGNER,
    role: OfficerRole = "officer",
) -> SignedRequest:
    text = (request or _request()).encode()
    return SignedRequest(
        request=text.decode(),
        assertion=drafter.sign(challenge(REQUEST_TAG, text)),
        officer=agency.certify(DRAFTER, drafter),
        cosignature=second.sign(challenge(COSIGN_TAG, text)),
        cosigner=agency.certify(cosigner, second, role),
    )


def _of_another_kind(
    agency: Agency, rsa: SoftPasskey, p256: SoftPasskey, second: SoftPasskey
) -> SignedRequest:
    """Certify an RSA key, and sign with a P-256 one that says that it is the same passkey."""
    signed = _signed(agency, rsa, second)
    lie = p256.sign(challenge(REQUEST_TAG, signed.request.encode()))
    assertion = Assertion(
        credential_id=rsa.key.credential_id,
        authenticator_data=lie.authenticator_data,
        client_data_json=lie.client_data_json,
        signature=lie.signature,
    )
    return msgspec.structs.replace(signed, assertion=assertion)


def _request(**changes: Any) -> EvidenceRequest:
    right = EvidenceRequest(
        id=ANOTHER_ID,
        agency="lakeland",
        officer_id=DRAFTER[0],
        officer_name=DRAFTER[1],
        cosigner_id=COSIGNER[0],
        cosigner_name=COSIGNER[1],
        contact="desk@lakeland.example",
        case_number="LP-2026/114",
        incident_type="burglary",
        text="A blue van stood\nin Elm Street.",
        cells=["8908aa6a003ffff"],
        from_ms=1_790_000_000_000,
        to_ms=1_790_003_600_000,
        retention_days=90,
        onward_sharing="prosecutor",
        created_ms=1_790_010_000_000,
        expires_ms=1_790_600_000_000,
    )
    return msgspec.structs.replace(right, **changes)


def _passkey(rsa_bits: int | None = None) -> SoftPasskey:
    origin = "http://localhost:8400"
    return SoftPasskey.create(rp_id="localhost", origin=origin, rsa_bits=rsa_bits)


def _outcome(request_digest: str) -> str:
    return (
        Outcome(
            request_digest=request_digest,
            agency="lakeland",
            officer_id=DRAFTER[0],
            outcome="not_used",
            is_resolved=True,
        )
        .encode()
        .decode()
    )


def _plain(signed: SignedRequest) -> Any:
    return json.loads(signed.encode())


if __name__ == "__main__":
    main()
