"""A register's saved state is what a replay comes to: of these entries, and by this program."""

import dataclasses
import hashlib
import random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware.protocol.register import saved_form
from firmware.protocol.register.facts import Stamps
from firmware.protocol.register.records import RequestRecord
from firmware.protocol.register.replay import Register
from firmware.protocol.register.saved import (
    TAG,
    SavedRegister,
    SavedRequest,
    load_register,
    save_register,
)
from firmware.protocol.register.saved_form import SavedUnusable, code_digest, frame, unframe
from firmware.protocol.register.saved_stamps import NotesHash, load_stamps, save_stamps
from firmware.protocol.tlog.merkle import Tree, leaf_hash
from firmware.protocol.tlog.policy import parse_policy, policy_text
from tests.fakes.log_town import make_town
from tests.fakes.register_history import History

CODE = code_digest()
KINDS = History().kinds


def replayed(history: History, size: int | None = None) -> Register:
    register = Register(history.origin)
    for entry in history.entries[:size]:
        register.apply(entry)
    return register


def saved(history: History, size: int | None = None) -> bytes:
    root = tree_of(history.entries).root(size)
    return save_register(replayed(history, size), root=root, code=CODE)


def loaded(history: History, data: bytes, entries: list[bytes] | None = None) -> Register:
    entries = history.entries if entries is None else entries
    return load_register(
        data, origin=history.origin, tree=tree_of(entries), entries=entries, code=CODE
    )


def tree_of(entries: list[bytes]) -> Tree:
    return Tree(map(leaf_hash, entries))


def state_of(register: Register) -> dict[str, object]:
    """Return all that a register has, in the order in which it has it."""
    return {
        name: list(value.items()) if isinstance(value, dict) else value
        for name, value in vars(register).items()
    }


@pytest.fixture(scope="module")
def full() -> History:
    """A register in which everything has happened, some of it twice, with effect and without."""
    history = History(seed=3)
    for kind in [
        "publish", "renew", "publish", "withdraw", "refuse", "refuse", "junk", "release a program",
        "change limits", "publish", "change limits", "publish in one case",
        "change admins", "change the agency's key", "publish",
        "revoke", "publish", "certify", "publish for an emergency", "suspend", "publish",
        "agree anew", "publish", "repeat a change", "publish twice",
    ]:  # fmt: skip
        history.do(kind)
    return history


@settings(max_examples=40, deadline=None)
@given(
    kinds=st.lists(st.sampled_from(KINDS), max_size=25),
    seed=st.integers(0, 10**6),
    at=st.floats(0, 1),
)
def test_loading_a_state_and_replaying_the_rest_is_replaying_it_all(
    kinds: list[str], seed: int, at: float
) -> None:
    history = History(seed)
    for kind in kinds:
        history.do(kind)
    size = round(at * len(history.entries))
    register = loaded(history, saved(history, size))
    assert state_of(register) == state_of(replayed(history, size))
    for entry in history.entries[size:]:
        register.apply(entry)
    assert state_of(register) == state_of(replayed(history))


def test_nothing_that_a_register_knows_is_forgotten(full: History) -> None:
    """A new attribute fails here until saved.py has it (or the history above fills it)."""
    fresh, register = state_of(Register(full.origin)), state_of(replayed(full))
    same = {name for name, value in register.items() if value == fresh[name]}
    usual = {"delays", "_forgets_before_ms"}  # what is forgotten has tests of its own
    assert same == {"origin", "is_example", "charter", *usual}
    assert state_of(loaded(full, saved(full))) == register
    names = {field.name for field in dataclasses.fields(RequestRecord)}
    assert names - {"request", "signed"} == set(SavedRequest.__struct_fields__)


def test_what_can_happen_in_a_history_has_effect_and_is_void(full: History) -> None:
    register = replayed(full)
    assert len(register.voids) > 5
    assert any(record.renewed_by for record in register.requests.values())
    assert any(record.is_withdrawn for record in register.requests.values())
    assert any(record.keeps_from for record in register.requests.values())
    assert any(one.is_revoked for known in register.officers.values() for one in known)
    assert any(one.is_suspended for known in register.agreements.values() for one in known)
    assert max(len(known) for known in register.officers.values()) > 1


def test_a_loaded_register_judges_the_next_entry_as_a_replayed_one_does(full: History) -> None:
    size = len(full.entries) // 2
    replay, register = replayed(full, size), loaded(full, saved(full, size))
    for entry in full.entries:
        assert register.would_refuse(entry) == replay.would_refuse(entry)


