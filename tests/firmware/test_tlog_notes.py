"""Signed notes, checkpoints and cosignatures: C2SP's own examples, and what must be refused."""

import dataclasses
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.protocol.encoding import WireError
from firmware.protocol.tlog.checkpoint import (
    Checkpoint,
    cosignature_time_ms,
    open_checkpoint,
    parse_checkpoint,
    sign_checkpoint,
    sign_cosignature,
)
from firmware.protocol.tlog.lines import b64, decode_text
from firmware.protocol.tlog.signed_note import (
    MAX_NOTE_BYTES,
    Note,
    NoteKey,
    NoteRefused,
    NoteSigner,
    parse_key,
    parse_note,
    parse_signatures,
    sign_note,
)
from tests.fakes.witness_log import NOW_S, ORIGIN, WitnessedLog

VECTORS = Path(__file__).parents[1] / "vectors" / "tlog"
# c2sp.org/signed-note, "Example"
EXAMPLE_VKEY = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
EXAMPLE_NOTE = (VECTORS / "signed-note.txt").read_bytes()
# c2sp.org/tlog-cosignature, its first example
EXAMPLE_CHECKPOINT = (VECTORS / "cosigned-checkpoint.txt").read_bytes()

NAMES = st.text(
    st.characters(codec="utf-8", exclude_characters="+", exclude_categories=["Cc", "Z"]),
    min_size=1,
    max_size=40,
)


def signer(name: str = ORIGIN, kind: str = "ed25519") -> NoteSigner:
    return NoteSigner.generate(name, kind)


def test_the_example_of_the_specification_verifies():
    key = parse_key(EXAMPLE_VKEY)
    note = parse_note(EXAMPLE_NOTE)
    (signature,) = note.signatures
    assert signature.is_of(key)
    assert key.verifies(signature.signature, note.text)
    assert (key.vkey, note.encode()) == (EXAMPLE_VKEY, EXAMPLE_NOTE)


def test_the_example_of_a_cosigned_checkpoint_is_read():
    note = parse_note(EXAMPLE_CHECKPOINT)
    checkpoint = parse_checkpoint(note.text)
    assert (checkpoint.origin, checkpoint.size) == ("example.com/behind-the-sofa", 20852163)
    assert int.from_bytes(note.signatures[1].signature[:8]) == 1679315147
    assert (checkpoint.encode(), note.encode()) == (note.text, EXAMPLE_CHECKPOINT)


@given(NAMES, st.sampled_from(["ed25519", "cosignature"]))
def test_a_key_and_a_signer_are_written_and_read(name: str, kind: str):
    made = signer(name, kind)
    assert parse_key(made.key.vkey) == made.key
    assert NoteSigner.parse(made.saved()).key == made.key


def test_a_key_counts_under_its_own_name_and_kind_only():
    key = signer().key
    other = dataclasses.replace(key, name="other.example")
    cosigner = dataclasses.replace(key, kind="cosignature")
    assert len({key.key_id, other.key_id, cosigner.key_id}) == 3
    for forged in (other, cosigner):
        _, _, encoded = forged.vkey.split("+", 2)
        with pytest.raises(NoteRefused, match="key id"):
            parse_key(f"{forged.name}+{key.key_id.hex()}+{encoded}")


@pytest.mark.parametrize(
    "name", ["", "a b", "a+b", "a\u2003b", "a\nb", "a\x00b", "x" * 256, "\ud800"]
)
def test_a_name_that_no_line_could_hold_is_refused(name: str):
    with pytest.raises(NoteRefused):
        NoteKey(name=name, kind="ed25519", public_key=bytes(32))


@given(st.integers(0, len(EXAMPLE_VKEY) - 1))
def test_a_truncated_key_is_refused(end: int):
    with pytest.raises(NoteRefused):
        parse_key(EXAMPLE_VKEY[:end])


@given(st.integers(0, 8 * len(EXAMPLE_VKEY) - 1))
def test_a_key_with_a_bit_flipped_is_refused(bit: int):
    flipped = flip(EXAMPLE_VKEY.encode(), bit).decode("latin-1")
    with pytest.raises(NoteRefused):
        parse_key(flipped)


def test_a_saved_signer_that_is_broken_is_refused_without_being_repeated():
    saved = signer().saved()
    for broken in (saved[:-4], saved[12:], saved.replace("+", "-"), saved.upper()):
        with pytest.raises(NoteRefused) as refused:
            NoteSigner.parse(broken)
        assert saved[-20:] not in str(refused.value)


