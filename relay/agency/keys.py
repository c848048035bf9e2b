"""An agency's own keys, and the certificates made with them: runs on the agency's machine.

Nothing here touches the relay's database or network.
"""

import os
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from firmware.protocol.claims import Agency
from firmware.protocol.encoding import (
    AgencyId,
    B64u,
    D,
    Document,
    Id,
    Line,
    WireError,
    b64u,
    decode,
    unb64u,
)
from firmware.protocol.passkeys import PasskeyKey, load_p256
from firmware.protocol.requests import (
    Cell,
    OfficerCertificate,
    SignedCertificate,
    certificate_message,
)

MAX_FILE_BYTES = 16 * 1024 * 1024


class AgencyKey(Document, frozen=True, kw_only=True):
    """`agency-key.json`: secret, stays at the agency. The sealing keys are raw X25519."""

    v: Literal[1] = 1
    agency: AgencyId
    signing_key_pem: Annotated[str, msgspec.Meta(max_length=4096)]
    sealing_private_key: B64u
    sealing_public_key: B64u

    def signing_key(self) -> ec.EllipticCurvePrivateKey:
        """Return the key that certifies officers, or raise WireError."""
        try:
            loaded = serialization.load_pem_private_key(self.signing_key_pem.encode(), None)
        except (ValueError, TypeError) as error:
            raise WireError(f"the agency's signing key can't be read: {error}") from error
        if not isinstance(loaded, ec.EllipticCurvePrivateKey):
            raise WireError("the agency's signing key isn't an elliptic-curve key")
        return loaded

    def signing_key_spki(self) -> bytes:
        """Return the public half as SubjectPublicKeyInfo (DER)."""
        return _spki(self.signing_key().public_key())


class OfficerFile(Document, frozen=True, kw_only=True):
    """`officer.json`: an officer's public half, as the relay's page gives it to them."""

    officer_id: Id
    name: Line
    passkey: PasskeyKey


def generate_agency(
    *, agency_id: str, name: str, cells: list[str], agreement_until_ms: int
) -> tuple[Agency, AgencyKey]:
    """Return a new agency's public document and its secret keys."""
    signing = ec.generate_private_key(ec.SECP256R1())
    sealing = X25519PrivateKey.generate()
    sealing_public = b64u(sealing.public_key().public_bytes_raw())
    pem = signing.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    agency = _checked(
        Agency,
        Agency(
            id=agency_id,
            name=name,
            signing_key=b64u(_spki(signing.public_key())),
            sealing_keys=[sealing_public],
            agreement_until_ms=agreement_until_ms,
            cells=_checked_cells(cells),
        ),
    )
    key = AgencyKey(
        agency=agency_id,
        signing_key_pem=pem.decode(),
        sealing_private_key=b64u(sealing.private_bytes_raw()),
        sealing_public_key=sealing_public,
    )
    return agency, key


def certify(key: AgencyKey, officer: OfficerFile, *, not_after_ms: int) -> SignedCertificate:
    """Return the agency's word that the officer's passkey counts until `not_after_ms`."""
    load_p256(unb64u(officer.passkey.public_key))
    certificate = OfficerCertificate(
        agency=key.agency,
        officer_id=officer.officer_id,
        name=officer.name,
        passkey=officer.passkey,
        not_after_ms=not_after_ms,
    ).encode()
    signature = key.signing_key().sign(certificate_message(certificate), ec.ECDSA(hashes.SHA256()))
    return SignedCertificate(certificate=certificate.decode(), signature=b64u(signature))


def read_document(kind: type[D], path: Path) -> D:
    """Read one JSON file, or raise WireError naming it."""
    data = path.read_bytes()
    try:
        return decode(kind, data, max_bytes=MAX_FILE_BYTES)
    except WireError as error:
        raise WireError(f"{path}: {error}") from error


def write_new_file(path: Path, data: bytes, *, mode: int) -> None:
    """Write a file that must not be there yet: a key is never overwritten."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)


def _spki(key: ec.EllipticCurvePublicKey) -> bytes:
    return key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def _checked(kind: type[D], document: D) -> D:
    return decode(kind, document.encode(), max_bytes=MAX_FILE_BYTES)


def _checked_cells(cells: list[str]) -> list[str]:
    try:
        return msgspec.convert(cells, list[Cell])
    except msgspec.ValidationError as error:
        raise WireError(f"--cells: {error}") from error
