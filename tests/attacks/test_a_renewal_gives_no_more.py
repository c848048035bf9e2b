"""Officers don't get more requests by renewing and withdrawing than the rules give (R4, R13, R15).

All of it is signed as it should be and published as it should be: only the counting is attacked.
"""

from msgspec.structs import replace

from firmware.consent.request_rules import RequestRefused, check_request
from firmware.protocol.register.entries import RequestLeaf
from firmware.protocol.requests import SignedRequest, parse_request
from tests.fakes.log_town import CELL, DAY_MS, HOUR_MS, OTHER_CELL, Town, make_town

DANGER = "Somebody may be hurt."


def counts(town: Town, signed: SignedRequest) -> bool:
    """Tell whether a doorbell in its area would take a grant for it now."""
    try:
        check_request(
            signed.request_digest,
            town.facts(),
            now_ms=town.now_ms,
            cell=parse_request(signed).cells[0],
            refused=frozenset(),
        )
    except RequestRefused:
        return False
    return True


def refusal(town: Town, **changes: object) -> str | None:
    """Return why the register wouldn't take such a request now."""
    leaf = RequestLeaf(signed=town.sign(town.request(**changes)))
    return town.register.would_refuse(town.next_entry(leaf))


def emergency(town: Town, **changes: object) -> SignedRequest:
    return town.publish(danger=DANGER, expires_ms=town.now_ms + 6 * DAY_MS, **changes)


def test_a_withdrawn_renewal_takes_along_what_it_renewed() -> None:
    town = make_town()
    first = emergency(town)
    renewal = town.renew(first, expires_ms=town.now_ms + 7 * DAY_MS)
    assert counts(town, renewal)
    town.withdraw(renewal)
    assert not counts(town, renewal)
    # Seen to fail with `renewed` taken out of `_prepare_withdrawal`.
    assert not counts(town, first)


def test_an_agency_has_one_open_emergency_whatever_it_renews_and_withdraws() -> None:
    town = make_town()
    town.wind(hours=1)
    first = emergency(town, cells=[CELL])
    town.withdraw(town.renew(first, expires_ms=town.now_ms + 7 * DAY_MS))
    second = emergency(town, cells=[OTHER_CELL], case_number="LK-2026/0118")
    assert [counts(town, one) for one in (first, second)] == [False, True]


def test_a_renewal_that_ends_first_doesnt_leave_what_it_renewed_uncounted() -> None:
    town = make_town()
    first = emergency(town, cells=[CELL])
    renewal = town.renew(first, expires_ms=town.now_ms + HOUR_MS)
    town.wind(hours=2)
    # Seen to fail with the check of `expires_ms` taken out of `check_renewal`.
    assert not counts(town, renewal)
    assert town.register.voids[-1].why == "a renewal stands as long as what it renews, or longer"
    assert counts(town, first)
    why = refusal(town, danger=DANGER, cells=[OTHER_CELL], case_number="LK-2026/0118")
    assert why == "an agency may have one open emergency at most"


def test_what_a_renewal_renewed_may_be_withdrawn_alone() -> None:
    town = make_town()
    first = town.publish()
    renewal = town.renew(first, expires_ms=town.now_ms + 2 * DAY_MS)
    town.withdraw(first)
    assert [counts(town, one) for one in (first, renewal)] == [False, True]


def test_an_emergency_says_what_the_danger_is() -> None:
    town = make_town()
    why = refusal(town, danger=" ")
    assert why is not None
    assert "a text is blank" in why
    assert refusal(town, danger=DANGER) is None


def test_a_second_agreement_published_with_the_first_counts_no_sooner() -> None:
    town = make_town(age_days=0)
    second = town.change(town.sign_agreement(replace(town.agreement, version=2)))
    town.append(second)
    town.wind(days=4)
    signed = town.publish()
    # Seen to fail where only the first agreement itself had to be seven days old.
    assert not counts(town, signed)
    town.wind(days=3)
    assert counts(town, town.publish(cells=[OTHER_CELL]))
