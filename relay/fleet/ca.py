"""The fleet CA: signs the certificates of doorbells and of the broker, and nothing else.

A cluster of brokers has a second CA, for the routes between them alone.

Each certificate has one use (extended key usage), so that none can stand in for another. A doorbell
has two for its one key: a client's for 90 days, renewed by the same key, and the evidence
certificate, which signs C2PA content credentials for 20 years. Its use is emailProtection: C2PA has
borrowed S/MIME's word.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from firmware.protocol.certified_key import requested_key
from firmware.protocol.encoding import WireError, device_id_of, sha256_hex
from firmware.protocol.passkeys import spki_of
from relay.errors import EnrolmentRefused

FLEET_CA = "Doorward fleet CA"
CLUSTER_CA = "Doorward cluster CA"
DOORBELL_DAYS = 90
BROKER_DAYS = 3650
EVIDENCE_DAYS = 20 * 365 + 5
CA_DAYS = 40 * 365 + 10
"""What is signed in its twentieth year has its twenty years as well."""
# Doorbells without a clock that was set start near their image's build date.
BACKDATE = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateRequest:
    """A verified CSR: its signature holds and its name is its key's device id."""

    device: str
    public_key: ec.EllipticCurvePublicKey

    @property
    def identity_key(self) -> bytes:
        """The key as SubjectPublicKeyInfo (DER)."""
        return spki_of(self.public_key)


@dataclass(frozen=True, slots=True, kw_only=True)
class Authority:
    """The CA's key and certificate."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @classmethod
    def create(cls, now_ms: int, *, name: str = FLEET_CA) -> "Authority":
        """Make a new CA."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        builder = (
            _builder(subject, subject, key.public_key(), now_ms, CA_DAYS)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_key_usage(is_ca=True), critical=True)
        )
        return cls(key=key, certificate=builder.sign(key, hashes.SHA256()))

    @classmethod
    def load(cls, key_pem: bytes, certificate_pem: bytes) -> "Authority":
        """Load both from PEM; raise ValueError if they aren't a P-256 pair."""
        key = serialization.load_pem_private_key(key_pem, password=None)
        certificate = x509.load_pem_x509_certificate(certificate_pem)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise ValueError("ca.key isn't an elliptic-curve key")
        if key.public_key() != certificate.public_key():
            raise ValueError("ca.key and ca.pem don't belong together")
        return cls(key=key, certificate=certificate)

    @property
    def pem(self) -> str:
        """The certificate in PEM."""
        return pem_of(self.certificate)

    @property
    def sha256(self) -> str:
        """SHA-256 over the certificate's DER, which claims pin."""
        return sha256_hex(self.certificate.public_bytes(serialization.Encoding.DER))

    def sign_doorbell(self, request: CertificateRequest, now_ms: int) -> x509.Certificate:
        """Certify a doorbell as a client for 90 days."""
        return self._certify(request, now_ms, DOORBELL_DAYS, ExtendedKeyUsageOID.CLIENT_AUTH)

    def sign_evidence(self, request: CertificateRequest, now_ms: int) -> x509.Certificate:
        """Certify a doorbell's key for content credentials, and nothing else, for 20 years."""
        return self._certify(request, now_ms, EVIDENCE_DAYS, ExtendedKeyUsageOID.EMAIL_PROTECTION)

    def sign_broker(
        self, key: ec.EllipticCurvePublicKey, hosts: Sequence[str], now_ms: int
    ) -> x509.Certificate:
        """Certify the broker as a server under these names and addresses."""
        return self._certify_broker(key, hosts, now_ms, [ExtendedKeyUsageOID.SERVER_AUTH])

    def sign_route(
        self, key: ec.EllipticCurvePublicKey, hosts: Sequence[str], now_ms: int
    ) -> x509.Certificate:
        """Certify a broker towards the others of its cluster, as server and as client.

        Never by the fleet's CA, since each doorbell has a client's certificate of that.
        """
        usages = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        return self._certify_broker(key, hosts, now_ms, usages)

    def _certify_broker(
        self,
        key: ec.EllipticCurvePublicKey,
        hosts: Sequence[str],
        now_ms: int,
        usages: Sequence[x509.ObjectIdentifier],
    ) -> x509.Certificate:
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Doorward broker")])
        names = x509.SubjectAlternativeName([_general_name(host) for host in hosts])
        return (
            _leaf(self.certificate.subject, name, key, now_ms, BROKER_DAYS)
            .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
            .add_extension(names, critical=False)
            .sign(self.key, hashes.SHA256())
        )

    def _certify(
        self, request: CertificateRequest, now_ms: int, days: int, usage: x509.ObjectIdentifier
    ) -> x509.Certificate:
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, request.device)])
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())
        return (
            _leaf(self.certificate.subject, name, request.public_key, now_ms, days)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
            .add_extension(issuer, critical=False)
            .sign(self.key, hashes.SHA256())
        )

    def has_signed(self, certificate: x509.Certificate) -> bool:
        """Return whether this CA signed `certificate`."""
        try:
            certificate.verify_directly_issued_by(self.certificate)
        except (InvalidSignature, ValueError, TypeError):
            return False
        return True


