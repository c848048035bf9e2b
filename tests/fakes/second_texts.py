"""Second texts of a key: what some library or decoder reads as that very key, and we must not.

for what, spki in p256_forms(key): …      bytes of one P-256 key, none of them the accepted form
for what, text in text_forms(right): …    texts that lax decoders read as the same bytes
"""

import base64
from collections.abc import Iterator

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

P256_PRIME = 2**256 - 2**224 + 2**192 + 2**96 - 1
X25519_PRIME = 2**255 - 19
Form = tuple[str, bytes]

_EC_PUBLIC_KEY = bytes.fromhex("06072a8648ce3d0201")
_EC_DH = bytes.fromhex("06052b8104010c")
_P256 = bytes.fromhex("06082a8648ce3d030107")
_PRIME_FIELD = bytes.fromhex("06072a8648ce3d0101")
_B = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B
_GENERATOR = bytes.fromhex(
    "046b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"
    "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5"
)
_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_RSA_ENCRYPTION = bytes.fromhex("06092a864886f70d010101")
_RSA_PSS = bytes.fromhex("06092a864886f70d01010a")
_NULL = b"\x05\x00"


def p256_forms(key: ec.EllipticCurvePublicKey) -> Iterator[Form]:
    """Yield forms of a P-256 key other than its uncompressed SubjectPublicKeyInfo."""
    right = point_of(key, PublicFormat.UncompressedPoint)
    compressed = point_of(key, PublicFormat.CompressedPoint)
    hybrid = bytes([6 | right[-1] & 1]) + right[1:]
    named = _EC_PUBLIC_KEY + _P256
    yield "a compressed point", spki(named, compressed)
    yield "a hybrid point", spki(named, hybrid)
    yield "explicit curve parameters", spki(_EC_PUBLIC_KEY + _explicit_curve(), right)
    yield "the algorithm id-ecDH", spki(_EC_DH + _P256, right)
    yield "a bare point", right
    yield "a bare compressed point", compressed
    yield from _loose(spki(named, right))


def rsa_forms(key: rsa.RSAPublicKey) -> Iterator[Form]:
    """Yield forms of an RSA key other than the SubjectPublicKeyInfo of RFC 3279."""
    numbers = key.public_numbers()
    n, e = _integer(numbers.n), _integer(numbers.e)
    right = spki(_RSA_ENCRYPTION + _NULL, sequence(n + e))
    zero = b"\x00"
    yield (
        "a modulus with a leading zero",
        spki(_RSA_ENCRYPTION + _NULL, sequence(tlv(0x02, zero + n[4:]) + e)),
    )
    yield (
        "an exponent with a leading zero",
        spki(_RSA_ENCRYPTION + _NULL, sequence(n + tlv(0x02, zero + e[2:]))),
    )
    yield "no parameters", spki(_RSA_ENCRYPTION, sequence(n + e))
    yield "the algorithm RSASSA-PSS", spki(_RSA_PSS, sequence(n + e))
    yield "a bare RSAPublicKey", sequence(n + e)
    yield from _loose(right)


def x25519_forms(key: bytes) -> Iterator[Form]:
    """Yield forms of a raw X25519 key other than its 32 bytes."""
    yield "its highest bit set", key[:-1] + bytes([key[-1] | 0x80])
    yield "a byte too many", key + b"\x00"
    yield "SubjectPublicKeyInfo", bytes.fromhex("302a300506032b656e032100") + key
    u = int.from_bytes(key, "little")
    if u < 19:
        yield "u + p", (u + X25519_PRIME).to_bytes(32, "little")


def text_forms(right: str) -> Iterator[tuple[str, str]]:
    """Yield texts that lax decoders of base64url read as the same bytes."""
    yield "padded", right + "=" * (-len(right) % 4 or 4)
    yield "the other alphabet", right.replace("-", "+").replace("_", "/")
    signs = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    unused = {2: 15, 3: 3}.get(len(right) % 4, 0)
    for bits in (1, unused) if unused else ():
        yield f"unused bits {bits}", right[:-1] + signs[signs.index(right[-1]) | bits]
    yield "a line break after it", right + "\n"
    yield "a blank before it", " " + right
    yield "a line break inside", right[:40] + "\n" + right[40:]
    yield "a sign that isn't base64 inside", right[:40] + "." + right[40:]


def point_of(key: ec.EllipticCurvePublicKey, form: PublicFormat) -> bytes:
    """Return a key's point (SEC 1 section 2.3.3)."""
    return key.public_bytes(Encoding.X962, form)


def compressed_spki(key: ec.EllipticCurvePublicKey) -> bytes:
    """Return the second form that OpenSSL reads most readily."""
    return dict(p256_forms(key))["a compressed point"]


def b64u_unchecked(data: bytes) -> str:
    """Encode base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def spki(algorithm: bytes, key: bytes) -> bytes:
    """Return SubjectPublicKeyInfo (RFC 5280 section 4.1.2.7)."""
    return sequence(sequence(algorithm) + tlv(0x03, b"\x00" + key))


def sequence(content: bytes) -> bytes:
    """Return a DER SEQUENCE."""
    return tlv(0x30, content)


def tlv(tag: int, content: bytes) -> bytes:
    """Return a DER element."""
    size = len(content)
    if size < 0x80:
        return bytes([tag, size]) + content
    digits = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(digits)]) + digits + content


def _integer(value: int) -> bytes:
    return tlv(0x02, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def _explicit_curve() -> bytes:
    """Return ECParameters of P-256 (RFC 3279 section 2.3.5)."""
    field = sequence(_PRIME_FIELD + _integer(P256_PRIME))
    coefficients = [(P256_PRIME - 3).to_bytes(32, "big"), _B.to_bytes(32, "big")]
    curve = sequence(b"".join(tlv(0x04, one) for one in coefficients))
    return sequence(
        _integer(1) + field + curve + tlv(0x04, _GENERATOR) + _integer(_ORDER) + _integer(1)
    )


def _loose(right: bytes) -> Iterator[Form]:
    """Yield BER of a DER SEQUENCE, and bytes around it."""
    header = 2 if right[1] < 0x80 else 2 + (right[1] & 0x7F)
    content = right[header:]
    size = len(content)
    yield "a length with a leading zero", b"\x30\x83" + size.to_bytes(3, "big") + content
    yield "an indefinite length", b"\x30\x80" + content + b"\x00\x00"
    yield "a byte after it", right + b"\x00"
    yield "itself twice", right + right
    yield "a byte before it", b"\x00" + right
    yield (
        "PEM",
        (
            b"-----BEGIN PUBLIC KEY-----\n"
            + base64.encodebytes(right)
            + b"-----END PUBLIC KEY-----\n"
        ),
    )
