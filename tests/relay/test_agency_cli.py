"""`doorward-agency` on real files: keys, certificates, and evidence of a real recording."""

import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from msgspec.structs import replace

from firmware.protocol.encoding import (
    WireError,
    decode,
    unb64u,
)
from firmware.protocol.requests import (
    SignedCertificate,
    check_certificate,
)
from relay.agency.keys import certify
from relay.agency.mp4 import access_units
from relay.agency_cli import main
from tests.relay.evidence_files import (
    CELL,
    NOW_MS,
    Evidence,
    agency_of,
    key_of,
    make_evidence,
    make_keys,
    officer_file,
    record,
    self_signed,
    sign_request,
)


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    return make_keys(tmp_path)


def test_the_secret_key_is_for_its_owner_alone_and_not_in_the_public_file(keys: Path) -> None:
    assert stat.S_IMODE((keys / "agency-key.json").stat().st_mode) == 0o600
    public = (keys / "agency.json").read_text()
    assert key_of(keys).sealing_private_key not in public
    assert agency_of(keys).sealing_keys == [key_of(keys).sealing_public_key]


def test_a_key_is_never_overwritten(keys: Path) -> None:
    before = (keys / "agency-key.json").read_bytes()
    arguments = ["keygen", "--id", "other", "--name", "Other", "--cells", CELL]
    assert main([*arguments, "--out", str(keys)]) == 2
    assert (keys / "agency-key.json").read_bytes() == before


def test_a_cell_that_is_none_is_refused(tmp_path: Path, capsys) -> None:
    arguments = ["keygen", "--id", "lakeland", "--name", "Lakeland", "--cells", "here"]
    assert main([*arguments, "--out", str(tmp_path / "new")]) == 2
    assert "--cells" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


def test_certifies_an_officers_passkey(keys: Path, tmp_path: Path) -> None:
    officer = officer_file()
    (tmp_path / "officer.json").write_bytes(officer.encode())
    arguments = ["certify", "--key", str(keys / "agency-key.json")]
    arguments += ["--officer", str(tmp_path / "officer.json"), "--out", str(tmp_path / "c.json")]
    assert main(arguments) == 0
    signed = decode(SignedCertificate, (tmp_path / "c.json").read_bytes())
    certificate = check_certificate(signed, unb64u(agency_of(keys).signing_key))
    assert certificate.passkey == officer.passkey
    assert certificate.agency == "lakeland"


def test_a_file_that_is_something_else_is_refused_by_name(keys: Path, capsys) -> None:
    arguments = ["certify", "--key", str(keys / "agency-key.json"), "--out", "/dev/null"]
    assert main([*arguments, "--officer", str(keys / "agency.json")]) == 2
    assert "agency.json" in capsys.readouterr().err


@pytest.fixture
def evidence(keys: Path) -> Evidence:
    return make_evidence(keys, *record())


def test_opens_evidence_and_every_check_holds(evidence: Evidence, tmp_path: Path, capsys) -> None:
    package = evidence.seal(tmp_path / "package")
    assert evidence.open(package, tmp_path / "out") == 0
    assert (tmp_path / "out" / "clip-1.mp4").read_bytes() == evidence.files["clip-1.mp4"]
    said = capsys.readouterr().out
    assert "FAILS" not in said
    assert "clip-1.mp4:\n  recording number 1 of this doorbell\n" in said


def test_another_recording_in_its_place_is_found_out(
    evidence: Evidence, tmp_path: Path, capsys
) -> None:
    other, _ = record(seconds=2.1)
    forged = bytearray(evidence.files["clip-1.mp4"])
    forged[-200] ^= 1
    for mp4 in (bytes(forged), other):
        package = evidence.seal(tmp_path / "package", **{"clip-1.mp4": mp4})
        assert evidence.open(package, tmp_path / "out") == 1
        said = capsys.readouterr().out
        assert "FAILS  clip-1.mp4" in said
        # Seen to fail with `checked.append` moved above _check_footage.
        assert "recording number" not in said  # what isn't proven isn't told as a fact


def test_another_request_or_doorbell_in_its_place_is_found_out(
    evidence: Evidence, tmp_path: Path
) -> None:
    other = ec.generate_private_key(ec.SECP256R1())
    for name, data in (
        ("request.json", sign_request(evidence.keys).encode()),
        ("device.pem", self_signed(other)),
        ("grant.json", b"{}"),
    ):
        package = evidence.seal(tmp_path / "package", **{name: data})
        assert evidence.open(package, tmp_path / "out") == 1


def test_an_altered_package_is_not_opened_at_all(evidence: Evidence, tmp_path: Path) -> None:
    package = evidence.seal(tmp_path / "package")
    data = bytearray(package.read_bytes())
    data[-1] ^= 1
    package.write_bytes(data)
    assert evidence.open(package, tmp_path / "out") == 2
    assert not (tmp_path / "out").exists()


def test_any_cut_of_a_clip_is_an_error_in_words(evidence: Evidence) -> None:
    mp4 = evidence.files["clip-1.mp4"]
    for size in range(0, len(mp4), 97):
        with pytest.raises(WireError):
            access_units(mp4[:size])


def test_an_unusual_key_is_refused(evidence: Evidence) -> None:
    key = replace(key_of(evidence.keys), signing_key_pem="-----BEGIN NOTHING-----")
    with pytest.raises(WireError, match="signing key"):
        certify(key, officer_file(), not_after_ms=NOW_MS)
