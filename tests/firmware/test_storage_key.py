"""The storage key in a file, in a token, in the board; and the recovery key as words."""

import hmac
import logging
import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.config.settings import StorageConfig
from firmware.errors import ConfigError, StoreError, VaultError
from firmware.protocol.encoding import new_id
from firmware.protocol.pairing import word_list
from firmware.vault.key_choice import recovery_keys_of, storage_key_of
from firmware.vault.pi_key import PiStorageKey
from firmware.vault.recovery_words import make_recovery_key, parse_recovery_secret, public_text_of
from firmware.vault.sealed_file import Kind, Vault
from firmware.vault.storage_key import FileStorageKey, StorageKey, name_of, unwrap, wrap
from tests.fakes import rpi_fw_crypto
from tests.fakes.soft_token import LABEL, PIN, SoftToken, add_token, make_soft_token

BOARD_KEY = bytes(range(32))


@pytest.fixture
def board(tmp_path: Path) -> Path:
    file = tmp_path / "board" / "otp"
    file.parent.mkdir()
    file.write_text(BOARD_KEY.hex())
    return file


@pytest.fixture
def token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SoftToken:
    return make_soft_token(tmp_path / "token", monkeypatch)


def pi_key(board: Path) -> PiStorageKey:
    return PiStorageKey((sys.executable, rpi_fw_crypto.__file__, str(board)))


def token_key(token: SoftToken):
    import pkcs11

    from firmware.vault.token_key import TokenStorageKey

    # SoftHSM keeps the folder that it was first loaded with until it is loaded anew.
    pkcs11.lib(str(token.module)).reinitialize()
    return TokenStorageKey(module=token.module, token_label=token.label, pin_file=token.pin_file)


# ---- the file


def test_the_key_file_is_made_once_and_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "storage.key"
    first = FileStorageKey(path)
    assert path.stat().st_mode & 0o777 == 0o600
    again = FileStorageKey(path)
    assert again.hmac_sha256(b"x") == first.hmac_sha256(b"x")
    assert first.hmac_sha256(b"x") == hmac.digest(path.read_bytes(), b"x", "sha256")
    assert [p.name for p in tmp_path.iterdir()] == ["storage.key"]