def is_for(certificate: x509.Certificate, usage: x509.ObjectIdentifier) -> bool:
    """Return whether `usage` is the certificate's one use."""
    try:
        usages = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except (x509.ExtensionNotFound, ValueError):
        return False
    return list(usages) == [usage]


def check_csr(csr_pem: str) -> CertificateRequest:
    """Check a doorbell's CSR, or raise EnrolmentRefused."""
    try:
        csr = x509.load_pem_x509_csr(csr_pem.encode())
        public_key = csr.public_key()
        is_signed = csr.is_signature_valid
    except (ValueError, TypeError, x509.InvalidVersion) as error:
        raise EnrolmentRefused("csr", f"not a certificate signing request: {error}") from error
    if not isinstance(public_key, ec.EllipticCurvePublicKey):
        raise EnrolmentRefused("key", "the doorbell's key must be P-256")
    try:
        key = requested_key(csr)
    except WireError as error:
        raise EnrolmentRefused("key", f"the doorbell's key must be P-256: {error}") from error
    if not is_signed:
        raise EnrolmentRefused("signature", "the request isn't signed by its own key")
    device = device_id_of(spki_of(key))
    if common_name(csr.subject) != device:
        raise EnrolmentRefused("device", f"the request's name must be its key's id, {device}")
    return CertificateRequest(device=device, public_key=key)


def common_name(name: x509.Name) -> str:
    """Return the one common name of a subject that has nothing else, or an empty text."""
    attributes = list(name)
    if len(attributes) != 1 or attributes[0].oid != NameOID.COMMON_NAME:
        return ""
    return str(attributes[0].value)


def ends_ms_of(certificate: x509.Certificate) -> int:
    """Return when a certificate ends, in milliseconds since the epoch."""
    return int(certificate.not_valid_after_utc.timestamp()) * 1000


def pem_of(certificate: x509.Certificate) -> str:
    """Return a certificate in PEM."""
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def key_pem(key: ec.EllipticCurvePrivateKey) -> str:
    """Return a private key in PEM (PKCS #8, not encrypted: the file's mode guards it)."""
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()


def _builder(
    issuer: x509.Name, subject: x509.Name, key: ec.EllipticCurvePublicKey, now_ms: int, days: int
) -> x509.CertificateBuilder:
    now = datetime.fromtimestamp(now_ms / 1000, UTC)
    return (
        x509.CertificateBuilder()
        .issuer_name(issuer)
        .subject_name(subject)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATE)
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _leaf(
    issuer: x509.Name, subject: x509.Name, key: ec.EllipticCurvePublicKey, now_ms: int, days: int
) -> x509.CertificateBuilder:
    return (
        _builder(issuer, subject, key, now_ms, days)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(is_ca=False), critical=True)
    )


def _key_usage(*, is_ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not is_ca,
        key_cert_sign=is_ca,
        crl_sign=is_ca,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return x509.DNSName(host)
