"""An agency that doesn't say what became of its requests is named, and nobody says it for it.

The relay may be the agency's friend here, or its enemy: both logs are its own, with the log's keys.
"""

import json

import pytest
from msgspec.structs import replace

from firmware.protocol.custody import OutcomeLeaf
from firmware.protocol.encoding import WireError, unb64u
from firmware.protocol.outcomes import SignedOutcome, check_outcome, parse_outcome
from firmware.protocol.passkeys import challenge
from firmware.protocol.requests import WITHDRAW_TAG, SignedRequest
from relay.tools.monitor.report import as_markdown
from tests.fakes.log_town import DAY_MS, HOUR_MS, Town, make_town
from tests.fakes.outcomes import log_download, outcome_in, sign_outcome
from tests.fakes.town_monitor import seen

AGENCY = "lakeland-police"


def broken(town: Town) -> list[str]:
    return [one.what for one in seen(town).violations]


def owed(town: Town) -> list[str]:
    """Return what is missing but slots, which no town here logs while time is wound."""
    return [what for what in seen(town).missing if "outcome" in what]


def outcomes_of(town: Town) -> dict[str, object]:
    (agency,) = seen(town).report["agencies"]
    found: dict[str, object] = agency["outcomes"]
    return found


@pytest.fixture
def town() -> Town:
    return make_town()


@pytest.fixture
def over(town: Town) -> SignedRequest:
    """A request that has ended, of which nothing has been said."""
    signed = town.publish()
    town.wind(hours=25)
    return signed


def test_what_is_said_in_time_is_no_violation(town: Town, over: SignedRequest) -> None:
    log_download(town)
    town.log_custody(outcome_in(town, over, "used"))
    town.wind(days=40)
    assert (broken(town), owed(town)) == ([], [])
    told = outcomes_of(town)
    assert told == {"used": 1, "not_used": 0, "resolved": 0, "late": 0, "due_by": {}}
    assert "outcomes: 1 used, 0 not used" in as_markdown(seen(town).report)


def test_an_agency_that_says_nothing_is_named_after_30_days(
    town: Town, over: SignedRequest
) -> None:
    town.wind(days=29)
    assert owed(town) == []
    town.wind(days=1, hours=1)
    (what,) = owed(town)
    assert f"{AGENCY} owes the outcome of a request, since " in what
    town.log_custody(outcome_in(town, over))
    assert owed(town) == []
    assert outcomes_of(town)["late"] == 1  # 30 days and 25 hours after its end


def test_a_withdrawal_begins_the_30_days_and_a_renewal_is_one_with_what_it_renewed(
    town: Town,
) -> None:
    first = town.publish(expires_ms=town.now_ms + 6 * DAY_MS)
    renewal = town.renew(first, expires_ms=town.now_ms + 7 * DAY_MS)
    town.withdraw(renewal)
    town.wind(days=30, hours=1)
    (what,) = owed(town)
    assert "owes the outcome of a request, " in what
    town.log_custody(outcome_in(town, first))
    assert broken(town) == [
        "an outcome of a request that was renewed: its renewal's counts for both"
    ]
    town.log_custody(outcome_in(town, renewal, is_resolved=True))
    assert owed(town) == []
    assert outcomes_of(town)["resolved"] == 1


def test_nothing_is_said_for_an_agency(town: Town, over: SignedRequest) -> None:
    """Each was seen to count with its check taken out of `check_outcome` or `OutcomeRules`."""
    admin = town.add_officer("Chief Holm", role="admin")
    stranger = town.certify("Nobody Known")
    other = town.add_officer("Officer Ek")
    right = outcome_in(town, over).signed
    lies = {
        "another's signature": OutcomeLeaf(
            signed=SignedOutcome(
                outcome=right.outcome,
                assertion=outcome_in(town, over, by=other).signed.assertion,
                officer=right.officer,
            )
        ),
        "a withdrawal's signature": OutcomeLeaf(
            signed=SignedOutcome(
                outcome=right.outcome,
                assertion=town.officer.passkey.sign(
                    challenge(WITHDRAW_TAG, right.outcome.encode())
                ),
                officer=right.officer,
            )
        ),
        "a word that was changed": OutcomeLeaf(
            signed=SignedOutcome(
                outcome=right.outcome.replace("not_used", "used"),
                assertion=right.assertion,
                officer=right.officer,
            )
        ),
        "another officer's certificate": OutcomeLeaf(
            signed=SignedOutcome(
                outcome=right.outcome, assertion=right.assertion, officer=other.certificate
            )
        ),
        "in a colleague's name": OutcomeLeaf(
            signed=sign_outcome(
                replace(parse_outcome(right), officer_id=other.id),
                town.officer.passkey,
                town.officer.certificate,
            )
        ),
        "an administrator of the agency": outcome_in(town, over, by=admin),
        "a certificate that isn't in the register": outcome_in(town, over, by=stranger),
    }
    for count, (name, lie) in enumerate(lies.items(), start=1):
        town.log_custody(lie)
        found = broken(town)
        assert len(found) == count, name
        assert found[-1] == f"an outcome that nobody whom {AGENCY} certified for it signed", name
    town.wind(days=31)
    assert len(owed(town)) == 1
    with pytest.raises(WireError, match="has the role admin files no outcomes"):
        check_outcome(
            lies["an administrator of the agency"].signed, unb64u(town.agreement.signing_key)
        )


def test_what_an_agency_says_too_early_twice_or_of_nothing_is_found(town: Town) -> None:
    early = town.publish()
    town.log_custody(outcome_in(town, early))
    assert broken(town) == ["an outcome of a request that wasn't over yet"]
    town.wind(hours=25)
    town.log_custody(outcome_in(town, early))
    assert broken(town)[1:] == ["an outcome that was filed before"]
    unknown = town.sign(town.request(case_number="NOWHERE"))
    town.log_custody(outcome_in(town, unknown))
    assert broken(town)[2:] == [f"an outcome of a request that {AGENCY} never published"]


def test_a_use_of_nothing_and_a_case_that_nobody_closed_are_found(
    town: Town, over: SignedRequest
) -> None:
    town.log_custody(outcome_in(town, over, "used", is_resolved=True))
    assert broken(town) == [
        "a request is said to be resolved that its agency never withdrew",
        f"{AGENCY} says that it used something, and it downloaded nothing",
    ]


def test_a_withdrawal_after_the_end_closes_nothing_as_resolved(
    town: Town, over: SignedRequest
) -> None:
    town.wind(days=2)
    town.withdraw(over)
    town.log_custody(outcome_in(town, over, is_resolved=True))
    assert broken(town) == ["a request is said to be resolved that its agency never withdrew"]


def test_a_kind_of_entry_that_a_later_version_makes_is_told_and_no_rule_is_broken(
    town: Town,
) -> None:
    """Older monitors say of an outcome what this one says of a kind that it doesn't know."""
    entry = b'{"body":{"type":"weather","wind":"west"},"v":1}'
    town.custody_log.append(entry, at_ms=town.now_ms)
    found = seen(town)
    assert found.violations == ()
    (told,) = found.uncounted
    assert "this version doesn't count it" in told.what
    bad = json.dumps({"body": {"type": "outcome"}, "v": 1}, separators=(",", ":")).encode()
    town.custody_log.append(bad, at_ms=town.now_ms + HOUR_MS)
    assert "no entry of a custody log" in broken(town)[-1]
