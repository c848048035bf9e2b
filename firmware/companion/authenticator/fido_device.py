"""FIDO2 keys that are plugged in: makes credentials, and signs. Only importer of python-fido2.

The private half never leaves it, and it asks for a touch and its PIN (or finger) each time. The
device is looked for when it is needed, and no earlier. Nothing is kept here.
"""

import secrets
from collections.abc import Callable, Iterable
from typing import Protocol, TypeVar
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric import ec
from fido2.client import (
    ClientError,
    DefaultClientDataCollector,
    Fido2Client,
    PinRequiredError,
    UserInteraction,
)
from fido2.cose import ES256
from fido2.ctap import CtapDevice, CtapError
from fido2.ctap2.pin import ClientPin
from fido2.hid import CtapHidDevice
from fido2.webauthn import (
    AttestationObject,
    AuthenticatorData,
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialCreationOptions,
    PublicKeyCredentialDescriptor,
    PublicKeyCredentialParameters,
    PublicKeyCredentialRequestOptions,
    PublicKeyCredentialRpEntity,
    PublicKeyCredentialType,
    PublicKeyCredentialUserEntity,
    RegistrationResponse,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from firmware.companion.authenticator.errors import KeyRefused
from firmware.companion.authenticator.passkey import Attested, CreationWanted, Site
from firmware.protocol.encoding import b64u, unb64u
from firmware.protocol.passkeys import Assertion, PasskeyKey, spki_of

TIMEOUT_MS = 60_000
_AAGUID_AT = 37
"""In authenticator data, behind rpIdHash, flags and counter (WebAuthn 6.1)."""

T = TypeVar("T")
Devices = Callable[[], Iterable[CtapDevice]]

_HELP = {
    CtapError.ERR.PIN_INVALID: "the PIN is wrong",
    CtapError.ERR.PIN_BLOCKED: "the PIN is blocked: too many wrong tries; the key must be reset",
    CtapError.ERR.PIN_AUTH_BLOCKED: "too many wrong PINs: take the key out, put it in, try again",
    CtapError.ERR.PIN_NOT_SET: "the key has no PIN yet: set one with its maker's program",
    CtapError.ERR.NO_CREDENTIALS: "this FIDO2 key isn't the one that was enrolled here",
    CtapError.ERR.KEY_STORE_FULL: "the key holds no further passkey: delete one with its maker's "
    "program",
    CtapError.ERR.OPERATION_DENIED: "the key refused",
    CtapError.ERR.ACTION_TIMEOUT: "the key wasn't touched in time",
    CtapError.ERR.USER_ACTION_TIMEOUT: "the key wasn't touched in time",
    CtapError.ERR.KEEPALIVE_CANCEL: "the key wasn't touched in time",
    CtapError.ERR.UV_BLOCKED: "the key doesn't take the finger any more: use its PIN",
    CtapError.ERR.UNSUPPORTED_ALGORITHM: "the key can't sign by ES256",
}


class KeyPrompts(Protocol):
    """What a person reads and types, as `firmware.companion.authenticator.prompts.PinKeyboard`."""

    def say(self, text: str) -> None:
        """Show one line."""
        ...

    def ask_pin(self) -> str:
        """Return the key's PIN, as it was typed; empty: cancelled."""
        ...


class Person(UserInteraction):
    """The person at the FIDO2 key, who is asked for a touch and the PIN."""

    def __init__(self, prompts: KeyPrompts) -> None:
        self._prompts = prompts

    def prompt_up(self) -> None:
        """The key waits for a touch."""
        self._prompts.say("Touch your FIDO2 key.")

    def request_pin(
        self,
        permissions: ClientPin.PERMISSION,  # noqa: ARG002
        rp_id: str | None,  # noqa: ARG002
    ) -> str | None:
        """The key wants its PIN; none: cancelled."""
        return self._prompts.ask_pin() or None

    def request_uv(
        self,
        permissions: ClientPin.PERMISSION,  # noqa: ARG002
        rp_id: str | None,  # noqa: ARG002
    ) -> bool:
        """The key asks for the finger."""
        self._prompts.say("Your FIDO2 key asks for your finger.")
        return True


def hid_devices() -> Iterable[CtapDevice]:
    """Return the FIDO2 keys that are plugged in."""
    return CtapHidDevice.list_devices()


def make_passkey(
    site: Site, wanted: CreationWanted, *, person: Person, devices: Devices = hid_devices
) -> Attested:
    """Make one that a browser finds by itself (discoverable), for `site` whatever is wanted.

    Raises KeyRefused, or WireError if what is wanted can't be; waits for a touch.
    """
    made = _make(
        PublicKeyCredentialRpEntity(id=site.rp_id, name=wanted.rp.name),
        PublicKeyCredentialUserEntity(
            id=wanted.user_id, name=wanted.user.name, display_name=wanted.user.name
        ),
        challenge=wanted.challenge_bytes,
        origin=site.origin,
        resident_key=ResidentKeyRequirement.REQUIRED,
        person=person,
        devices=devices,
    )
    return Attested(
        key=_key_of(made, site),
        client_data=bytes(made.response.client_data),
        attestation_object=_without_make(made.response.attestation_object),
        transports=("usb",),
    )


def make_hidden_key(
    site: Site, name: str, *, person: Person, devices: Devices = hid_devices
) -> PasskeyKey:
    """Make one that only who knows its id finds, or raise KeyRefused; waits for a touch."""
    made = _make(
        PublicKeyCredentialRpEntity(id=site.rp_id, name="Doorward"),
        PublicKeyCredentialUserEntity(id=secrets.token_bytes(16), name=name),
        challenge=secrets.token_bytes(32),
        origin=site.origin,
        resident_key=ResidentKeyRequirement.DISCOURAGED,
        person=person,
        devices=devices,
    )
    return _key_of(made, site)


def sign(
    key: PasskeyKey, challenge: bytes, *, person: Person, devices: Devices = hid_devices
) -> Assertion:
    """Sign as a passkey does, or raise KeyRefused; waits for a touch."""
    options = PublicKeyCredentialRequestOptions(
        challenge=challenge,
        timeout=TIMEOUT_MS,
        rp_id=key.rp_id,
        allow_credentials=[
            PublicKeyCredentialDescriptor(
                type=PublicKeyCredentialType.PUBLIC_KEY, id=unb64u(key.credential_id)
            )
        ],
        user_verification=UserVerificationRequirement.REQUIRED,
    )
    with _only(devices) as device:
        answer = _told(lambda: _client(device, key.origin, person).get_assertion(options))
        response = answer.get_response(0).response
    return Assertion(
        credential_id=key.credential_id,
        authenticator_data=b64u(bytes(response.authenticator_data)),
        client_data_json=b64u(bytes(response.client_data)),
        signature=b64u(response.signature),
    )


def _make(
    party: PublicKeyCredentialRpEntity,
    user: PublicKeyCredentialUserEntity,
    *,
    challenge: bytes,
    origin: str,
    resident_key: ResidentKeyRequirement,
    person: Person,
    devices: Devices,
) -> RegistrationResponse:
    options = PublicKeyCredentialCreationOptions(
        rp=party,
        user=user,
        challenge=challenge,
        pub_key_cred_params=[
            PublicKeyCredentialParameters(
                type=PublicKeyCredentialType.PUBLIC_KEY, alg=ES256.ALGORITHM
            )
        ],
        timeout=TIMEOUT_MS,
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=resident_key,
            user_verification=UserVerificationRequirement.REQUIRED,
        ),
    )
    with _only(devices) as device:
        return _told(lambda: _client(device, origin, person).make_credential(options))


