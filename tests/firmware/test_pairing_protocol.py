"""firmware.protocol.pairing: three messages, four words, and whatever isn't quite one of them."""

import json
from contextlib import suppress
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.enrolment.keys import DeviceKeys, load_or_make_keys
from firmware.protocol.encoding import WireError, b64u, decode_canonical, sha256_hex
from firmware.protocol.grants import OwnerKeys
from firmware.protocol.pairing import (
    ANSWER_TAG,
    PairingAnswer,
    PairingCode,
    PairingInvalid,
    PairingOffer,
    PairingReveal,
    SecondAnswer,
    SignedPairingAnswer,
    browser_words,
    pairing_words,
    parse_qr_text,
    parse_reveal,
    word_list,
)
from tests.fakes.pairing_app import PairingApp, forged_answer
from tests.story.authenticator import SoftPasskey
from tests.story.browser import SoftBrowser

VECTORS = json.loads((Path(__file__).parents[1] / "vectors/pairing.json").read_text("utf-8"))
OWNER = OwnerKeys(
    name="Ada",
    passkey=SoftPasskey.create(rp_id="localhost", origin="http://localhost").key,
    browser=SoftBrowser.create().keys,
)
CODES = st.builds(
    PairingCode,
    pairing_id=st.text("abcdefghijklmnopqrstuvwxyz234567", min_size=26, max_size=26),
    commitment=st.binary(min_size=32, max_size=32).map(bytes.hex),
)


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> DeviceKeys:
    return load_or_make_keys(tmp_path_factory.mktemp("keys"))


@pytest.fixture
def app() -> PairingApp:
    return PairingApp(OWNER)


def answer_to(code: PairingCode, keys: DeviceKeys) -> PairingAnswer:
    return PairingAnswer(
        pairing_id=code.pairing_id,
        commitment=code.commitment,
        identity_key=keys.identity_key,
        sealing_key=keys.sealing_key,
        nonce=b64u(bytes(32)),
        policy_digest=sha256_hex(b""),
        register_origin="",
        is_recovery=False,
    )


def signed_by(keys: DeviceKeys, answer: bytes) -> SignedPairingAnswer:
    return SignedPairingAnswer(
        answer=answer.decode(), signature=b64u(keys.sign(ANSWER_TAG + answer))
    )


def test_the_vectors_are_what_both_languages_make() -> None:
    owner = msgspec.convert(VECTORS["owner"], OwnerKeys)
    app = PairingApp(owner, pairing_id=VECTORS["pairing_id"], nonce=bytes(range(32)))
    assert app.offer.code.text == VECTORS["qr_text"]
    answered = app.offer.take_answer(msgspec.convert(VECTORS["signed"], SignedPairingAnswer))
    assert answered.reveal.encode().decode() == VECTORS["reveal"]
    assert list(answered.words) == VECTORS["words"]
    offer = PairingOffer(owner.browser, pairing_id=VECTORS["pairing_id"], nonce=bytes(range(32)))
    assert offer.code.commitment == VECTORS["browser_commitment"]


# The code.


@given(CODES)
def test_a_code_survives_the_round_trip(code: PairingCode) -> None:
    assert parse_qr_text(code.text) == code
    assert code.text.startswith("DW2:")


@given(CODES, st.integers(0, 81), st.integers(0, 6))
def test_a_flipped_bit_of_a_code_is_refused_or_another_code(
    code: PairingCode, position: int, bit: int
) -> None:
    data = bytearray(code.text.encode())
    data[position % len(data)] ^= 1 << bit
    with suppress(WireError):
        assert parse_qr_text(data.decode()) != code


@given(CODES)
def test_a_cut_or_lengthened_code_is_refused(code: PairingCode) -> None:
    for text in (*(code.text[:end] for end in range(len(code.text))), code.text + "AAAA"):
        with pytest.raises(WireError):
            parse_qr_text(text)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "not a Doorward pairing code"),
        ("https://example.org", "not a Doorward pairing code"),
        ("DW3:" + "A" * 78, "not a Doorward pairing code"),
        ("DW1:eyJ2IjoxfQ", "older app"),
        ("DW2:AAAA", "of 3 bytes instead of 58"),
        ("DW2:" + "A" * 9999, "too long"),
        ("DW2:!!", "base64url"),
        ("DW2:" + "A" * 78, "whose id is none"),
        ("DW2:" + b64u(b"\xff" * 58), "whose id is none"),
    ],
)
def test_what_is_no_code_is_refused_and_says_why(text: str, why: str) -> None:
    with pytest.raises(WireError, match=why):
        parse_qr_text(text)


def test_a_second_encoding_of_a_code_is_refused(app: PairingApp) -> None:
    text = app.offer.code.text
    padded = (text + "=", text[:-1] + chr(ord(text[-1]) + 1), text.replace("DW2:", "dw2:"))
    for other in padded:
        with pytest.raises(WireError):
            parse_qr_text(other)


# The answer.


def test_the_reveal_is_had_only_with_an_answer(app: PairingApp, keys: DeviceKeys) -> None:
    answered = app.offer.take_answer(signed_by(keys, answer_to(app.offer.code, keys).encode()))
    assert answered.reveal == app.reveal
    assert answered.reveal.code == app.offer.code
    assert len(answered.words) == 4


