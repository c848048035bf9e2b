"""ES256 and RS256 passkeys: the key alone says which it is, and no other kind counts."""

from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from msgspec.structs import replace

from firmware.protocol.encoding import WireError, b64u, unb64u
from firmware.protocol.passkeys import (
    AssertionRefused,
    PasskeyKey,
    check_assertion,
    load_p256,
    load_passkey,
    login_challenge,
    verify_p256,
    verify_passkey,
)
from tests.story.authenticator import SoftPasskey

CHALLENGE = bytes(range(32))
DATA = b"what is signed"


@pytest.fixture(scope="module")
def rsa_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def spki_of(key: object) -> bytes:
    public = key.public_key()  # type: ignore[attr-defined]
    return public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def passkey(rsa_bits: int | None) -> SoftPasskey:
    return SoftPasskey.create(rp_id="owner.test", origin="http://owner.test", rsa_bits=rsa_bits)


@pytest.mark.parametrize("bits", [None, 2048, 3072, 4096])
def test_an_assertion_of_either_kind_holds(bits: int | None) -> None:
    key = passkey(bits)
    check_assertion(key.sign(CHALLENGE), key.key, CHALLENGE)


def test_a_login_signs_neither_what_the_server_gave_nor_another_login() -> None:
    key = passkey(None)
    login = key.sign(login_challenge(CHALLENGE))
    check_assertion(login, key.key, login_challenge(CHALLENGE))
    for other in (CHALLENGE, login_challenge(CHALLENGE[::-1])):
        with pytest.raises(AssertionRefused, match="signs something else"):
            check_assertion(login, key.key, other)


@pytest.mark.parametrize("bits", [None, 2048])
def test_an_altered_assertion_of_either_kind_does_not(bits: int | None) -> None:
    key = passkey(bits)
    right = key.sign(CHALLENGE)
    for position in range(0, len(unb64u(right.signature)), 17):
        signature = bytearray(unb64u(right.signature))
        signature[position] ^= 1
        with pytest.raises((AssertionRefused, WireError)):
            check_assertion(replace(right, signature=b64u(bytes(signature))), key.key, CHALLENGE)
    with pytest.raises(AssertionRefused):
        check_assertion(right, key.key, CHALLENGE[::-1])


@pytest.mark.parametrize(("mine", "theirs"), [(None, 2048), (2048, None)])
def test_a_signature_of_one_kind_is_none_by_a_key_of_the_other(
    mine: int | None, theirs: int | None
) -> None:
    key, other = passkey(mine), passkey(theirs)
    lie = replace(other.sign(CHALLENGE), credential_id=key.key.credential_id)
    with pytest.raises(AssertionRefused, match="signature"):
        check_assertion(lie, key.key, CHALLENGE)


@pytest.mark.parametrize(
    "sign",
    [
        lambda key: key.sign(DATA, padding.PSS(padding.MGF1(hashes.SHA256()), 32), hashes.SHA256()),
        lambda key: key.sign(DATA, padding.PKCS1v15(), hashes.SHA1()),  # noqa: S303
        lambda key: key.sign(DATA, padding.PKCS1v15(), hashes.SHA512()),
    ],
)
def test_another_padding_or_hash_is_not_rs256(
    rsa_key: rsa.RSAPrivateKey, sign: Callable[[rsa.RSAPrivateKey], bytes]
) -> None:
    right = rsa_key.sign(DATA, padding.PKCS1v15(), hashes.SHA256())
    assert verify_passkey(spki_of(rsa_key), right, DATA)
    assert not verify_passkey(spki_of(rsa_key), sign(rsa_key), DATA)


@pytest.mark.parametrize("bits", [1024, 2040, 4104, 5120])
def test_a_key_that_is_too_small_or_too_large_is_no_passkey(bits: int) -> None:
    # Nobody has the private half, which would take seconds to find.
    key = rsa.RSAPublicNumbers(e=65537, n=(1 << (bits - 1)) + 1).public_key()
    # Seen to fail with the size unchecked.
    with pytest.raises(WireError, match="2048 to 4096 bits"):
        load_passkey(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))


def test_a_key_with_the_exponent_three_is_no_passkey() -> None:
    key = rsa.generate_private_key(public_exponent=3, key_size=2048)
    # Seen to fail with the exponent unchecked.
    with pytest.raises(WireError, match="65537"):
        load_passkey(spki_of(key))


@pytest.mark.parametrize(
    "key", [ec.generate_private_key(ec.SECP384R1()), ed25519.Ed25519PrivateKey.generate()]
)
def test_no_other_kind_of_key_is_a_passkey(key: object) -> None:
    with pytest.raises(WireError):
        load_passkey(spki_of(key))


def test_only_passkeys_may_be_rsa(rsa_key: rsa.RSAPrivateKey) -> None:
    spki = spki_of(rsa_key)
    with pytest.raises(WireError, match="P-256"):
        load_p256(spki)
    with pytest.raises(WireError, match="P-256"):
        verify_p256(spki, b"", DATA)


@pytest.mark.parametrize("rubbish", [b"", b"\x30", b"\x00" * 91, b"\x30\x82\xff\xff" + bytes(80)])
def test_rubbish_is_no_key(rubbish: bytes) -> None:
    with pytest.raises(WireError):
        load_passkey(rubbish)
    key = PasskeyKey(credential_id="eA", public_key=b64u(rubbish), rp_id="a", origin="b")
    assertion = replace(passkey(None).sign(CHALLENGE), credential_id="eA")
    with pytest.raises(WireError):
        check_assertion(assertion, key, CHALLENGE)


@pytest.mark.parametrize("bits", [None, 2048])
def test_any_cut_or_flip_of_a_key_is_an_error_in_words_or_another_key(bits: int | None) -> None:
    spki = unb64u(passkey(bits).key.public_key)
    for size in range(0, len(spki), 3):
        with pytest.raises(WireError):
            load_passkey(spki[:size])
    for position in range(0, len(spki), 5):
        altered = bytearray(spki)
        altered[position] ^= 1
        try:
            assert not verify_passkey(bytes(altered), b"\x00" * 256, DATA)
        except WireError:
            continue
