"""A hostile owner stretches what a recording's date is made of: it shows in `doorward-verify`.

With the doorbell's key they may say any length, any time before the trigger, and any later
correction of a clock that wasn't set. See test_an_owner_cannot_backdate.py for the dates alone.
"""

from dataclasses import replace

import msgspec
import pytest

from firmware.protocol.custody import CaptureProof, ReleaseProof
from firmware.protocol.encoding import decode
from firmware.protocol.footage import TICKS_PER_MS
from firmware.protocol.grants import SignedStatement, Statement
from firmware.protocol.released_part import ReleasedPart
from firmware.protocol.tlog.proof import parse_proof
from relay.verify.checks import Check, Exit, Result
from relay.verify.report import Report, check_evidence
from tests.fakes.log_town import DAY_MS, HOUR_MS, MINUTE_MS, NOW_MS, Town, make_town
from tests.fakes.media import evidence_of_files
from tests.relay.evidence_files import (
    Doorbell,
    Evidence,
    Film,
    make_evidence,
    regranted,
    with_files,
)

YEARS_AGO_MS = NOW_MS - 2000 * DAY_MS
TO_NOW_MS = NOW_MS - 30 * MINUTE_MS - YEARS_AGO_MS


def report_of(evidence: Evidence) -> Report:
    return check_evidence(evidence_of_files(evidence.listed()), evidence.given)


def flagged(report: Report, kind: Exit) -> list[Check]:
    """Return what isn't said to hold, but for what a new doorbell can't show of its age."""
    return [
        check
        for check in report.checks
        if check.kind is kind and not check.holds and check.result is not Result.NOT_SHOWN
    ]


def short() -> Film:
    return Film(1, with_sound=False)


def described(film: Film | None = None, town: Town | None = None, **said: object) -> Evidence:
    """Return a recording that says of itself what its doorbell's key was made to sign."""
    town, doorbell, film = town or make_town(), Doorbell(), film or short()
    return make_evidence(
        town=town, doorbell=doorbell, film=film, manifest=film.manifest(doorbell.device, **said)
    )


def drawn_out(days: float = 1) -> Evidence:
    """Of a while ago, and it lasted until five minutes ago."""
    moved_ms = round(days * DAY_MS)
    started_ms = NOW_MS - 5 * MINUTE_MS - moved_ms
    return described(started_ms=started_ms, duration_90k=moved_ms * TICKS_PER_MS)


def long_before_its_trigger(ms: int) -> Evidence:
    """Of a while ago, and what set it off came half an hour ago."""
    town = make_town()
    return described(
        town=town,
        started_ms=NOW_MS - 30 * MINUTE_MS - ms,
        pre_roll_90k=ms * TICKS_PER_MS,
        duration_90k=ms * TICKS_PER_MS + 180_000,
        witnessed=town.register_log.note(at_ms=NOW_MS - 31 * MINUTE_MS).decode(),
    )


def beyond_its_end() -> Evidence:
    """Of two seconds, it says, and its pictures last a minute."""
    film = Film(2, with_sound=False)
    half = len(film.units) // 2
    late = [replace(unit, pts_90k=unit.pts_90k + 60 * 90_000) for unit in film.units[half:]]
    film.units = [*film.units[:half], *late]
    return described(film, duration_90k=2 * 90_000)


@pytest.mark.parametrize("days", [1 / 12, 1, 30])
def test_an_end_that_is_drawn_out_to_its_commitment_shows(days: float) -> None:
    """Seen to hold without `LONGEST_CLIP_90K`: the end that is compared was five minutes ago."""
    report = report_of(drawn_out(days))
    assert report.exit_code is Exit.DEVICE
    told = [check.detail for check in flagged(report, Exit.DEVICE)]
    assert told == ["the clip manifest tells of a longer clip than a doorbell makes"]


def test_a_trigger_that_is_drawn_out_to_its_checkpoint_shows() -> None:
    """Seen to hold without `LONGEST_PRE_ROLL_90K`: by both checks, of times and of the date."""
    (dated,) = flagged(report_of(long_before_its_trigger(30 * DAY_MS)), Exit.CAPTURE)
    assert "it is back-dated" in dated.detail
    (described_so,) = flagged(report_of(long_before_its_trigger(2 * MINUTE_MS)), Exit.DEVICE)
    assert "more before the first trigger than there is" in described_so.detail


def test_pictures_beyond_the_end_show() -> None:
    """Seen to hold without `pairwise`."""
    report = report_of(beyond_its_end())
    assert report.exit_code is Exit.DEVICE
    assert "don't follow each other" in flagged(report, Exit.DEVICE)[0].detail


