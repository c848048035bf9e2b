"""History of starts: what a copied card gives away, and what looks like one and isn't."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from firmware.protocol.encoding import decode, new_id
from firmware.protocol.events import MAX_EARLIER_BOOTS, Status
from relay.fleet.boots import MAX_BOOTS, BootHistory, Verdict, judge


class Card:
    """A memory card with its list of starts; `copy` is a second card, or a backup of it."""

    def __init__(self, boots: tuple[str, ...] = ()) -> None:
        self.boots = boots
        self.earlier: tuple[str, ...] = ()
        self.boot_id = ""

    def start(self, *, is_noted: bool = True) -> "Card":
        self.earlier, self.boot_id = self.boots, new_id()
        if is_noted:
            self.boots = (self.boot_id, *self.boots)[:MAX_EARLIER_BOOTS]
        return self

    def copy(self) -> "Card":
        return Card(self.boots)


class Relay:
    def __init__(self) -> None:
        self.history = BootHistory()
        self.now_ms = 1000

    def hears(self, card: Card, *, stored_ms: int | None = None) -> Verdict:
        self.now_ms += 1000
        status = Status(
            device="a" * 20,
            state="online",
            time_ms=1,
            boot_id=card.boot_id,
            version="1",
            earlier_boots=list(card.earlier),
        )
        self.history, verdict = judge(
            self.history, status, self.now_ms if stored_ms is None else stored_ms
        )
        assert decode(BootHistory, self.history.encode()) == self.history
        return verdict


def test_one_card_is_never_a_clone_however_often_it_starts() -> None:
    relay, card = Relay(), Card()
    for _ in range(3 * MAX_BOOTS):
        relay.hears(card.start())
        assert relay.hears(card) == "known"
    assert len(relay.history.boots) == MAX_BOOTS


def test_two_devices_that_are_connected_at_once_are_found() -> None:
    relay, card = Relay(), Card()
    relay.hears(card.start())
    thief = card.copy().start()
    assert relay.hears(card.start()) == "next"
    assert relay.hears(thief) == "other_line"  # it throws the other off, which comes back
    assert relay.hears(card) == "cloned"


def test_two_devices_that_are_never_connected_at_once_are_found() -> None:
    relay, card = Relay(), Card()
    relay.hears(card.start())
    thief = card.copy()
    assert [relay.hears(one.start()) for one in (thief, card, thief)] == [
        "next",
        "other_line",
        "cloned",
    ]


def test_a_copy_of_a_card_in_use_is_found_when_both_go_on() -> None:
    relay, card = Relay(), Card()
    for _ in range(5):
        relay.hears(card.start())
    thief = card.copy()
    assert relay.hears(card) == "known"
    assert relay.hears(thief.start()) == "next"
    assert relay.hears(card) == "cloned"


def test_a_card_from_a_backup_is_no_clone() -> None:
    relay, card = Relay(), Card()
    relay.hears(card.start())
    backup = card.copy()
    for _ in range(20):
        relay.hears(card.start())
    verdicts = [relay.hears(backup.start()) for _ in range(20)]
    assert verdicts == ["other_line", *["next"] * 19]
    again = Card(backup.boots[-1:]).start()
    assert relay.hears(again) == "other_line"


def test_a_power_cut_that_loses_what_was_noted_is_no_clone() -> None:
    relay, card = Relay(), Card()
    relay.hears(card.start())
    for is_noted in (False, True, False, False, True, True):
        assert relay.hears(card.start(is_noted=is_noted)) in ("next", "other_line")


def test_a_card_that_takes_nothing_is_no_clone() -> None:
    relay, card = Relay(), Card()
    relay.hears(card.start())
    for _ in range(3 * MAX_BOOTS):
        assert relay.hears(card.start(is_noted=False)) in ("next", "other_line")


def test_starts_that_the_relay_never_saw_are_no_clone() -> None:
    relay, card = Relay(), Card()
    relay.hears(card.start())
    for _ in range(MAX_EARLIER_BOOTS - 1):
        card.start()  # noted, and then the power went
    assert relay.hears(card.start()) == "next"
    for _ in range(3 * MAX_EARLIER_BOOTS):
        card.start()
    assert relay.hears(card.start()) == "other_line"
    assert relay.hears(card.start()) == "next"


def test_a_relay_from_a_backup_finds_no_clone() -> None:
    relay, card = Relay(), Card()
    relay.hears(card.start())
    backup = relay.history
    for _ in range(3):
        relay.hears(card.start())
    relay.history = backup
    assert relay.hears(card) == "next"
    assert relay.hears(card.start()) == "next"


def test_a_status_that_comes_late_shows_nothing() -> None:
    relay, card = Relay(), Card()
    relay.hears(card.start())
    old = Card(card.boots)
    old.boot_id, old.earlier = card.boot_id, card.earlier
    sent_ms = relay.now_ms
    relay.hears(card.start())
    assert relay.hears(old, stored_ms=sent_ms) == "known"
    assert relay.hears(card) == "known"


@given(st.lists(st.sampled_from(["start", "lost", "cut", "speak"]), max_size=200))
def test_no_life_of_one_card_looks_like_a_clone(life: list[str]) -> None:
    relay, card = Relay(), Card()
    relay.hears(card.start())
    for what in life:
        if what != "speak":
            card.start(is_noted=what != "cut")
        if what != "lost":
            assert relay.hears(card) != "cloned"


@given(st.lists(st.booleans(), min_size=2, max_size=60), st.booleans())
def test_two_cards_that_take_turns_are_found_at_the_third(turns: list[bool], is_kept: bool) -> None:
    """Whether each starts anew or goes on; at the latest when the turn comes back twice."""
    relay, card = Relay(), Card()
    relay.hears(card.start())
    cards = {True: card, False: card.copy()}
    found, changes = False, 0
    for before, now in pairwise([True, *turns]):
        if before != now:
            changes += 1
        if not is_kept or not cards[now].boot_id:
            cards[now].start()
        found |= relay.hears(cards[now]) == "cloned"
        assert not found or changes >= 1
    assert found or changes < 3
