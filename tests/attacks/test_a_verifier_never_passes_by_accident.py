"""`doorward-verify`: every pair of options does all that it says, or ends with 2."""

import itertools
import json
import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from firmware.protocol.command_line import ZERO
from relay.agency.keys import sign_agreement
from relay.verify.checks import Exit
from relay.verify.cli import main
from tests.relay.evidence_files import Evidence, Written, make_evidence

GIVEN = ("key", "agreement", "policy", "fleet-ca")
"""Options that bring what is trusted."""
OPTIONS = (*GIVEN, "json", "court-pack", "page")


@dataclass(frozen=True)
class Case:
    """Evidence in a folder, and a value for each option."""

    written: Written
    agreement: Path

    @property
    def pdf(self) -> Path:
        return self.written.folder / "court.pdf"

    @property
    def page(self) -> Path:
        return self.written.folder / "verify.html"

    def words(self, option: str) -> list[str]:
        values = {
            "key": self.written.key,
            "agreement": self.agreement,
            "policy": self.written.policy,
            "fleet-ca": self.written.fleet_ca,
            "court-pack": self.pdf,
            "page": self.page,
        }
        value = values.get(option)
        return [f"--{option}"] if value is None else [f"--{option}", str(value)]

    def run(self, *options: str, evidence: Path | None = None) -> int:
        """Run with these options; return the exit code, also if argparse ends it."""
        words = [str(evidence)] if evidence else []
        for option in options:
            words += self.words(option)
        try:
            return main(words)
        except SystemExit as ended:
            return int(ended.code or 0)


@pytest.fixture(scope="module")
def evidence() -> Evidence:
    return make_evidence()


@pytest.fixture
def case(evidence: Evidence, tmp_path: Path) -> Case:
    written = evidence.write(tmp_path)
    agreement = tmp_path / "agreement.json"
    agreement.write_bytes(sign_agreement(evidence.key, evidence.town.agreement).encode())
    return Case(written, agreement)


PAIRS = [*itertools.combinations(OPTIONS, 2), *((option, option) for option in OPTIONS)]


@pytest.mark.parametrize("pair", PAIRS, ids="+".join)
@pytest.mark.parametrize("is_altered", [False, True], ids=["whole", "altered"])
def test_each_pair_does_all_that_it_says_or_ends_with_2(
    case: Case, pair: tuple[str, str], is_altered: bool, capsys: pytest.CaptureFixture[str]
):
    """Seen to end with 0 on altered evidence for each pair with --page, before it stood alone."""
    if is_altered:
        clip = case.written.opened / "clip-1.mp4"
        data = bytearray(clip.read_bytes())
        data[-200] ^= 1
        clip.write_bytes(data)
    code = case.run(*pair, evidence=case.written.opened)
    said = capsys.readouterr()
    if "page" in pair or (pair[0] == pair[1] != "json"):
        assert code == Exit.USAGE
        assert not case.page.exists()
        assert not case.pdf.exists()
        assert said.out == ""
        return
    whole = Exit.HOLDS if {*pair} == {"policy", "fleet-ca"} else Exit.INCOMPLETE
    assert code == (Exit.PICTURES if is_altered else whole)
    assert case.pdf.exists() == ("court-pack" in pair)
    if "json" in pair:
        told = json.loads(said.out)
        results = {check["what"]: check["result"] for check in told["checks"]}
        assert told["exit_code"] == code
    else:
        lines = said.out.splitlines()
        results = {line[13:].split(":")[0]: line[:13].strip() for line in lines}
        assert lines[-1].startswith(f"result {code}: ")
    assert is_checked(results, "the fleet issued") == ("fleet-ca" in pair)
    assert is_checked(results, "the logs signed") == ("policy" in pair)
    assert is_checked(results, "two officers") == bool({"key", "agreement", "policy"} & {*pair})


def is_checked(results: dict[str, str], what: str) -> bool:
    (result,) = (result for name, result in results.items() if name.startswith(what))
    return result == "holds"


def test_all_that_is_trusted_together_is_the_one_way_to_0(case: Case):
    for count in range(len(GIVEN) + 1):
        for given in itertools.combinations(GIVEN, count):
            code = case.run(*given, evidence=case.written.opened)
            has_all = {"policy", "fleet-ca"} <= {*given}
            assert code == (Exit.HOLDS if has_all else Exit.INCOMPLETE), given


@pytest.mark.parametrize("option", GIVEN)
def test_the_page_is_saved_alone_and_with_nothing_else(case: Case, option: str):
    assert case.run("page") == Exit.HOLDS
    case.page.unlink()
    assert case.run("page", option) == Exit.USAGE
    assert not case.page.exists()


def test_a_page_is_refused_beside_an_empty_value_too(case: Case, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["--page", str(case.page), "--key", ""])
    assert "--page only saves the page and checks nothing" in capsys.readouterr().err


def test_an_option_given_twice_is_named(case: Case, capsys):
    assert case.run("policy", "policy", evidence=case.written.opened) == Exit.USAGE
    assert "--policy is given twice" in capsys.readouterr().err


def test_an_option_cut_short_is_none(case: Case):
    with pytest.raises(SystemExit, match="2"):
        main([str(case.written.opened), "--pol", str(case.written.policy)])


def test_a_key_and_an_agreement_of_different_agencies_are_refused(case: Case, capsys):
    other = make_evidence()
    signed = sign_agreement(other.key, other.town.agreement)
    case.agreement.write_bytes(signed.encode())
    assert case.run("key", "agreement", evidence=case.written.opened) == Exit.USAGE
    assert "different agencies, or of different keys" in capsys.readouterr().err


def test_help_says_what_every_code_means(capsys):
    with pytest.raises(SystemExit, match="0"):
        main(["--help"])
    said = capsys.readouterr().out
    assert all(
        re.search(rf"^ +{code.value}  {re.escape(code.words)}$", said, re.M) for code in Exit
    )
    assert ZERO in said


def test_a_trim_takes_no_option_twice(case: Case):
    clip = str(case.written.opened / "clip-1.mp4")
    out = case.written.folder / "out"
    with pytest.raises(SystemExit, match="2"):
        main(["trim", clip, "--from", "0", "--to", "1", "--to", "2", "--out", str(out)])
    assert not out.exists()
