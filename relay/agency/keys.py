"""An agency's keys and the documents that it signs with them; runs on the agency's machine.

Nothing here touches the relay's database or network. Keys are made here and stay here; what goes to
the relay's operator is signed and public.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from firmware.protocol.custody import (
    MAX_ANSWERED,
    DeletionAnswer,
    SignedDeletionAnswer,
    deletion_message,
    package_commitment,
)
from firmware.protocol.encoding import (
    BLANK,
    AgencyId,
    D,
    Document,
    Id,
    Line,
    P256Key,
    WireError,
    X25519Key,
    b64u,
    decode,
    new_id,
    sha256_hex,
    unb64u,
)
from firmware.protocol.passkeys import PasskeyKey, load_passkey
from firmware.protocol.register.changes import texts_of
from firmware.protocol.register.entries import (
    MAX_AGREEMENT_MS,
    Agreement,
    AgreementArea,
    AgreementTerms,
    Change,
    ChangeLeaf,
    ChangeSignature,
    OfficerRevoked,
    SignedAgreement,
    agreement_message,
    change_message,
)
from firmware.protocol.requests import (
    OfficerCertificate,
    OfficerRole,
    SignedCertificate,
    certificate_message,
)
from relay.verify.agency_key import AgencyKey, OpeningKey

MAX_TEXT_BYTES = 256 * 1024
MAX_SEALING_KEYS = 8


class OfficerFile(Document, frozen=True, kw_only=True):
    """`officer.json`: an officer's public half, by the command `passkey` or the relay's page."""

    officer_id: Id
    name: Line
    passkey: PasskeyKey


class DeletionDraft(Document, frozen=True, kw_only=True):
    """`deletion-draft.json`: an answer to deletion requests, as the relay's page wrote it.

    Nobody has signed it: whoever holds the agency's key reads it first.
    """

    v: Literal[1] = 1
    domain: Literal["doorward/deletion-draft/v1"] = "doorward/deletion-draft/v1"
    packages: Annotated[list[Id], msgspec.Meta(min_length=1, max_length=MAX_ANSWERED)]
    answer: Literal["deleted", "kept"]
    reason: Line


class SealingKey(Document, frozen=True, kw_only=True):
    """The public half of one sealing key, with the agency's name for it."""

    name: Line
    key: X25519Key

    @property
    def fingerprint(self) -> str:
        """The fingerprint that people compare."""
        return fingerprint_of(self.key)


class AgencyKeys(Document, frozen=True, kw_only=True):
    """`agency-keys.json`: the public halves of all that `keygen` made; no secret is in it."""

    v: Literal[1] = 1
    agency: AgencyId
    signing_key: P256Key
    sealing_keys: Annotated[
        list[SealingKey], msgspec.Meta(min_length=1, max_length=MAX_SEALING_KEYS)
    ]


