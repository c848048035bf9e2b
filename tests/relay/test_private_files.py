"""Footage that leaves a package or a doorbell is its reader's alone: 0600 in folders of 0700.

Each program writes under an umask that forbids nothing, and what it left is walked.
"""

import os
import resource
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from firmware.companion.owner.approval import write_clip
from firmware.companion.owner.doorbell_folder import clip_folder
from firmware.protocol.encoding import WireError
from firmware.protocol.media.byte_source import ByteSource, MemorySource
from relay.tools.agency.cli import main as agency
from relay.verify.checks import Exit
from relay.verify.cli import main as verify
from relay.verify.file_reader import read_folder
from relay.verify.private_files import write_private_folder
from tests.relay.evidence_files import Evidence, Written, make_evidence


@pytest.fixture(scope="module")
def evidence() -> Evidence:
    return make_evidence()


@pytest.fixture
def written(evidence: Evidence, tmp_path: Path) -> Written:
    return evidence.write(tmp_path)


@pytest.fixture(autouse=True)
def no_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def modes_in(folder: Path) -> set[tuple[str, int]]:
    """Return the kinds and modes of a folder and of all that is in it."""
    return {
        ("folder" if path.is_dir() else "file", stat.S_IMODE(path.stat().st_mode))
        for path in [folder, *folder.rglob("*")]
    }


PRIVATE = {("folder", 0o700), ("file", 0o600)}


def test_opened_evidence_is_private(written: Written, tmp_path: Path) -> None:
    out = tmp_path / "new/out"
    words = ["open", str(written.package), "--key", str(written.key), "--out", str(out)]
    assert agency(words) == Exit.INCOMPLETE.value  # nobody named a policy
    assert modes_in(out) == PRIVATE


def test_a_trim_and_its_documents_are_private(written: Written, tmp_path: Path) -> None:
    clip = str(written.opened / "clip-1.mp4")
    words = ["trim", clip, "--from", "0", "--to", "1.5", "--out", str(tmp_path / "out")]
    assert verify(words) == 0
    assert modes_in(tmp_path / "out") == PRIVATE


def test_a_court_pack_is_private_whatever_was_there(written: Written, tmp_path: Path) -> None:
    pytest.importorskip("reportlab", reason="ReportLab isn't installed: .ci/setup dev")
    (tmp_path / "pack.pdf").write_bytes(b"an older one, for everybody")
    assert written.verify(written.opened, "--court-pack", str(tmp_path / "pack.pdf")) == 0
    assert (tmp_path / "pack.pdf").read_bytes().startswith(b"%PDF")
    assert stat.S_IMODE((tmp_path / "pack.pdf").stat().st_mode) == 0o600


def test_the_clips_of_an_approval_are_private(tmp_path: Path) -> None:
    with clip_folder(tmp_path / "clips") as folder:
        write_clip(folder / "ab12cd34-1.mp4", b"film")
    assert modes_in(tmp_path / "clips") == PRIVATE


def test_evidence_is_never_opened_over_what_is_there(
    written: Written, tmp_path: Path, capsys
) -> None:
    (tmp_path / "out").mkdir()
    words = ["open", str(written.package), "--key", str(written.key)]
    assert agency([*words, "--out", str(tmp_path / "out")]) == 2
    assert "out is there already; name a new folder" in capsys.readouterr().err
    assert list((tmp_path / "out").iterdir()) == []


def test_a_folder_that_cannot_be_written_whole_is_not_left(tmp_path: Path) -> None:
    files: dict[str, ByteSource] = {"a.json": MemorySource(b"{}"), "clip-1.mp4": _Torn(9)}
    with pytest.raises(WireError):
        write_private_folder(tmp_path / "out", files)
    assert not (tmp_path / "out").exists()


def test_a_disk_that_is_full_is_said_and_leaves_no_folder(
    written: Written, tmp_path: Path, capsys
) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    words = ["open", str(written.package), "--key", str(written.key)]
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
        assert agency([*words, "--out", str(tmp_path / "out")]) == 2
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "can't be written: File too large" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


class _Torn(ByteSource):
    """A file that is cut off while it is read."""

    def _read(self, begin: int, size_bytes: int) -> bytes:
        raise WireError(f"cut off between {begin} and {begin + size_bytes}")


def test_a_file_that_is_changed_while_it_is_read_is_refused(written: Written) -> None:
    files = read_folder(written.opened).files
    assert files["clip-1.mp4"].sha256_hex()
    (written.opened / "grant.json").write_bytes(b"{}")
    with pytest.raises(WireError, match=r"grant\.json was changed while it was read"):
        files["grant.json"].read(0, files["grant.json"].size_bytes)
    (written.opened / "grant.json").unlink()
    with pytest.raises(WireError, match=r"grant\.json can't be read: No such file"):
        files["grant.json"].read(0, 1)


def test_a_pipe_in_the_place_of_a_file_is_refused(written: Written, capsys) -> None:
    (written.opened / "clip-1.mp4").unlink()
    os.mkfifo(written.opened / "clip-1.mp4")
    assert written.verify(written.opened) == Exit.USAGE
    assert "clip-1.mp4 isn't a file" in capsys.readouterr().err
