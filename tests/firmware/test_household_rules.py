"""What owners may decide besides giving clips away, and what of it waits for the door (R10c)."""

import json
from dataclasses import replace
from typing import Any, get_args

import msgspec
import pytest

from firmware.consent.facts import ApproverFact, BrowserFact, ClipFact, Decided, Decision
from firmware.consent.household_rules import (
    MAX_APPROVERS,
    MAX_HOLDS,
    MAX_REFUSED_AGENCIES,
    TIMELESS,
    Forbidden,
    check_decision,
    is_widening,
)
from firmware.consent.verifier import decide, judge
from firmware.protocol.browsers import BrowserKeys
from firmware.protocol.decisions import (
    MAX_HOLD_WINDOW_MS,
    AddApprover,
    ChangeSettings,
    Confirm,
    Decline,
    DeleteClips,
    EndApprover,
    EndBrowser,
    EndExport,
    ExportAll,
    Hold,
    KeepClips,
    Knock,
    OwnerSettings,
    RecoveryKeys,
    RefuseAgency,
    RemoveOwner,
    Revoke,
    SetRecovery,
    Undelete,
    Unhold,
    Zone,
)
from firmware.protocol.encoding import b64u, canonical
from firmware.protocol.grants import AddOwner, GrantTerms, Owner, Terms
from firmware.protocol.passkeys import PasskeyKey
from firmware.protocol.rights import owners_right
from tests.fakes.consent_world import (
    NOW_MS,
    ConsentWorld,
    make_world,
    new_owner_passkey,
    reason,
)
from tests.fakes.owner_file import file_of
from tests.fakes.rights import DAY_MS, guest, own_browser
from tests.fakes.sample_keys import NO_P256_KEY, NO_SESSION_KEY, NO_X25519_KEY
from tests.story.authenticator import SoftPasskey
from tests.story.browser import SoftBrowser

DIGEST = "ab" * 32
MASK = [[0, 0], [100, 0], [100, 100]]
OTHER_MASK = [[0, 0], [200, 0], [200, 200]]
BROWSER = SoftBrowser.create()
DELETED = "d" * 26
CLIP_BYTES = 1_000_000


@pytest.fixture
def world() -> ConsentWorld:
    return make_world()


def ada(world: ConsentWorld) -> str:
    return world.owner.key.credential_id


def knowing(world: ConsentWorld, keys: BrowserKeys, credential_id: str) -> ConsentWorld:
    fact = BrowserFact(credential_id=credential_id, keys=keys, right=owners_right(NOW_MS))
    return world.with_facts(browsers={**world.facts.browsers, keys.id: fact})


def approver_key() -> PasskeyKey:
    return SoftPasskey.create(rp_id="approve.example", origin="https://approve.example").key


def recovery(world: ConsentWorld, **changes: str) -> SetRecovery:
    keys = RecoveryKeys(
        sealing_key=BROWSER.keys.viewing_key, signing_key=world.owner.key.public_key
    )
    return SetRecovery(keys=msgspec.structs.replace(keys, **changes))


def prepared(world: ConsentWorld) -> ConsentWorld:
    """A world in which each kind of decision can be made."""
    world, _ = world.with_owner()
    world = knowing(world, BROWSER.keys, ada(world))
    key = approver_key()
    fact = ApproverFact(credential_id=ada(world), name="Laptop", key=key)
    world = world.with_facts(
        deleted_clips={DELETED: ClipFact(manifest_digest=DIGEST, started_ms=1, ended_ms=2)},
        max_kept_bytes=CLIP_BYTES,
    )
    return world.with_household(
        holds=frozenset({DIGEST}),
        approvers={key.credential_id: fact},
        waiting={DIGEST: ada(world)},
        settings=OwnerSettings(revision=1, masks=[MASK]),
    )