def _key_of(made: RegistrationResponse, site: Site) -> PasskeyKey:
    credential = made.response.attestation_object.auth_data.credential_data
    if credential is None or not isinstance(credential.public_key, ES256):
        raise KeyRefused("the key made no ES256 key; take another FIDO2 key")
    return PasskeyKey(
        credential_id=b64u(credential.credential_id),
        public_key=b64u(_spki(credential.public_key)),
        rp_id=site.rp_id,
        origin=site.origin,
    )


def _without_make(attested: AttestationObject) -> bytes:
    """Leave out which make of key it is, as browsers do: attestation "none" (WebAuthn 5.1.3)."""
    data = bytes(attested.auth_data)
    nobodys = AuthenticatorData(data[:_AAGUID_AT] + bytes(16) + data[_AAGUID_AT + 16 :])
    return bytes(AttestationObject.create("none", nobodys, {}))


def _only(devices: Devices) -> CtapDevice:
    try:
        found = list(devices())
    except (OSError, CtapError) as error:
        raise KeyRefused(f"the FIDO2 key can't be reached: {error}") from error
    if len(found) == 1:
        return found[0]
    for device in found:
        device.close()
    if found:
        raise KeyRefused("several FIDO2 keys are plugged in; leave only yours in")
    raise KeyRefused(
        "no FIDO2 key is plugged in, or this user may not use it (on Linux: udev rules for it)"
    )


def _client(device: CtapDevice, origin: str, person: Person) -> Fido2Client:
    # No extensions: nothing but a signature is wanted of the key. The relying party is the host of
    # the origin and nothing wider, whatever a browser would allow.
    collector = DefaultClientDataCollector(
        origin, verify=lambda rp_id, origin: rp_id == urlsplit(origin).hostname
    )
    return Fido2Client(device, collector, person, extensions=[])


def _told(work: Callable[[], T]) -> T:
    """Do something with the key; raise KeyRefused in words that help."""
    try:
        return work()
    except PinRequiredError as error:
        raise KeyRefused("the key wants its PIN, and none was given") from error
    except ClientError as error:
        raise KeyRefused(_why(error)) from error
    except (CtapError, OSError, ValueError) as error:
        raise KeyRefused(f"the FIDO2 key failed: {error}") from error


def _why(error: ClientError) -> str:
    cause = error.cause
    if isinstance(cause, CtapError):
        return _HELP.get(cause.code, f"the FIDO2 key failed: {cause}")
    if error.code == ClientError.ERR.CONFIGURATION_UNSUPPORTED:
        return "the key can't check who you are: set a PIN with its maker's program"
    if error.code == ClientError.ERR.TIMEOUT:
        return "the key wasn't touched in time"
    return f"the FIDO2 key failed: {cause or error.code.name}"


def _spki(key: ES256) -> bytes:
    x, y = (int.from_bytes(key[coordinate], "big") for coordinate in (-2, -3))
    try:
        public = ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()
    except ValueError as error:
        raise KeyRefused("the key made a public key that isn't one") from error
    return spki_of(public)
