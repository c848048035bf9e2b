"""`doorward-agency open`: the files, what holds, and an exit code if anything fails."""

import hashlib
import shutil
from pathlib import Path

import pytest

from firmware.protocol.register.register_file import REGISTER_FILE, encode_register
from relay.tools.agency.cli import main
from relay.verify.agency_key import OpeningKey
from relay.verify.checks import Exit
from relay.verify.saved_page import SAVED_PAGE
from tests.relay.evidence_files import Evidence, Film, Written, make_evidence


@pytest.fixture(scope="module")
def evidence() -> Evidence:
    return make_evidence(has_audio=True)


def opened(written: Written, key: Path | None = None) -> int:
    trusted = ("--policy", str(written.policy), "--fleet-ca", str(written.fleet_ca))
    return opened_with(written, key or written.key, *trusted)


def opened_with(written: Written, key: Path, *words: str) -> int:
    out = str(written.folder / "out")
    return main(["open", str(written.package), "--key", str(key), "--out", out, *words])


def test_what_is_not_checked_is_opened_but_no_success(evidence: Evidence, tmp_path: Path) -> None:
    """Seen to end with 0 while nobody had checked the fleet, the logs and the date."""
    written = evidence.write(tmp_path)
    assert opened_with(written, written.key) == Exit.INCOMPLETE
    assert (tmp_path / "out/clip-1.mp4").exists()


def test_opens_evidence_into_files_that_verify(evidence, tmp_path: Path, capsys) -> None:
    written = evidence.write(tmp_path)
    assert opened(written) == 0
    assert (tmp_path / "out/clip-1.mp4").read_bytes() == evidence.files["clip-1.mp4"]
    said = capsys.readouterr().out
    assert "FAILS" not in said
    assert "clip-1.mp4:\n  recording number 7 of this doorbell\n" in said
    assert written.verify(tmp_path / "out") == 0


def test_verify_is_the_very_same_as_doorward_verify(
    evidence: Evidence, tmp_path: Path, capsys
) -> None:
    written = evidence.write(tmp_path)
    own = written.verify(written.opened), capsys.readouterr()
    words = ["verify", str(written.opened), *written.all_given]
    assert (main(words), capsys.readouterr()) == own
    altered = written.opened / "clip-1.mp4"
    altered.write_bytes(altered.read_bytes()[:-1])
    assert main(words) == written.verify(written.opened) != 0


def test_a_key_that_can_only_open_does(evidence: Evidence, tmp_path: Path) -> None:
    key = evidence.key
    only_opens = OpeningKey(
        agency=key.agency,
        signing_key=evidence.town.agreement.signing_key,
        sealing_private_key=key.sealing_private_key,
        sealing_public_key=key.sealing_public_key,
    )
    (tmp_path / "sealing-key-desk.json").write_bytes(only_opens.encode())
    assert opened(evidence.write(tmp_path), tmp_path / "sealing-key-desk.json") == 0


@pytest.mark.parametrize("wrong", ["policy", "fleet-ca", "register"])
def test_nothing_is_written_if_an_option_cannot_be_read(
    evidence: Evidence, tmp_path: Path, wrong: str, capsys
) -> None:
    """Seen to leave the opened folder behind, unchecked, for a policy that isn't there."""
    written = evidence.write(tmp_path)
    nowhere = str(tmp_path / "nowhere")
    assert opened_with(written, written.key, f"--{wrong}", nowhere) == Exit.USAGE
    assert nowhere in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_the_whole_register_is_read_from_beside_the_package_or_as_named(
    evidence: Evidence, tmp_path: Path, capsys
) -> None:
    """Seen to be ignored beside the package."""
    written = evidence.write(tmp_path)
    whole = encode_register(evidence.town.register_log.entries)
    named = tmp_path / "saved.tlog"
    named.write_bytes(whole)
    trusted = ("--policy", str(written.policy), "--fleet-ca", str(written.fleet_ca))
    opened_with(written, written.key, *trusted, "--register", str(named))
    assert "by the whole register" in capsys.readouterr().out
    shutil.rmtree(tmp_path / "out")
    (tmp_path / REGISTER_FILE).write_bytes(whole)
    opened(written)
    assert "by the whole register" in capsys.readouterr().out
    shutil.rmtree(tmp_path / "out")
    (tmp_path / REGISTER_FILE).write_bytes(b"something else")
    assert opened(written) == Exit.USAGE
    assert not (tmp_path / "out").exists()


def test_evidence_that_fails_ends_with_what_fails(evidence, tmp_path: Path, capsys) -> None:
    written = evidence.write(tmp_path)
    forged = evidence.listed(**{"clip-1.mp4": Film(2.1).mp4()})
    written.package.write_bytes(evidence.sealed(forged))
    assert opened(written) == Exit.PICTURES
    said = capsys.readouterr().out
    assert "FAILS        clip-1.mp4: its pictures" in said
    assert "recording number 7 of" not in said  # what isn't proven isn't told as a fact


def test_a_program_that_a_changed_doorbell_packed_is_named_and_not_written(
    evidence: Evidence, tmp_path: Path, capsys
) -> None:
    """Seen to be written, with every check holding, while any name was a part of evidence."""
    written = evidence.write(tmp_path)
    written.package.write_bytes(evidence.sealed(evidence.listed(**{"report.pdf.exe": b"MZ"})))
    assert opened(written) == Exit.PACKAGE
    assert not (tmp_path / "out/report.pdf.exe").exists()
    said = capsys.readouterr().out
    assert "no part of evidence, and yet packed: report.pdf.exe" in said
    assert "not part of the evidence, and not looked at: report.pdf.exe" in said


def test_an_altered_package_is_not_opened_at_all(evidence: Evidence, tmp_path: Path) -> None:
    written = evidence.write(tmp_path)
    data = bytearray(written.package.read_bytes())
    data[-1] ^= 1
    written.package.write_bytes(data)
    assert opened(written) == Exit.PACKAGE
    assert not (tmp_path / "out").exists()


def test_the_saved_page_is_written_once_with_its_digest(tmp_path: Path, capsys) -> None:
    if not SAVED_PAGE.exists():
        pytest.skip("the page isn't built: `npm run vendor`")
    out = tmp_path / "verify.html"
    assert main(["page", "--out", str(out)]) == 0
    assert hashlib.sha256(out.read_bytes()).hexdigest() in capsys.readouterr().out
    assert main(["page", "--out", str(out)]) == 2  # never over what is there
