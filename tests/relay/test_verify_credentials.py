"""A clip with real C2PA content credentials: the same pictures, and the claim that is named."""

import json
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from msgspec.structs import replace

from firmware.evidence.provenance import Claim, Provenance
from firmware.protocol.encoding import decode
from firmware.protocol.released_part import ReleasedPart
from relay.verify.checks import Check, Exit, Result
from relay.verify.readings import Reading, read_clips
from relay.verify.report import check_evidence
from tests.fakes.media import evidence_of_files
from tests.fakes.media import trim_files as trim
from tests.relay.evidence_files import Doorbell, Evidence, make_evidence

pytest.importorskip("c2pa", reason="c2pa-python isn't installed")
READER = f"c2pa-python {version('c2pa-python')}"


class Signer:
    """The doorbell's identity key, as the doorbell's own code asks for it."""

    def __init__(self, doorbell: Doorbell) -> None:
        self._key = doorbell.key

    def sign(self, data: bytes) -> bytes:
        return self._key.sign(data, ec.ECDSA(hashes.SHA256()))


@pytest.fixture(scope="module")
def evidence() -> Evidence:
    return make_evidence(has_audio=True)


@pytest.fixture(scope="module")
def credited(evidence: Evidence) -> dict[str, bytes]:
    """The files with credentials in the clip, as the doorbell makes them."""
    part = decode(ReleasedPart, evidence.files["part-1.json"])
    claim = Claim(
        part=part,
        manifest_digest="ab" * 32,
        grant_digest=evidence.grant_digest,
        is_trimmed=False,
    )
    provenance = Provenance(signer=Signer(evidence.doorbell), certificate_pem=evidence.doorbell.pem)
    made = provenance.credit(evidence.files["clip-1.mp4"], claim)
    named = replace(part, provenance=made.provenance)
    return {"clip-1.mp4": made.mp4, "part-1.json": named.encode()}


def checks_of(evidence: Evidence, files: dict[str, bytes]) -> list[Check]:
    return list(check_evidence(evidence_of_files(files), evidence.given).checks)


def failing(checks: list[Check]) -> set[Exit]:
    return {check.kind for check in checks if check.result is Result.FAILS}


def test_a_clip_with_credentials_holds_and_its_claim_is_named(evidence, credited) -> None:
    checks = checks_of(evidence, evidence.listed(**credited))
    assert failing(checks) == set()
    (provenance,) = (check for check in checks if check.kind is Exit.PROVENANCE)
    assert provenance.detail == "a claim, for a C2PA tool and the fleet's CA to check"


def test_credentials_that_are_not_named_or_named_and_not_there_are_found(
    evidence, credited
) -> None:
    for name in credited:
        one = {name: credited[name]}
        assert failing(checks_of(evidence, evidence.listed(**one))) == {Exit.PROVENANCE}


def test_something_else_in_the_claims_place_is_found(evidence, credited) -> None:
    mp4 = credited["clip-1.mp4"]
    at = mp4.index(b"uuid") + 4
    other = mp4[:at] + bytes(16) + mp4[at + 16 :]
    files = evidence.listed(**credited | {"clip-1.mp4": other})
    assert failing(checks_of(evidence, files)) == {Exit.PROVENANCE}


def test_a_trim_leaves_the_credentials_out_and_says_so(evidence, credited) -> None:
    trimmed = trim(evidence.listed(**credited), 1, from_s=0, to_s=1.5)
    assert failing(checks_of(evidence, trimmed.files)) == set()
    assert trimmed.part.provenance == "none: trimmed after the release"
    assert b"jumb" not in trimmed.files["clip-1.mp4"]


def test_c2pas_own_reader_trusts_the_claim_by_the_fleets_ca(evidence, credited) -> None:
    files = evidence_of_files(evidence.listed(**credited)).files
    trusted = Reading(file="clip-1.mp4", reader=READER, state="Trusted")
    assert read_clips(files, evidence.given.fleet_ca) == (trusted,)
    (unknown,) = read_clips(files, None)
    assert (unknown.state, unknown.problems) == ("Valid", ("signingCredential.untrusted",))
    assert not unknown.is_refused
    (strange,) = read_clips(files, Doorbell().authority.pem.encode())
    assert strange.is_refused


def test_a_clip_without_a_claim_is_not_read(evidence) -> None:
    assert read_clips(evidence_of_files(evidence.listed()).files, evidence.given.fleet_ca) == ()


def bent(credited: dict[str, bytes]) -> dict[str, bytes]:
    """A claim with one bit changed: no check of Doorward's own looks at it."""
    mp4 = bytearray(credited["clip-1.mp4"])
    mp4[mp4.index(b"org.doorward.clip") + 4] ^= 1
    return {**credited, "clip-1.mp4": bytes(mp4)}


def test_a_bent_claim_fails_by_c2pas_reader_alone_and_that_is_told_apart(
    evidence: Evidence, credited, tmp_path: Path, capsys
) -> None:
    """Seen to end with 0 without the reader."""
    written = evidence.write(tmp_path)
    for name, data in evidence.listed(**bent(credited)).items():
        (written.opened / name).write_bytes(data)
    assert written.verify(written.opened) == Exit.READER
    said = capsys.readouterr().out
    assert "FAILS" not in said
    assert "\n\nC2PA's own reader, apart from Doorward's checks:\n  clip-1.mp4: REFUSED, " in said
    assert said.endswith(f"result 21: {Exit.READER.words}\n")
    assert written.verify(written.opened, "--json") == Exit.READER
    (reading,) = json.loads(capsys.readouterr().out)["c2pa"]
    assert (reading["file"], reading["reader"], reading["is_refused"]) == (
        "clip-1.mp4",
        READER,
        True,
    )


def test_a_check_of_doorwards_own_that_fails_is_named_before_the_reader(
    evidence: Evidence, credited, tmp_path: Path
) -> None:
    written = evidence.write(tmp_path)
    for name, data in evidence.listed(**bent(credited)).items():
        (written.opened / name).write_bytes(data)
    (written.opened / "clip-1.mp4").write_bytes(bent(credited)["clip-1.mp4"][:-1])
    assert written.verify(written.opened) == Exit.PICTURES


@pytest.mark.parametrize(
    "program",
    ["import os; os.abort()", "print('[]')", "print('{}')", "raise SystemExit(1)", "print('x')"],
)
def test_a_reader_that_breaks_down_is_no_success(evidence, credited, program: str) -> None:
    command = (sys.executable, "-c", program)
    files = evidence_of_files(evidence.listed(**credited)).files
    (reading,) = read_clips(files, evidence.given.fleet_ca, command=command)
    assert reading.is_refused
    assert reading.words.startswith("Unreadable: it broke down (")