def test_delays_and_an_example_town_are_loaded_too() -> None:
    town = make_town(kind="example")
    register = Register(town.register_log.origin)
    for entry in town.register_log.entries:
        register.apply(entry)
    tree = tree_of(town.register_log.entries)
    data = save_register(register, root=tree.root(), code=CODE)
    again = load_register(
        data,
        origin=register.origin,
        tree=tree,
        entries=town.register_log.entries,
        code=CODE,
    )
    assert state_of(again) == state_of(register)
    assert again.is_example
    assert again.delays.key_age_ms == 2000


# --- what isn't used ---


def test_a_state_that_was_damaged_anywhere_isnt_used(full: History) -> None:
    data = saved(full)
    chance = random.Random(5)
    # Seen to fail without the digest at the end.
    for place in [0, len(TAG), len(data) - 1, *(chance.randrange(len(data)) for _ in range(300))]:
        damaged = bytearray(data)
        damaged[place] ^= 1 << chance.randrange(8)
        with pytest.raises(SavedUnusable, match="damaged"):
            loaded(full, bytes(damaged))
    for end in [0, 1, 31, 32, 33, len(data) // 2, len(data) - 1]:
        with pytest.raises(SavedUnusable):
            loaded(full, data[:end])
    with pytest.raises(SavedUnusable):
        loaded(full, data + b"\x00")


def test_a_state_of_another_log_isnt_used(full: History) -> None:
    # Seen to fail without the look at the origin.
    with pytest.raises(SavedUnusable, match="is of lakeland/register"):
        load_register(
            saved(full),
            origin="elsewhere/register",
            tree=tree_of(full.entries),
            entries=full.entries,
            code=CODE,
        )


def test_a_state_that_other_code_wrote_isnt_used(full: History) -> None:
    # Seen to fail without the look at the code.
    with pytest.raises(SavedUnusable, match="another version"):
        load_register(
            saved(full),
            origin=full.origin,
            tree=tree_of(full.entries),
            entries=full.entries,
            code=hashlib.sha256(b"other code").digest(),
        )


def test_a_state_of_other_entries_isnt_used(full: History) -> None:
    """As where the log of which it was saved isn't the one that is followed now."""
    data = saved(full)
    others = list(full.entries)
    others[1], others[2] = others[2], others[1]
    # Seen to fail without the look at the root.
    with pytest.raises(SavedUnusable, match="other entries"):
        loaded(full, data, others)
    with pytest.raises(SavedUnusable, match="other entries"):
        loaded(full, data, full.entries[:-1])


def test_a_state_of_no_entries_is_an_empty_register(full: History) -> None:
    assert state_of(loaded(full, saved(full, 0))) == state_of(Register(full.origin))


@pytest.mark.parametrize("size", [-1, 100_000])
def test_a_state_of_a_size_that_no_log_had_isnt_used(full: History, size: int) -> None:
    body = unframe(TAG, SavedRegister, saved(full), code=CODE)
    forged = msgspec.structs.replace(body, size=size)
    with pytest.raises(SavedUnusable, match="other entries"):
        loaded(full, frame(TAG, forged, code=CODE))


def test_a_state_under_another_charter_isnt_used(full: History) -> None:
    with pytest.raises(SavedUnusable, match="another charter"):
        load_register(
            saved(full),
            origin=full.origin,
            tree=tree_of(full.entries),
            entries=full.entries,
            code=CODE,
            charter="ab" * 32,
        )


def test_a_state_that_says_more_than_is_read_isnt_used(full: History) -> None:
    """Another form of the file, or of a request in it, is no form of this program's."""

    class MoreOfAll(SavedRegister, frozen=True, kw_only=True):
        more: int = 1

    class MoreOfOne(SavedRequest, frozen=True, array_like=True):
        more: int = 1

    body = unframe(TAG, SavedRegister, saved(full), code=CODE)
    parts = {name: getattr(body, name) for name in body.__struct_fields__}
    requests = [
        MoreOfOne(one.index, one.withdrawn_index, one.renewed_by, one.keeps_from)
        for one in body.requests
    ]
    assert requests
    assert loaded(full, frame(TAG, SavedRegister(**parts), code=CODE))
    for wrong in (MoreOfAll(**parts), SavedRegister(**parts | {"requests": requests})):
        with pytest.raises(SavedUnusable, match="can't be read"):
            loaded(full, frame(TAG, wrong, code=CODE))


def test_a_request_takes_few_bytes_for_cards_wear_out() -> None:
    one = SavedRequest(index=99_999, withdrawn_index=99_999, renewed_by=None, keeps_from=9)
    assert len(msgspec.msgpack.encode(one)) <= 13


def test_entries_that_end_too_soon_are_no_register(full: History) -> None:
    with pytest.raises(SavedUnusable, match="aren't here"):
        load_register(
            saved(full),
            origin=full.origin,
            tree=tree_of(full.entries),
            entries=full.entries[:-1],
            code=CODE,
        )


def test_an_entry_that_is_no_request_never_becomes_one(full: History) -> None:
    body = unframe(TAG, SavedRegister, saved(full), code=CODE)
    wrong = SavedRequest(index=0, withdrawn_index=None, renewed_by=None, keeps_from=0)
    forged = msgspec.structs.replace(body, requests=[wrong, *body.requests])
    # Seen to fail (with another error) without the look at the entry's kind.
    with pytest.raises(SavedUnusable, match="entry 0 is no request"):
        loaded(full, frame(TAG, forged, code=CODE))
    beyond = msgspec.structs.replace(wrong, index=body.size)
    forged = msgspec.structs.replace(body, requests=[*body.requests, beyond])
    with pytest.raises(SavedUnusable, match="aren't here"):
        loaded(full, frame(TAG, forged, code=CODE))


def test_saved_stamps_are_no_saved_register(full: History) -> None:
    town = full.town
    stamps = save_stamps(
        town.stamps, NotesHash(), origin=full.origin, policy=town.policy, code=CODE
    )
    with pytest.raises(SavedUnusable, match="something else"):
        loaded(full, stamps)


@given(junk=st.binary(max_size=200))
def test_junk_is_never_more_than_unusable(junk: bytes) -> None:
    framed = TAG + CODE + junk
    for data in (junk, framed, framed + hashlib.sha256(framed).digest()):
        with pytest.raises(SavedUnusable):
            load_register(data, origin="o", tree=Tree(), entries=[], code=CODE)


def test_a_state_that_is_too_large_is_neither_kept_nor_read(
    full: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = saved(full)
    monkeypatch.setattr(saved_form, "MAX_SAVED_BYTES", len(data) - 1)
    with pytest.raises(SavedUnusable, match="are read"):
        loaded(full, data)
    with pytest.raises(SavedUnusable, match="are kept"):
        saved(full)


# --- stamps ---


def stamps_of(history: History, count: int | None = None) -> bytes:
    """Return what a follower saves that has taken so many stamps."""
    town, stamps = history.town, Stamps()
    notes = town.register_log.stamps[:count]
    for note in notes:
        witnessed = town.policy.check(note, origin=history.origin)
        stamps.add(witnessed.checkpoint.size, witnessed.aged_ms)
    return save_stamps(
        stamps, NotesHash(notes), origin=history.origin, policy=town.policy, code=CODE
    )


def test_saved_stamps_say_what_the_notes_said(full: History) -> None:
    notes = full.town.register_log.stamps
    stamps, taken = load_stamps(
        stamps_of(full, 10), notes, origin=full.origin, policy=full.town.policy, code=CODE
    )
    assert taken.count == 10
    for note in notes[10:]:
        witnessed = full.town.policy.check(note, origin=full.origin)
        stamps.add(witnessed.checkpoint.size, witnessed.aged_ms)
        taken.take(note)
    assert stamps.pairs() == full.town.stamps.pairs()
    assert taken.digest() == NotesHash(notes).digest()


def test_saved_stamps_of_other_notes_arent_used(full: History) -> None:
    notes = list(full.town.register_log.stamps)
    # Seen to fail without the look at the notes' hash.
    for others in (notes[1:], notes[:-1], [*notes[:-1], notes[0]], []):
        with pytest.raises(SavedUnusable, match="other checkpoints"):
            load_stamps(
                stamps_of(full), others, origin=full.origin, policy=full.town.policy, code=CODE
            )


def test_notes_cant_be_cut_in_other_places() -> None:
    assert NotesHash([b"ab", b"c"]).digest() != NotesHash([b"a", b"bc"]).digest()


def test_stamps_that_another_policy_let_count_arent_used(full: History) -> None:
    """A witness that isn't believed any more has made nothing older."""
    town = full.town
    stricter = parse_policy(
        policy_text(
            logs=[log.key for log in town.policy.logs],
            witnesses={one.name: one.key for one in town.policy.witnesses},
            threshold=3,
        )
    )
    # Seen to fail without the look at the policy.
    for origin, policy in ((full.origin, stricter), ("elsewhere/register", town.policy)):
        with pytest.raises(SavedUnusable, match="another policy"):
            load_stamps(
                stamps_of(full),
                town.register_log.stamps,
                origin=origin,
                policy=policy,
                code=CODE,
            )
