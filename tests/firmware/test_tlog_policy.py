"""The policy: whose word is believed, how many are needed, and since when."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.protocol.encoding import WireError
from firmware.protocol.tlog.checkpoint import Checkpoint, sign_checkpoint, sign_cosignature
from firmware.protocol.tlog.policy import MAX_LINES_OF_A_KIND, MAX_POLICY_BYTES, parse_policy
from firmware.protocol.tlog.signed_note import (
    NoteRefused,
    NoteSignature,
    NoteSigner,
    parse_note,
    sign_note,
)
from tests.fakes.witness_log import NOW_S, ORIGIN, WitnessedLog

# The same keys each time: they stand in the names of the tests below.
LOG = NoteSigner(name=ORIGIN, kind="ed25519", private_key=bytes(32)).key.vkey
KEYS = {
    name: NoteSigner(
        name=f"{name}.example", kind="cosignature", private_key=bytes([n] * 32)
    ).key.vkey
    for n, name in enumerate(("X1", "X2", "X3", "Y1", "Y2", "Y3"), start=1)
}
# The example of c2sp.org/tlog-policy, with keys.
EXAMPLE = f"""
log {LOG}

witness X1 {KEYS["X1"]}
witness X2 {KEYS["X2"]}
witness X3 {KEYS["X3"]}
group X-witnesses 2 X1 X2 X3

witness Y1 {KEYS["Y1"]}
witness Y2 {KEYS["Y2"]}
witness Y3 {KEYS["Y3"]}
group Y-witnesses any Y1 Y2 Y3

