"""A passkey in software: real ES256 or RS256 keys and assertions, as an authenticator makes them.

Only the human is missing: it says that its user was present and verified. Formats follow Web
Authentication Level 3: client data 5.8.1, authenticator data 6.1, attestation "none" 8.7.
"""

import hashlib
import json
import secrets
from typing import Any, Self

import cbor2
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from firmware.protocol.encoding import b64u, unb64u
from firmware.protocol.passkeys import Assertion, PasskeyKey, login_challenge

Json = dict[str, Any]  # Any: WebAuthn's own JSON

AAGUID = b"doorward-test-pk"
FLAGS = 0x01 | 0x04  # user present, user verified
FLAG_ATTESTED = 0x40
PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


class SoftPasskey:
    """One passkey for one site."""

    def __init__(
        self,
        *,
        rp_id: str,
        origin: str,
        credential_id: bytes,
        private_key: PrivateKey,
        aaguid: bytes = AAGUID,
    ) -> None:
        self._private_key = private_key
        self._credential_id = credential_id
        self._aaguid = aaguid
        spki = private_key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        self.key = PasskeyKey(
            credential_id=b64u(credential_id), public_key=b64u(spki), rp_id=rp_id, origin=origin
        )

    @classmethod
    def create(
        cls, *, rp_id: str, origin: str, aaguid: bytes = AAGUID, rsa_bits: int | None = None
    ) -> "SoftPasskey":
        """Make a new key pair for a site; with `rsa_bits` an RSA one, as Windows Hello does."""
        key: PrivateKey = ec.generate_private_key(ec.SECP256R1())
        if rsa_bits is not None:
            key = rsa.generate_private_key(public_exponent=65537, key_size=rsa_bits)
        return cls(
            rp_id=rp_id,
            origin=origin,
            credential_id=secrets.token_bytes(32),
            private_key=key,
            aaguid=aaguid,
        )

    def register(self, options: Json) -> Json:
        """Answer PublicKeyCredentialCreationOptionsJSON with a RegistrationResponseJSON."""
        length = len(self._credential_id).to_bytes(2, "big")
        attested = self._aaguid + length + self._credential_id + self._cose_key()
        authenticator_data = self._authenticator_data(FLAGS | FLAG_ATTESTED) + attested
        attestation = {"fmt": "none", "attStmt": {}, "authData": authenticator_data}
        return self._credential(
            {
                "clientDataJSON": b64u(self._client_data("create", unb64u(options["challenge"]))),
                "attestationObject": b64u(cbor2.dumps(attestation)),
                "transports": ["internal"],
            }
        )

    def log_in(self, options: Json) -> Json:
        """Answer PublicKeyCredentialRequestOptionsJSON with an AuthenticationResponseJSON."""
        assertion = self.sign(login_challenge(unb64u(options["challenge"])))
        return self._credential(
            {
                "clientDataJSON": assertion.client_data_json,
                "authenticatorData": assertion.authenticator_data,
                "signature": assertion.signature,
            }
        )

    def sign(self, challenge: bytes) -> Assertion:
        """Make an assertion over a challenge."""
        return self.assertion_over(self._client_data("get", challenge))

    def assertion_over(self, client_data: bytes) -> Assertion:
        """Make an assertion over client data, whatever they say."""
        authenticator_data = self._authenticator_data(FLAGS)
        signed = authenticator_data + hashlib.sha256(client_data).digest()
        return Assertion(
            credential_id=self.key.credential_id,
            authenticator_data=b64u(authenticator_data),
            client_data_json=b64u(client_data),
            signature=b64u(self._sign(signed)),
        )

    def save(self) -> Json:
        """Return everything, the private key too, as JSON."""
        pem = self._private_key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        return {
            "rp_id": self.key.rp_id,
            "origin": self.key.origin,
            "credential_id": self.key.credential_id,
            "private_key": pem.decode(),
        }

    @classmethod
    def load(cls, saved: Json) -> Self:
        """Return the passkey that `save` wrote."""
        private_key = serialization.load_pem_private_key(saved["private_key"].encode(), None)
        assert isinstance(private_key, PrivateKey)
        return cls(
            rp_id=saved["rp_id"],
            origin=saved["origin"],
            credential_id=unb64u(saved["credential_id"]),
            private_key=private_key,
        )

    def _client_data(self, kind: str, challenge: bytes) -> bytes:
        told = {
            "type": f"webauthn.{kind}",
            "challenge": b64u(challenge),
            "origin": self.key.origin,
            "crossOrigin": False,
        }
        return json.dumps(told, separators=(",", ":")).encode()

    def _authenticator_data(self, flags: int) -> bytes:
        rp_id_hash = hashlib.sha256(self.key.rp_id.encode()).digest()
        return rp_id_hash + bytes([flags]) + (0).to_bytes(4, "big")

    def _sign(self, data: bytes) -> bytes:
        if isinstance(self._private_key, rsa.RSAPrivateKey):
            return self._private_key.sign(data, padding.PKCS1v15(), hashes.SHA256())
        return self._private_key.sign(data, ec.ECDSA(hashes.SHA256()))

    def _cose_key(self) -> bytes:
        if isinstance(self._private_key, rsa.RSAPrivateKey):
            rsa_numbers = self._private_key.public_key().public_numbers()
            n = rsa_numbers.n.to_bytes(self._private_key.key_size // 8, "big")
            e = rsa_numbers.e.to_bytes(3, "big")
            return cbor2.dumps({1: 3, 3: -257, -1: n, -2: e})  # RFC 8230 section 4
        numbers = self._private_key.public_key().public_numbers()
        x, y = numbers.x.to_bytes(32, "big"), numbers.y.to_bytes(32, "big")
        return cbor2.dumps({1: 2, 3: -7, -1: 1, -2: x, -3: y})  # RFC 9053 section 7.1.1

    def _credential(self, response: Json) -> Json:
        return {
            "id": self.key.credential_id,
            "rawId": self.key.credential_id,
            "type": "public-key",
            "response": response,
            "clientExtensionResults": {},
        }
