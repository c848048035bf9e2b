"""Between which moments a recording's date holds, to the millisecond where a bound is."""

import pytest

from relay.verify.checks import Exit, Result
from relay.verify.report import check_evidence
from tests.fakes.log_town import DAY_MS, HOUR_MS, MINUTE_MS, NOW_MS, make_town
from tests.fakes.media import evidence_of_files
from tests.relay.evidence_files import Doorbell, Film, make_evidence

HONEST = (Result.HOLDS, "made between")
PRE_ROLL_MS = 3000


def told(
    *, ended_ms: int = NOW_MS - MINUTE_MS, begun_ms: int | None = None, known_ms: int | None = None
) -> tuple[Result, str]:
    """Return the verdict on the date of a recording that ends, or whose trigger came, then.

    Witnesses saw its commitment at `NOW_MS`, and its description names what they had signed by
    `known_ms`.
    """
    town, doorbell, film = make_town(), Doorbell(), Film(1, with_sound=False)
    length_ms = film.manifest(doorbell.device).duration_90k // 90
    started_ms = ended_ms - length_ms if begun_ms is None else begun_ms - PRE_ROLL_MS
    known_ms = started_ms if known_ms is None else known_ms
    witnessed = town.register_log.note(at_ms=known_ms // 1000 * 1000).decode()
    manifest = film.manifest(
        doorbell.device,
        started_ms=started_ms,
        pre_roll_90k=0 if begun_ms is None else PRE_ROLL_MS * 90,
        witnessed=witnessed,
    )
    evidence = make_evidence(town=town, doorbell=doorbell, film=film, manifest=manifest)
    report = check_evidence(evidence_of_files(evidence.listed()), evidence.given)
    (check,) = [
        check
        for check in report.checks
        if check.kind is Exit.CAPTURE and "date lies between" in check.what
    ]
    return check.result, check.detail


@pytest.mark.parametrize(
    ("ended_ms", "result", "words"),
    [
        (NOW_MS + 2 * MINUTE_MS, *HONEST),
        (NOW_MS + 2 * MINUTE_MS + 1, Result.FAILS, "its date is wrong"),
        (NOW_MS - HOUR_MS, *HONEST),
        (NOW_MS - HOUR_MS - 1, Result.NOT_CHECKED, ", 60 minutes later"),
        (NOW_MS - 2 * HOUR_MS + 1, Result.NOT_CHECKED, ", 119 minutes later"),
        (NOW_MS - 2 * HOUR_MS, Result.NOT_CHECKED, ", 2 hours later"),
        (NOW_MS - 2 * DAY_MS + 1, Result.NOT_CHECKED, ", 47 hours later"),
        (NOW_MS - 2 * DAY_MS, Result.NOT_CHECKED, ", 2 days later"),
    ],
)
def test_its_end_comes_before_its_commitment_and_not_long_before(
    ended_ms: int, result: Result, words: str
) -> None:
    said = told(ended_ms=ended_ms)
    assert said[0] is result
    assert words in said[1]


@pytest.mark.parametrize(
    ("known_ms", "result", "words"),
    [
        (NOW_MS - 28 * MINUTE_MS, *HONEST),
        (NOW_MS - 28 * MINUTE_MS + 1000, Result.FAILS, "it is back-dated"),
    ],
)
def test_its_first_trigger_comes_after_what_it_names(
    known_ms: int, result: Result, words: str
) -> None:
    said = told(begun_ms=NOW_MS - 30 * MINUTE_MS, known_ms=known_ms)
    assert said[0] is result
    assert words in said[1]


def test_a_millisecond_before_what_it_names_is_back_dated() -> None:
    said = told(begun_ms=NOW_MS - 30 * MINUTE_MS - 1, known_ms=NOW_MS - 28 * MINUTE_MS)
    assert said[0] is Result.FAILS


@pytest.mark.parametrize(
    ("known_ms", "words"),
    [(NOW_MS + 2 * MINUTE_MS, "made between"), (NOW_MS + 2 * MINUTE_MS + 1000, "after they had")],
)
def test_what_it_names_was_not_signed_after_its_commitment(known_ms: int, words: str) -> None:
    assert words in told(ended_ms=NOW_MS + 2 * MINUTE_MS, known_ms=known_ms)[1]
