"""The court pack: the same bytes for the same report, and nothing in it that a stranger steers."""

import os
import re
import subprocess
import sys
import zlib
from base64 import a85decode
from pathlib import Path

import pytest

from relay.verify.checks import Exit
from relay.verify.cli import main
from relay.verify.file_reader import read_folder
from relay.verify.report import Report, TrustAnchors, check_evidence
from tests.fakes.log_town import make_town
from tests.fakes.media import bytes_of, evidence_of_files, evidence_of_package
from tests.relay.evidence_files import Evidence, Film, make_evidence

court_layout = pytest.importorskip("relay.verify.court_layout", reason="ReportLab isn't installed")
court_pack = pytest.importorskip("relay.verify.court_pack", reason="ReportLab isn't installed")

ROOT = Path(__file__).parents[2]
EVIL = (
    "Jag såg en röd bil på Åsgatan – ägd av <b>Öberg</b> &amp; <img src='http://x.test/a.png'/>"
    "</para><font size=99>stor</font> \u0430\u0440\u0440le " + "x" * 400 + "\nrad två"
)


@pytest.fixture(scope="module")
def evidence() -> Evidence:
    return make_evidence(has_audio=True)


def report_of(evidence: Evidence, **changes: bytes) -> Report:
    return check_evidence(evidence_of_files(evidence.listed(**changes)), evidence.given)


class Told(str):
    """The text of all pages; where lines and strings end doesn't matter for what is in it."""

    __slots__ = ()

    def __contains__(self, words: object) -> bool:
        return "".join(str(words).split()) in "".join(self.split())


def text_of(pdf: bytes) -> Told:
    """Return the text, as far as ReportLab writes it: strings in Tj, cp1252."""
    streams = re.findall(rb"stream\r?\n(.*?)endstream", pdf, re.DOTALL)
    pages = [zlib.decompress(a85decode(one.strip(), adobe=False)) for one in map(_bare, streams)]
    shown = re.findall(rb"\(((?:[^()\\]|\\.)*)\) Tj", b"\n".join(pages), re.DOTALL)
    return Told(" ".join(_unescaped(one).decode("cp1252") for one in shown))


def _bare(stream: bytes) -> bytes:
    return stream.strip().removesuffix(b"~>")


def _unescaped(text: bytes) -> bytes:
    octal = re.sub(rb"\\([0-7]{3})", lambda found: bytes([int(found[1], 8)]), text)
    return re.sub(rb"\\(.)", rb"\1", octal)


def test_the_same_report_gives_the_same_bytes(evidence: Evidence) -> None:
    report = report_of(evidence)
    assert court_pack.court_pack(report) == court_pack.court_pack(report)


def test_another_process_in_another_place_gives_the_same_bytes(evidence, tmp_path: Path) -> None:
    written = evidence.write(tmp_path)
    packs = []
    for place in ("XXX3", "YYY-11"):
        out = tmp_path / f"{place}.pdf"
        done = subprocess.run(
            [
                *(sys.executable, "-m", "relay.verify.cli", str(written.package)),
                *(*written.all_given, "--court-pack", str(out)),
            ],
            cwd=ROOT,
            env=os.environ | {"TZ": place, "PYTHONHASHSEED": str(len(packs))},
            capture_output=True,
        )
        assert done.returncode == 0, done.stderr
        packs.append(out.read_bytes())
    assert packs[0] == packs[1]


def test_it_holds_what_was_asked_given_recorded_and_checked(evidence: Evidence) -> None:
    report = report_of(evidence)
    (recording,) = report.recordings
    text = text_of(court_pack.court_pack(report))
    for words in (
        "Every check was made, and holds.",
        "A garage was broken into.",
        "Officer Lund, with Sergeant Berg, of lakeland-police",
        "2026-09-21 13:43:20.000 UTC",
        "DRAFT. NOT SIGNED. NOT LEGAL ADVICE.",
        "doorward-verify FOLDER",
        recording.file_sha256,
        *(gop.leaf for gop in recording.manifest.gops),
        *(check.what.split(":")[-1].split()[-1] for check in report.checks),
    ):
        assert words in text


def test_a_request_cannot_break_the_layout_or_hide_in_it() -> None:
    text = text_of(court_pack.court_pack(report_of(make_evidence(text=EVIL))))
    assert "Jag såg en röd bil på Åsgatan – ägd av <b>Öberg</b> &amp; <img" in text
    assert "[U+0430][U+0440][U+0440]le" in text
    assert "rad två" in text


def test_the_longest_of_everything_fits() -> None:
    evidence = make_evidence(film=Film(90, with_sound=False), text="<" * 1999 + "&")
    pdf = court_pack.court_pack(report_of(evidence))
    assert len(re.findall(rb"/Type /Page\b", pdf)) < 20


@pytest.mark.parametrize("text", ["<br", "&", "&#0;", "]]>", "<!--", "%s {0} {files}", "(\\)"])
def test_odd_text_is_text(text: str) -> None:
    assert text in text_of(court_pack.court_pack(report_of(make_evidence(text=text))))


def test_failing_evidence_gets_no_certificate_and_no_facts(evidence: Evidence) -> None:
    report = report_of(evidence, **{"clip-1.mp4": Film(2.1).mp4()})
    assert report.exit_code is Exit.PICTURES
    text = text_of(court_pack.court_pack(report))
    assert "A CHECK FAILS" in text
    assert "No certificate is drafted, because a check fails." in text
    assert "penalty of perjury" not in text
    assert "First picture" not in text


def test_what_was_not_checked_is_marked_where_it_is_told(evidence: Evidence) -> None:
    report = check_evidence(evidence_of_files(evidence.listed()), TrustAnchors())
    text = text_of(court_pack.court_pack(report))
    assert "Not proven: not every check of this holds. See section 4." in text
    assert "not checked" in text


def test_an_invented_town_is_named_on_every_page() -> None:
    pdf = court_pack.court_pack(report_of(make_evidence(town=make_town(kind="example"))))
    pages = len(re.findall(rb"/Type /Page\b", pdf))
    assert text_of(pdf).count("EVIDENCE OF NOTHING") == pages


def test_the_fingerprint_is_what_the_pack_tells_to_compute_of_package_or_folder(
    evidence: Evidence, tmp_path: Path
) -> None:
    opened = tmp_path / "opened"
    sealed = evidence_of_package(evidence.sealed(), evidence.key)
    opened.mkdir()
    for name, data in bytes_of(sealed.files).items():
        (opened / name).write_bytes(data)
    command = "LC_ALL=C sha256sum * | sha256sum"
    done = subprocess.run(["sh", "-c", command], cwd=opened, capture_output=True, text=True)
    for one in (sealed, read_folder(opened)):
        report = check_evidence(one, evidence.given)
        assert done.stdout.split()[0] in text_of(court_pack.court_pack(report))


def test_the_command_writes_it_and_still_ends_with_the_verdict(evidence, tmp_path: Path) -> None:
    written = evidence.write(tmp_path)
    out = tmp_path / "court.pdf"
    assert main([str(written.opened), "--court-pack", str(out)]) == Exit.INCOMPLETE
    assert out.read_bytes().startswith(b"%PDF-")