def one_of_each(world: ConsentWorld) -> dict[str, tuple[Any, bool]]:
    """Return right terms of each kind, and whether they widen."""
    approver = next(iter(world.facts.household.approvers))
    other = world.facts.owners[1].passkey.credential_id
    masked = OwnerSettings(revision=2, masks=[MASK, OTHER_MASK])
    return {
        "AddOwner": (world.newcomer(), True),
        "RemoveOwner": (RemoveOwner(credential_id=other), True),
        "RemoveOwner, oneself": (RemoveOwner(credential_id=ada(world)), False),
        "GiveRight": (own_browser(SoftBrowser.create().keys), True),
        "GiveRight, renewed": (own_browser(BROWSER.keys), False),
        "EndBrowser": (EndBrowser(browser=BROWSER.keys.id), False),
        "Hold": (Hold(from_ms=1, to_ms=2), False),
        "Unhold": (Unhold(hold_digest=DIGEST), False),
        "DeleteClips": (DeleteClips(clips=[world.clip_id], is_now=False), False),
        "DeleteClips, now": (DeleteClips(clips=[world.clip_id, DELETED], is_now=True), False),
        "Undelete": (Undelete(clips=[DELETED]), False),
        "KeepClips": (KeepClips(clips=[world.clip_id], is_kept=True), False),
        "ExportAll": (ExportAll(browser=BROWSER.keys.id), False),
        "EndExport": (EndExport(export_digest=DIGEST), False),
        "Revoke": (Revoke(grant_digest=DIGEST), False),
        "Decline": (Decline(request_digest=DIGEST), False),
        "RefuseAgency": (RefuseAgency(agency="lakeland-police", is_refused=True), False),
        "RefuseAgency, again after all": (
            RefuseAgency(agency="lakeland-police", is_refused=False),
            True,
        ),
        "ChangeSettings": (ChangeSettings(settings=masked), False),
        "ChangeSettings, a mask less": (ChangeSettings(settings=OwnerSettings(revision=2)), True),
        "SetRecovery": (recovery(world), True),
        "AddApprover": (AddApprover(name="Desk", key=approver_key()), True),
        "EndApprover": (EndApprover(credential_id=approver), False),
        "Knock": (Knock(statement_digest=DIGEST, language="en"), False),
    }


KINDS = sorted(one_of_each(prepared(make_world())))


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_is_decided_at_once_or_waits_for_the_door(world, kind):
    world = prepared(world)
    terms, widens = one_of_each(world)[kind]
    decision = world.decision(terms)
    assert decision.is_widening is widens
    answer = decide(decision, None, world.facts)
    assert reason(answer) == ("not_confirmed" if widens else None)
    confirmation = world.confirmation(decision.digest)
    assert isinstance(decide(decision, confirmation, world.facts), Decided)


def test_no_kind_is_forgotten():
    told = {type(terms) for terms, _ in one_of_each(prepared(make_world())).values()}
    assert told == set(get_args(Terms)) - {GrantTerms, Confirm}


def test_no_owner_decides_for_another_doorbell_or_without_a_known_time(world):
    world = prepared(world)
    for terms, _ in one_of_each(world).values():
        elsewhere = world.sign(world.statement(terms, device="z" * 20))
        assert reason(judge(elsewhere, world.facts)) == "device"
        dark = replace(world.facts, is_clock_trusted=False)
        told = judge(world.sign(world.statement(terms)), dark)
        assert reason(told) == (None if isinstance(terms, TIMELESS) else "clock")


def test_what_counts_without_a_known_time_only_narrows(world):
    world = prepared(world)
    for terms, widens in one_of_each(world).values():
        if isinstance(terms, TIMELESS):
            assert not widens
    assert len(TIMELESS) == 5


def test_what_has_no_time_is_used_once_all_the_same(world):
    statement = world.statement(Hold(from_ms=1, to_ms=2), not_after_ms=1)
    assert isinstance(judge(world.sign(statement), world.facts), Decision)
    spent = world.with_facts(spent=frozenset({statement.digest()}))
    assert reason(judge(spent.sign(statement), spent.facts)) == "spent"


# Owners


def test_nobody_is_made_an_owner_twice_under_whichever_name(world):
    world, known = world.with_owner()[0], world.owner.key
    again = world.newcomer(passkey=known)
    assert reason(world.judged(again)) == "already_owner"
    renamed = msgspec.structs.replace(known, credential_id="b3RoZXI")
    assert reason(world.judged(world.newcomer(passkey=renamed))) == "already_owner"
    reused = msgspec.structs.replace(new_owner_passkey().key, credential_id=known.credential_id)
    assert reason(world.judged(world.newcomer(passkey=reused))) == "already_owner"


def test_a_key_that_confirms_is_made_no_owner(world):
    world, key = world.with_approver()
    world, _ = world.with_approver()
    assert reason(world.judged(world.newcomer(passkey=key.key))) == "approver"


def test_a_newcomer_brings_a_browser_of_their_own(world):
    world = knowing(world, BROWSER.keys, ada(world))
    assert reason(world.judged(world.newcomer(browser=BROWSER.keys))) == "browser"


