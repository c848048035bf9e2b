"""The directory of shards, its signers in a policy, and the files of a move."""

import json
import random
from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace

from firmware.app import process
from firmware.config.settings import Config, LogConfig
from firmware.enrolment.shard_policy import ShardRecord, policy_in_force
from firmware.errors import StoreError
from firmware.protocol.encoding import WireError, decode_canonical, sha256_hex
from firmware.protocol.shards import (
    Elsewhere,
    ShardDirectory,
    arrival_secret,
    open_directory,
    parse_signers,
    read_unverified,
    unsigned_directory,
)
from firmware.protocol.tlog.policy import parse_policy
from firmware.system.shard_move import (
    EARLIER_PROOFS,
    MOVED_FILES,
    NEXT_SHARD,
    PROOFS,
    finish_shard_move,
)
from tests.fakes.log_town import make_town
from tests.vectors.make_shards import MADE_MS, PATH, shard_vectors

VECTORS = json.loads(PATH.read_text("utf-8"))
NOTE = VECTORS["note"].encode()
SIGNERS = VECTORS["signers"].encode() + b"\n"


def opened(note: bytes, **changes: int) -> ShardDirectory:
    signers = parse_signers(SIGNERS)
    assert signers is not None
    return open_directory(note, signers, **({"now_ms": MADE_MS, "known_number": 3} | changes))


def test_the_golden_vector_is_what_is_written_and_read() -> None:
    assert shard_vectors() == VECTORS
    directory = opened(NOTE)
    assert (directory.number, directory.expires_ms) == (VECTORS["number"], VECTORS["expires_ms"])
    assert unsigned_directory(directory).decode() == VECTORS["unsigned"]
    answer = decode_canonical(Elsewhere, VECTORS["elsewhere"].encode())
    assert answer.directory.encode() == NOTE
    assert arrival_secret(VECTORS["device"]) == VECTORS["arrival_secret"]


def test_a_directory_that_is_cut_off_or_changed_anywhere_counts_for_nothing() -> None:
    dice = random.Random(7)
    for end in range(0, len(NOTE) - 1, 7):
        with pytest.raises(WireError):
            opened(NOTE[:end])
    for _ in range(300):
        changed = bytearray(NOTE)
        changed[dice.randrange(len(NOTE))] ^= 1 << dice.randrange(8)
        with pytest.raises(WireError):
            opened(bytes(changed))


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda one: replace(one, shards=(one.shards[0], one.shards[0])), "same id"),
        (lambda one: replace(one, expires_ms=one.made_ms), "400 days"),
        (lambda one: replace(one, expires_ms=one.made_ms + 401 * 86_400_000), "400 days"),
    ],
)
def test_a_directory_that_cannot_be_is_not_made(
    change: Callable[[ShardDirectory], ShardDirectory], why: str
) -> None:
    with pytest.raises(WireError, match=why):
        unsigned_directory(change(read_unverified(NOTE)))


@pytest.mark.parametrize(
    "url",
    [
        "http://a.example",
        "https://a.example/",
        "https://a.example/path",
        "https://me@a.example",
        "https://a.example:x",
        "https://",
    ],
)
def test_a_shard_is_at_an_origin_with_tls(url: str) -> None:
    directory = read_unverified(NOTE)
    elsewhere = replace(directory.shards[0], relay_url=url)
    with pytest.raises(WireError, match="https://host"):
        unsigned_directory(replace(directory, shards=(elsewhere,)))


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("#shards", "expected"),
        ("#shards x", "expected"),
        ("#shards 1 KEY", "at least 2"),
        ("#shards 2 KEY", "at least 2"),
        ("#shards 2 KEY KEY", "twice"),
        ("#shards 2 KEY other", "key"),
        ("LINE\nLINE", "one line"),
    ],
)
def test_bad_signers_are_named(line: str, why: str) -> None:
    key = VECTORS["signers"].split()[2]
    text = line.replace("KEY", key).replace("LINE", VECTORS["signers"])
    with pytest.raises(WireError, match=why):
        parse_signers(text.encode() + b"\n")


