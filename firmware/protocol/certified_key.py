"""The P-256 key in an X.509 certificate or certificate signing request, in its one accepted form.

Read from the signed bytes themselves: what a library returns of them is encoded anew, so a second
text of a key would look like the first. That they are whole DER elements, the library has checked.
"""

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from firmware.protocol.passkeys import load_p256

_VERSION = 0xA0
_BEFORE_CERTIFIED = 5
"""serialNumber, signature, issuer, validity and subject (RFC 5280 section 4.1)."""
_BEFORE_REQUESTED = 2
"""version and subject (RFC 2986 section 4.1)."""


def certified_spki(certificate: x509.Certificate) -> bytes:
    """Return the certified key's SubjectPublicKeyInfo (DER), or raise WireError."""
    return _spki(certificate.tbs_certificate_bytes, _BEFORE_CERTIFIED)


def requested_key(request: x509.CertificateSigningRequest) -> ec.EllipticCurvePublicKey:
    """Return the key that is to be certified, or raise WireError."""
    return load_p256(_spki(request.tbs_certrequest_bytes, _BEFORE_REQUESTED))


def _spki(signed: bytes, before: int) -> bytes:
    position, end = _element(signed, 0)
    if signed[position : position + 1] == bytes([_VERSION]):
        position = _element(signed, position)[1]
    for _ in range(before):
        position = _element(signed, position)[1]
    spki = signed[position : min(_element(signed, position)[1], end)]
    load_p256(spki)
    return spki


def _element(der: bytes, position: int) -> tuple[int, int]:
    """Return where the content of the DER element at `position` begins and ends."""
    begin = position + 2
    size = der[position + 1]
    if size & 0x80:
        digits = size & 0x7F
        size = int.from_bytes(der[begin : begin + digits], "big")
        begin += digits
    return begin, begin + size