@pytest.mark.parametrize(
    "changes",
    [
        {"what": ["live"]},  # less than an owner's browser has
        {"from_ms": 1},
        {"until_ms": NOW_MS + 401 * DAY_MS},
        {"until_ms": NOW_MS},
        {"holder": "guest", "what": ["record"]},
    ],
)
def test_a_right_that_its_holder_cant_have_is_refused(world, changes):
    given = msgspec.structs.replace(own_browser(BROWSER.keys), **changes)
    assert reason(world.judged(given)) == "right"


def test_a_guest_is_let_in_by_a_pairing_alone_and_renewed_without(world):
    given = guest(BROWSER.keys, "live", until_ms=NOW_MS + DAY_MS)
    assert reason(world.judged(given)) == "newcomer"
    fact = BrowserFact(credential_id=ada(world), keys=BROWSER.keys, right=given.right)
    known = world.with_facts(browsers={BROWSER.keys.id: fact})
    assert reason(known.judged(given)) is None


@pytest.mark.parametrize("key", ["A", "AAAA", b64u(b"\x30\x00"), NO_P256_KEY])
def test_a_newcomer_whose_passkey_cant_be_used_is_refused(world, key):
    passkey = msgspec.structs.replace(new_owner_passkey().key, public_key=key)
    assert reason(world.judged(world.newcomer(passkey=passkey))) == "form"


def test_nobody_removes_a_stranger_or_the_last_owner(world):
    assert reason(world.judged(RemoveOwner(credential_id="c3RyYW5nZXI"))) == "owner"
    assert reason(world.judged(RemoveOwner(credential_id=ada(world)))) == "last_owner"


# Browsers


@pytest.mark.parametrize("key", ["session_key", "viewing_key"])
@pytest.mark.parametrize("value", ["", "AAAA", "A" * 44, "A" * 43])
def test_a_browser_whose_keys_cant_be_used_is_refused(world, key, value):
    keys = msgspec.structs.replace(SoftBrowser.create().keys, **{key: value})
    assert reason(world.judged(own_browser(keys))) == "form"


@pytest.mark.parametrize(
    ("key", "value"), [("session_key", NO_SESSION_KEY), ("viewing_key", NO_X25519_KEY)]
)
def test_a_browser_whose_keys_are_none_is_refused(world, key, value):
    keys = msgspec.structs.replace(SoftBrowser.create().keys, **{key: value})
    answer = world.judged(own_browser(keys))
    assert reason(answer) == "form"
    assert "can't be used" in answer.detail


@pytest.mark.parametrize(
    "terms_of", [lambda one: own_browser(one.keys), lambda one: EndBrowser(browser=one.keys.id)]
)
def test_nobody_takes_or_ends_another_owners_browser(world, terms_of):
    world = knowing(world, BROWSER.keys, "c29tZWJvZHk")
    terms = terms_of(BROWSER)
    assert reason(world.judged(terms)) == "browser"


def test_nobody_ends_a_browser_that_isnt_there(world):
    assert reason(world.judged(EndBrowser(browser="a" * 20))) == "browser"


@pytest.mark.parametrize("name", ["name", "viewing_key"])
def test_a_known_browser_with_anything_changed_is_asked_about(world, name):
    world = knowing(world, BROWSER.keys, ada(world))
    changed = {"name": "Another", "viewing_key": SoftBrowser.create().keys.viewing_key}[name]
    keys = msgspec.structs.replace(BROWSER.keys, **{name: changed})
    assert world.decision(own_browser(keys)).is_widening


# Holds and revocations (R12, R14)


@pytest.mark.parametrize(
    ("window_ms", "expected"),
    [
        (0, "hold"),
        (1, None),
        (MAX_HOLD_WINDOW_MS, None),
        (MAX_HOLD_WINDOW_MS + 1, "hold"),
        (-1, "hold"),
    ],
)
def test_a_hold_is_for_a_day_at_most(world, window_ms, expected):
    terms = Hold(from_ms=NOW_MS, to_ms=NOW_MS + window_ms)
    assert reason(world.judged(terms)) == expected


@pytest.mark.parametrize(("count", "expected"), [(MAX_HOLDS - 1, None), (MAX_HOLDS, "hold")])
def test_there_are_so_many_holds_at_most(world, count, expected):
    world = world.with_household(holds=frozenset(f"{n:064x}" for n in range(count)))
    assert reason(world.judged(Hold(from_ms=1, to_ms=2))) == expected


def test_only_a_hold_that_there_is_can_end(world):
    assert reason(world.judged(Unhold(hold_digest=DIGEST))) == "hold"