def test_a_saved_signer_under_another_name_or_id_is_refused():
    saved = signer().saved()
    with pytest.raises(NoteRefused, match="key id"):
        NoteSigner.parse(saved.replace(ORIGIN, "other.example"))


NOTES = st.builds(
    Note,
    text=st.lists(st.text(st.characters(codec="utf-8", exclude_categories=["Cc"])), min_size=1).map(
        lambda lines: "".join(line + "\n" for line in lines).encode()
    ),
    signatures=st.lists(
        st.builds(lambda name, text: signer(name).sign(text), NAMES, st.binary()),
        min_size=1,
        max_size=3,
    ).map(tuple),
)


@given(NOTES)
def test_a_note_is_written_and_read(note: Note):
    assert parse_note(note.encode()) == note


@given(st.data())
def test_a_truncated_note_is_refused_or_has_lost_whole_signatures(data: st.DataObject):
    end = data.draw(st.integers(0, len(EXAMPLE_CHECKPOINT) - 1))
    try:
        note = parse_note(EXAMPLE_CHECKPOINT[:end])
    except NoteRefused:
        return
    assert len(note.signatures) == 1
    assert note.encode() == EXAMPLE_CHECKPOINT[:end]


@given(st.integers(0, 8 * len(EXAMPLE_NOTE) - 1))
def test_a_note_with_a_bit_flipped_is_refused_or_not_signed(bit: int):
    key = parse_key(EXAMPLE_VKEY)
    try:
        note = parse_note(flip(EXAMPLE_NOTE, bit))
    except NoteRefused:
        return
    assert not any(
        found.is_of(key) and key.verifies(found.signature, note.text) for found in note.signatures
    )


SIGNED = b"text\n\n\xe2\x80\x94 name AAAAAAA=\n"


@pytest.mark.parametrize(
    ("broken", "why"),
    [
        (SIGNED[:-1], "newline"),
        (SIGNED.replace(b"\n\n", b"\n"), "empty line"),
        (b"text\n\n", "newline"),
        (SIGNED.replace(b"text", b"te\rxt"), "control"),
        (SIGNED.replace(b"text", b"te\x00xt"), "control"),
        (SIGNED.replace(b"text", b"te\xffxt"), "UTF-8"),
        (SIGNED.replace(b"\xe2\x80\x94", b"-"), "em dash"),
        (SIGNED.replace(b" name", b"  name"), "em dash"),
        (SIGNED.replace(b"name", b"na+me"), "em dash"),
        (SIGNED.replace(b"AAAAAAA=", b"AAAAAAA"), "base64"),
        (SIGNED.replace(b"AAAAAAA=", b"AAAAAAB="), "canonical"),
        (SIGNED.replace(b"AAAAAAA=", b"AAAAAA=="), "too short"),
        (SIGNED + SIGNED.split(b"\n\n")[1] * 64, "at most"),
        (b"x" * MAX_NOTE_BYTES + SIGNED, "at most"),
    ],
)  # fmt: skip
def test_what_is_no_note_is_refused(broken: bytes, why: str):
    with pytest.raises(NoteRefused, match=why):
        parse_note(broken)


def test_a_note_is_no_larger_in_all_than_it_may_be():
    lines = f"— name {b64(bytes(60_000))}\n".encode()
    largest = b"x" * (MAX_NOTE_BYTES - len(lines) - 2) + b"\n\n" + lines
    assert parse_note(largest).encode() == largest
    with pytest.raises(NoteRefused, match="at most"):
        parse_note(b"x" + largest)


def test_a_note_is_as_large_as_it_may_be():
    assert decode_text(b"abc\n", what="text", max_bytes=4) == "abc\n"
    with pytest.raises(WireError, match="at most 3"):
        decode_text(b"abc\n", what="text", max_bytes=3)


def test_a_checkpoint_is_no_larger_than_a_note():
    with pytest.raises(WireError, match="at most"):
        parse_checkpoint(b"x" * MAX_NOTE_BYTES + b"\n")


def test_a_note_has_as_many_signatures_as_it_may_have():
    text, line = SIGNED.split(b"\n\n")
    assert len(parse_note(text + b"\n\n" + line * 64).signatures) == 64


