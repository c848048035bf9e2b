"""Renewal of a doorbell's TLS certificate: the certificate that it has, signed by its key.

The relay answers with a certificate for the same key. A request names the certificate that it
renews, so each brings about one new certificate at most, whoever sends it again, and neither side
needs the time or a nonce: docs/decisions/0078-certificates-and-copied-cards.md.
"""

from typing import Literal

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from firmware.protocol.claims import Pem
from firmware.protocol.encoding import Document, ShortB64u

RENEWAL_TAG = b"doorward/renewal/v1\x00"


class RenewalRequest(Document, frozen=True, kw_only=True):
    """POST /renew: the certificate to be renewed, and the identity key's signature."""

    v: Literal[1] = 1
    certificate_pem: Pem
    signature: ShortB64u
    """ECDSA (DER) with SHA-256 over `renewal_message`."""


class Renewal(Document, frozen=True, kw_only=True):
    """The relay's answer: the doorbell's newest certificate for the broker."""

    v: Literal[1] = 1
    certificate_pem: Pem


def renewal_message(certificate: x509.Certificate) -> bytes:
    """Return the bytes that the identity key signs to renew `certificate`."""
    return RENEWAL_TAG + certificate.public_bytes(Encoding.DER)