def test_a_grant_is_taken_back_once(world):
    taken = world.with_household(revoked=frozenset({DIGEST}))
    assert reason(taken.judged(Revoke(grant_digest=DIGEST))) == "revoked"


# Single clips


def test_everything_is_exported_to_an_own_browser_in_time_alone(world):
    """Seen to fail, one by one, with each check out of `_check_export`."""
    world, _ = world.with_owner()
    bo = world.facts.owners[1].passkey.credential_id
    terms = ExportAll(browser=BROWSER.keys.id)
    assert reason(world.judged(terms)) == "browser"
    assert reason(knowing(world, BROWSER.keys, bo).judged(terms)) == "browser"
    own = knowing(world, BROWSER.keys, ada(world))
    assert reason(own.judged(terms)) is None
    known = own.facts.browsers[BROWSER.keys.id]
    for right in (
        guest(BROWSER.keys, "history").right,
        msgspec.structs.replace(known.right, until_ms=NOW_MS),
    ):
        other = own.with_facts(browsers={BROWSER.keys.id: replace(known, right=right)})
        assert reason(other.judged(terms)) == "browser"


def with_clip(world: ConsentWorld, **changes: Any) -> ConsentWorld:
    fact = replace(world.facts.clips[world.clip_id], size_bytes=CLIP_BYTES, **changes)
    return world.with_facts(clips={world.clip_id: fact}, max_kept_bytes=CLIP_BYTES)


@pytest.mark.parametrize("is_now", [False, True])
@pytest.mark.parametrize("held_by", ["hold", "grant"])
def test_what_is_held_cant_be_deleted_and_the_refusal_names_it(world, held_by, is_now):
    """Seen to fail with the two checks of `held_by` out of `_check_deletion`."""
    world = with_clip(world, held_by=held_by)
    answer = world.judged(DeleteClips(clips=[world.clip_id], is_now=is_now))
    assert reason(answer) == "clip_held"
    assert world.clip_id in answer.detail


@pytest.mark.parametrize("is_now", [False, True])
def test_another_owners_keep_wins_and_one_s_own_doesnt(world, is_now):
    """Seen to fail with the check of `kept_by` out of `_check_deletion`."""
    world, _ = world.with_owner()
    bo = world.facts.owners[1]
    terms = DeleteClips(clips=[world.clip_id], is_now=is_now)
    kept = with_clip(world, kept_by=frozenset({bo.passkey.credential_id, ada(world)}))
    answer = kept.judged(terms)
    assert reason(answer) == "clip_kept"
    assert world.clip_id in answer.detail
    assert bo.name in answer.detail
    assert reason(with_clip(world, kept_by=frozenset({ada(world)})).judged(terms)) is None
    assert reason(with_clip(world, kept_by=frozenset({"Z29uZQ"})).judged(terms)) is None


def test_a_deletion_is_of_clips_that_are_there_each_once(world):
    world = prepared(world)
    clip = world.clip_id
    for terms, expected in [
        (DeleteClips(clips=["z" * 26], is_now=False), "clip_unknown"),
        (DeleteClips(clips=[clip, "z" * 26], is_now=True), "clip_unknown"),
        (DeleteClips(clips=[DELETED], is_now=False), "clip_unknown"),
        (DeleteClips(clips=[DELETED], is_now=True), None),
        (DeleteClips(clips=[clip, clip], is_now=False), "clip_repeated"),
        (Undelete(clips=[clip]), "clip_unknown"),
        (Undelete(clips=[DELETED, DELETED]), "clip_repeated"),
        (KeepClips(clips=[DELETED], is_kept=True), "clip_unknown"),
        (KeepClips(clips=[clip, clip], is_kept=True), "clip_repeated"),
    ]:
        assert reason(world.judged(terms)) == expected, terms


@pytest.mark.parametrize(("room", "expected"), [(0, None), (-1, "clip_kept")])
def test_kept_clips_leave_room_for_new_ones(world, room, expected):
    """Seen to fail with the sum out of `_check_keeping`."""
    world = with_clip(world)
    world = world.with_facts(max_kept_bytes=CLIP_BYTES + room)
    keep = KeepClips(clips=[world.clip_id], is_kept=True)
    assert reason(world.judged(keep)) == expected
    assert reason(world.judged(KeepClips(clips=[world.clip_id], is_kept=False))) is None


# Settings


