"""Two that count: the public record's pages, and the monitor that anybody runs. They agree.

They share the protocol and no line of counting. The guide (docs/guide/public.md) says which figure
is which.
"""

from dataclasses import replace

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from firmware.protocol.custody import (
    DeletionAnswer,
    DeletionAnsweredLeaf,
    DeletionAskedLeaf,
    DownloadLeaf,
    SignedDeletionAnswer,
    deletion_message,
    package_commitment,
    quarter_of,
)
from firmware.protocol.encoding import b64u, new_id, sha256_hex
from firmware.protocol.register.entries import RefusedLeaf
from firmware.protocol.register.facts import Stamps
from relay.agency.register import RegisterView
from relay.record.entry_parser import custody_row, register_row
from relay.record.figures import AgencyCounts
from relay.record.projection import Projection
from relay.record.public_record import RecordView
from relay.record.yearly_report import yearly_report, years_of
from relay.tools.monitor.report import Report
from tests.fakes.log_town import DAY_MS, NOW_MS, Town, make_town
from tests.fakes.outcomes import log_download, outcome_in
from tests.fakes.town_monitor import seen

AGENCY = "lakeland-police"


def counted_by_a_monitor(town: Town) -> Report:
    found = seen(town)
    assert found.violations == ()
    (agency,) = found.report["agencies"]
    told: Report = agency
    return told


def record_of(town: Town) -> RecordView:
    """Read both logs as the pages do."""
    book, custody = Projection(), Stamps()
    for note in town.custody_log.stamps:
        witnessed = town.policy.check(note, origin=town.custody_log.origin)
        custody.add(witnessed.checkpoint.size, witnessed.aged_ms)
    for index, entry in enumerate(town.register_log.entries):
        book.take(replace(register_row(index, entry), seen_ms=town.stamps.seen_ms(index)))
    for index, entry in enumerate(town.custody_log.entries):
        row = custody_row(index, entry)
        if row is not None:
            book.take(replace(row, seen_ms=custody.seen_ms(index)))
    view = RegisterView(
        register=town.register, stamps=town.stamps, facts=town.facts(), now_ms=town.now_ms
    )
    sizes = {"register_size": town.register_log.size, "custody_size": town.custody_log.size}
    return RecordView(register=view, book=book, **sizes)


def ask_to_delete(town: Town, *, is_answered: bool) -> None:
    package = package_commitment(new_id())
    town.release_proof(device="a" * 20, grant_digest=sha256_hex(new_id().encode()))
    town.log_custody(DownloadLeaf(agency=AGENCY, package=package))
    by_ms = town.now_ms + 14 * DAY_MS
    town.log_custody(DeletionAskedLeaf(agency=AGENCY, package=package, answer_by_ms=by_ms))
    if is_answered:
        text = DeletionAnswer(
            agency=AGENCY,
            packages=[package],
            answer="deleted",
            reason="done",
            answered_ms=town.now_ms,
        ).encode()
        signature = town.agency_key.sign(deletion_message(text), ec.ECDSA(hashes.SHA256()))
        signed = SignedDeletionAnswer(answer=text.decode(), signature=b64u(signature))
        town.log_custody(DeletionAnsweredLeaf(signed=signed))


@pytest.fixture
def town() -> Town:
    """A town in which an agency asks and does something of everything, over a new year."""
    town = make_town()
    used = town.publish(case_number="A-1", expires_ms=NOW_MS + 6 * DAY_MS)
    renewal = town.renew(used, expires_ms=NOW_MS + 7 * DAY_MS)
    town.withdraw(renewal)
    town.append(RefusedLeaf(agency=AGENCY, category="assembly"))
    log_download(town)
    town.log_custody(outcome_in(town, renewal, "used", is_resolved=True))
    ask_to_delete(town, is_answered=True)
    town.wind(days=2)
    town.publish(case_number="A-2")
    town.wind(days=120)
    town.append(RefusedLeaf(agency=AGENCY, category="worship"))
    town.publish(case_number="A-3")
    log_download(town)
    ask_to_delete(town, is_answered=False)
    return town


def test_pages_and_monitor_count_the_same(town: Town) -> None:
    pages, monitor = AgencyCounts().of(record_of(town), AGENCY), counted_by_a_monitor(town)
    assert pages.requests == monitor["requests"]["published"] == 4
    assert (
        pages.by_state["withdrawn"] == monitor["requests"]["withdrawn"] == 2
    )  # with what it renewed
    assert pages.emergencies == monitor["requests"]["emergency"]
    assert pages.refusals == monitor["moderation_refusals"] == {"assembly": 1, "worship": 1}
    bands = {one.quarter: one.band for one in pages.received if one.row is not None}
    assert bands == monitor["received"]
    assert sorted(bands) == [quarter_of(NOW_MS), quarter_of(town.now_ms)]
    assert pages.downloads == monitor["downloads"] == 4
    deletions = {name: getattr(pages.deletions, name) for name in ("asked", "deleted", "kept")}
    assert deletions == {name: monitor["deletions"][name] for name in deletions}
    assert pages.deletions.waiting == monitor["deletions"]["unanswered"] == 1
    assert pages.outcomes == {"used": monitor["outcomes"]["used"]} == {"used": 1}
    overdue = sum(monitor["outcomes"]["due_by"].values())
    assert pages.outcomes_overdue == 1 <= overdue  # the monitor's has those whose time isn't over


def test_the_years_of_an_agency_add_up_to_what_the_monitor_counts(town: Town) -> None:
    view, monitor = record_of(town), counted_by_a_monitor(town)
    years = [yearly_report(view, AGENCY, year) for year in years_of(view, AGENCY)]
    assert [(one.year, len(one.requests)) for one in years] == [(2027, 1), (2026, 3)]
    for report in years:
        assert sum(report.became.values()) == len(report.requests)
    assert sum(one.renewals for one in years) == monitor["requests"]["renewals"] == 1
    assert sum(one.withdrawn for one in years) == monitor["requests"]["withdrawn"]
    assert sum(one.downloads for one in years) == monitor["downloads"]
    assert sum(one.deletions.asked for one in years) == monitor["deletions"]["asked"] == 2
    assert sum(one.became["used"] for one in years) == monitor["outcomes"]["used"]
    assert sum(one.resolved for one in years) == monitor["outcomes"]["resolved"] == 1
    received = {band.quarter: band.band for one in years for band in one.received if band.row}
    assert received == monitor["received"]
