"""Attack: a new register says that it succeeds a town's, and its people never agreed.

A charter names the older register's origin, size and root, and two of its administrators sign it.
That they did, everybody sees who replays it; that they were its administrators at its end, who has
the older register whole: the operator's command and the monitor. Nobody switches by it.
"""

from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from msgspec.structs import replace as changed

from firmware.protocol.encoding import WireError, new_id
from firmware.protocol.register.changes import texts_of
from firmware.protocol.register.entries import (
    Admin,
    AdminsChanged,
    Change,
    ChangeLeaf,
    ChangeSignature,
    Charter,
    Delays,
    Limits,
    RefusedLeaf,
    Succession,
    change_message,
)
from firmware.protocol.register.register_file import WholeRegister, encode_register
from firmware.protocol.register.replay import Register
from firmware.protocol.register.succession import check_succession, succession_of, succession_to
from relay.record.entry_parser import register_row
from relay.tools.monitor.cli import main as monitor
from tests.fakes.log_town import Town, make_town, sign_p256, spki_of

NEW = "lakeland.2027/register"
KEYS = {one: ec.generate_private_key(ec.SECP256R1()) for one in ("cem", "dan")}
OWN = [Admin(id=one, name=one.title(), key=spki_of(key)) for one, key in KEYS.items()]


@pytest.fixture(scope="module")
def old() -> Town:
    return make_town()


def whole(town: Town) -> WholeRegister:
    return WholeRegister(entries=tuple(town.register_log.entries))


def people(town: Town, *ids: str) -> list[Admin]:
    return [town.admin(one) for one in ids or ("ann", "bob")]


def charter(
    town: Town, named: Succession, *, by: tuple[str, ...] = ("cem", "dan", "ann", "bob")
) -> ChangeLeaf:
    """Return the charter of a new register that succeeds what is named."""
    body = Charter(is_example=False, admins=OWN, delays=Delays(), limits=Limits(), succeeds=named)
    texts = texts_of(Change(origin=NEW, nonce=new_id(), follows=0, body=body))
    message, keys = change_message(texts.change.encode()), KEYS | town.admin_keys
    return texts.signed(
        [ChangeSignature(by=one, signature=sign_p256(keys[one], message)) for one in by]
    )


def why_void(leaf: ChangeLeaf) -> str | None:
    register = Register(NEW)
    void = register.apply(register.next_entry(leaf))
    return None if void is None else void.why


def test_what_two_old_and_two_new_administrators_signed_counts(old: Town) -> None:
    named = succession_to(whole(old), people(old))
    leaf = charter(old, named)
    assert why_void(leaf) is None
    first = Register(NEW).next_entry(leaf)
    found = succession_of(first)
    assert found == named
    check_succession(named, whole(old))
    assert register_row(0, first).detail == "lakeland/register"
    assert succession_of(old.register_log.entries[0]) is None


# Each seen to succeed with its check taken out of change_rules.py or succession.py.


@pytest.mark.parametrize(
    ("by", "words"),
    [
        (("cem", "dan", "ann"), "2 administrators of the register that it succeeds"),
        (("cem", "dan", "ann", "ann"), "2 administrators of the register that it succeeds"),
        (("cem", "dan"), "2 administrators of the register that it succeeds"),
        (("cem", "ann", "bob"), "2 administrators must sign this"),
        (("ann", "bob"), "2 administrators must sign this"),
    ],
    ids=["one", "one twice", "none of the old", "one of the new", "none of the new"],
)
def test_one_signature_is_too_few(old: Town, by: tuple[str, ...], words: str) -> None:
    leaf = charter(old, succession_to(whole(old), people(old)), by=by)
    assert words in (why_void(leaf) or "")
    with pytest.raises(WireError, match="its charter is void"):
        succession_of(Register(NEW).next_entry(leaf))


def test_a_register_does_not_succeed_itself(old: Town) -> None:
    named = changed(succession_to(whole(old), people(old)), origin=NEW)
    assert why_void(charter(old, named)) == "a register doesn't succeed itself"


