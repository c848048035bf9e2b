"""`doorward-verify`: what it says of evidence, offline, and with which exit code it ends."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from dataclasses import replace as changed_unit
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from msgspec.structs import replace as changed

from firmware.protocol.contents import CONTENTS_NAME, SignedContents
from firmware.protocol.encoding import b64u, decode, new_id
from firmware.protocol.grants import Recipient
from firmware.protocol.passkeys import Assertion
from firmware.protocol.released_part import ReleasedPart
from firmware.protocol.requests import SignedRequest
from relay.verify.agency_key import KnownAgency
from relay.verify.checks import Exit, Result
from relay.verify.cli import main
from relay.verify.document_reader import statement_unverified
from relay.verify.report import Report, TrustAnchors, check_evidence
from tests.fakes.log_town import make_town
from tests.fakes.media import evidence_of_files, evidence_of_package, in_memory
from tests.fakes.sealed_package import seal_package
from tests.relay.evidence_files import (
    Doorbell,
    Evidence,
    Film,
    Written,
    make_evidence,
    regranted,
    self_signed,
    with_files,
)

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def evidence() -> Evidence:
    return make_evidence(has_audio=True)


@pytest.fixture
def written(evidence: Evidence, tmp_path: Path) -> Written:
    return evidence.write(tmp_path)


def reported(
    evidence: Evidence, files: dict[str, bytes], given: TrustAnchors | None = None
) -> Report:
    return check_evidence(evidence_of_files(files), given or evidence.given)


def failing(report: Report) -> set[Exit]:
    return {check.kind for check in report.checks if check.result is Result.FAILS}


def test_a_package_of_which_all_holds_ends_with_nothing(written: Written, capsys) -> None:
    assert written.verify(written.package) == 0
    said = capsys.readouterr().out
    assert "FAILS" not in said
    assert "not checked" not in said
    assert said.endswith("result 0: every check was made, and holds\n")


def test_the_opened_files_say_the_same_without_the_package(written: Written) -> None:
    assert written.verify(written.opened) == 0


def test_it_says_who_asked_who_gave_when_and_what(written: Written, capsys) -> None:
    written.verify(written.package)
    said = capsys.readouterr().out
    for words in (
        "asked by    Officer Lund, with Sergeant Berg, of lakeland-police",
        "case        LK-2026/0117 (burglary)",
        "in words    A garage was broken into.",
        "granted     1 recording, with sound, to lakeland-police",
        "recording number 7 of this doorbell",
        "begun 2026-09-21 13:43:20 UTC, by the doorbell's clock",
        "first picture 2026-09-21 13:43:20.000 UTC, last 2026-09-21 13:43:21.898 UTC",
    ):
        assert words in said


def test_what_is_not_at_hand_is_said_and_never_holds(written: Written, capsys) -> None:
    assert main([str(written.opened)]) == Exit.INCOMPLETE
    said = capsys.readouterr().out
    assert "not checked  the fleet issued the doorbell's certificate" in said
    assert "not checked  two officers of the agency signed the request" in said
    assert "not checked  the logs signed their checkpoints" in said
    assert "FAILS" not in said


def test_the_register_says_who_the_agency_is_where_nobody_brings_its_key(written: Written) -> None:
    words = ["--policy", str(written.policy), "--fleet-ca", str(written.fleet_ca)]
    assert main([str(written.opened), *words]) == 0


def test_the_agencys_agreement_serves_instead_of_its_key(evidence, written, tmp_path) -> None:
    town = evidence.town
    agreement = town.sign_agreement(town.agreement).signed
    (tmp_path / "agreement.json").write_bytes(agreement.encode())
    words = ["--agreement", str(tmp_path / "agreement.json"), "--fleet-ca", str(written.fleet_ca)]
    assert main([str(written.opened), *words]) == Exit.INCOMPLETE  # no policy


def test_a_program_reads_the_same(written: Written, capsys) -> None:
    assert written.verify(written.package, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["exit_code"] == 0
    assert {check["result"] for check in told["checks"]} == {"holds"}
    (recording,) = told["recordings"]
    assert (recording["pictures"], recording["has_sound"]) == (20, True)


def test_what_lies_beside_the_evidence_is_named_and_not_looked_at(written: Written, capsys) -> None:
    (written.opened / "my notes.txt").write_text("hello")
    assert written.verify(written.opened) == 0
    assert "not part of the evidence, and not looked at: my notes.txt" in capsys.readouterr().out


def test_a_request_cannot_write_on_the_officers_screen(tmp_path: Path, capsys) -> None:
    written = make_evidence(text="\x1b[2Jholds\nresult 0").write(tmp_path)
    assert written.verify(written.opened) == 0
    said = capsys.readouterr().out
    assert "\x1b" not in said
    assert "in words    [U+001B][2Jholds result 0" in said


def test_a_request_that_turns_its_text_is_none(tmp_path: Path, capsys) -> None:
    written = make_evidence(text="holds\u202e gnihton").write(tmp_path)
    assert written.verify(written.opened) == Exit.REQUEST
    assert "\u202e" not in capsys.readouterr().out


def test_an_invented_town_is_said_to_be_one(tmp_path: Path, capsys) -> None:
    written = make_evidence(town=make_town(kind="example")).write(tmp_path)
    written.verify(written.opened)
    assert capsys.readouterr().out.startswith("AN INVENTED TOWN")


def test_help_lists_every_exit_code(capsys) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    told = capsys.readouterr().out
    for code in Exit:
        assert f"  {code.value:2}  {code.words}\n" in told


def test_the_guide_lists_every_exit_code() -> None:
    guide = (ROOT / "docs/guide/agency.md").read_text("utf-8")
    for code in Exit:
        assert f"| {code.value} | {code.words} |" in guide


# --- each kind of failure has its own exit code ---


def another_request(evidence: Evidence) -> bytes:
    return evidence.town.publish(case_number="OTHER-1").encode()


def unsigned(evidence: Evidence) -> bytes:
    signed = decode(SignedRequest, evidence.files["request.json"])
    return changed(signed, cosignature=signed.assertion).encode()


def other_part(evidence: Evidence) -> bytes:
    part = decode(ReleasedPart, evidence.files["part-1.json"])
    return changed(part, gop_count=1).encode()


def foreign(name: str) -> Callable[[Evidence], bytes]:
    return lambda _: make_evidence(has_audio=True).files[name]


def neighbours(name: str) -> Callable[[Evidence], bytes]:
    return lambda evidence: make_evidence(town=evidence.town).files[name]


def silent(_: Evidence) -> bytes:
    return Film().mp4([])


def with_a_foreign_box(evidence: Evidence) -> bytes:
    return evidence.files["clip-1.mp4"] + b"\0\0\0\x18uuid" + bytes(16)


def out_of_the_log(evidence: Evidence) -> bytes:
    return evidence.files["release.json"].replace(b"index 3", b"index 1")


KINDS = [
    ("device.pem", lambda _: self_signed(ec.generate_private_key(ec.SECP256R1())), Exit.DEVICE),
    ("manifest-1.json", foreign("manifest-1.json"), Exit.DEVICE),
    ("request.json", unsigned, Exit.REQUEST),
    ("request.json", another_request, Exit.GRANT),
    ("part-1.json", other_part, Exit.GRANT),
    ("clip-1.mp4", lambda _: Film(2.1).mp4(), Exit.PICTURES),
    ("clip-1.mp4", silent, Exit.SOUND),
    ("release.json", out_of_the_log, Exit.LOG),
    ("register.json", foreign("register.json"), Exit.LOG),
    ("capture-1.json", neighbours("capture-1.json"), Exit.CAPTURE),
    ("clip-1.mp4", with_a_foreign_box, Exit.PROVENANCE),
]


@pytest.mark.parametrize(("name", "forge", "kind"), KINDS, ids=lambda value: str(value)[:20])
def test_each_failure_has_its_code_even_if_the_doorbell_signed_the_list(
    evidence: Evidence, name: str, forge: Callable[[Evidence], bytes], kind: Exit
) -> None:
    assert reported(evidence, evidence.listed(**{name: forge(evidence)})).exit_code is kind


def test_a_byte_that_nobody_hashes_is_still_the_doorbells(evidence: Evidence) -> None:
    files = evidence.listed()
    mp4 = files["clip-1.mp4"]
    at = mp4.index(b"VideoHandler")
    files["clip-1.mp4"] = mp4[:at] + b"w" + mp4[at + 1 :]
    assert failing(reported(evidence, files)) == {Exit.PACKAGE}


def test_another_policys_witnesses_prove_nothing(evidence: Evidence) -> None:
    charters = evidence.town.policy.charters
    given = replace(evidence.given, policy=replace(make_town().policy, charters=charters))
    assert reported(evidence, evidence.listed(), given).exit_code is Exit.POLICY


def test_with_a_policy_a_missing_proof_fails(evidence: Evidence) -> None:
    files = with_files(evidence, **{"release.json": None}).listed()
    assert reported(evidence, files).exit_code is Exit.LOG
    without = replace(evidence.given, policy=None)
    assert Exit.LOG not in failing(reported(evidence, files, without))


def test_another_fleets_certificate_is_found(evidence: Evidence) -> None:
    given = replace(evidence.given, fleet_ca=Doorbell().authority.pem.encode())
    assert reported(evidence, evidence.listed(), given).exit_code is Exit.DEVICE


def test_another_agencys_key_opens_nothing(written: Written, tmp_path: Path, capsys) -> None:
    (tmp_path / "other.json").write_bytes(make_evidence().key.encode())
    assert main([str(written.package), "--key", str(tmp_path / "other.json")]) == Exit.UNREADABLE
    assert "isn't sealed to this key" in capsys.readouterr().err


def test_an_altered_package_is_told_from_one_that_is_none(written: Written, tmp_path: Path) -> None:
    data = bytearray(written.package.read_bytes())
    data[-1] ^= 1
    written.package.write_bytes(data)
    assert written.verify(written.package) == Exit.PACKAGE
    written.package.write_bytes(b"PK\x03\x04")
    assert written.verify(written.package) == Exit.UNREADABLE


def test_wrong_use_is_no_verdict(written: Written, capsys) -> None:
    assert main([str(written.package)]) == Exit.USAGE
    assert "give the agency's key" in capsys.readouterr().err
    assert main([str(written.folder / "nowhere")]) == Exit.USAGE


def test_a_key_of_another_package_in_the_header_is_found(evidence: Evidence) -> None:
    other = make_evidence(town=evidence.town)
    sealed = replace(evidence, grant_digest=other.grant_digest).sealed(evidence.listed())
    report = check_evidence(evidence_of_package(sealed, evidence.key), evidence.given)
    assert Exit.GRANT in failing(report)


def test_a_doorbell_that_gives_itself_for_another_is_found(evidence: Evidence) -> None:
    forger = Doorbell()
    forger.device = evidence.doorbell.device
    forged = make_evidence(town=evidence.town, doorbell=forger)
    assert failing(reported(forged, forged.listed())) == {Exit.DEVICE, Exit.CAPTURE}


def test_a_list_of_files_that_was_signed_for_another_package_is_found(evidence: Evidence) -> None:
    other = make_evidence(town=evidence.town)
    of_another_grant = replace(evidence, grant_digest=other.grant_digest).listed()
    assert failing(reported(evidence, of_another_grant)) == {Exit.PACKAGE}
    sealed = replace(evidence, package_id=new_id()).sealed(evidence.listed())
    report = check_evidence(evidence_of_package(sealed, evidence.key), evidence.given)
    assert failing(report) == {Exit.PACKAGE}


def test_a_list_of_files_that_the_doorbell_did_not_sign_is_found(evidence: Evidence) -> None:
    files = evidence.listed()
    other = evidence.listed(**{"part-1.json": b"{}"})
    signed, unsigned_ = (decode(SignedContents, one[CONTENTS_NAME]) for one in (files, other))
    forged = changed(unsigned_, signature=signed.signature).encode()
    report = reported(evidence, other | {CONTENTS_NAME: forged})
    assert Exit.PACKAGE in failing(report)


def test_a_manifest_that_names_another_doorbell_is_found(evidence: Evidence) -> None:
    doorbell, film = Doorbell(), Film(1, with_sound=False)
    forged = make_evidence(
        town=evidence.town, doorbell=doorbell, film=film, manifest=film.manifest("b" * 20)
    )
    assert Exit.DEVICE in failing(reported(forged, forged.listed()))


def test_a_grant_by_no_passkey_is_found(evidence: Evidence) -> None:
    grant = json.loads(evidence.files["grant.json"])
    other = json.loads(make_evidence(town=evidence.town).files["grant.json"])
    grant["assertion"] = other["assertion"]
    Assertion(**grant["assertion"])
    files = evidence.listed(**{"grant.json": json.dumps(grant).encode()})
    assert reported(evidence, files).exit_code is Exit.GRANT


def test_a_request_that_one_officer_signed_twice_fails_also_where_no_agency_is_known(
    evidence: Evidence,
) -> None:
    files = evidence.listed(**{"request.json": unsigned(evidence)})
    assert Exit.REQUEST in failing(reported(evidence, files, TrustAnchors()))


def test_another_agency_of_the_same_key_did_not_ask(evidence: Evidence) -> None:
    agency = replace(KnownAgency.of_key(evidence.key), id="another")
    for policy in (None, evidence.town.policy):
        given = replace(evidence.given, agency=agency, policy=policy)
        assert {Exit.REQUEST, Exit.GRANT} <= failing(reported(evidence, evidence.listed(), given))


def test_a_grant_to_another_agency_than_asked_is_found(evidence: Evidence) -> None:
    recipient = Recipient(agency="another", sealing_keys=evidence.town.agreement.sealing_keys)
    forged = regranted(evidence, recipient=recipient)
    given = replace(evidence.given, agency=None, policy=None)
    assert failing(reported(forged, forged.listed(), given)) == {Exit.GRANT}


def test_a_grant_of_less_than_is_here_is_found(evidence: Evidence) -> None:
    (clip,) = statement_unverified(in_memory(evidence.files)).terms.clips
    shorter = changed(clip, to_ms=clip.to_ms - 500)
    assert failing(reported_of(regranted(evidence, clips=[shorter]))) == {Exit.GRANT}
    assert failing(reported_of(regranted(evidence, clips=[clip, clip]))) == {Exit.GRANT}
    assert Exit.SOUND in failing(reported_of(regranted(evidence, has_audio=False)))


def reported_of(evidence: Evidence) -> Report:
    return reported(evidence, evidence.listed())


def test_a_package_of_another_doorbell_or_sealed_to_another_key_is_found(
    evidence: Evidence,
) -> None:
    keys = evidence.town.agreement.sealing_keys
    for device, recipients in (
        ("a" * 20, keys),
        (evidence.doorbell.device, [*keys, b64u(bytes(31) + b"\x09")]),
    ):
        sealed = seal_package(
            package_id=evidence.package_id,
            device=device,
            agency=evidence.town.agreement.agency,
            grant_digest=evidence.grant_digest,
            recipients=recipients,
            files=evidence.listed(),
        )
        report = check_evidence(evidence_of_package(sealed, evidence.key), evidence.given)
        assert failing(report) == {Exit.GRANT}


def test_nothing_is_told_as_a_fact_of_a_recording_that_fails(evidence: Evidence) -> None:
    report = reported(evidence, evidence.listed(**{"clip-1.mp4": Film(2.1).mp4()}))
    assert report.recordings == ()


def test_an_unnamed_second_recording_is_found(evidence: Evidence) -> None:
    more = {"clip-2.mp4": "clip-1.mp4", "manifest-2.json": "manifest-1.json"}
    files = evidence.listed() | {new: evidence.files[old] for new, old in more.items()}
    assert {Exit.PACKAGE, Exit.GRANT} <= failing(reported(evidence, files))


# --- offline, alone, fast ---

BLOCKED = """
import socket, sys
def refuse(*_, **__): raise SystemExit("it opened a socket")
socket.socket = socket.create_connection = socket.getaddrinfo = refuse
from relay.verify.cli import main
code = main(sys.argv[1:])
foreign = sorted(name for name in sys.modules if name.split(".")[0] in ("relay", "firmware"))
bad = [n for n in foreign if not n.startswith(("relay.verify", "firmware.protocol")) and "." in n]
sys.exit(f"it imported {bad}" if bad else code)
"""


def test_it_needs_no_network_and_imports_the_protocol_alone(written: Written) -> None:
    done = subprocess.run(
        [sys.executable, "-c", BLOCKED, str(written.package), *written.all_given],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_half_a_minute_of_a_real_cameras_size_is_checked_within_a_second() -> None:
    film = Film(30, with_sound=False)
    filler = b"\0\0\0\1\x0c" + b"\xff" * 50_000 + b"\x80"  # 15 MB of NAL units of type 12
    film.units = [changed_unit(unit, data=unit.data + filler) for unit in film.units]
    evidence = make_evidence(film=film)
    sealed = evidence.sealed()
    begun_s = time.process_time()  # a busy machine is no slower verifier
    report = check_evidence(evidence_of_package(sealed, evidence.key), evidence.given)
    assert time.process_time() - begun_s < 1
    assert report.exit_code is Exit.HOLDS
    assert len(sealed) > 15_000_000


def test_a_nonsense_id_of_a_part_is_found(evidence: Evidence) -> None:
    part = decode(ReleasedPart, evidence.files["part-1.json"])
    files = evidence.listed(**{"part-1.json": changed(part, clip_id=new_id()).encode()})
    assert reported(evidence, files).exit_code is Exit.GRANT
