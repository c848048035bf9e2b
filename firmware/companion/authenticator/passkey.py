"""Passkeys outside of browsers, in WebAuthn's formats, for owners and officers.

It is one like any in a browser: for one site, and only what that site asked for. Its public half
is taken from here and never from the relay, which could name a key of its own.
"""

import json
from typing import Annotated, Literal
from urllib.parse import urlsplit

import msgspec

from firmware.protocol.encoding import Document, Line, WireError, b64u, unb64u
from firmware.protocol.passkeys import Assertion, PasskeyKey

MAX_USER_ID_BYTES = 64
MIN_CHALLENGE_BYTES = 16


class Site(Document, frozen=True, kw_only=True):
    """The site of a passkey (WebAuthn's relying party): the origin of the pages that may use it."""

    rp_id: Line
    origin: Line

    @classmethod
    def of(cls, origin: str) -> "Site":
        """Return the site whose relying party is the host of `origin`, or raise WireError."""
        host = urlsplit(origin).hostname
        if not host:
            raise WireError(f"{origin} isn't the address of a site")
        return cls(rp_id=host, origin=origin)


class _Party(msgspec.Struct, frozen=True, kw_only=True):
    id: Line
    name: Line


class _User(msgspec.Struct, frozen=True, kw_only=True):
    id: Annotated[str, msgspec.Meta(max_length=100)]
    name: Line


class CreationWanted(msgspec.Struct, frozen=True, kw_only=True):
    """The part of PublicKeyCredentialCreationOptionsJSON that is used; the rest is fixed here."""

    rp: _Party
    user: _User
    challenge: Annotated[str, msgspec.Meta(max_length=200)]

    @property
    def user_id(self) -> bytes:
        """The user handle that the relay gave, or raise WireError."""
        handle = unb64u(self.user.id)
        if not 1 <= len(handle) <= MAX_USER_ID_BYTES:
            raise WireError(f"a user handle has 1 to {MAX_USER_ID_BYTES} bytes")
        return handle

    @property
    def challenge_bytes(self) -> bytes:
        """What is to stand in the client data, or raise WireError."""
        given = unb64u(self.challenge)
        if len(given) < MIN_CHALLENGE_BYTES:
            raise WireError(f"a challenge has at least {MIN_CHALLENGE_BYTES} bytes")
        return given


class Attested(msgspec.Struct, frozen=True, kw_only=True):
    """A new passkey, as it is registered at a relay."""

    key: PasskeyKey
    client_data: bytes
    attestation_object: bytes
    transports: tuple[str, ...]

    def credential(self) -> dict[str, object]:
        """Return a RegistrationResponseJSON."""
        return {
            "id": self.key.credential_id,
            "rawId": self.key.credential_id,
            "type": "public-key",
            "response": {
                "clientDataJSON": b64u(self.client_data),
                "attestationObject": b64u(self.attestation_object),
                "transports": list(self.transports),
            },
            "clientExtensionResults": {},
        }


def login_credential(assertion: Assertion) -> dict[str, object]:
    """Return an AuthenticationResponseJSON."""
    return {
        "id": assertion.credential_id,
        "rawId": assertion.credential_id,
        "type": "public-key",
        "response": {
            "clientDataJSON": assertion.client_data_json,
            "authenticatorData": assertion.authenticator_data,
            "signature": assertion.signature,
        },
        "clientExtensionResults": {},
    }


def client_data(
    kind: Literal["webauthn.create", "webauthn.get"], challenge: bytes, origin: str
) -> bytes:
    """Return CollectedClientData (WebAuthn 5.8.1)."""
    told = {"type": kind, "challenge": b64u(challenge), "origin": origin, "crossOrigin": False}
    return json.dumps(told, separators=(",", ":")).encode()
