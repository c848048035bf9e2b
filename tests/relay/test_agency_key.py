"""An agency's key files: what evidence is checked by, or an error in words."""

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from firmware.protocol.encoding import WireError, b64u
from firmware.protocol.passkeys import spki_of
from relay.verify.agency_key import AgencyKey, KnownAgency, OpeningKey
from tests.fakes.sample_keys import X25519_KEY

SIGNING = ec.generate_private_key(ec.SECP256R1())
OPENS = {
    "agency": "lakeland-police",
    "sealing_private_key": b64u(bytes(32)),
    "sealing_public_key": X25519_KEY,
}


def pem_of(key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()


def test_both_kinds_of_key_files_name_the_same_agency() -> None:
    spki = spki_of(SIGNING.public_key())
    whole = AgencyKey(signing_key_pem=pem_of(SIGNING), **OPENS)
    opening = OpeningKey(signing_key=b64u(spki), **OPENS)
    for key in (whole, opening):
        assert KnownAgency.of_key(key) == KnownAgency(id="lakeland-police", signing_key=spki)


@pytest.mark.parametrize(
    ("pem", "words"),
    [
        ("no key", "can't be read"),
        (pem_of(ed25519.Ed25519PrivateKey.generate()), "isn't an elliptic-curve key"),
        (pem_of(ec.generate_private_key(ec.SECP384R1())), "only P-256"),
    ],
)
def test_what_cannot_sign_for_an_agency_is_no_key_of_one(pem: str, words: str) -> None:
    with pytest.raises(WireError, match=words):
        AgencyKey(signing_key_pem=pem, **OPENS).signing_key_spki()