def test_the_last_empty_line_separates_text_and_signatures():
    note = parse_note(b"one\n\ntwo\n\n" + SIGNED.split(b"\n\n")[1])
    assert note.text == b"one\n\ntwo\n"


def test_a_new_signature_takes_the_place_of_the_old_one_by_the_same_key():
    log = WitnessedLog([b"a"])
    note = parse_note(log.cosigned(ann=NOW_S, bea=NOW_S))
    newer = sign_cosignature(note.text, log.witnesses["ann"], NOW_S + 60)
    again = note.with_signatures(newer)
    assert len(again.signatures) == 3
    opened = open_checkpoint(
        again.encode(),
        logs=[log.signer.key],
        witnesses={name: signer.key for name, signer in log.witnesses.items()},
    )
    assert opened.times_ms == {"ann": (NOW_S + 60) * 1000, "bea": NOW_S * 1000}


CHECKPOINTS = st.builds(
    Checkpoint,
    origin=NAMES,
    size=st.integers(0, 2**63 - 1),
    root=st.binary(min_size=32, max_size=32),
    extensions=st.lists(NAMES, max_size=2).map(tuple),
)


@given(CHECKPOINTS)
def test_a_checkpoint_is_written_and_read(checkpoint: Checkpoint):
    assert parse_checkpoint(checkpoint.encode()) == checkpoint


@given(CHECKPOINTS, st.data())
def test_a_truncated_checkpoint_is_refused_or_another(checkpoint: Checkpoint, data: st.DataObject):
    text = checkpoint.encode()
    end = data.draw(st.integers(0, len(text) - 1))
    try:
        assert parse_checkpoint(text[:end]).encode() == text[:end] != text
    except WireError:
        return


@given(CHECKPOINTS, st.data())
def test_a_checkpoint_with_a_bit_flipped_is_refused_or_another(
    checkpoint: Checkpoint, data: st.DataObject
):
    text = checkpoint.encode()
    flipped = flip(text, data.draw(st.integers(0, 8 * len(text) - 1)))
    try:
        assert parse_checkpoint(flipped).encode() == flipped
    except WireError:
        return


@pytest.mark.parametrize(
    "changes",
    [
        {"origin": ""},
        {"origin": "o\n1"},
        {"extensions": ("more", "")},
        {"extensions": ("more\nlines", "more")},
        {"root": bytes(31)},
        {"root": bytes(33)},
        {"size": -1},
        {"size": 2**63},
    ],
)
def test_a_checkpoint_that_nobody_could_read_is_not_written(changes: dict[str, object]):
    right = Checkpoint(origin="o", size=1, root=bytes(32))
    assert dataclasses.replace(right, size=0).encode()
    with pytest.raises(ValueError, match=r"one line each|entries"):
        dataclasses.replace(right, **changes).encode()


ROOT = b64(bytes(32))


def test_the_longest_origin_is_read():
    assert parse_checkpoint(f"{'x' * 255}\n1\n{ROOT}\n".encode()).origin == "x" * 255


@pytest.mark.parametrize(
    "text",
    [
        f"o\n01\n{ROOT}\n", f"o\n-1\n{ROOT}\n", f"o\n+1\n{ROOT}\n", f"o\n1 \n{ROOT}\n",
        f"o\n١\n{ROOT}\n", f"o\n{2**63}\n{ROOT}\n", f"o\n{10**30}\n{ROOT}\n", f"\n1\n{ROOT}\n",
        f"o\n1\n{ROOT}", f"o\n1\n{ROOT}\n\n", f"o\n1\n\n{ROOT}\n", "o\n1\n", "",
        f"o\n1\n{b64(bytes(31))}\n", f"o\n1\n{ROOT[:-1]}\n", f"o\n1\n{ROOT} \n",
        f"{'x' * 256}\n1\n{ROOT}\n", f"o\n1_0\n{ROOT}\n", f"o\r\n1\n{ROOT}\r\n",
    ],
)  # fmt: skip
def test_what_is_no_checkpoint_is_refused(text: str):
    with pytest.raises(WireError):
        parse_checkpoint(text.encode())


def test_only_the_log_signs_its_checkpoints():
    log = WitnessedLog([b"a"])
    with pytest.raises(ValueError, match="can't sign for"):
        sign_checkpoint(log.checkpoint(), signer("other.example"))
    with pytest.raises(ValueError, match="cosignatures only"):
        sign_note(b"text\n", [log.witnesses["ann"]])
    with pytest.raises(ValueError, match="no cosignatures"):
        sign_cosignature(b"text\n", log.signer, NOW_S)