def corrected(*, by_ms: int, known_ms: int | None = None) -> Evidence:
    """Return a recording by a clock that wasn't set, which the doorbell dated later."""
    town, doorbell, film = make_town(), Doorbell(), short()
    note = msgspec.UNSET if known_ms is None else town.register_log.note(at_ms=known_ms).decode()
    manifest = film.manifest(
        doorbell.device, started_ms=YEARS_AGO_MS, is_clock_trusted=False, witnessed=note
    )
    evidence = make_evidence(town=town, doorbell=doorbell, film=film, manifest=manifest)
    part = decode(ReleasedPart, evidence.files["part-1.json"])
    moved = msgspec.structs.replace(part, corrected_ms=by_ms).encode()
    terms = decode(SignedStatement, evidence.files["grant.json"]).statement.encode()
    (clip,) = decode(Statement, terms).terms.clips
    given = msgspec.structs.replace(clip, from_ms=clip.from_ms + by_ms, to_ms=clip.to_ms + by_ms)
    return regranted(with_files(evidence, **{"part-1.json": moved}), clips=[given])


def test_a_clock_that_was_set_later_gives_a_date_that_holds() -> None:
    report = report_of(corrected(by_ms=TO_NOW_MS, known_ms=NOW_MS - 31 * MINUTE_MS))
    assert report.exit_code is Exit.HOLDS


def test_a_clock_that_was_set_later_is_held_to_the_same_bound() -> None:
    length_ms = short().manifest("a" * 20).duration_90k // TICKS_PER_MS
    to_bound_ms = TO_NOW_MS + 32 * MINUTE_MS - length_ms
    known_ms = NOW_MS - 31 * MINUTE_MS
    assert not flagged(report_of(corrected(by_ms=to_bound_ms, known_ms=known_ms)), Exit.CAPTURE)
    late = report_of(corrected(by_ms=to_bound_ms + 1, known_ms=known_ms))
    assert [check.result for check in flagged(late, Exit.CAPTURE)] == [Result.NOT_CHECKED]


@pytest.mark.parametrize(
    ("by_ms", "known_ms", "result", "words"),
    [
        (TO_NOW_MS - DAY_MS, NOW_MS - 31 * MINUTE_MS, Result.FAILS, "it is back-dated"),
        (TO_NOW_MS + DAY_MS, None, Result.NOT_CHECKED, "it knew only that it wasn't later"),
        (TO_NOW_MS - DAY_MS, None, Result.NOT_CHECKED, "was committed to only by"),
    ],
    ids=["before its checkpoint", "after its commitment", "long before its commitment"],
)
def test_a_date_given_later_is_held_to_the_same_moments(
    by_ms: int, known_ms: int | None, result: Result, words: str
) -> None:
    """Seen to hold while `is_clock_trusted` alone decided whether a date is compared."""
    (check,) = flagged(report_of(corrected(by_ms=by_ms, known_ms=known_ms)), Exit.CAPTURE)
    assert check.result is result
    assert words in check.detail


@pytest.mark.parametrize("late_ms", [50 * MINUTE_MS, 12 * HOUR_MS])
def test_an_honest_not_later_than_is_no_lie(late_ms: int) -> None:
    """A run whose clock never was set: the next one dated it after it had committed to it."""
    report = report_of(corrected(by_ms=TO_NOW_MS + late_ms, known_ms=NOW_MS - 31 * MINUTE_MS))
    assert report.exit_code is Exit.INCOMPLETE
    (check,) = flagged(report, Exit.CAPTURE)
    assert check.detail.startswith("it was there by 2026-09-21 14:13:20 UTC, but")


def in_the_registers_log() -> Evidence:
    """Its commitments stand in the town's other log, which its policy knows as well."""
    evidence = make_evidence(film=short())
    town = evidence.town
    forged: dict[str, bytes | None] = {}
    for name, kind in (("capture-1.json", CaptureProof), ("release.json", ReleaseProof)):
        held = decode(kind, evidence.files[name])
        entry = town.custody_log.entries[parse_proof(held.proof.encode()).index]
        proof = town.register_log.proof(town.register_log.append(entry, at_ms=NOW_MS))
        forged[name] = msgspec.structs.replace(held, proof=proof).encode()
    return with_files(evidence, **forged)


def test_another_log_of_the_town_commits_to_nothing() -> None:
    """Seen to hold without `_check_custody`: the same entry, in the register's log."""
    report = report_of(in_the_registers_log())
    said = "it was committed to in another log than the town's custody log"
    assert [check.detail for check in flagged(report, Exit.LOG)] == [said]
    assert [check.detail for check in flagged(report, Exit.CAPTURE)] == [said]