group X-and-Y all X-witnesses Y-witnesses
quorum X-and-Y
"""
HOUR_S = 3600


def test_the_example_of_the_specification_wants_two_of_one_and_one_of_the_other():
    policy = parse_policy(EXAMPLE.encode())
    for count in range(7):
        for names in itertools.combinations(KEYS, count):
            enough = sum(name[0] == "X" for name in names) >= 2 and any(
                name[0] == "Y" for name in names
            )
            assert policy.is_met_by(set(names)) is enough


def test_comments_blanks_and_addresses_may_stand_in_a_policy():
    log = f"# hello\n\t \nlog \t{LOG}  https://log.example/ \n"
    text = log + f" witness w {KEYS['X1']}\thttps://w\nquorum w\n"
    policy = parse_policy(text.encode())
    assert (policy.logs[0].url, policy.witnesses[0].url) == ("https://log.example/", "https://w")


def test_a_policy_without_logs_knows_none():
    policy = parse_policy(f"witness w {KEYS['X1']}\nquorum w\n".encode())
    with pytest.raises(NoteRefused, match="knows no log"):
        policy.check(WitnessedLog([b"a"]).cosigned(), origin=ORIGIN)


WITNESS = f"witness w {KEYS['X1']}\n"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "newline"),
        (WITNESS, "one quorum line"),
        (WITNESS + "quorum w", "newline"),
        (WITNESS + "quorum w\nquorum w\n", "one quorum line"),
        (WITNESS + "quorum none\n", "nobody witnessed"),
        (WITNESS + "quorum\n", "expected"),
        (WITNESS + "quorum w w\n", "expected"),
        (WITNESS + "quorum v\n", "no line before"),
        ("quorum w\n" + WITNESS, "no line before"),
        ("group g any w\n" + WITNESS + "quorum g\n", "no line before"),
        (WITNESS + "group g any g\nquorum g\n", "no line before"),
        (WITNESS + "group g any none\nquorum g\n", "no line before"),
        (WITNESS + "group g any\nquorum g\n", "expected"),
        (WITNESS + "group g 2 w\nquorum g\n", "1 to 1"),
        (WITNESS + "group g 0 w\nquorum g\n", "1 to 1"),
        (WITNESS + "group g 01 w\nquorum g\n", "1 to 1"),
        (WITNESS + "group g some w\nquorum g\n", "1 to 1"),
        (WITNESS + "group g 2 w w\nquorum g\n", "member twice"),
        (WITNESS + "group g any w\ngroup h any w\nquorum g\n", "member twice"),
        (WITNESS + "group w any w\nquorum w\n", "taken"),
        (WITNESS + f"witness w {KEYS['X2']}\nquorum w\n", "taken"),
        (f"witness none {KEYS['X1']}\nquorum none\n", "taken"),
        (WITNESS + f"witness v {KEYS['X1']}\nquorum w\n", "there already"),
        (f"log {LOG}\nlog {LOG}\n" + WITNESS + "quorum w\n", "there already"),
        (f"log {KEYS['X2']}\n" + WITNESS + "quorum w\n", "another kind"),
        (f"witness w {LOG}\nquorum w\n", "another kind"),
        ("log\n", "expected"),
        (f"log {LOG} url more\n", "expected"),
        ("witness w\n", "expected"),
        ("witness w v+1+x\n", "line 1: a key is written"),
        ("Quorum w\n", "begins with"),
        (WITNESS + "quorum w\r\n", "control"),
        (WITNESS + "quorum w\x7f\n", "control"),
        ("#" * MAX_POLICY_BYTES + "\n", "at most"),
    ],
)  # fmt: skip
def test_what_is_no_policy_is_refused(text: str, why: str):
    with pytest.raises(WireError, match=why):
        parse_policy(text.encode())


def test_a_key_in_two_roles_is_refused():
    log = NoteSigner(name=ORIGIN, kind="ed25519", private_key=bytes(32))
    same = NoteSigner(name="w.example", kind="cosignature", private_key=bytes(32))
    text = f"log {log.key.vkey}\nwitness w {same.key.vkey}\nquorum w\n"
    with pytest.raises(WireError, match="there already"):
        parse_policy(text.encode())


def test_a_policy_has_a_limit_for_each_kind_of_line():
    lines = [
        f"witness w{number} {NoteSigner.generate('w', 'cosignature').key.vkey}\n"
        for number in range(MAX_LINES_OF_A_KIND + 1)
    ]
    assert len(lines) == 65
    parse_policy("".join([*lines[:-1], "quorum w0\n"]).encode())
    with pytest.raises(WireError, match="at most"):
        parse_policy("".join([*lines, "quorum w0\n"]).encode())


@given(st.integers(0, len(EXAMPLE.encode()) - 1))
def test_a_truncated_policy_is_refused(end: int):
    with pytest.raises(WireError):
        parse_policy(EXAMPLE.encode()[:end])


@given(st.integers(0, 8 * len(EXAMPLE.encode()) - 1))
def test_a_policy_with_a_bit_flipped_is_refused_or_read(bit: int):
    flipped = bytearray(EXAMPLE.encode())
    flipped[bit // 8] ^= 1 << bit % 8
    try:
        parse_policy(bytes(flipped))
    except WireError:
        return


@given(st.binary(max_size=200))
def test_anything_else_is_refused_with_a_sentence(text: bytes):
    with pytest.raises(WireError):
        parse_policy(text)


def test_a_checkpoint_with_a_quorum_is_accepted():
    log = WitnessedLog([b"a", b"b"])
    witnessed = log.policy().check(log.cosigned(ann=NOW_S, cem=NOW_S + 5), origin=ORIGIN)
    assert witnessed.checkpoint == log.checkpoint()


def test_age_and_freshness_are_what_a_quorum_vouches_for():
    log = WitnessedLog([b"a"])
    note = log.cosigned(ann=NOW_S, bea=NOW_S + HOUR_S, cem=NOW_S + 3 * HOUR_S)
    witnessed = log.policy().check(note, origin=ORIGIN)
    assert witnessed.aged_ms == (NOW_S + HOUR_S) * 1000
    assert witnessed.fresh_ms == (NOW_S + HOUR_S) * 1000


def test_one_witness_alone_can_neither_age_a_checkpoint_nor_make_it_fresh():
    log = WitnessedLog([b"a"])
    old = log.policy().check(log.cosigned(ann=1, bea=NOW_S, cem=NOW_S), origin=ORIGIN)
    new = log.policy().check(log.cosigned(ann=NOW_S, bea=NOW_S, cem=10**11), origin=ORIGIN)
    assert (old.aged_ms, new.fresh_ms) == (NOW_S * 1000, NOW_S * 1000)


@given(st.dictionaries(st.sampled_from(["ann", "bea", "cem"]), st.integers(1, 9), min_size=2))
def test_the_times_are_those_of_the_definition(times_s: dict[str, int]):
    log = WitnessedLog([b"a"])
    policy = log.policy()
    witnessed = policy.check(log.cosigned(**times_s), origin=ORIGIN)

    def until(end_s: int) -> set[str]:
        return {name for name, time_s in times_s.items() if time_s <= end_s}

    def since(start_s: int) -> set[str]:
        return {name for name, time_s in times_s.items() if time_s >= start_s}

    aged = min(end_s for end_s in range(1, 10) if policy.is_met_by(until(end_s)))
    fresh = max(start_s for start_s in range(1, 10) if policy.is_met_by(since(start_s)))
    assert (witnessed.aged_ms, witnessed.fresh_ms) == (aged * 1000, fresh * 1000)


def test_too_few_witnesses_are_refused():
    log = WitnessedLog([b"a"])
    with pytest.raises(NoteRefused, match="no quorum"):
        log.policy().check(log.cosigned(ann=NOW_S), origin=ORIGIN)


def test_the_same_witness_twice_is_refused():
    log = WitnessedLog([b"a"])
    note = parse_note(log.cosigned(ann=NOW_S))
    twice = sign_cosignature(note.text, log.witnesses["ann"], NOW_S + 1).line().encode()
    with pytest.raises(NoteRefused, match="signed twice"):
        log.policy().check(note.encode() + twice, origin=ORIGIN)


def test_a_strangers_signature_is_ignored():
    log = WitnessedLog([b"a"])
    note = parse_note(log.cosigned(ann=NOW_S))
    stranger = NoteSigner.generate("bea.example/w", "cosignature")
    more = note.with_signatures(sign_cosignature(note.text, stranger, NOW_S))
    with pytest.raises(NoteRefused, match="no quorum"):
        log.policy().check(more.encode(), origin=ORIGIN)
    enough = note.with_signatures(
        sign_cosignature(note.text, stranger, NOW_S),
        sign_cosignature(note.text, log.witnesses["bea"], NOW_S),
    )
    log.policy().check(enough.encode(), origin=ORIGIN)


@pytest.mark.parametrize("place", [0, 1, 2, 3])
def test_one_wrong_signature_by_a_known_key_refuses_the_note(place: int):
    log = WitnessedLog([b"a"])
    note = parse_note(log.cosigned(ann=NOW_S, bea=NOW_S, cem=NOW_S))
    of_other = parse_note(WitnessedLog([b"a"]).cosigned(ann=NOW_S)).signatures[1].signature[8:]
    signatures = list(note.signatures)
    wrong = signatures[place]
    signed = wrong.signature[:-64] + of_other
    signatures[place] = NoteSignature(name=wrong.name, key_id=wrong.key_id, signature=signed)
    forged = note.text + b"\n" + b"".join(one.line().encode() for one in signatures)
    with pytest.raises(NoteRefused, match="wrong"):
        log.policy().check(forged, origin=ORIGIN)


def test_a_checkpoint_that_the_log_did_not_sign_is_refused():
    log, other = WitnessedLog([b"a"]), WitnessedLog([b"a"])
    note = parse_note(other.signed())
    lines = [sign_cosignature(note.text, signer, NOW_S) for signer in log.witnesses.values()]
    with pytest.raises(NoteRefused, match="isn't signed by a key"):
        log.policy().check(note.with_signatures(*lines).encode(), origin=ORIGIN)


def test_another_logs_checkpoint_is_refused_even_if_the_policy_knows_that_log():
    log, other = WitnessedLog([b"a"]), WitnessedLog([b"a"], origin="log.example/custody")
    text = f"log {other.signer.key.vkey}\n".encode() + log.policy_text()
    note = parse_note(other.signed())
    lines = [sign_cosignature(note.text, signer, NOW_S) for signer in log.witnesses.values()]
    cosigned = note.with_signatures(*lines).encode()
    policy = parse_policy(text)
    assert policy.check(cosigned, origin="log.example/custody").checkpoint.origin == other.origin
    with pytest.raises(NoteRefused):
        policy.check(cosigned, origin=ORIGIN)


def test_a_logs_key_can_not_sign_for_another_origin():
    log = WitnessedLog([b"a"])
    foreign = Checkpoint(origin="log.example/custody", size=1, root=log.tree.root())
    with pytest.raises(ValueError, match="can't sign for"):
        sign_checkpoint(foreign, log.signer)
    note = parse_note(sign_note(foreign.encode(), [log.signer]))
    lines = [sign_cosignature(note.text, signer, NOW_S) for signer in log.witnesses.values()]
    with pytest.raises(NoteRefused):
        log.policy().check(note.with_signatures(*lines).encode(), origin=ORIGIN)


def test_a_note_that_is_no_checkpoint_is_refused_even_if_all_signed_it():
    log = WitnessedLog([b"a"])
    note = parse_note(sign_note(b"not a checkpoint\n", [log.signer]))
    lines = [sign_cosignature(note.text, signer, NOW_S) for signer in log.witnesses.values()]
    with pytest.raises(NoteRefused, match="three lines"):
        log.policy().check(note.with_signatures(*lines).encode(), origin=ORIGIN)


def test_an_altered_checkpoint_is_refused():
    log = WitnessedLog([b"a", b"b"])
    note = log.cosigned(ann=NOW_S, bea=NOW_S)
    with pytest.raises(NoteRefused, match="wrong"):
        log.policy().check(note.replace(b"\n2\n", b"\n3\n"), origin=ORIGIN)


CHARTER_LINE = f"#charter {ORIGIN} {'0a' * 32}"


def test_a_charter_is_a_comment_to_others_and_read_here():
    log = WitnessedLog([b"a"])
    text = log.policy_text()
    policy = parse_policy(text + f"{CHARTER_LINE}\n".encode())
    assert policy.charter_of(ORIGIN) == "0a" * 32
    assert parse_policy(text).charter_of(ORIGIN) is None
    assert CHARTER_LINE.startswith("#"), "c2sp.org/tlog-policy: comments begin so"


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ([CHARTER_LINE, CHARTER_LINE], "is there already"),
        ([CHARTER_LINE[:-1]], "expected: #charter"),
        ([CHARTER_LINE + "0"], "expected: #charter"),
        ([CHARTER_LINE.replace("0a", "0A")], "expected: #charter"),
        ([CHARTER_LINE + " more"], "expected: #charter"),
        (["#charter"], "expected: #charter"),
        ([f"#charter log.elsewhere/register {'0' * 64}"], "a log that the policy doesn't know"),
    ],
    ids=["twice", "cut off", "too long", "in capitals", "with more", "empty", "of another log"],
)
def test_a_charter_that_is_written_otherwise_is_refused(lines: list[str], words: str):
    text = WitnessedLog([b"a"]).policy_text() + "".join(f"{one}\n" for one in lines).encode()
    with pytest.raises(WireError, match=words):
        parse_policy(text)


@pytest.mark.parametrize("line", ["# charter x y", "#charters x y", "#Charter x y", "##charter x"])
def test_what_only_looks_like_a_charter_is_a_comment(line: str):
    text = WitnessedLog([b"a"]).policy_text() + f"{line}\n".encode()
    assert parse_policy(text).charters == ()
