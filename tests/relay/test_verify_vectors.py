"""The golden packages: what the page in a browser says of each, the command line says as well."""

import json
from pathlib import Path
from typing import Any

import pytest
from msgspec import convert

from firmware.protocol.encoding import unb64u
from firmware.protocol.register.entries import SignedAgreement
from firmware.protocol.register.register_file import parse_register
from firmware.protocol.tlog.policy import parse_policy
from relay.verify.agency_key import AgencyKey, KnownAgency
from relay.verify.report import Report, TrustAnchors, check_evidence
from tests.fakes.media import bytes_of, evidence_of_files, evidence_of_package
from tests.vectors.make_packages import limits

FOLDER = Path(__file__).parents[1] / "vectors/packages"


def vectors(name: str) -> Any:  # Any: JSON
    return json.loads((FOLDER / f"{name}.json").read_text("utf-8"))


CASES = vectors("cases")
PACKAGE = vectors("package")


def files_of(case: dict[str, Any]) -> dict[str, bytes]:
    own = case["own"]["files"] if "own" in case else PACKAGE["files"]
    files = {name: unb64u(data) for name, data in own.items()}
    for name, change in case["changes"].items():
        old = files.pop(name, b"")
        if change is not None:
            end = old[len(old) - change["last"] :]
            files[name] = old[: change["first"]] + unb64u(change["bytes"]) + end
    return files


def given_of(case: dict[str, Any]) -> TrustAnchors:
    at_hand = case["own"]["given"] if "own" in case else vectors("given")
    agreement = convert(at_hand["agreement"], SignedAgreement)
    return TrustAnchors(
        agency=KnownAgency.of_agreement(agreement) if "agency" in case["given"] else None,
        policy=parse_policy(at_hand["policy"].encode()) if "policy" in case["given"] else None,
        fleet_ca=at_hand["fleet_ca"].encode() if "fleet_ca" in case["given"] else None,
        register=parse_register(unb64u(case["register"])) if "register" in case else None,
    )


def told(report: Report) -> list[list[Any]]:
    return [[check.kind.value, check.result.value.lower()] for check in report.checks]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_says_of_each_golden_package_what_is_written_down(case: dict[str, Any]) -> None:
    report = check_evidence(evidence_of_files(files_of(case)), given_of(case))
    assert told(report) == case["checks"]
    assert (report.exit_code, report.example) == (case["code"], case["example"])


def test_the_golden_package_opens_into_the_golden_files() -> None:
    key = convert(vectors("given")["key"], AgencyKey)
    evidence = evidence_of_package(unb64u(PACKAGE["sealed"]), key)
    assert bytes_of(evidence.files) == files_of({"changes": {}})
    assert (
        check_evidence(evidence, given_of({"given": ["agency", "policy", "fleet_ca"]})).exit_code
        == 0
    )


def test_only_what_a_doorbell_packs_and_says_is_taken() -> None:
    assert vectors("limits") == limits()


def test_every_exit_code_of_a_check_is_among_the_golden_ones() -> None:
    assert {case["code"] for case in CASES} >= {0, 3, *range(11, 21)} - {18}
