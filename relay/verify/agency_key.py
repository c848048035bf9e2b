"""An agency's secret key files, and its public identity from key or agreement."""

from dataclasses import dataclass
from typing import Annotated, Literal

import msgspec
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from firmware.protocol.encoding import (
    AgencyId,
    B64u,
    Document,
    P256Key,
    WireError,
    X25519Key,
    unb64u,
)
from firmware.protocol.passkeys import spki_of
from firmware.protocol.register.change_rules import check_agreement
from firmware.protocol.register.entries import SignedAgreement


class AgencyKey(Document, frozen=True, kw_only=True):
    """`agency-key.json`: secret, stays at the agency. The sealing keys are raw X25519."""

    v: Literal[1] = 1
    agency: AgencyId
    signing_key_pem: Annotated[str, msgspec.Meta(max_length=4096)]
    sealing_private_key: B64u
    sealing_public_key: X25519Key

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
        return spki_of(self.signing_key().public_key())


class OpeningKey(Document, frozen=True, kw_only=True):
    """`sealing-key-NAME.json`: opens evidence, and can't sign for the agency.

    For an officer's machine, and for the recovery key that lies offline. `signing_key` is the
    agency's public half (SubjectPublicKeyInfo), which evidence is checked by.
    """

    v: Literal[1] = 1
    agency: AgencyId
    signing_key: P256Key
    sealing_private_key: B64u
    sealing_public_key: X25519Key

    def signing_key_spki(self) -> bytes:
        """Return the agency's public signing key as SubjectPublicKeyInfo (DER)."""
        return unb64u(self.signing_key)


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownAgency:
    """The recipient agency that the evidence is checked against."""

    id: str
    signing_key: bytes
    """SubjectPublicKeyInfo (DER): it certifies the agency's officers."""

    @classmethod
    def of_key(cls, key: AgencyKey | OpeningKey) -> "KnownAgency":
        """Return the agency of its own key file."""
        return cls(id=key.agency, signing_key=key.signing_key_spki())

    @classmethod
    def of_agreement(cls, signed: SignedAgreement) -> "KnownAgency":
        """Return the agency of its public agreement, if its own key signed that."""
        agreement = check_agreement(signed)
        return cls(id=agreement.agency, signing_key=unb64u(agreement.signing_key))
