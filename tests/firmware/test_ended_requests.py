"""Requests that ended long ago are forgotten, and what stands is judged as if they weren't."""

import random

import msgspec
import pytest

from firmware.protocol.register.ended import HashBag
from firmware.protocol.register.entries import Limits, LimitsChanged, RequestLeaf
from firmware.protocol.register.facts import Stamps, facts_of
from firmware.protocol.register.replay import MAX_KEPT_VOIDS, Register
from firmware.protocol.requests import MAX_LIFE_MS, MAX_SKEW_MS, EvidenceRequest
from tests.fakes.log_town import CELL, DAY_MS, OTHER_CELL, Town, make_town
from tests.fakes.register_history import History


class Forgetting:
    """A replay that forgets, beside a town's."""

    def __init__(self, town: Town) -> None:
        self.town = town
        self.register = Register(town.register_log.origin)
        self.follow()

    def follow(self) -> Register:
        """Apply what is new, as of now."""
        self.register.forget_ended(self.town.now_ms)
        for entry in self.town.register_log.entries[self.register.size :]:
            self.register.apply(entry)
        return self.register

    def refuses(self, request: EvidenceRequest) -> str | None:
        """Return why a request would be void now; both must say the same."""
        entry = self.town.next_entry(RequestLeaf(signed=self.town.sign(request)))
        why = self.follow().would_refuse(entry)
        assert why == self.town.register.would_refuse(entry)
        return why


def ended(*, limits: Limits | None = None) -> tuple[Forgetting, EvidenceRequest]:
    """Return a replay that has forgotten the only request there was."""
    town = make_town(limits=limits)
    signed = town.publish(case_number="LK-1")
    forgetting = Forgetting(town)
    assert forgetting.register.requests
    town.wind(days=20)
    assert not forgetting.follow().requests
    return forgetting, msgspec.json.decode(signed.request, type=EvidenceRequest)


def test_an_id_is_taken_for_ever() -> None:
    forgetting, old = ended()
    assert forgetting.refuses(forgetting.town.request()) is None
    # Seen to fail without `ended.ids` in `_prepare_request`.
    again = forgetting.refuses(forgetting.town.request(id=old.id))
    assert again == "this request was published before"


def test_a_case_is_counted_for_ever() -> None:
    forgetting, _ = ended()
    forgetting.town.publish(case_number="LK-1", cells=[OTHER_CELL])
    # Seen to fail without `ended.cases` in `_check_case`.
    assert "a case may have 2" in str(
        forgetting.refuses(forgetting.town.request(case_number="LK-1"))
    )
    assert forgetting.refuses(forgetting.town.request(case_number="LK-2")) is None


def test_a_place_that_is_left_alone_for_long_stays_so() -> None:
    forgetting, _ = ended()
    town = forgetting.town
    long = Limits(area_quiet_ms=60 * DAY_MS)
    town.append(town.change(LimitsChanged(limits=long)))
    # Seen to fail without `ended.places` in `_check_quiet`.
    assert "the same place" in str(forgetting.refuses(town.request(cells=[CELL])))
    assert forgetting.refuses(town.request(cells=[OTHER_CELL])) is None


@pytest.mark.parametrize("seed", range(3))
def test_whatever_happens_what_stands_is_the_same(seed: int) -> None:
    """Forgotten as time goes, or all at once by who reads the register much later."""
    chance, history = random.Random(seed), History(seed)
    town = history.town
    forgetting = Forgetting(town)
    kinds = [one for one in history.kinds if one != "suspend"]
    for number in range(60):
        history.do(chance.choice(kinds))
        forgetting.follow()
        if number % 10 == 9:
            whole, late = town.register, Forgetting(town).register
            since_ms = town.now_ms - MAX_LIFE_MS - MAX_SKEW_MS
            facts = [
                facts_of(one, Stamps(), fresh_ms=town.now_ms, requests_since_ms=since_ms)
                for one in (whole, forgetting.register, late)
            ]
            assert facts[0] == facts[1] == facts[2]
    assert len(forgetting.register.requests) < len(town.register.requests)


def test_void_entries_fill_no_memory() -> None:
    register = Register("lakeland/register")
    register.forget_ended(make_town().now_ms)
    for number in range(MAX_KEPT_VOIDS + 50):
        register.apply(b"%d" % number)
    assert len(register.voids) == MAX_KEPT_VOIDS
    assert register.voids[-1].index == MAX_KEPT_VOIDS + 49


def test_a_bag_counts_and_is_the_same_after_it_was_saved() -> None:
    bag = HashBag()
    for number in range(5000):
        bag.add("agency", str(number % 4000))
    again = HashBag.from_bytes(bag.to_bytes())
    assert again == bag
    assert len(again) == 5000
    assert [again.count("agency", str(number)) for number in (0, 999, 1000, 3999, 4000)] == [
        2, 2, 1, 1, 0,
    ]  # fmt: skip
    assert again.count("agenc", "y0") == 0
    assert len(bag.to_bytes()) == 8 * 5000