def test_two_processes_that_both_find_no_key_use_the_same_one(tmp_path: Path) -> None:
    start = threading.Barrier(8)

    def make(_: int) -> str:
        start.wait()
        return name_of(FileStorageKey(tmp_path / "storage.key"))

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(make, range(8)))) == 1
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("data", [b"", b"short", bytes(33)])
def test_a_damaged_key_file_is_never_replaced(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "storage.key"
    path.write_bytes(data)
    path.chmod(0o600)
    with pytest.raises(StoreError, match="not a storage key"):
        FileStorageKey(path)
    assert path.read_bytes() == data


def test_a_key_file_that_others_may_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "storage.key"
    FileStorageKey(path)
    path.chmod(0o640)
    with pytest.raises(StoreError, match="chmod 600"):
        FileStorageKey(path)


@given(st.binary(min_size=32, max_size=32), st.binary(max_size=60), st.binary(max_size=60))
def test_a_wrapped_key_opens_for_its_own_file_only(data_key, context, other):
    key = _Known(b"k" * 32)
    wrapped = wrap(key, data_key, context)
    assert data_key not in wrapped
    assert unwrap(key, wrapped, context) == data_key
    for wrong_key, wrong_context in ((_Known(b"l" * 32), context), (key, other + b"x" + context)):
        with pytest.raises(VaultError):
            unwrap(wrong_key, wrapped, wrong_context)
    for size in range(len(wrapped)):
        with pytest.raises(VaultError):
            unwrap(key, wrapped[:size], context)


class _Known:
    is_off_card = False

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def hmac_sha256(self, message: bytes) -> bytes:
        return hmac.digest(self._secret, message, "sha256")


# ---- the board


def test_the_board_is_asked_at_start_and_never_again(board: Path) -> None:
    key = pi_key(board)
    assert key.is_off_card
    root = hmac.digest(BOARD_KEY, b"doorward/storage-root/v1", "sha256")
    for message in (b"", b"one", b"two" * 5000):
        assert key.hmac_sha256(message) == hmac.digest(root, message, "sha256")
    assert board.with_name("calls").read_text().split() == ["pubkey", "hmac"]


def test_another_board_gives_another_key(board: Path) -> None:
    here = name_of(pi_key(board))
    assert name_of(pi_key(board)) == here
    board.write_text(bytes(range(1, 33)).hex())
    assert name_of(pi_key(board)) != here


@pytest.mark.parametrize(
    ("state", "says"),
    [
        ("unset", "Key not set.*genkey --key-id 1"),
        ("locked", "/dev/vcio.*group video"),
        ("echo", "update the board's firmware"),
        ("zeros", "update the board's firmware"),
        ("0000", "update the board's firmware"),
    ],
)
def test_a_board_without_a_key_says_what_to_do(board: Path, state: str, says: str) -> None:
    board.write_text(state)
    if state == "0000":  # an answer that is no HMAC
        with pytest.raises(VaultError, match=says):
            PiStorageKey(("printf", "%s"))
        return
    with pytest.raises(VaultError, match=says):
        pi_key(board)
    if state == "unset":  # such an HMAC has locked up boards
        assert board.with_name("calls").read_text().split() == ["pubkey"]


def test_a_board_that_does_not_answer_is_given_up(board: Path) -> None:
    board.write_text("hang")
    with pytest.raises(VaultError, match="gave no answer"):
        PiStorageKey((sys.executable, rpi_fw_crypto.__file__, str(board)), timeout_s=0.5)


def test_a_missing_program_names_its_package(tmp_path: Path) -> None:
    with pytest.raises(VaultError, match="apt install raspi-utils"):
        PiStorageKey((str(tmp_path / "rpi-fw-crypto"),))


# ---- the token


def test_the_token_makes_one_key_that_stays(token: SoftToken) -> None:
    first = token_key(token)
    assert first.is_off_card
    again = token_key(token)
    assert again.hmac_sha256(b"x") == first.hmac_sha256(b"x")
    assert len(first.hmac_sha256(b"")) == 32
    assert first.hmac_sha256(b"y") != first.hmac_sha256(b"x")


def test_the_key_cannot_be_read_out_of_the_token(token: SoftToken) -> None:
    import pkcs11
    from pkcs11 import Attribute

    token_key(token)
    library = pkcs11.lib(str(token.module))
    library.reinitialize()
    pin = token.pin_file.read_text().strip()
    with library.get_token(token_label=LABEL).open(user_pin=pin) as session:
        key = session.get_key(label="doorward-storage")
        with pytest.raises(pkcs11.AttributeSensitive):
            _ = key[Attribute.VALUE]
        assert key[Attribute.NEVER_EXTRACTABLE]
    with library.get_token(token_label=LABEL).open() as session:  # without the PIN
        with pytest.raises(pkcs11.NoSuchKey):
            session.get_key(label="doorward-storage")


def test_a_key_that_could_be_read_out_is_refused(token: SoftToken) -> None:
    import pkcs11
    from pkcs11 import Attribute, KeyType, Mechanism, MechanismFlag

    library = pkcs11.lib(str(token.module))
    library.reinitialize()
    pin = token.pin_file.read_text().strip()
    with library.get_token(token_label=LABEL).open(user_pin=pin, rw=True) as session:
        session.generate_key(
            KeyType.GENERIC_SECRET,
            256,
            label="doorward-storage",
            store=True,
            mechanism=Mechanism.GENERIC_SECRET_KEY_GEN,
            capabilities=MechanismFlag.SIGN,
            template={Attribute.SENSITIVE: False, Attribute.EXTRACTABLE: True},
        )
    with pytest.raises(VaultError, match="could be read out"):
        token_key(token)


def test_the_token_serves_several_threads(token: SoftToken) -> None:
    key = token_key(token)
    wanted = [key.hmac_sha256(bytes([n])) for n in range(8)]
    with ThreadPoolExecutor(8) as pool:
        for _ in range(20):
            assert list(pool.map(lambda n: key.hmac_sha256(bytes([n])), range(8))) == wanted


def test_a_token_that_was_away_is_opened_again(token: SoftToken) -> None:
    import pkcs11

    key = token_key(token)
    before = key.hmac_sha256(b"x")
    pkcs11.lib(str(token.module)).reinitialize()  # as a reset of the device: no session is left
    assert key.hmac_sha256(b"x") == before


def test_a_token_that_is_gone_is_an_error_and_no_other_key(token: SoftToken) -> None:
    import pkcs11

    key = token_key(token)
    before = key.hmac_sha256(b"x")
    hidden = token.folder.with_name("away")
    token.folder.rename(hidden)
    token.folder.mkdir()
    pkcs11.lib(str(token.module)).reinitialize()
    for _ in range(2):
        with pytest.raises(VaultError, match="isn't there"):
            key.hmac_sha256(b"x")
    token.folder.rmdir()
    hidden.rename(token.folder)
    assert key.hmac_sha256(b"x") == before


@pytest.mark.parametrize("has_a_key", [True, False])
def test_another_token_in_its_place_is_refused_while_running(
    token: SoftToken, has_a_key: bool
) -> None:
    import pkcs11

    key = token_key(token)
    before = key.hmac_sha256(b"x")
    first = token.folder.with_name("first")
    token.folder.rename(first)
    token.folder.mkdir()
    add_token(LABEL)
    if has_a_key:
        assert token_key(token).hmac_sha256(b"x") != before
    pkcs11.lib(str(token.module)).reinitialize()
    for _ in range(2):  # a clip sealed with it would name a key that can't open it
        with pytest.raises(VaultError, match=r"another key|no longer holds"):
            key.hmac_sha256(b"x")
    token.folder.rename(token.folder.with_name("second"))
    first.rename(token.folder)
    pkcs11.lib(str(token.module)).reinitialize()
    assert key.hmac_sha256(b"x") == before


def test_a_wrong_pin_says_what_to_do(token: SoftToken) -> None:
    token.pin_file.write_text("wrong")
    with pytest.raises(VaultError, match=r"refuses the PIN.*lock"):
        token_key(token)


def test_a_pin_that_was_refused_is_not_tried_again(token: SoftToken) -> None:
    import pkcs11

    key = token_key(token)
    change_pin(token, PIN, "another")
    pkcs11.lib(str(token.module)).reinitialize()
    with pytest.raises(VaultError, match="refuses the PIN"):
        key.hmac_sha256(b"x")
    pkcs11.lib(str(token.module)).reinitialize()
    change_pin(token, "another", PIN)
    pkcs11.lib(str(token.module)).reinitialize()
    with pytest.raises(VaultError, match="refuses the PIN"):  # though it would be right again
        key.hmac_sha256(b"x")
    assert len(token_key(token).hmac_sha256(b"x")) == 32


def change_pin(token: SoftToken, old: str, new: str) -> None:
    import pkcs11

    found = pkcs11.lib(str(token.module)).get_token(token_label=LABEL)
    try:
        session = found.open(rw=True, user_pin=old)
    except pkcs11.UserAlreadyLoggedIn:
        session = found.open(rw=True)
    session.set_pin(old, new)
    session.close()


def test_a_pin_that_others_may_read_or_that_is_missing_is_refused(token: SoftToken) -> None:
    token.pin_file.chmod(0o644)
    with pytest.raises(StoreError, match="chmod 600"):
        token_key(token)
    token.pin_file.unlink()
    with pytest.raises(StoreError, match="can't be read"):
        token_key(token)


def test_two_tokens_of_one_name_are_an_error(token: SoftToken) -> None:
    add_token(LABEL)
    with pytest.raises(VaultError, match="twice"):
        token_key(token)


def test_a_library_that_is_none_is_named(tmp_path: Path) -> None:
    from firmware.vault.token_key import TokenStorageKey

    with pytest.raises(VaultError, match=r"pkcs11_module.*can't be loaded"):
        TokenStorageKey(module=tmp_path / "none.so", token_label="x", pin_file=None)


# ---- the choice


def with_a_clip(key: StorageKey, data_dir: Path) -> Path:
    folder = data_dir / "clips"
    folder.mkdir(exist_ok=True)
    clip_id = new_id()
    writer = Vault(key).create(folder / f"{clip_id}.clip", clip_id)
    writer.append(Kind.START, b"{}")
    writer.sync()
    writer.close()
    return folder / f"{clip_id}.clip"


def test_a_key_in_a_file_is_the_default_and_said_plainly(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    key = storage_key_of(StorageConfig(), tmp_path)
    assert not key.is_off_card
    assert name_of(key) == name_of(FileStorageKey(tmp_path / "storage.key"))
    assert "a thief of the card" in caplog.text
    with_a_clip(key, tmp_path)
    caplog.clear()
    storage_key_of(StorageConfig(), tmp_path)
    assert not [r for r in caplog.records if r.levelno >= logging.ERROR]


def test_a_lost_key_is_said_loudly_and_recording_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    old = with_a_clip(storage_key_of(StorageConfig(), tmp_path), tmp_path)
    (tmp_path / "storage.key").unlink()
    caplog.clear()
    vault = Vault(storage_key_of(StorageConfig(), tmp_path))
    assert [r for r in caplog.records if r.levelno == logging.ERROR]
    assert "another storage key" in caplog.text
    assert "recovery words" in caplog.text
    with pytest.raises(VaultError, match="another storage key"):
        vault.open(old)
    new = with_a_clip(FileStorageKey(tmp_path / "storage.key"), tmp_path)
    assert [record.kind for record in vault.open(new).records()] == [Kind.START]


def test_the_token_is_chosen_by_the_settings(token: SoftToken, tmp_path: Path) -> None:
    wanted = token_key(token).hmac_sha256(b"x")
    config = StorageConfig(
        key="pkcs11",
        pkcs11_module=str(token.module),
        pkcs11_token=token.label,
        pkcs11_pin_path=token.pin_file,
    )
    assert storage_key_of(config, tmp_path).hmac_sha256(b"x") == wanted
    assert not (tmp_path / "storage.key").exists()


def test_a_key_that_cannot_be_reached_is_never_replaced_by_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(VaultError, match="raspi-utils"):
        storage_key_of(StorageConfig(key="pi"), tmp_path)
    token = StorageConfig(key="pkcs11", pkcs11_module=str(tmp_path / "no.so"), pkcs11_token="x")
    with pytest.raises(VaultError, match="can't be loaded"):
        storage_key_of(token, tmp_path)
    assert os.listdir(tmp_path) == []  # noqa: PTH208 (nothing at all)


def test_the_recovery_key_comes_from_the_settings() -> None:
    recovery = make_recovery_key()
    assert recovery_keys_of(StorageConfig()) == ()
    (public,) = recovery_keys_of(StorageConfig(recovery_key=recovery.public_text))
    assert len(public) == 32
    with pytest.raises(ConfigError, match="recovery_key"):
        recovery_keys_of(StorageConfig(recovery_key="B" * 43))


# ---- the recovery key


def test_the_words_give_the_key_again_however_they_are_typed() -> None:
    key = make_recovery_key()
    assert len(key.words) == 18
    for text in (
        " ".join(key.words),
        "-".join(key.words).upper(),
        "\n".join(f"{n}. {word.title()}," for n, word in enumerate(key.words, 1)),
        "  " + "\t".join(key.words) + "\r\n",
    ):
        assert public_text_of(parse_recovery_secret(text)) == key.public_text


def test_no_two_recovery_keys_are_alike_and_none_shows_its_words() -> None:
    one, two = make_recovery_key(), make_recovery_key()
    assert one.words != two.words
    assert one.public_text != two.public_text
    assert one.words[0] not in repr(one).split("'")


def test_a_wrong_missing_or_swapped_word_is_found_out() -> None:
    words = list(make_recovery_key().words)
    with pytest.raises(VaultError, match="these are 17"):
        parse_recovery_secret(" ".join(words[:-1]))
    with pytest.raises(VaultError, match=r"word 3 \('zebracrossing"):
        parse_recovery_secret(" ".join([*words[:2], "zebracrossing", *words[3:]]))
    with pytest.raises(VaultError, match="far longer"):
        parse_recovery_secret("acid " * 5000)
    tries = slips = 0
    for position in range(18):
        for step in (1, 7, 100, 255):
            wrong = list(words)
            index = (word_list().index(words[position]) + step) % 256
            wrong[position] = word_list()[index]
            tries += 1
            slips += opens(wrong)
    for left in range(17):
        swapped = list(words)
        swapped[left], swapped[left + 1] = swapped[left + 1], swapped[left]
        if swapped != words:
            tries += 1
            slips += opens(swapped)
    assert tries > 80
    assert slips <= 1  # two check bytes let one in 65,536 pass


def opens(words: list[str]) -> bool:
    try:
        parse_recovery_secret(" ".join(words))
    except VaultError:
        return False
    return True
