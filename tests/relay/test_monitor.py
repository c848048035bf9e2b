"""`doorward-monitor`: anybody reads the logs over HTTP, and gets the same report, byte for byte."""

import json
import os
import time
from pathlib import Path

import httpx2
import pytest

from firmware.protocol.custody import (
    CreditsLeaf,
    FeedDangerLeaf,
    FeedLegalProcessLeaf,
    LegalProcessLeaf,
    ReceivedLeaf,
    RefusalsLeaf,
    quarter_of,
    slot_entry,
)
from firmware.protocol.register.entries import RefusedLeaf
from relay.tools.monitor import cli
from relay.tools.monitor.inspection import inspect_logs
from relay.tools.monitor.seen_checkpoints import SeenCheckpoints
from relay.tools.monitor.source import HttpSource
from tests.fakes.hostile_log import rolled_back
from tests.fakes.log_town import NOW_MS, Town, make_town

AGENCY = "lakeland-police"


@pytest.fixture
def town() -> Town:
    town = make_town(now_ms=time.time_ns() // 1_000_000)
    town.log_due_slots()
    return town


def run(town: Town, folder: Path, *options: str) -> tuple[int, bytes]:
    policy, report = folder / "policy.txt", folder / "report"
    policy.write_bytes(town.policy_text)
    with town.served() as url:
        code = cli.main(["--policy", str(policy), "--log", url, "--report", str(report), *options])
    return code, report.read_bytes() if report.exists() else b""


def test_a_town_that_keeps_the_rules(town: Town, tmp_path: Path) -> None:
    town.publish()
    code, report = run(town, tmp_path)
    assert code == 0
    assert b"Every entry keeps the rules" in report
    assert b"Lakeland Police" in report


def test_the_report_is_the_same_for_everybody_who_read_the_same_entries(
    town: Town, tmp_path: Path
) -> None:
    town.publish()
    town.log_release("22" * 32)
    town.log_custody(ReceivedLeaf(agency=AGENCY, quarter=quarter_of(town.now_ms), band="1-4"))
    reports = set()
    for place in ("here", "there", "elsewhere"):
        (tmp_path / place).mkdir()
        town.cosign()  # a witness's new signature changes nothing in it
        town.now_ms += 5000
        code, report = run(town, tmp_path / place, "--json")
        assert code == 0
        reports.add(report)
    assert len(reports) == 1
    (report,) = reports
    assert json.loads(report)["agencies"][0]["received"] == {quarter_of(town.now_ms): "1-4"}
    assert b"127.0.0.1" not in report
    assert str(tmp_path).encode() not in report


def test_everything_that_r18_makes_public_is_in_the_report(town: Town, tmp_path: Path) -> None:
    town.publish()
    town.append(RefusedLeaf(agency=AGENCY, category="worship"))
    quarter = quarter_of(town.now_ms)
    town.log_custody(LegalProcessLeaf(quarter=quarter, kind="subpoena", yielded=["nothing"]))
    town.log_custody(RefusalsLeaf(quarter="2026-Q1", counts={"area": 7}))
    town.log_custody(CreditsLeaf(subject="month", name="2026-01", sha256="ab" * 32))
    town.log_custody(FeedLegalProcessLeaf(quarter=quarter, kind="other", yielded=["posts"]))
    town.log_custody(FeedDangerLeaf(agency=AGENCY, post="cd" * 32))
    _, text = run(town, tmp_path, "--json")
    report = json.loads(text)
    (agency,) = report["agencies"]
    assert agency["requests"] == {"published": 1, "emergency": 0, "renewals": 0, "withdrawn": 0}
    assert agency["moderation_refusals"] == {"worship": 1}
    assert report["custody"]["legal_process"] == [
        {"quarter": quarter, "kind": "subpoena", "yielded": ["nothing"], "count": 1}
    ]
    assert report["doorbells"]["refusals"] == {"2026-Q1": {"area": 7}}
    assert report["custody"]["credits"] == [
        {"subject": "month", "name": "2026-01", "sha256": "ab" * 32}
    ]
    assert report["custody"]["feed_legal_process"] == [
        {"quarter": quarter, "kind": "other", "yielded": ["posts"], "count": 1}
    ]
    assert report["custody"]["feed_dangers"] == {AGENCY: 1}
    _, page = run(town, tmp_path)
    told = (b"worship 1", b"subpoena", b"area 7", b"agreement 1", b"month 2026-01")
    for word in (*told, b"yielded posts, 1 times", b"life was in danger: 1"):
        assert word in page


def test_a_check_that_this_version_does_not_know_is_no_violation(
    town: Town, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    town.log_custody(RefusalsLeaf(quarter="2026-Q1", counts={"area": 7, "another_check": 2}))
    code, text = run(town, tmp_path, "--json")
    assert code == 6
    assert "this version knows no check another_check" in capsys.readouterr().err
    assert json.loads(text)["doorbells"]["refusals"] == {"2026-Q1": {"area": 7}}


def test_what_a_log_says_cannot_break_the_page(town: Town, tmp_path: Path) -> None:
    town.make_agreement(name="<script>alert(1)</script> [x](http://evil) **", version=2)
    town.wind(days=8)
    _, page = run(town, tmp_path)
    assert b"<script>" not in page
    assert b"[x](" not in page


def test_exit_codes_say_what_is_wrong(
    town: Town, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state = str(tmp_path / "state")
    town.publish()
    assert run(town, tmp_path, "--state", state)[0] == cli.HOLDS
    assert run(rolled_back(town, to=3), tmp_path, "--state", state)[0] == cli.DISHONEST
    assert len(list((tmp_path / "state").glob("contradiction-*.note"))) == 2
    town.append(RefusedLeaf(agency="nobody", category="worship"))
    assert run(town, tmp_path, "--state", state)[0] == cli.VIOLATED
    assert "no agency" in capsys.readouterr().err
    nowhere = ["--policy", "/nowhere", "--log", "http://127.0.0.1:1"]
    assert cli.main(nowhere) == cli.BAD_ARGUMENT
    policy = str(tmp_path / "policy.txt")
    assert cli.main(["--policy", policy, "--log", "http://127.0.0.1:1"]) == cli.UNREADABLE


def test_what_is_due_and_does_not_come_has_an_exit_code_and_words(
    town: Town, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    agreed = dict(town.texts)
    town.texts.clear()
    code, withheld = run(town, tmp_path)
    assert code == cli.MISSING == 6
    assert f"the text of {AGENCY}'s agreement 1 is withheld" in capsys.readouterr().err
    town.texts.update(agreed)
    assert run(town, tmp_path) == (cli.HOLDS, withheld)  # the report is of the entries
    town.log_slot(town.now_ms // 600_000 + 20, [])
    assert run(town, tmp_path)[0] == cli.VIOLATED


def test_slots_that_were_left_out_stand_in_the_report(tmp_path: Path) -> None:
    town = make_town(now_ms=time.time_ns() // 1_000_000)
    town.log_slot(town.now_ms // 600_000 - 1, [])
    code, page = run(town, tmp_path)
    assert code == cli.MISSING
    assert b" UTC), are missing\n" in page


def test_a_log_that_nobody_cosigns_is_stale(tmp_path: Path) -> None:
    town = make_town(now_ms=time.time_ns() // 1_000_000 - 3 * 3600 * 1000)
    assert run(town, tmp_path)[0] == cli.STALE


def test_a_policy_of_another_town_accepts_nothing(town: Town, tmp_path: Path) -> None:
    other = make_town("woodland", now_ms=town.now_ms)
    town.policy_text = other.policy_text
    assert run(town, tmp_path)[0] in (cli.DISHONEST, cli.UNREADABLE)


def test_texts_are_read_where_people_read_them() -> None:
    """Not beside the logs: a right copy there would hide an altered page."""
    asked: list[str] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        asked.append(str(request.url))
        return httpx2.Response(200, stream=httpx2.ByteStream(b"text"))

    http = httpx2.Client(transport=httpx2.MockTransport(answer))
    for source in (
        HttpSource("https://relay.example/log/", http=http),
        HttpSource("https://logs.example", site="https://relay.example/", http=http),
    ):
        assert source.fetch_page("agreements/1", max_bytes=9) == b"text"
        assert source.fetch("register/checkpoint", max_bytes=9) == b"text"
    assert asked == [
        "https://relay.example/agreements/1",
        "https://relay.example/log/register/checkpoint",
        "https://relay.example/agreements/1",
        "https://logs.example/register/checkpoint",
    ]


class TownFiles:
    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files

    def fetch(self, path: str, *, max_bytes: int) -> bytes | None:  # noqa: ARG002
        return self.files.get(path)

    def fetch_page(self, path: str, *, max_bytes: int) -> bytes | None:  # noqa: ARG002
        return self.files.get(path)


@pytest.mark.slow
def test_100_000_entries_are_replayed_in_about_a_second() -> None:
    town = make_town(now_ms=NOW_MS, age_days=700)
    first = NOW_MS // 600_000 - 100_000
    entries = [slot_entry(first + number, os.urandom(32)) for number in range(100_000)]
    town.custody_log.append(*entries, at_ms=NOW_MS)
    files = {
        f"{name}/{path}": data
        for name, log in (("register", town.register_log), ("custody", town.custody_log))
        for path, data in log._files().items()
    } | {f"agreements/{sha256}": text for sha256, text in town.texts.items()}
    begin = time.process_time()
    seen = inspect_logs(
        TownFiles(files), town.policy, SeenCheckpoints(None), wall_ms=lambda: NOW_MS
    )
    took_s = time.process_time() - begin
    assert seen.violations == ()
    assert seen.report["custody"]["slots"]["logged"] == 100_001
    assert took_s < 5.0  # about 1.4 s of the processor
    print(f"100,000 entries read, replayed and checked in {took_s:.2f} s")