def test_signers_are_a_comment_to_the_policys_other_readers() -> None:
    policy = make_town().policy_text
    assert parse_signers(policy) is None
    assert parse_signers(policy + SIGNERS) is not None
    assert parse_policy(policy + SIGNERS) == parse_policy(policy)


# --- the files of a move ---------------------------------------------------------------------


def next_shard(folder: Path) -> None:
    (folder / NEXT_SHARD).mkdir()
    (folder / "register").mkdir()
    (folder / "register" / "entries").write_bytes(b"old")
    for name in MOVED_FILES:
        (folder / name).write_bytes(b"old")
        (folder / NEXT_SHARD / name).write_bytes(b"new")


def test_a_move_that_is_not_whole_changes_nothing(tmp_path: Path) -> None:
    next_shard(tmp_path)
    (tmp_path / NEXT_SHARD / MOVED_FILES[-1]).unlink()
    assert not finish_shard_move(tmp_path)
    assert {(tmp_path / name).read_bytes() for name in MOVED_FILES} == {b"old"}


@pytest.mark.parametrize("moved", range(len(MOVED_FILES)))
def test_a_move_that_was_cut_off_is_finished_at_the_next_start(tmp_path: Path, moved: int) -> None:
    next_shard(tmp_path)
    for name in MOVED_FILES[:moved]:
        (tmp_path / NEXT_SHARD / name).replace(tmp_path / name)
    assert finish_shard_move(tmp_path)
    assert {(tmp_path / name).read_bytes() for name in MOVED_FILES} == {b"new"}
    assert not (tmp_path / NEXT_SHARD).exists()
    assert not (tmp_path / "register").exists()
    assert not finish_shard_move(tmp_path)


def test_each_move_puts_the_proofs_of_its_register_beside_earlier_ones(tmp_path: Path) -> None:
    for number in (1, 2):
        next_shard(tmp_path)
        for name in PROOFS:
            (tmp_path / "register" / name).write_text(f"{number}")
        assert finish_shard_move(tmp_path)
    kept = {path.name: path.read_text() for path in (tmp_path / EARLIER_PROOFS).iterdir()}
    assert kept == {f"{number}-{name}": f"{number}" for number in (1, 2) for name in PROOFS}


@pytest.mark.parametrize("is_during", [False, True])
def test_the_process_finishes_a_move_before_and_after_it_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_during: bool
) -> None:
    """One that comes while it runs ends it, and it is to be started again: the code is 0."""

    async def doorbell(*_: object) -> int:
        assert (tmp_path / NEXT_SHARD).exists() is False
        if is_during:
            next_shard(tmp_path)
        return 1

    monkeypatch.setattr(process, "_run", doorbell)
    if not is_during:
        next_shard(tmp_path)
    config = Config(data_dir=tmp_path)
    assert process.run(config, lambda: config) == (0 if is_during else 1)
    assert {(tmp_path / name).read_bytes() for name in MOVED_FILES} == {b"new"}
    assert not (tmp_path / NEXT_SHARD).exists()


def test_another_policy_on_the_card_ends_what_the_last_one_led_to(tmp_path: Path) -> None:
    card = tmp_path / "policy.txt"
    config = Config(data_dir=tmp_path, log=LogConfig(policy_path=card))
    assert policy_in_force(config) == card
    card.write_bytes(b"one")
    record = ShardRecord(shard="b", card_policy=sha256_hex(b"one"))
    (tmp_path / "shard.json").write_bytes(record.encode())
    assert policy_in_force(config) == tmp_path / "shard-policy.txt"
    card.write_bytes(b"another")
    assert policy_in_force(config) == card
    (tmp_path / "shard.json").write_bytes(b"{}")
    with pytest.raises(StoreError):
        policy_in_force(config)
