"""A small certificate authority with real keys, for tests that need TLS or enrolment."""

import datetime as dt
import ipaddress
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

VALID = dt.timedelta(days=1)
EVIDENCE_VALID = dt.timedelta(days=20 * 365)


class FleetCa:
    """Signs doorbells and servers."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test fleet CA")])
        builder = (
            self._builder(self._name, self._key.public_key())
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_key_usage(is_ca=True), critical=True)
        )
        self.certificate = builder.sign(self._key, hashes.SHA256())

    @property
    def pem(self) -> str:
        return _pem(self.certificate)

    @property
    def sha256(self) -> str:
        return self.certificate.fingerprint(hashes.SHA256()).hex()

    def sign_request(self, csr_pem: str, *, name: str | None = None) -> str:
        """Certify a doorbell as the broker's client."""
        return self._sign(csr_pem, name, ExtendedKeyUsageOID.CLIENT_AUTH, *_from_now(VALID))

    def sign_client(self, csr_pem: str, starts: dt.datetime, ends: dt.datetime) -> str:
        """Certify a doorbell as the broker's client for a time."""
        return self._sign(csr_pem, None, ExtendedKeyUsageOID.CLIENT_AUTH, starts, ends)

    def sign_evidence(self, csr_pem: str, *, name: str | None = None) -> str:
        """Certify a doorbell for content credentials."""
        return self._sign(
            csr_pem, name, ExtendedKeyUsageOID.EMAIL_PROTECTION, *_from_now(EVIDENCE_VALID)
        )

    def _sign(
        self,
        csr_pem: str,
        name: str | None,
        usage: x509.ObjectIdentifier,
        starts: dt.datetime,
        ends: dt.datetime,
    ) -> str:
        csr = x509.load_pem_x509_csr(csr_pem.encode())
        subject = csr.subject
        if name is not None:
            subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        builder = (
            self._builder(subject, csr.public_key(), (starts, ends))
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(is_ca=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        )
        return _pem(builder.sign(self._key, hashes.SHA256()))

    def write_server(self, folder: Path, host: str = "localhost") -> tuple[Path, Path]:
        """Write a server's certificate and key for `host` and 127.0.0.1."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
        addresses = [x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        names = [x509.DNSName(host), *(addresses if host == "localhost" else [])]
        builder = self._builder(subject, key.public_key()).add_extension(
            x509.SubjectAlternativeName(names), critical=False
        )
        certificate_file, key_file = folder / f"{host}.pem", folder / f"{host}.key"
        certificate_file.write_text(_pem(builder.sign(self._key, hashes.SHA256())))
        key_file.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        return certificate_file, key_file

    def _builder(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePublicKey,
        valid: tuple[dt.datetime, dt.datetime] | None = None,
    ) -> x509.CertificateBuilder:
        starts, ends = valid or _from_now(VALID)
        issuer_id = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(starts)
            .not_valid_after(ends)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            .add_extension(issuer_id, critical=False)
        )


def _from_now(valid: dt.timedelta) -> tuple[dt.datetime, dt.datetime]:
    now = dt.datetime.now(dt.UTC)
    return now - VALID, now + valid


def _key_usage(*, is_ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not is_ca,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=is_ca,
        crl_sign=is_ca,
        encipher_only=False,
        decipher_only=False,
    )


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()