@pytest.mark.parametrize("time_s", [0, -1, 2**63])
def test_a_cosignature_has_a_time_that_could_be(time_s: int):
    with pytest.raises(ValueError, match="time"):
        sign_cosignature(b"text\n", signer("w", "cosignature"), time_s)


def test_a_cosignature_tells_its_time():
    witness = signer("witness.example/w", "cosignature")
    text = WitnessedLog([b"a"]).checkpoint().encode()
    line = sign_cosignature(text, witness, NOW_S)
    assert parse_signatures(line.line().encode()) == (line,)
    assert cosignature_time_ms(text, line, witness.key) == NOW_S * 1000
    last_s = 253_402_300_799  # of the year 9999
    for time_s in (1, last_s):
        line = sign_cosignature(text, witness, time_s)
        assert cosignature_time_ms(text, line, witness.key) == time_s * 1000
    with pytest.raises(ValueError, match="time"):
        sign_cosignature(text, witness, last_s + 1)


def test_a_signature_of_another_witness_or_of_a_log_is_no_cosignature():
    witness, log = signer("witness.example/w", "cosignature"), WitnessedLog([b"a"])
    text = log.checkpoint().encode()
    (by_log,) = parse_note(log.signed()).signatures
    by_witness = sign_cosignature(text, witness, NOW_S)
    for line, key in ((by_witness, log.witnesses["ann"].key), (by_log, log.signer.key)):
        with pytest.raises(NoteRefused, match=f"not a cosignature by {key.name}"):
            cosignature_time_ms(text, line, key)


def test_a_witness_of_the_logs_name_is_not_the_log():
    log = WitnessedLog([b"a"])
    witness = signer(log.origin, "cosignature")
    text = log.checkpoint().encode()
    note = Note(text=text, signatures=(sign_cosignature(text, witness, NOW_S),)).encode()
    with pytest.raises(NoteRefused, match="isn't signed by a key"):
        open_checkpoint(note, logs=[witness.key], witnesses={})


@given(st.integers(0, 8 * (8 + 64) - 1))
def test_a_cosignature_with_a_bit_flipped_is_refused(bit: int):
    witness = signer("witness.example/w", "cosignature")
    text = WitnessedLog([b"a"]).checkpoint().encode()
    line = sign_cosignature(text, witness, NOW_S)
    broken = dataclasses.replace(line, signature=flip(line.signature, bit))
    with pytest.raises(NoteRefused):
        cosignature_time_ms(text, broken, witness.key)


def test_a_cosignature_of_another_text_or_length_or_without_a_time_is_refused():
    witness = signer("witness.example/w", "cosignature")
    text = WitnessedLog([b"a"]).checkpoint().encode()
    line = sign_cosignature(text, witness, NOW_S)
    timeless = witness.sign(b"cosignature/v1\ntime 0\n" + text, prefix=bytes(8))
    far = witness.sign(b"cosignature/v1\ntime %d\n" % 2**63 + text, prefix=(2**63).to_bytes(8))
    longer = dataclasses.replace(line, signature=line.signature + b"\x00")
    plain = witness.sign(text)  # not timestamped
    with pytest.raises(NoteRefused, match="wrong"):
        cosignature_time_ms(text + b"more\n", line, witness.key)
    for broken in (timeless, far, longer, plain):
        with pytest.raises(NoteRefused, match=r"bytes|time"):
            cosignature_time_ms(text, broken, witness.key)


def test_a_log_may_have_two_keys_of_which_one_signs():
    log = WitnessedLog([b"a"])
    newer = signer()
    opened = open_checkpoint(log.signed(), logs=[newer.key, log.signer.key], witnesses={})
    assert opened.checkpoint == log.checkpoint()


def test_a_log_does_not_speak_for_another():
    log, other = WitnessedLog([b"a"]), WitnessedLog([b"a"], origin="log.example/custody")
    note = sign_note(other.checkpoint().encode(), [log.signer])
    with pytest.raises(NoteRefused, match="isn't signed by a key"):
        open_checkpoint(note, logs=[log.signer.key, other.signer.key], witnesses={})


def flip(data: bytes, bit: int) -> bytes:
    flipped = bytearray(data)
    flipped[bit // 8] ^= 1 << bit % 8
    return bytes(flipped)
