"""Each check of a registration and of a sign-in is needed: without it, one lie passes."""

from typing import Any

import cbor2
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from firmware.protocol.encoding import b64u
from relay.people.errors import SignInRefused
from relay.people.passkeys import Site, check_login, check_registration, parse_login
from tests.fakes.lying_passkey import LIES, Lie, LyingPasskey
from tests.story.authenticator import SoftPasskey

SITE = Site(
    rp_id="owner.example", origin="https://owner.example", name="Town", has_demo_passkeys=False
)
CHALLENGE = bytes(range(32))
OPTIONS = {"challenge": b64u(CHALLENGE)}
AT_REGISTRATION = {
    name: lie for name, lie in LIES.items() if lie.client_data != {"type": "webauthn.create"}
} | {"made at a sign-in": Lie(reason="type", client_data={"type": "webauthn.get"})}


@pytest.fixture
def honest() -> SoftPasskey:
    return SoftPasskey.create(rp_id=SITE.rp_id, origin=SITE.origin)


def test_the_truth_registers_and_signs_in(honest: SoftPasskey) -> None:
    made = check_registration(SITE, honest.register(OPTIONS), CHALLENGE)
    assert made.key == honest.key
    assert check_login(parse_login(honest.log_in(OPTIONS)), honest.key, CHALLENGE) == 0


@pytest.mark.parametrize("lie", AT_REGISTRATION)
def test_no_passkey_is_registered_with_a_lie(honest: SoftPasskey, lie: str) -> None:
    """Seen to fail, in a frame, before `_check_unframed`."""
    liar = LyingPasskey.of(honest, AT_REGISTRATION[lie])
    with pytest.raises(SignInRefused, match="can't be registered"):
        check_registration(SITE, liar.register(OPTIONS), CHALLENGE)


@pytest.mark.parametrize("lie", LIES)
def test_nobody_signs_in_with_a_lie(honest: SoftPasskey, lie: str) -> None:
    liar = LyingPasskey.of(honest, LIES[lie])
    with pytest.raises(SignInRefused, match=LIES[lie].reason):
        check_login(parse_login(liar.log_in(OPTIONS)), honest.key, CHALLENGE)


def test_another_passkey_signs_nobody_in(honest: SoftPasskey) -> None:
    other = SoftPasskey.create(rp_id=SITE.rp_id, origin=SITE.origin)
    with pytest.raises(SignInRefused, match="credential"):
        check_login(parse_login(other.log_in(OPTIONS)), honest.key, CHALLENGE)


class StrangePasskey(SoftPasskey):
    """A passkey whose key is told in another way."""

    cose: dict[int, Any]

    def _cose_key(self) -> bytes:
        return cbor2.dumps(self.cose)


POINT = ec.derive_private_key(7, ec.SECP256R1()).public_key().public_numbers()
X, Y = POINT.x.to_bytes(32, "big"), POINT.y.to_bytes(32, "big")
OTHER_CURVE = ec.derive_private_key(7, ec.SECP384R1()).public_key().public_numbers()
STRANGE: dict[str, dict[int, Any]] = {
    "Ed25519": {1: 1, 3: -8, -1: 6, -2: bytes(range(32))},
    "ES384": {
        1: 2, 3: -35, -1: 2,
        -2: OTHER_CURVE.x.to_bytes(48, "big"), -3: OTHER_CURVE.y.to_bytes(48, "big"),
    },
    "P-384 under the name of ES256": {
        1: 2, 3: -7, -1: 2,
        -2: OTHER_CURVE.x.to_bytes(48, "big"), -3: OTHER_CURVE.y.to_bytes(48, "big"),
    },
    "PS256": {1: 3, 3: -37, -1: b"\xff" * 256, -2: b"\x01\x00\x01"},
    "RS256 with the exponent 3": {1: 3, 3: -257, -1: b"\xff" * 256, -2: b"\x03"},
    "a compressed point": {1: 2, 3: -7, -1: 1, -2: X, -3: bool(Y[-1] & 1)},
    "a point that isn't on the curve": {1: 2, 3: -7, -1: 1, -2: X, -3: X},
    "no curve": {1: 2, 3: -7, -2: X, -3: Y},
}  # fmt: skip


@pytest.mark.parametrize("kind", STRANGE)
def test_no_other_kind_of_key_is_registered(honest: SoftPasskey, kind: str) -> None:
    strange = StrangePasskey.load(honest.save())
    strange.cose = {1: 2, 3: -7, -1: 1, -2: X, -3: Y}
    check_registration(SITE, strange.register(OPTIONS), CHALLENGE)
    strange.cose = STRANGE[kind]
    with pytest.raises(SignInRefused, match="can't be registered"):
        check_registration(SITE, strange.register(OPTIONS), CHALLENGE)


@pytest.mark.parametrize("client_data", [None, 7, "!!", "AAAA", b64u(b"[]"), b64u(b"[" * 10000)])
def test_client_data_that_is_none_registers_nothing(
    honest: SoftPasskey, client_data: object
) -> None:
    credential = honest.register(OPTIONS)
    credential["response"]["clientDataJSON"] = client_data
    with pytest.raises(SignInRefused):
        check_registration(SITE, credential, CHALLENGE)
