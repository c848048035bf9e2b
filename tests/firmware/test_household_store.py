"""What owners decided is on the card when the writing method returns, and there after a restart."""

from collections.abc import Iterator
from typing import Any

import pytest

from firmware.protocol.decisions import Decline, OwnerSettings, RecoveryKeys
from firmware.protocol.encoding import new_id, sha256_hex
from firmware.protocol.events import KeyChangeCommitted
from firmware.protocol.grants import SignedStatement
from firmware.store.database import Database
from firmware.store.deferred_events import DeferredEventStore, deferred_event_of
from firmware.store.household import Approver, HeldTime, HouseholdStore
from firmware.store.statements import StatementStore, StoredConfirmation, WaitingStatement
from tests.fakes.consent_world import DEVICE, make_world
from tests.fakes.releases import opening_of
from tests.fakes.sample_keys import P256_KEY, X25519_KEY

DIGEST, OTHER = "ab" * 32, "cd" * 32
WORLD = make_world()


class Card:
    """Both stores over one file, opened anew as often as wanted."""

    def __init__(self, path) -> None:
        self._path = path
        self.database = Database(path)

    @property
    def household(self) -> HouseholdStore:
        self.database.close()
        self.database = Database(self._path)
        return HouseholdStore(self.database)

    @property
    def statements(self) -> StatementStore:
        self.database.close()
        self.database = Database(self._path)
        return StatementStore(self.database)

    @property
    def promises(self) -> DeferredEventStore:
        return DeferredEventStore(self.database)


def refuse(card: Card, digest: str, **changes: Any) -> bool:
    right = {"quarter": "2026-Q4", "reason": "clock", "now_ms": 5, "promises": []}
    return card.household.note_refusal(digest, **{**right, **changes})


@pytest.fixture
def card(tmp_path) -> Iterator[Card]:
    card = Card(tmp_path / "library.sqlite3")
    yield card
    card.database.close()


def statement(digest: str = DIGEST, **changes: object) -> WaitingStatement:
    signed = WORLD.signed(WORLD.statement(Decline(request_digest=OTHER)))
    return WaitingStatement(
        **{
            "digest": digest,
            "kind": "decline",
            "statement": signed,
            "received_ms": 10,
            "expires_ms": 20,
            "state": "waiting",
            **changes,
        }
    )


# Owners' decisions


def test_there_are_no_settings_until_some_come_and_then_the_newest_count(card):
    assert card.household.settings() is None
    for revision in (1, 2):
        card.household.set_settings(OwnerSettings(revision=revision, is_opted_in=revision == 1))
    assert card.household.settings() == OwnerSettings(revision=2, is_opted_in=False)


def test_there_is_one_recovery_key_or_none(card):
    assert card.household.recovery() is None
    keys = RecoveryKeys(sealing_key=X25519_KEY, signing_key=P256_KEY)
    card.household.set_recovery(keys)
    assert card.household.recovery() == keys
    card.household.set_recovery(None)
    assert card.household.recovery() is None


def test_an_agency_is_refused_once_and_may_ask_again_after_all(card):
    for _ in range(2):
        card.household.refuse_agency("a-police", is_refused=True)
    assert card.household.refused_agencies() == {"a-police"}
    card.household.refuse_agency("a-police", is_refused=False)
    assert card.household.refused_agencies() == frozenset()


def test_what_was_declined_is_forgotten_long_after(card):
    card.household.decline(DIGEST, 100)
    card.household.decline(DIGEST, 900)
    card.household.decline(OTHER, 200)
    assert card.household.declined() == {DIGEST, OTHER}
    card.household.forget_declined_before(200)
    assert card.household.declined() == {OTHER}


def test_approvers_end_alone_or_with_their_owner(card):
    one, two = (
        Approver(credential_id="YWRh", name=name, key=WORLD.with_approver()[1].key)
        for name in ("Laptop", "Desk")
    )
    other = Approver(credential_id="Ym8", name="Bo's", key=WORLD.with_approver()[1].key)
    for approver in (one, two, other):
        card.household.add_approver(approver)
    assert list(card.household.approvers().values()) == [one, two, other]
    card.household.end_approver(one.key.credential_id)
    assert list(card.household.approvers().values()) == [two, other]
    card.household.end_approvers_of("YWRh")
    assert card.household.approvers() == {other.key.credential_id: other}


def test_holds_come_in_the_order_in_which_they_end(card):
    late = HeldTime(digest=DIGEST, from_ms=1, to_ms=2, until_ms=400)
    early = HeldTime(digest=OTHER, from_ms=3, to_ms=4, until_ms=300)
    for hold in (late, early, early):
        card.household.add_hold(hold)
    assert card.household.holds() == [early, late]
    card.household.date_hold(OTHER, 500)
    assert [hold.digest for hold in card.household.holds()] == [DIGEST, OTHER]
    card.household.end_hold(DIGEST)
    assert [hold.digest for hold in card.household.holds()] == [OTHER]


