"""Two kinds of approver's key: in a file, and in a FIDO2 key by its real HID interface."""

import stat
from pathlib import Path

import pytest

from firmware.companion.authenticator.errors import KeyRefused
from firmware.companion.authenticator.fido_device import Person
from firmware.companion.owner import key_file
from firmware.companion.owner.approver import ApproverKey, sign_confirmation
from firmware.companion.owner.fido_key import FidoKey, enrol_fido_key, load_fido_key
from firmware.companion.owner.key_file import load_key_file, make_key_file
from firmware.protocol.decisions import Confirm
from firmware.protocol.encoding import decode_canonical, unb64u
from firmware.protocol.grants import STATEMENT_TAG, SignedStatement, Statement
from firmware.protocol.owner_codes import (
    APPROVER_RP_ID,
    ApproverCode,
    approver_code_text,
    parse_approver_code,
)
from firmware.protocol.passkeys import AssertionRefused, challenge, check_assertion
from tests.fakes.fido_device import FidoKeyFake
from tests.fakes.terminal import FakePrompts

DEVICE = "abcdefghijklmnop2345"
DIGEST = "d" * 64
NOW_MS = 1_795_000_000_000


@pytest.fixture(autouse=True)
def _quick_passphrases(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(key_file, "SCRYPT_N", 2**10)


def word_of(key: ApproverKey) -> SignedStatement:
    return sign_confirmation(
        key, device=DEVICE, statement_digest=DIGEST, answer="yes", now_ms=NOW_MS
    )


def check(signed: SignedStatement, code: ApproverCode) -> Confirm:
    """Check as the verifier does; return what was signed."""
    text = signed.statement.encode()
    check_assertion(signed.assertion, code.key, challenge(STATEMENT_TAG, text))
    statement = decode_canonical(Statement, text)
    assert statement.device == DEVICE
    assert isinstance(statement.terms, Confirm)
    return statement.terms


def person(said: list[str], pin: str = "4711") -> Person:
    return Person(FakePrompts(pin, said=said))


def fido(tmp_path: Path, fake: FidoKeyFake, pin: str = "4711") -> FidoKey:
    return enrol_fido_key(
        tmp_path / "approver.json", name="Blue", person=person([], pin), devices=fake.plugged_in
    )


def test_a_key_file_signs_exactly_one_statement(tmp_path: Path) -> None:
    made = make_key_file(tmp_path / "key", name="Laptop", passphrase="long and blue")
    key = load_key_file(tmp_path / "key", lambda: "long and blue")
    assert key.has_passphrase
    assert key.code == made.code
    assert check(word_of(key), key.code) == Confirm(statement_digest=DIGEST, answer="yes")
    assert stat.S_IMODE((tmp_path / "key").stat().st_mode) == 0o600


def test_a_key_file_under_a_passphrase_opens_with_no_other(tmp_path: Path) -> None:
    make_key_file(tmp_path / "key", name="Laptop", passphrase="long and blue")
    with pytest.raises(KeyRefused, match="passphrase is wrong"):
        word_of(load_key_file(tmp_path / "key", lambda: "long and red"))


def test_a_key_file_without_a_passphrase_says_so(tmp_path: Path) -> None:
    key = make_key_file(tmp_path / "key", name="Laptop", passphrase="")
    assert not key.has_passphrase
    check(word_of(load_key_file(tmp_path / "key", lambda: "")), key.code)


def test_a_key_file_that_others_may_read_is_refused(tmp_path: Path) -> None:
    make_key_file(tmp_path / "key", name="Laptop", passphrase="")
    (tmp_path / "key").chmod(0o644)
    with pytest.raises(KeyRefused, match="chmod 600"):
        load_key_file(tmp_path / "key", lambda: "")


def test_a_key_file_is_never_overwritten(tmp_path: Path) -> None:
    make_key_file(tmp_path / "key", name="Laptop", passphrase="")
    with pytest.raises(KeyRefused, match="there already"):
        make_key_file(tmp_path / "key", name="Other", passphrase="")


@pytest.mark.parametrize("damage", [b"", b"{}", b'{"v":1}', b"\xff" * 20, b"[" * 4000])
def test_a_damaged_key_file_is_refused(tmp_path: Path, damage: bytes) -> None:
    (tmp_path / "key").write_bytes(damage)
    (tmp_path / "key").chmod(0o600)
    with pytest.raises(KeyRefused):
        load_key_file(tmp_path / "key", lambda: "")


def test_a_key_file_with_another_keys_private_half_is_refused(tmp_path: Path) -> None:
    make_key_file(tmp_path / "key", name="A", passphrase="")
    other = make_key_file(tmp_path / "other", name="B", passphrase="").code.key.public_key
    text = (tmp_path / "key").read_text()
    own = load_key_file(tmp_path / "key", lambda: "").code.key.public_key
    (tmp_path / "key").write_text(text.replace(own, other))
    with pytest.raises(KeyRefused, match="another key"):
        word_of(load_key_file(tmp_path / "key", lambda: ""))


def test_a_fido_key_signs_what_the_verifier_takes(tmp_path: Path) -> None:
    fake = FidoKeyFake()
    fido(tmp_path, fake)
    said: list[str] = []
    key = load_fido_key(tmp_path / "approver.json", person=person(said), devices=fake.plugged_in)
    assert key.code.key.rp_id == APPROVER_RP_ID
    assert check(word_of(key), key.code) == Confirm(statement_digest=DIGEST, answer="yes")
    assert fake.is_closed
    assert any("Touch" in one for one in said)


def test_a_fido_keys_word_for_one_statement_is_not_one_for_another(tmp_path: Path) -> None:
    key = fido(tmp_path, FidoKeyFake())
    signed = word_of(key)
    text = signed.statement.replace(DIGEST, "e" * 64)
    with pytest.raises(AssertionRefused, match="challenge"):
        check(SignedStatement(statement=text, assertion=signed.assertion), key.code)


def test_a_wrong_pin_is_said_and_signs_nothing(tmp_path: Path) -> None:
    fake = FidoKeyFake()
    fido(tmp_path, fake)
    key = load_fido_key(
        tmp_path / "approver.json", person=person([], "0000"), devices=fake.plugged_in
    )
    for says in ("PIN is wrong", "PIN is wrong", "take the key out", "take the key out"):
        with pytest.raises(KeyRefused, match=says):
            word_of(key)


def test_no_pin_means_no(tmp_path: Path) -> None:
    with pytest.raises(KeyRefused, match="none was given"):
        fido(tmp_path, FidoKeyFake(), pin="")


def test_another_fido_key_than_the_enrolled_one_is_refused(tmp_path: Path) -> None:
    fido(tmp_path, FidoKeyFake())
    other = FidoKeyFake()
    key = load_fido_key(tmp_path / "approver.json", person=person([]), devices=other.plugged_in)
    with pytest.raises(KeyRefused, match="isn't the one"):
        word_of(key)


def test_a_key_that_is_not_touched_signs_nothing(tmp_path: Path) -> None:
    fake = FidoKeyFake()
    fido(tmp_path, fake)
    fake.is_touched = False
    key = load_fido_key(tmp_path / "approver.json", person=person([]), devices=fake.plugged_in)
    with pytest.raises(KeyRefused, match="the key refused"):
        word_of(key)


def test_no_key_and_several_keys_are_said(tmp_path: Path) -> None:
    with pytest.raises(KeyRefused, match="no FIDO2 key is plugged in"):
        enrol_fido_key(tmp_path / "a", name="x", person=person([]), devices=list)
    two = [*FidoKeyFake().plugged_in(), *FidoKeyFake().plugged_in()]
    with pytest.raises(KeyRefused, match="several"):
        enrol_fido_key(tmp_path / "a", name="x", person=person([]), devices=lambda: two)


def test_no_enrolled_key_says_how_to_enrol_one(tmp_path: Path) -> None:
    with pytest.raises(KeyRefused, match="--enrol"):
        load_fido_key(tmp_path / "approver.json", person=person([]))


def test_the_code_for_the_app_is_what_the_app_parses(tmp_path: Path) -> None:
    code = make_key_file(tmp_path / "key", name="Laptop", passphrase="").code
    text = approver_code_text(code)
    assert text.startswith("DWA1:")
    assert parse_approver_code(f"\n  {text[:40]}\n{text[40:]}\n") == code
    assert len(unb64u(code.key.credential_id)) == 16