@pytest.mark.parametrize(
    ("before", "revision", "expected"),
    [
        (None, 1, None),
        (None, 2, "settings"),
        (1, 2, None),
        (1, 1, "settings"),
        (1, 3, "settings"),
        (5, 4, "settings"),
    ],
)
def test_each_settings_follow_the_last_ones(world, before, revision, expected):
    if before is not None:
        world = world.with_household(settings=OwnerSettings(revision=before))
    terms = ChangeSettings(settings=OwnerSettings(revision=revision))
    assert reason(world.judged(terms)) == expected


@pytest.mark.parametrize(
    ("before", "after", "widens"),
    [
        (None, [], False),
        (None, [MASK], False),
        ([], [MASK], False),
        ([MASK], [MASK], False),
        ([MASK], [OTHER_MASK, MASK], False),
        ([MASK], [OTHER_MASK], False),  # a larger one hides all that the smaller one did
        ([OTHER_MASK], [MASK], True),
        ([MASK, OTHER_MASK], [MASK], True),
        ([MASK], [], True),
    ],
)
def test_a_mask_less_is_asked_about(world, before, after, widens):
    if before is not None:
        world = world.with_household(settings=OwnerSettings(revision=1, masks=before))
    revision = 1 if before is None else 2
    terms = ChangeSettings(settings=OwnerSettings(revision=revision, masks=after))
    assert world.decision(terms).is_widening is widens


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"masks": [[[0, 0], [900, 900], [900, 0], [0, 900]]]}, "mask 1 crosses itself"),
        (
            {"zones": [Zone(name="Gate", corners=[[0, 0], [9, 9], [9, 0], [0, 9]])]},
            "the zone Gate crosses itself",
        ),
        ({"pre_roll_ms": 30_000, "min_time_ms": 300}, None),
        ({"post_roll_ms": 90_000, "longest_ms": 60_000}, "shorter than what follows"),
    ],
)
def test_values_that_cant_be_are_refused_in_words(world, values, words):
    """Seen to fail with the checks of `setting_value` out of `_check_settings`."""
    answer = world.judged(ChangeSettings(settings=OwnerSettings(revision=1, **values)))
    if words is None:
        assert reason(answer) is None
    else:
        assert reason(answer) == "setting_value"
        assert words in answer.detail


def test_a_pre_roll_that_memory_doesnt_hold_is_refused(world):
    file = msgspec.structs.replace(file_of(), longest_pre_roll_ms=9000)
    world = world.with_household(file=file)
    for pre_roll_ms, expected in ((9000, None), (10_000, "setting_value")):
        settings = OwnerSettings(revision=1, pre_roll_ms=pre_roll_ms)
        assert reason(world.judged(ChangeSettings(settings=settings))) == expected


def test_settings_of_a_newer_app_are_refused_with_which_they_are(world):
    statement = world.statement(ChangeSettings(settings=OwnerSettings(revision=1)))
    document = json.loads(statement.encode())
    document["terms"]["settings"] |= {"night_mode": "red", "aura": 3}
    answer = judge(world.sign_text(canonical(document)), world.facts)
    assert reason(answer) == "setting_unknown"
    assert answer.detail == "aura, night_mode"


def test_so_many_agencies_can_be_refused(world):
    full = frozenset(f"agency-{n}" for n in range(MAX_REFUSED_AGENCIES))
    world = world.with_household(refused_agencies=full)
    assert reason(world.judged(RefuseAgency(agency="one-more", is_refused=True))) == "settings"
    assert reason(world.judged(RefuseAgency(agency="agency-1", is_refused=True))) is None
    assert reason(world.judged(RefuseAgency(agency="one-more", is_refused=False))) is None
    one_less = world.with_household(refused_agencies=full - {"agency-1"})
    assert reason(one_less.judged(RefuseAgency(agency="one-more", is_refused=True))) is None


# Recovery and approvers


@pytest.mark.parametrize("which", ["sealing_key", "signing_key"])
@pytest.mark.parametrize("value", ["", "AAAA", "A"])
def test_a_recovery_key_that_is_none_is_refused(world, which, value):
    assert reason(world.judged(recovery(world, **{which: value}))) == "form"


@pytest.mark.parametrize(
    ("which", "value"), [("sealing_key", NO_X25519_KEY), ("signing_key", NO_P256_KEY)]
)
def test_a_recovery_key_that_cant_be_used_is_refused(world, which, value):
    assert reason(world.judged(recovery(world, **{which: value}))) == "recovery"