def test_a_grant_is_taken_back_for_ever(card):
    for _ in range(2):
        card.household.revoke(DIGEST, 5)
    assert card.household.revoked() == {DIGEST}


def test_refusals_are_counted_by_quarter_and_check(card):
    for quarter, reason in (("2026-Q4", "clock"), ("2026-Q4", "clock"), ("2027-Q1", "owner")):
        digest = sha256_hex(new_id().encode())
        refuse(card, digest, quarter=quarter, reason=reason)
        assert not refuse(card, digest, quarter=quarter, reason=reason)
    assert card.household.refusals("2026-Q4") == {"clock": 2}
    assert card.household.refusals("2027-Q1") == {"owner": 1}
    assert card.household.refusals("2027-Q2") == {}


def test_what_was_told_refused_is_remembered_up_to_a_bound(card):
    digests = [sha256_hex(bytes([number])) for number in range(5)]
    store = HouseholdStore(card.database, max_told_refusals=3)
    for digest in digests:
        store.note_refusal(digest, quarter="2026-Q4", reason="clock", now_ms=5, promises=[])
    assert [card.household.was_told_refused(one) for one in digests] == [False] * 2 + [True] * 3


def test_a_refusal_and_what_is_told_of_it_are_one_commit(card):
    card.statements.add_waiting(statement(state="confirmed"))
    told = deferred_event_of(KeyChangeCommitted(commitment=OTHER))
    assert refuse(card, DIGEST, promises=[told])
    assert card.statements.statement(DIGEST).state == "refused"
    assert card.promises.due() == [told]
    card.promises.forget(told.event_id)
    assert card.promises.due() == []


# Statements


def test_a_statement_is_spent_once(card):
    assert card.statements.spend(DIGEST, 1)
    assert not card.statements.spend(DIGEST, 2)
    assert card.statements.spent() == {DIGEST}


def test_a_statement_waits_once_until_it_expires(card):
    assert card.statements.add_waiting(statement())
    assert not card.statements.add_waiting(statement(received_ms=11))
    assert card.statements.waiting(19) == [statement_as_kept(card)]
    assert card.statements.waiting(20) == []


def statement_as_kept(card: Card) -> WaitingStatement:
    kept = card.statements.statement(DIGEST)
    assert kept is not None
    return kept


@pytest.mark.parametrize("how", ["spent", "waiting", "refused", "never"])
def test_it_is_known_whether_a_statement_was_taken_before(card, how):
    if how == "spent":
        card.statements.spend(DIGEST, 1)
    elif how != "never":
        card.statements.add_waiting(statement(state=how))
    assert card.statements.is_known(DIGEST) is (how != "never")
    assert not card.statements.is_known(OTHER)


def test_only_what_waits_is_confirmed_and_only_once(card):
    approval: SignedStatement = WORLD.signed(WORLD.statement())
    card.statements.add_waiting(statement())
    confirmed = StoredConfirmation(way="approver", confirmed_ms=15, approval=approval)
    assert card.statements.confirm(DIGEST, confirmed)
    assert not card.statements.confirm(DIGEST, StoredConfirmation(way="knock", confirmed_ms=16))
    assert not card.statements.confirm(OTHER, confirmed)
    kept = statement_as_kept(card)
    assert (kept.state, kept.confirmed) == ("confirmed", confirmed)
    assert card.statements.statements_in("confirmed") == [kept]


def test_what_is_committed_to_and_its_proof_are_kept(card):
    opening = opening_of(device=DEVICE, grant_digest=DIGEST)
    card.statements.add_waiting(statement())
    card.statements.commit_to(DIGEST, opening)
    card.statements.set_proof(DIGEST, b"proof")
    kept = statement_as_kept(card)
    assert (kept.release, kept.release_proof) == (opening, b"proof")
    card.statements.set_proof(DIGEST, None)
    assert statement_as_kept(card).release_proof is None


def test_a_state_changes_only_from_where_it_is(card):
    card.statements.add_waiting(statement())
    assert not card.statements.move_statement(DIGEST, from_state="confirmed", to="done")
    assert card.statements.move_statement(DIGEST, from_state="waiting", to="refused")
    assert not card.statements.move_statement(DIGEST, from_state="waiting", to="done")
    assert statement_as_kept(card).state == "refused"
    assert card.statements.statement(OTHER) is None


def test_statements_come_oldest_first(card):
    card.statements.add_waiting(statement(DIGEST, received_ms=12))
    card.statements.add_waiting(statement(OTHER, received_ms=11))
    assert [one.digest for one in card.statements.waiting(0)] == [OTHER, DIGEST]
