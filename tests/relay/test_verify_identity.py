"""The doorbell's own age in doorward-verify: shown from a day to a month, or said to be unshown."""

from collections.abc import Callable
from dataclasses import replace

import msgspec
import pytest

from firmware.protocol.custody import IDENTITY_AGE_MS, MAX_IDENTITY_AGE_MS, IdentityProof
from firmware.protocol.encoding import decode
from relay.verify.checks import Check, Exit, Result
from relay.verify.report import check_evidence
from tests.fakes.log_town import NOW_MS, make_town
from tests.fakes.media import evidence_of_files
from tests.relay.evidence_files import Doorbell, Evidence, Film, make_evidence, with_files

BEGIN_MS = NOW_MS - 30 * 60_000
WHAT = "clip-1.mp4: its doorbell was there a day before it, or longer"


def evidence_with(at_ms: int, device: Callable[[str], str] = lambda own: own) -> Evidence:
    """Return evidence of now with a slot of its doorbell that was logged then."""
    town, doorbell = make_town(now_ms=at_ms), Doorbell()
    proof = town.identity_proof(device=device(doorbell.device))
    town.wind(ms=NOW_MS - at_ms)
    evidence = make_evidence(town=town, doorbell=doorbell, film=Film(1, with_sound=False))
    return with_files(evidence, **{"identity.json": proof.encode()})


def checked(evidence: Evidence, policy: bool = True, **files: bytes | None) -> tuple[Check, Exit]:
    """Return the check and the whole result, if the doorbell packed these files instead."""
    given = evidence.given if policy else replace(evidence.given, policy=None)
    report = check_evidence(evidence_of_files(evidence.listed(**files)), given)
    (check,) = [one for one in report.checks if one.what == WHAT]
    return check, report.exit_code


@pytest.mark.parametrize(
    ("age_ms", "result"),
    [
        (IDENTITY_AGE_MS - 1000, Result.NOT_SHOWN),
        (IDENTITY_AGE_MS, Result.HOLDS),
        (MAX_IDENTITY_AGE_MS, Result.HOLDS),
        (MAX_IDENTITY_AGE_MS + 1000, Result.NOT_SHOWN),
    ],
)
def test_a_day_to_a_month_is_shown_and_nothing_else(age_ms: int, result: Result) -> None:
    check, code = checked(evidence_with(BEGIN_MS - age_ms))
    assert check.result is result, check.detail
    assert code is (Exit.HOLDS if result is Result.HOLDS else Exit.INCOMPLETE)
    assert "in the log by" in check.detail


def test_what_a_young_doorbell_cant_show_is_said_and_no_success() -> None:
    """Seen to end with 0, so that whoever made a doorbell up had only to leave the file out."""
    check, code = checked(make_evidence(), **{"identity.json": None})
    assert (check.result, code) == (Result.NOT_SHOWN, Exit.INCOMPLETE)
    assert "no slot of an earlier day" in check.detail


def test_another_doorbells_slot_fails() -> None:
    """Seen to succeed without the comparison with the certificate's own key."""
    check, code = checked(evidence_with(BEGIN_MS - IDENTITY_AGE_MS, lambda _: "a" * 20))
    assert (check.result, check.detail) == (Result.FAILS, "the earlier slot is another doorbell's")
    assert code is Exit.CAPTURE


@pytest.mark.parametrize("what", ["record", "index", "hashes", "proof"])
def test_a_proof_that_leads_elsewhere_fails(what: str) -> None:
    evidence = evidence_with(BEGIN_MS - IDENTITY_AGE_MS)
    proof = decode(IdentityProof, evidence.files["identity.json"])
    changes = {
        "record": {"record": msgspec.structs.replace(proof.record, slot=proof.record.slot + 1)},
        "index": {"index": proof.index ^ 1},
        "hashes": {"hashes": [*proof.hashes[1:], proof.hashes[0]]},
        "proof": {"proof": evidence.town.log_release("ab" * 32).proof},
    }[what]
    forged = msgspec.structs.replace(proof, **changes).encode()
    check, code = checked(evidence, **{"identity.json": forged})
    assert check.result is Result.FAILS
    assert code is Exit.CAPTURE


def test_without_a_policy_nobody_says_how_old_it_is() -> None:
    check, code = checked(evidence_with(BEGIN_MS - IDENTITY_AGE_MS), policy=False)
    assert (check.result, code) == (Result.NOT_CHECKED, Exit.INCOMPLETE)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda text: text[:-1], "it ends too early"),
        (lambda text: text.replace(b'"v":1', b'"v":2', 1), ""),
        (lambda text: text.replace(b'"index":', b'"size":8,"index":', 1), "size"),
        (lambda text: text[:-1] + b',"index":1}', ""),
    ],
    ids=["cut", "of the future", "of the past", "twice"],
)
def test_a_proof_of_another_form_fails(change: Callable[[bytes], bytes], words: str) -> None:
    evidence = evidence_with(BEGIN_MS - IDENTITY_AGE_MS)
    forged = change(evidence.files["identity.json"])
    check, code = checked(evidence, **{"identity.json": forged})
    assert check.result is Result.FAILS
    assert words in check.detail
    assert code is not Exit.HOLDS
