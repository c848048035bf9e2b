"""A file from a hostile doorbell, or from whoever hands evidence on, takes no agency's machine.

Each program runs in so much memory beyond its own that 64 MiB and the largest picture fit, and a
file that claims more than it holds is named in a sentence. `DOORWARD_PACKAGE_MIB` is the size of
the large package (`make soak` opens one of four GiB).
"""

import mmap
import os
import random
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from firmware.protocol.media.boxes import file_boxes
from firmware.protocol.media.byte_source import MemorySource
from firmware.protocol.packages import seal_package_pieces
from relay.verify.checks import Exit
from relay.verify.evidence import evidence_of_folder
from relay.verify.report import check_evidence
from tests.fakes.bounded import MIB, Outcome, run_bounded
from tests.fakes.media import in_memory
from tests.fuzz.media import bombs
from tests.relay.evidence_files import Evidence, Written, make_evidence

EXTRA_MIB = 64 + 16
TIMEOUT_S = 1800
PACKAGE_MIB = int(os.environ.get("DOORWARD_PACKAGE_MIB", "128"))
CPU_S = os.environ.get("DOORWARD_FUZZ_CPU_S", "2")
SEED = os.environ.get("DOORWARD_SEED", str(random.randrange(2**32)))
BOMB = "200,000 pictures of a megabyte in one place"
TABLES = "90,000 pictures of a megabyte in one place"


@pytest.fixture(scope="module")
def evidence() -> Evidence:
    return make_evidence()


def poisoned(name: str) -> bytes:
    return next(data for each, data, _ in bombs() if each == name)


def sentence(name: str) -> str:
    return next(error for each, _, error in bombs() if each == name)


def test_every_bomb_is_named_within_its_memory_and_time() -> None:
    print(f"DOORWARD_SEED={SEED}")
    done = run_bounded("tests.fuzz.media", SEED, CPU_S, extra_mib=EXTRA_MIB)
    assert done.code == 0, done.out + done.err


@pytest.mark.parametrize("name", [BOMB, TABLES])
def test_two_megabytes_that_stand_for_200_gb_are_refused(
    evidence: Evidence, tmp_path: Path, name: str
) -> None:
    """Seen to take three gigabytes in six seconds and end in MemoryError, without the checks."""
    written = evidence.write(tmp_path)
    mp4 = poisoned(name)
    assert len(mp4) < 2 * MIB
    for file, data in evidence.listed(**{"clip-1.mp4": mp4}).items():
        (written.opened / file).write_bytes(data)
    done = run_bounded("relay.verify.cli", written.opened, *written.all_given, extra_mib=EXTRA_MIB)
    assert done.code == Exit.PICTURES, done.err
    assert sentence(name) in done.out


def test_a_bomb_that_no_doorbell_packed_is_refused_too(evidence, tmp_path: Path) -> None:
    written = evidence.write(tmp_path)
    (written.opened / "clip-1.mp4").write_bytes(poisoned(BOMB))
    words = ["trim", written.opened / "clip-1.mp4", "--from", "0", "--to", "1"]
    done = run_bounded("relay.verify.cli", *words, "--out", tmp_path / "out", extra_mib=EXTRA_MIB)
    assert done.code == Exit.USAGE
    assert sentence(BOMB) in done.err
    assert not (tmp_path / "out").exists()


def test_a_sealed_bomb_is_opened_and_named(evidence: Evidence, tmp_path: Path) -> None:
    written = evidence.write(tmp_path)
    packed = evidence.listed(**{"clip-1.mp4": poisoned(BOMB)})
    written.package.write_bytes(evidence.sealed(packed))
    done = open_package(written, tmp_path / "out")
    assert done.code == Exit.PICTURES, done.err
    assert sentence(BOMB) in done.out
    assert (tmp_path / "out/clip-1.mp4").stat().st_size == len(poisoned(BOMB))