@pytest.mark.parametrize(
    ("value", "expected"),
    [("", "form"), ("AAAA", "form"), ("A", "form"), (NO_P256_KEY, "approver")],
)
def test_an_approver_whose_key_cant_be_used_is_refused(world, value, expected):
    key = msgspec.structs.replace(approver_key(), public_key=value)
    assert reason(world.judged(AddApprover(name="Desk", key=key))) == expected


@pytest.mark.parametrize("field", ["credential_id", "public_key"])
def test_neither_an_owners_passkey_nor_a_known_key_is_made_an_approver(world, field):
    world, known = world.with_owner()[0].with_approver()
    world, _ = world.with_approver()
    for key in (world.owner.key, known.key):
        taken = msgspec.structs.replace(approver_key(), **{field: getattr(key, field)})
        assert reason(world.judged(AddApprover(name="Desk", key=taken))) == "approver"


@pytest.mark.parametrize(
    ("count", "expected"), [(MAX_APPROVERS - 1, None), (MAX_APPROVERS, "approver")]
)
def test_there_are_so_many_approvers_at_most(world, count, expected):
    for _ in range(count):
        world, _ = world.with_approver()
    assert reason(world.judged(AddApprover(name="Desk", key=approver_key()))) == expected


def test_nobody_ends_another_owners_approver(world):
    world, key = world.with_approver(of="c29tZWJvZHk")
    assert reason(world.judged(EndApprover(credential_id=key.key.credential_id))) == "approver"
    assert reason(world.judged(EndApprover(credential_id="bm9uZQ"))) == "approver"


def test_the_numbers_are_those_that_owners_are_told():
    assert (MAX_HOLDS, MAX_APPROVERS, MAX_REFUSED_AGENCIES) == (10, 5, 20)


# The last word


@pytest.mark.parametrize("whose", [None, "c29tZWJvZHk"])
def test_a_last_word_is_for_a_statement_of_ones_own_that_waits(world, whose):
    world, key = world.with_approver()
    if whose is not None:
        world = world.with_household(waiting={DIGEST: whose})
    assert reason(world.judged(Knock(statement_digest=DIGEST, language="sv"))) == "not_waiting"
    confirm = Confirm(statement_digest=DIGEST, answer="yes")
    assert reason(world.judged(confirm, by=key)) == "not_waiting"
    mine = world.with_household(waiting={DIGEST: ada(world)})
    assert reason(mine.judged(confirm, by=key)) is None
    assert reason(mine.judged(Knock(statement_digest=DIGEST, language="sv"))) is None


def test_a_last_word_widens_nothing_by_itself(world):
    world, key = world.with_approver()
    world = world.with_household(waiting={DIGEST: ada(world)})
    answer = world.judged(Confirm(statement_digest=DIGEST, answer="no"), by=key)
    assert isinstance(answer, Decision)
    assert not answer.is_widening


def test_what_these_rules_do_not_name_is_forbidden_and_would_wait(world):
    with pytest.raises(Forbidden, match=r"^form: "):
        check_decision(world.terms(), ada(world), world.facts)
    assert is_widening(world.terms(), ada(world), world.facts)


def test_a_refusal_says_the_check_and_why(world):
    with pytest.raises(Forbidden, match=r"^hold: there is no such hold$") as caught:
        check_decision(Unhold(hold_digest=DIGEST), ada(world), world.facts)
    assert (caught.value.reason, caught.value.detail) == ("hold", "there is no such hold")
    assert isinstance(world.newcomer(), AddOwner)


def test_an_owner_whose_stored_key_is_none_signs_nothing(world):
    """No owner is admitted with one: it stands for a card that gives back something else."""
    broken = msgspec.structs.replace(world.owner.key, public_key=NO_P256_KEY)
    world = world.with_facts(owners=(Owner(name="Ada", passkey=broken),))
    assert reason(world.judged(world.terms())) == "form"


@pytest.mark.parametrize("is_owner", [True, False])
def test_a_newcomer_is_let_in_by_the_pairing_of_these_very_keys(is_owner: bool) -> None:
    world = make_world()
    terms = world.newcomer() if is_owner else own_browser(SoftBrowser.create().keys)
    commitment = "ab" * 32
    named = msgspec.structs.replace(terms, commitment=commitment)
    assert reason(world.judged(named)) == "newcomer"
    world.paired[commitment] = world.newcomer().owner
    assert reason(world.judged(named)) == "newcomer"
    world.paired[commitment] = named.owner if isinstance(named, AddOwner) else named.browser
    assert world.decision(named).is_widening
