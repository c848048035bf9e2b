"""A browser with a FIDO2 key: nobody names a credential, the key finds it by the site."""

from typing import Any

from fido2.client import DefaultClientDataCollector, Fido2Client
from fido2.webauthn import PublicKeyCredentialRequestOptions, UserVerificationRequirement

from firmware.companion.authenticator.fido_device import Person
from firmware.protocol.encoding import b64u
from tests.fakes.fido_device import FidoKeyFake
from tests.fakes.terminal import FakePrompts


def found_passkey(
    fake: FidoKeyFake, *, origin: str, rp_id: str, challenge: bytes
) -> dict[str, Any]:  # Any: WebAuthn's own JSON
    """Return an AuthenticationResponseJSON by whatever passkey the key has for the site."""
    (device,) = fake.plugged_in()
    client = Fido2Client(
        device,
        DefaultClientDataCollector(origin, verify=lambda _id, _origin: True),
        Person(FakePrompts(fake.pin)),
        extensions=[],
    )
    found = client.get_assertion(
        PublicKeyCredentialRequestOptions(
            challenge=challenge,
            rp_id=rp_id,
            user_verification=UserVerificationRequirement.REQUIRED,
        )
    ).get_response(0)
    return {
        "id": b64u(found.raw_id),
        "rawId": b64u(found.raw_id),
        "type": "public-key",
        "response": {
            "clientDataJSON": b64u(bytes(found.response.client_data)),
            "authenticatorData": b64u(bytes(found.response.authenticator_data)),
            "signature": b64u(found.response.signature),
            "userHandle": b64u(found.response.user_handle or b""),
        },
    }