def test_a_package_larger_than_the_memory_is_opened(evidence: Evidence, tmp_path: Path) -> None:
    written = evidence.write(tmp_path)
    seal_large(written, evidence, PACKAGE_MIB * MIB)
    done = open_package(written, tmp_path / "out")
    assert done.code == Exit.PICTURES, done.err  # it holds no film: nothing else is wrong
    assert "the clip has no moov box" in done.out
    assert (tmp_path / "out/clip-1.mp4").stat().st_size == PACKAGE_MIB * MIB
    words = [written.package, *written.all_given]
    done = run_bounded("relay.verify.cli", *words, extra_mib=EXTRA_MIB, timeout_s=TIMEOUT_S)
    assert done.code == Exit.PICTURES, done.err


def test_a_package_with_a_lying_list_of_files_is_refused(evidence, tmp_path: Path) -> None:
    """Its list names a terabyte that isn't there."""
    written = evidence.write(tmp_path)
    files = evidence.listed()
    sealed = b"".join(pieces_of(evidence, files | {"clip-1.mp4": Claimed(1 << 40)}))
    written.package.write_bytes(sealed)
    done = open_package(written, tmp_path / "out")
    assert done.code == Exit.PACKAGE
    assert "more or less than its index names" in done.err
    assert not (tmp_path / "out").exists()


def test_a_document_of_gigabytes_is_refused_unread(evidence: Evidence, tmp_path: Path) -> None:
    written = evidence.write(tmp_path)
    with (written.opened / "grant.json").open("wb") as file:
        file.truncate(2 << 30)
    done = run_bounded("relay.verify.cli", written.opened, *written.all_given, extra_mib=EXTRA_MIB)
    assert done.code in (Exit.GRANT, Exit.DEVICE)
    assert "grant.json has more than 8388608 bytes" in done.out


class Watched(MemorySource):
    """A file that knows what was read of it."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.reads: list[tuple[int, int]] = []

    def _read(self, begin: int, size_bytes: int) -> bytes:
        self.reads.append((begin, size_bytes))
        return super()._read(begin, size_bytes)


def test_no_recording_is_looked_into_before_its_description_is_the_doorbells(
    evidence: Evidence,
) -> None:
    files = in_memory(evidence.listed())
    clip = Watched(evidence.files["clip-1.mp4"])
    moov = next(box for box in file_boxes(clip) if box.kind == b"moov")
    files["clip-1.mp4"] = clip
    assert check_evidence(evidence_of_folder(files), evidence.given).exit_code is Exit.HOLDS
    assert (moov.begin, moov.size_bytes) in clip.reads
    clip.reads.clear()
    foreign = make_evidence(town=evidence.town).files["manifest-1.json"]
    files["manifest-1.json"] = MemorySource(foreign)
    report = check_evidence(evidence_of_folder(files), evidence.given)
    assert report.exit_code is Exit.DEVICE
    assert (moov.begin, moov.size_bytes) not in clip.reads


class Claimed(bytes):
    """No bytes, of which there are said to be many."""

    def __new__(cls, size_bytes: int) -> "Claimed":
        one = super().__new__(cls)
        one.size_bytes = size_bytes
        return one

    def __len__(self) -> int:
        return self.size_bytes


def open_package(written: Written, out: Path) -> Outcome:
    words = ["open", written.package, "--key", written.key, "--out", out]
    return run_bounded("relay.tools.agency.cli", *words, extra_mib=EXTRA_MIB, timeout_s=TIMEOUT_S)


def pieces_of(evidence: Evidence, files: Mapping[str, bytes]) -> Iterator[bytes]:
    return seal_package_pieces(
        package_id=evidence.package_id,
        device=evidence.doorbell.device,
        agency=evidence.town.agreement.agency,
        grant_digest=evidence.grant_digest,
        recipients=evidence.town.agreement.sealing_keys,
        files=files,
    )


def seal_large(written: Written, evidence: Evidence, size_bytes: int) -> None:
    """Seal a film of nothing, as large as a file without a byte on the disk."""
    with tempfile.TemporaryFile(dir=written.folder) as nothing:
        nothing.write((size_bytes).to_bytes(4, "big") + b"free")
        nothing.truncate(size_bytes)
        nothing.flush()
        with mmap.mmap(nothing.fileno(), 0, prot=mmap.PROT_READ) as film:
            with written.package.open("wb") as package:
                package.writelines(pieces_of(evidence, evidence.listed(**{"clip-1.mp4": film})))
