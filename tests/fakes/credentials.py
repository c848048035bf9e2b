"""A doorbell with a certificate of a real fleet CA, and a C2PA reader that trusts that CA."""

import io
import json
import time
from dataclasses import dataclass

import c2pa
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from firmware.protocol.encoding import device_id_of
from relay.fleet.ca import Authority, check_csr, pem_of


class Identity:
    """An identity key that counts what it signs."""

    def __init__(self) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.signed: list[bytes] = []
        self.spki = self.key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )

    def sign(self, data: bytes) -> bytes:
        self.signed.append(data)
        return self.key.sign(data, ec.ECDSA(hashes.SHA256()))

    def csr_pem(self) -> str:
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, device_id_of(self.spki))])
        request = x509.CertificateSigningRequestBuilder().subject_name(name)
        signed = request.sign(self.key, hashes.SHA256())
        return signed.public_bytes(serialization.Encoding.PEM).decode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """What a C2PA reader says of a file."""

    state: str
    problems: list[str]
    manifest: dict


class Fleet:
    """A fleet CA as the relay has it."""

    def __init__(self) -> None:
        self.now_ms = int(time.time() * 1000)
        self.authority = Authority.create(self.now_ms)

    def certify(self, identity: Identity) -> bytes:
        request = check_csr(identity.csr_pem())
        return pem_of(self.authority.sign_evidence(request, self.now_ms)).encode()

    def certify_for_the_broker(self, identity: Identity) -> bytes:
        request = check_csr(identity.csr_pem())
        return pem_of(self.authority.sign_doorbell(request, self.now_ms)).encode()

    def read(self, mp4: bytes) -> Read:
        settings = c2pa.Settings.from_dict({"trust": {"trust_anchors": self.authority.pem}})
        with c2pa.Context(settings) as context:
            with c2pa.Reader("video/mp4", io.BytesIO(mp4), context=context) as reader:
                told = json.loads(reader.json())
                return Read(
                    state=reader.get_validation_state(),
                    problems=[one["code"] for one in told.get("validation_status", [])],
                    manifest=told["manifests"][told["active_manifest"]],
                )