class AgencyEnrolment(Document, frozen=True, kw_only=True):
    """`enrolment.json`: the file that an agency hands to the relay's operator.

    All of it becomes public.
    """

    v: Literal[1] = 1
    signed: SignedAgreement
    text: Annotated[
        str, msgspec.Meta(min_length=1, max_length=MAX_TEXT_BYTES, pattern=rf"[^{BLANK}]")
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class NewAgency:
    """An agency's fresh keys: the first opens and signs, each other one only opens."""

    key: AgencyKey
    opening_keys: dict[str, OpeningKey]
    public: AgencyKeys


def generate_agency(agency_id: str, *, also: tuple[str, ...] = ()) -> NewAgency:
    """Return new keys: one that signs and opens, and one that opens for each name in `also`."""
    signing = ec.generate_private_key(ec.SECP256R1())
    pem = signing.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    private, public = _sealing_key()
    key = AgencyKey(
        agency=agency_id,
        signing_key_pem=pem.decode(),
        sealing_private_key=private,
        sealing_public_key=public,
    )
    signing_key = b64u(key.signing_key_spki())
    opening_keys = {}
    for name in also:
        other_private, other_public = _sealing_key()
        opening_keys[name] = OpeningKey(
            agency=agency_id,
            signing_key=signing_key,
            sealing_private_key=other_private,
            sealing_public_key=other_public,
        )
    sealing_keys = [SealingKey(name="agency-key", key=public)] + [
        SealingKey(name=name, key=other.sealing_public_key) for name, other in opening_keys.items()
    ]
    keys = AgencyKeys(agency=agency_id, signing_key=signing_key, sealing_keys=sealing_keys)
    return NewAgency(key=key, opening_keys=opening_keys, public=_checked(AgencyKeys, keys))


def sign_agreement(key: AgencyKey, agreement: Agreement) -> SignedAgreement:
    """Return the agreement with the agency's signature, or raise WireError."""
    agreement = _checked(Agreement, agreement)
    area = _checked(AgreementArea, agreement.area).encode()
    text = _checked(AgreementTerms, agreement.terms).encode()
    if agreement.agency != key.agency or agreement.signing_key != b64u(key.signing_key_spki()):
        raise WireError("the agreement names another agency, or another signing key")
    if not 0 < agreement.ends_ms - agreement.begins_ms <= MAX_AGREEMENT_MS:
        raise WireError("an agreement holds for twelve months at most")
    return _checked(
        SignedAgreement,
        SignedAgreement(
            agreement=text.decode(),
            signature=_sign(key, agreement_message(text)),
            area=area.decode(),
        ),
    )


def certify(
    key: AgencyKey, officer: OfficerFile, *, not_after_ms: int, role: OfficerRole = "officer"
) -> SignedCertificate:
    """Return the agency's certificate for the officer's passkey, valid until `not_after_ms`."""
    load_passkey(unb64u(officer.passkey.public_key))
    certificate = OfficerCertificate(
        agency=key.agency,
        officer_id=officer.officer_id,
        name=officer.name,
        role=role,
        passkey=officer.passkey,
        not_after_ms=not_after_ms,
    ).encode()
    return SignedCertificate(
        certificate=certificate.decode(), signature=_sign(key, certificate_message(certificate))
    )


def revoke_officer(key: AgencyKey, officer_id: str, *, origin: str) -> ChangeLeaf:
    """Return the entry by which the agency itself takes an officer's certificates back."""
    body = OfficerRevoked(agency=key.agency, officer_id=officer_id)
    texts = texts_of(Change(origin=origin, nonce=new_id(), body=body))
    message = change_message(texts.change.encode())
    signature = ChangeSignature(by=key.agency, signature=_sign(key, message))
    return _checked(ChangeLeaf, texts.signed([signature]))


def answer_deletion(
    key: AgencyKey,
    *package_ids: str,
    is_deleted: bool,
    reason: str,
    answered_ms: int,
) -> SignedDeletionAnswer:
    """Return the agency's one answer to owners who asked for recordings to be deleted (R14)."""
    answer = DeletionAnswer(
        agency=key.agency,
        packages=sorted({package_commitment(one) for one in package_ids}),
        answer="deleted" if is_deleted else "kept",
        reason=reason,
        answered_ms=answered_ms,
    )
    text = _checked(DeletionAnswer, answer).encode()
    return SignedDeletionAnswer(answer=text.decode(), signature=_sign(key, deletion_message(text)))


def write_new_file(path: Path, data: bytes, *, mode: int) -> None:
    """Write a file that must not be there yet: a key is never overwritten."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def fingerprint_of(key: str) -> str:
    """Return a key's fingerprint: the first 16 hexadecimal digits of SHA-256 over the key."""
    return sha256_hex(unb64u(key))[:16]


def _sign(key: AgencyKey, message: bytes) -> str:
    return b64u(key.signing_key().sign(message, ec.ECDSA(hashes.SHA256())))


def _sealing_key() -> tuple[str, str]:
    """Return a fresh X25519 key: its private and its public half, base64url."""
    key = X25519PrivateKey.generate()
    return b64u(key.private_bytes_raw()), b64u(key.public_key().public_bytes_raw())


def _checked(kind: type[D], document: D) -> D:
    """Return the document parsed as its reader will parse it, so that typed values are checked."""
    return decode(kind, document.encode(), max_bytes=MAX_TEXT_BYTES)