def test_a_new_administrator_is_no_old_one_by_name_alone(old: Town) -> None:
    """Cem signs as himself and as an old administrator of his name."""
    theirs = [*people(old, "ann"), Admin(id="cem", name="Cem", key=spki_of(old.admin_keys["bob"]))]
    named = changed(succession_to(whole(old), people(old)), by=theirs)
    assert "has another key here" in (why_void(charter(old, named)) or "")


def removed(town: Town) -> None:
    """Bob administers no more."""
    town.append(town.change(AdminsChanged(admins=[town.admin("ann"), town.new_admin("eve")])))


def at_its_end(town: Town) -> Succession:
    """Return what names the register as it is, whoever signs."""
    return succession_to(whole(town), people(town, "ann", "eve"))


OTHERS: dict[str, tuple[Callable[[Town, Succession], Succession], str]] = {
    "by one who was removed": (
        lambda town, _: changed(at_its_end(town), by=people(town)),
        "'bob' is no administrator of lakeland/register at its end",
    ),
    "after entries before the removal": (lambda _, before: before, "it went on"),
    "with another root": (
        lambda town, _: changed(at_its_end(town), root="0" * 64),
        "another root",
    ),
    "after more entries than there are": (
        lambda town, _: changed(at_its_end(town), size=1000),
        "this isn't all of it",
    ),
    "with a key of somebody else's": (
        lambda town, _: changed(
            at_its_end(town), by=[town.admin("ann"), changed(OWN[0], id="eve")]
        ),
        "'eve' is no administrator",
    ),
    "of another origin": (
        lambda town, _: changed(at_its_end(town), origin="mapleton/register"),
        "no administrator of mapleton/register",
    ),
}


@pytest.mark.parametrize("name", OTHERS)
def test_what_the_old_register_does_not_show_is_refused_by_who_has_it(old: Town, name: str) -> None:
    """Its charter is signed by those whom it names, so who lacks the old one can't tell."""
    make, words = OTHERS[name]
    town = old.copy()
    before = succession_to(whole(town), people(town))
    removed(town)
    with pytest.raises(WireError, match=words):
        check_succession(make(town, before), whole(town))


def test_a_register_that_went_on_after_it_was_succeeded_is_told(old: Town) -> None:
    town = old.copy()
    named = succession_to(whole(town), people(town))
    town.append(RefusedLeaf(agency="lakeland-police", category="worship"))
    with pytest.raises(WireError, match="it went on"):
        check_succession(named, whole(town))


def test_the_monitor_checks_it_with_the_old_register(
    old: Town, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    named = succession_to(whole(old), people(old))
    new = make_town("lakeland.2027", admin_keys=old.admin_keys, succeeds=named, age_days=0.1)
    (tmp_path / "policy.txt").write_bytes(new.policy_text)
    right, other = tmp_path / "old.tlog", tmp_path / "other.tlog"
    right.write_bytes(encode_register(old.register_log.entries))
    other.write_bytes(encode_register(make_town().register_log.entries[:-1]))
    with new.served() as url:
        words = ["--policy", str(tmp_path / "policy.txt"), "--log", url, "--report",
                 str(tmp_path / "report.md"), "--succeeds"]  # fmt: skip
        assert monitor([*words, str(other)]) == 3
        assert "it went on, or this isn't all of it" in capsys.readouterr().err
        assert monitor([*words, str(right)]) == 5  # this town's witnesses signed long ago
        assert "it succeeds lakeland/register" in capsys.readouterr().err
        assert monitor([*words, str(tmp_path / "report.md")]) == 2
    with old.served() as url:
        (tmp_path / "policy.txt").write_bytes(old.policy_text)
        assert monitor([*words[:3], url, *words[4:], str(right)]) == 3
        assert "names no register that it succeeds" in capsys.readouterr().err


def test_who_follows_another_register_is_not_moved_by_it(old: Town) -> None:
    """Which register is believed, the policy says: the new one's entries are void in the old."""
    leaf = charter(old, succession_to(whole(old), people(old)))
    town = old.copy()
    entry = town.next_entry(leaf)
    town.register_log.append(entry, at_ms=town.now_ms)
    (void,) = town.register.voids
    assert void.why == "made for another log"
