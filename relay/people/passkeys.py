"""WebAuthn for one site: options for the browser, and verification of its responses.

The only file that imports `webauthn`. ES256 and RS256 count, with user verification. Logins are
checked by `firmware.protocol.passkeys`, the same code that the doorbell runs.
"""

import json
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from webauthn import generate_authentication_options, generate_registration_options
from webauthn import verify_registration_response as verify_response
from webauthn.helpers import decode_credential_public_key, options_to_json
from webauthn.helpers.cose import COSEAlgorithmIdentifier
from webauthn.helpers.decoded_public_key_to_cryptography import (
    decoded_public_key_to_cryptography,
)
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from firmware.protocol.encoding import WireError, b64u, unb64u
from firmware.protocol.passkeys import (
    Assertion,
    PasskeyKey,
    check_assertion,
    load_passkey,
    login_challenge,
)
from relay.people.errors import SignInRefused

DEMO_AAGUID = str(UUID(bytes=b"doorward-demo-pk"))
CEREMONY_TIMEOUT_MS = 5 * 60 * 1000
ALGORITHMS = [
    COSEAlgorithmIdentifier.ECDSA_SHA_256,
    COSEAlgorithmIdentifier.RSASSA_PKCS1_v1_5_SHA_256,
]
"""In the order in which they are asked for; Windows Hello may have the second only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A relying party: the site of one role's passkeys."""

    rp_id: str
    origin: str
    name: str
    has_demo_passkeys: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class NewPasskey:
    """A verified registration."""

    key: PasskeyKey
    aaguid: str
    sign_count: int
    is_demo: bool


def registration_options(
    site: Site, *, account_id: str, name: str, challenge: bytes
) -> dict[str, Any]:  # Any: WebAuthn's own JSON
    """Return PublicKeyCredentialCreationOptionsJSON."""
    options = generate_registration_options(
        rp_id=site.rp_id,
        rp_name=site.name,
        user_name=name,
        user_id=account_id.encode(),
        challenge=challenge,
        timeout=CEREMONY_TIMEOUT_MS,
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.REQUIRED,
            user_verification=UserVerificationRequirement.REQUIRED,
        ),
        supported_pub_key_algs=ALGORITHMS,
    )
    return _as_json(options_to_json(options))


def login_options(site: Site, *, challenge: bytes) -> dict[str, Any]:  # Any: WebAuthn's own JSON
    """Return PublicKeyCredentialRequestOptionsJSON for any passkey of this site."""
    options = generate_authentication_options(
        rp_id=site.rp_id,
        challenge=challenge,
        timeout=CEREMONY_TIMEOUT_MS,
        user_verification=UserVerificationRequirement.REQUIRED,
    )
    return _as_json(options_to_json(options))


def check_registration(
    site: Site, credential: dict[str, Any], challenge: bytes
) -> NewPasskey:  # Any: WebAuthn's own JSON
    """Check a RegistrationResponseJSON, or raise SignInRefused."""
    try:
        _check_unframed(credential)
        verified = verify_response(
            credential=credential,
            expected_challenge=challenge,
            expected_rp_id=site.rp_id,
            expected_origin=site.origin,
            require_user_verification=True,
            supported_pub_key_algs=ALGORITHMS,
        )
        decoded = decode_credential_public_key(verified.credential_public_key)
        spki = decoded_public_key_to_cryptography(decoded).public_bytes(
            Encoding.DER, PublicFormat.SubjectPublicKeyInfo
        )
        load_passkey(spki)
    except (
        WebAuthnException,
        WireError,
        ValueError,
        TypeError,
        KeyError,
        AttributeError,
        RecursionError,
    ) as error:
        raise SignInRefused("passkey", f"this passkey can't be registered: {error}") from error
    is_demo = verified.aaguid == DEMO_AAGUID
    if is_demo and not site.has_demo_passkeys:
        raise SignInRefused(
            "demo_passkey", "this relay takes no demo passkeys; use a passkey of your device"
        )
    key = PasskeyKey(
        credential_id=b64u(verified.credential_id),
        public_key=b64u(spki),
        rp_id=site.rp_id,
        origin=site.origin,
    )
    return NewPasskey(
        key=key, aaguid=verified.aaguid, sign_count=verified.sign_count, is_demo=is_demo
    )


def _check_unframed(credential: dict[str, Any]) -> None:  # Any: WebAuthn's own JSON
    """Raise WireError if it was made in another site's frame, which `webauthn` doesn't check."""
    client_data = json.loads(unb64u(credential["response"]["clientDataJSON"]))
    if client_data.get("crossOrigin", False) is not False:
        raise WireError("it was made inside another site's frame")


def parse_login(credential: dict[str, Any]) -> Assertion:  # Any: WebAuthn's own JSON
    """Return the assertion in an AuthenticationResponseJSON; nothing is verified yet."""
    response = credential.get("response")
    if not isinstance(response, dict):
        raise SignInRefused("passkey", "not an answer of a passkey")
    parts = (
        credential.get("rawId", credential.get("id")),
        response.get("authenticatorData"),
        response.get("clientDataJSON"),
        response.get("signature"),
    )
    texts = [part for part in parts if isinstance(part, str)]
    if len(texts) != len(parts):
        raise SignInRefused("passkey", "the passkey's answer lacks a field")
    if not all(text.isascii() and text.isprintable() for text in texts):
        # Nor would a database take half a character, or a zero byte.
        raise SignInRefused("passkey", "the passkey's answer isn't base64url")
    return Assertion(
        credential_id=texts[0],
        authenticator_data=texts[1],
        client_data_json=texts[2],
        signature=texts[3],
    )


def check_login(assertion: Assertion, key: PasskeyKey, challenge: bytes) -> int:
    """Check a login and return the authenticator's counter, or raise SignInRefused."""
    try:
        check_assertion(assertion, key, login_challenge(challenge))
    except (WireError, ValueError) as error:
        raise SignInRefused("passkey", f"the passkey's answer doesn't hold: {error}") from error
    # WebAuthn section 6.1: the counter is the four bytes behind rpIdHash and flags.
    return int.from_bytes(unb64u(assertion.authenticator_data)[33:37], "big")


def _as_json(text: str) -> dict[str, Any]:  # Any: WebAuthn's own JSON
    parsed: dict[str, Any] = json.loads(text)
    return parsed