def test_the_same_answer_again_is_no_other(app: PairingApp, keys: DeviceKeys) -> None:
    signed = signed_by(keys, answer_to(app.offer.code, keys).encode())
    assert app.offer.take_answer(signed) is app.offer.take_answer(signed)


def test_a_second_answer_ends_the_offer_for_ever(app: PairingApp, keys: DeviceKeys) -> None:
    answer = answer_to(app.offer.code, keys)
    first = signed_by(keys, answer.encode())
    app.offer.take_answer(first)
    with pytest.raises(SecondAnswer):
        app.offer.take_answer(signed_by(keys, answer.encode()))  # another signature over the same
    with pytest.raises(SecondAnswer):
        app.offer.take_answer(first)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"commitment": "ab" * 32}, "another code"),
        ({"pairing_id": "b" * 26}, "another code"),
        ({"identity_key": OWNER.passkey.public_key}, "isn't signed by"),
        ({"identity_key": ""}, "PairingAnswer|not a|key"),
        ({"sealing_key": "AAAA"}, "sealed|key|X25519"),
    ],
)
def test_an_answer_that_isnt_to_this_code_freezes_nothing(
    app: PairingApp, keys: DeviceKeys, changes: dict[str, str], why: str
) -> None:
    answer = answer_to(app.offer.code, keys)
    with pytest.raises(WireError, match=why):
        app.offer.take_answer(signed_by(keys, msgspec.structs.replace(answer, **changes).encode()))
    app.offer.take_answer(signed_by(keys, answer.encode()))


def test_an_answer_in_a_second_form_is_refused(app: PairingApp, keys: DeviceKeys) -> None:
    text = answer_to(app.offer.code, keys).encode()
    others = (
        b" " + text,
        text.replace(b"{", b'{"v":2,', 1),
        text.replace(b'"v":2', b'"v":3'),
        text.replace(b'"v":2', b'"v":1'),
        text.replace(b'"v":2', b'"v":2,"w":1'),
        text.replace(b"false", b"0"),
        text[:-1],
        b"{}",
        b"",
        b" " * 5000,
    )
    for other in others:
        with pytest.raises(WireError):
            app.offer.take_answer(signed_by(keys, other))


def test_a_signature_of_another_kind_of_document_is_none(app: PairingApp, keys: DeviceKeys) -> None:
    text = answer_to(app.offer.code, keys).encode()
    bare = SignedPairingAnswer(answer=text.decode(), signature=b64u(keys.sign(text)))
    with pytest.raises(PairingInvalid, match="isn't signed"):
        app.offer.take_answer(bare)


# The reveal.


def test_a_reveal_survives_the_round_trip_and_no_cut_does(app: PairingApp) -> None:
    text = app.reveal.encode().decode()
    assert parse_reveal(text) == app.reveal
    for end in range(0, len(text), 7):
        with pytest.raises(WireError):
            parse_reveal(text[:end])
    for other in (" " + text, text.replace('"v":2', '"v":1'), text + " " * 5000, text * 2):
        with pytest.raises(WireError):
            parse_reveal(other)


@pytest.mark.parametrize("field", ["pairing_id", "nonce", "owner"])
def test_the_commitment_is_over_every_field_of_the_reveal(app: PairingApp, field: str) -> None:
    other = PairingApp(msgspec.structs.replace(OWNER, name="Eve"))
    changed = msgspec.structs.replace(app.reveal, **{field: getattr(other.reveal, field)})
    assert changed.code.commitment != app.offer.code.commitment


# The words.


def test_the_words_change_with_every_field_of_every_message(
    app: PairingApp, keys: DeviceKeys, tmp_path: Path
) -> None:
    answer = answer_to(app.offer.code, keys)
    signed = signed_by(keys, answer.encode())
    words = {pairing_words(signed, app.reveal)}
    changes = {
        "sealing_key": b64u(bytes(31) + b"\x09"),
        "nonce": b64u(b"\x01" * 32),
        "policy_digest": "ab" * 32,
        "register_origin": "example.town/register",
        "is_recovery": True,
        "commitment": "ab" * 32,
        "pairing_id": "b" * 26,
    }
    for name, value in changes.items():
        other = msgspec.structs.replace(answer, **{name: value})
        words.add(pairing_words(signed_by(keys, other.encode()), app.reveal))
    words.add(pairing_words(forged_answer(load_or_make_keys(tmp_path), answer), app.reveal))
    words.add(pairing_words(signed, PairingApp(OWNER).reveal))
    assert len(words) == len(changes) + 3


def test_there_are_256_words(keys: DeviceKeys) -> None:
    assert len(set(word_list())) == 256


def test_pasted_keys_have_six_words_that_change_with_any_key() -> None:
    other = SoftBrowser.create().keys
    assert len(browser_words("c" * 20, OWNER.browser)) == 6
    assert browser_words("c" * 20, OWNER.browser) != browser_words("c" * 20, other)


def test_words_need_no_stretching_and_pasted_keys_do(app: PairingApp, keys: DeviceKeys) -> None:
    """A pairing's digest is one hash: there is nothing that could be tabled."""
    signed = signed_by(keys, answer_to(app.offer.code, keys).encode())
    assert pairing_words(signed, app.reveal) == pairing_words(signed, app.reveal)


@given(st.binary(max_size=200))
def test_random_bytes_are_no_message(data: bytes) -> None:
    for kind in (PairingAnswer, PairingReveal, SignedPairingAnswer):
        with pytest.raises(WireError):
            decode_canonical(kind, data)
