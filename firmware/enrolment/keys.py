"""The doorbell's own keys: the identity (P-256) and the sealing key (X25519).

Both are made once, on the doorbell, and never leave it. Everything that signs with the identity
goes through `FileSigner`, so that a secure element can take its place.
"""

from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.x509.oid import NameOID

from firmware.errors import StoreError
from firmware.protocol.encoding import b64u, device_id_of
from firmware.protocol.passkeys import spki_of
from firmware.system.durable_files import write_atomic

IDENTITY_FILE = "identity.key"
SEALING_FILE = "sealing.key"


class FileSigner:
    """Signs with the identity key in a file (0600)."""

    def __init__(self, key: ec.EllipticCurvePrivateKey) -> None:
        self._key = key

    @property
    def spki(self) -> bytes:
        """The public key as SubjectPublicKeyInfo (DER)."""
        return spki_of(self._key.public_key())

    def sign(self, data: bytes) -> bytes:
        """Return the ECDSA signature (DER) over SHA-256 of `data`."""
        return self._key.sign(data, ec.ECDSA(hashes.SHA256()))

    def certificate_request(self, device: str) -> str:
        """Return a CSR (PEM) whose common name is the device id."""
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, device)])
        request = x509.CertificateSigningRequestBuilder().subject_name(name)
        signed = request.sign(self._key, hashes.SHA256())
        return signed.public_bytes(serialization.Encoding.PEM).decode()


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceKeys:
    """Both keys of this doorbell and the id that follows from them."""

    device: str
    signer: FileSigner
    identity_file: Path
    sealing_private_key: bytes
    """Raw X25519, 32 bytes."""
    sealing_public_key: bytes

    def sign(self, data: bytes) -> bytes:
        """Return the identity key's ECDSA signature (DER) over SHA-256 of `data`."""
        return self.signer.sign(data)

    @property
    def identity_key(self) -> str:
        """The identity's SubjectPublicKeyInfo in base64url, as documents carry it."""
        return b64u(self.signer.spki)

    @property
    def sealing_key(self) -> str:
        """The raw public sealing key in base64url, as documents carry it."""
        return b64u(self.sealing_public_key)


def load_or_make_keys(data_dir: Path) -> DeviceKeys:
    """Return this doorbell's keys; make them if this is its first start.

    A doorbell that is enrolled never gets new ones: a lost key is an error.
    """
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    may_make = not (data_dir / "enrolment.json").exists()
    identity_file = data_dir / IDENTITY_FILE
    identity = _load(identity_file) or _make(
        identity_file, ec.generate_private_key(ec.SECP256R1()), may_make
    )
    if not isinstance(identity, ec.EllipticCurvePrivateKey) or identity.curve.name != "secp256r1":
        raise StoreError(identity_file, "not a P-256 private key")
    sealing_file = data_dir / SEALING_FILE
    sealing = _load(sealing_file) or _make(sealing_file, X25519PrivateKey.generate(), may_make)
    if not isinstance(sealing, X25519PrivateKey):
        raise StoreError(sealing_file, "not an X25519 private key")
    signer = FileSigner(identity)
    return DeviceKeys(
        device=device_id_of(signer.spki),
        signer=signer,
        identity_file=identity_file,
        sealing_private_key=sealing.private_bytes_raw(),
        sealing_public_key=sealing.public_key().public_bytes_raw(),
    )


def _load(path: Path) -> PrivateKeyTypes | None:
    try:
        pem = path.read_bytes()
    except FileNotFoundError:
        return None
    if path.stat().st_mode & 0o077:
        raise StoreError(path, f"others may read this key; run `chmod 600 {path}`")
    try:
        return serialization.load_pem_private_key(pem, password=None)
    except (ValueError, TypeError) as error:
        raise StoreError(path, f"not a private key in PEM ({error})") from error


def _make(
    path: Path, key: ec.EllipticCurvePrivateKey | X25519PrivateKey, may_make: bool
) -> PrivateKeyTypes:
    if not may_make:
        problem = "the key is missing but this doorbell is enrolled; restore it, or reset"
        raise StoreError(path, problem)
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    write_atomic(path, pem)
    return key
