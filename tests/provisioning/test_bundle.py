"""The bundle: signed by enough, for this board, and nothing but what its list says."""

import hashlib
import io
import random
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from firmware.protocol.tlog.signed_note import NoteSigner
from provisioning.errors import ReleaseRefused
from provisioning.release import bundle as bundles
from provisioning.release.__main__ import main
from provisioning.release.bundle import (
    BundleFile,
    BundleNote,
    CheckedBundle,
    DebianPackage,
    check_bundle,
    file_of,
    note_of,
    order_of,
    write_bundle,
)
from provisioning.release.signed_document import (
    parse_signers,
    sign_document,
    unsigned_document,
    with_signature,
)
from tests.provisioning.signed_bundles import ADA, BO, CY, EVE, SIGNERS_TEXT

SIGNERS = parse_signers(SIGNERS_TEXT)
CONTENTS = {
    "wheels/doorward-9.9-py3-none-any.whl": b"wheel" * 300,
    "wheels/pip-26.3-py3-none-any.whl": b"pip",
    "requirements.txt": b"doorward==9.9 --hash=sha256:00\n",
    "debs/python3-picamera2_0.3_all.deb": b"deb" * 171,
    "first-boot.pyz": b"PK" + bytes(510),
}
NOTE = BundleNote(
    version="9.9",
    made_ms=1_800_000_000_000,
    target="aarch64-cp313",
    files=tuple(
        BundleFile(name=name, size=len(data), sha256=hashlib.sha256(data).hexdigest())
        for name, data in CONTENTS.items()
    ),
    debian=(
        DebianPackage(
            name="python3-picamera2", version="0.3", file="debs/python3-picamera2_0.3_all.deb"
        ),
        DebianPackage(name="python3-av", version="any", file=None),
    ),
)


@dataclass
class Made:
    path: Path
    files: dict[str, Path]

    def check(self) -> CheckedBundle:
        return check_bundle(self.path, SIGNERS, target="aarch64-cp313")


@pytest.fixture
def made(tmp_path: Path) -> Made:
    files = {}
    for number, (name, data) in enumerate(CONTENTS.items()):
        files[name] = tmp_path / f"file{number}"
        files[name].write_bytes(data)
    path = tmp_path / "bundle.tar"
    write_bundle(path, sign_document(NOTE, "bundle", [ADA, BO]), files)
    return Made(path, files)


def test_a_bundle_is_read_again_and_is_an_archive_that_tar_knows(made: Made):
    checked = made.check()
    assert checked.note == NOTE
    assert checked.sha256 == hashlib.sha256(made.path.read_bytes()).hexdigest()
    assert {name: checked.read(name) for name in CONTENTS} == CONTENTS
    with tarfile.open(made.path) as archive:
        assert archive.getnames() == ["bundle.note", *CONTENTS]
        assert {(member.mode, member.uid, member.mtime) for member in archive} == {(0o644, 0, 0)}


def test_the_same_files_give_the_same_bytes(made: Made):
    first = made.path.read_bytes()
    write_bundle(made.path, sign_document(NOTE, "bundle", [ADA, BO]), made.files)
    assert made.path.read_bytes() == first


def test_each_signer_signs_alone(made: Made, tmp_path: Path, capsys):
    write_bundle(made.path, unsigned_document(NOTE, "bundle"), made.files)
    signers = tmp_path / "signers.txt"
    signers.write_text(SIGNERS_TEXT)
    check = ["check", str(made.path), "--signers", str(signers)]
    for signer, is_enough in ((ADA, False), (ADA, False), (EVE, False), (CY, True)):
        key = tmp_path / "key"
        key.write_text(signer.saved())
        assert main(["sign", str(key), str(made.path)]) == 0
        assert main(check) == (0 if is_enough else 1)
    assert made.check().note == NOTE
    told = capsys.readouterr()
    assert "Doorward 9.9 for aarch64-cp313" in told.out
    assert "1 of the signers that count have signed it; 2 must" in told.err


def test_a_new_key_signs_and_is_never_overwritten(made: Made, tmp_path: Path, capsys):
    keys = [tmp_path / "one.key", tmp_path / "two.key"]
    for key in keys:
        assert main(["key", "release.example/x", "--out", str(key)]) == 0
        assert main(["sign", str(key), str(made.path)]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("release.")]
    assert check_bundle(made.path, parse_signers("\n".join(["quorum 2", *lines]))).note == NOTE
    before = keys[0].read_bytes()
    assert main(["key", "release.example/x", "--out", str(keys[0])]) == 1
    assert keys[0].read_bytes() == before
    assert keys[0].stat().st_mode & 0o77 == 0


def test_what_a_signer_would_sign_is_checked_first(made: Made, tmp_path: Path, capsys):
    with made.path.open("r+b") as file:
        file.seek(5000)
        file.write(b"\xff")
    before = made.path.read_bytes()
    (tmp_path / "key").write_text(ADA.saved())
    assert main(["sign", str(tmp_path / "key"), str(made.path)]) == 1
    assert made.path.read_bytes() == before


@pytest.mark.parametrize("signers", [[], [ADA], [ADA, ADA], [ADA, EVE]])
def test_too_few_signatures_are_refused(made: Made, signers: list[NoteSigner]):
    note = unsigned_document(NOTE, "bundle")
    for signer in signers:
        note = with_signature(note, signer)
    write_bundle(made.path, note, made.files)
    with pytest.raises(ReleaseRefused, match="2 must"):
        made.check()


def test_a_bundle_for_another_board_is_refused(made: Made):
    with pytest.raises(ReleaseRefused, match="is for aarch64-cp313, not for x86_64-cp313"):
        check_bundle(made.path, SIGNERS, target="x86_64-cp313")


def test_no_bit_of_it_can_be_changed(made: Made):
    data, chance = made.path.read_bytes(), random.Random(18)
    places = {*range(0, 1200, 7), *(chance.randrange(len(data)) for _ in range(300))}
    for place in [*places, len(data) - 1]:
        changed = bytearray(data)
        changed[place] ^= 1 << chance.randrange(8)
        made.path.write_bytes(changed)
        with pytest.raises(ReleaseRefused):
            made.check()


def test_a_cut_one_is_refused_wherever_it_ends(made: Made):
    data = made.path.read_bytes()
    for length in [0, 1, 511, 512, 600, *range(1024, len(data), 512), len(data) - 1]:
        made.path.write_bytes(data[:length])
        with pytest.raises(ReleaseRefused):
            made.check()


def member(name: str, data: bytes, **changed: object) -> bytes:
    """Return a tar's member with fields that no bundle of ours has."""
    info = tarfile.TarInfo(name)
    info.size = len(data)
    for field, value in changed.items():
        setattr(info, field, value)
    return info.tobuf(tarfile.GNU_FORMAT) + data.ljust(-(-len(data) // 512) * 512, b"\0")


def tampered(data: bytes, old: bytes, new: bytes) -> bytes:
    at = data.index(old)
    return data[:at] + new + data[at + len(old) :]


def note_in(data: bytes) -> bytes:
    return data[512 : 512 + tarfile.TarInfo.frombuf(data[:512], "ascii", "strict").size]


REQUIREMENTS = CONTENTS["requirements.txt"]
ATTACKS: dict[str, Callable[[bytes], bytes]] = {
    "a member more at the end": lambda data: data[:-1024] + member("x", b"x") + bytes(1024),
    "a member before the note": lambda data: member("x", b"x") + data,
    "a member less": lambda data: tampered(
        data,
        bundles.header("requirements.txt", len(REQUIREMENTS)) + REQUIREMENTS.ljust(512, b"\0"),
        b"",
    ),
    "another order": lambda data: tampered(
        tampered(data, wheel_of("pip"), b""),
        wheel_of("doorward"),
        wheel_of("pip") + wheel_of("doorward"),
    ),
    "a path upwards": lambda data: tampered(
        data, b"wheels/pip-26.3-py3-none-any.whl", b"../../../../etc/cron.d/pip-26.3x"
    ),
    "a link": lambda data: tampered(
        data,
        bundles.header("requirements.txt", len(REQUIREMENTS)),
        member("requirements.txt", b"", type=tarfile.SYMTYPE, linkname="/etc/shadow"),
    ),
    "a program that sets user id": lambda data: tampered(
        data,
        bundles.header("requirements.txt", len(REQUIREMENTS)),
        member("requirements.txt", REQUIREMENTS, mode=0o4755)[:512],
    ),
    "a size of 8 GB": lambda data: tampered(
        data,
        bundles.header("requirements.txt", len(REQUIREMENTS)),
        member("requirements.txt", b"", size=2**33),
    ),
    "rubbish behind the end": lambda data: data + b"x" * 512,
    "rubbish in the padding": lambda data: tampered(
        data, REQUIREMENTS + b"\0", REQUIREMENTS + b"#"
    ),
    "another note's size": lambda data: member("bundle.note", b"", size=2**40) + data[512:],
    "a note that sets user id": lambda data: (
        member("bundle.note", bytes(len(note_in(data))), mode=0o4755)[:512] + data[512:]
    ),
    "a note of another name": lambda data: (
        bundles.header("bundle.notes", len(note_in(data))) + data[512:]
    ),
    "a gzip": lambda _data: b"\x1f\x8b" + bytes(2000),
    "nothing but zeros": lambda data: bytes(len(data)),
}


def wheel_of(name: str) -> bytes:
    whole = next(one for one in CONTENTS if one.startswith(f"wheels/{name}"))
    data = CONTENTS[whole]
    return bundles.header(whole, len(data)) + data.ljust(-(-len(data) // 512) * 512, b"\0")


@pytest.mark.parametrize("name", ATTACKS)
def test_nothing_but_the_list_gets_through(made: Made, name: str):
    before = made.path.read_bytes()
    changed = ATTACKS[name](before)
    assert changed != before
    made.path.write_bytes(changed)
    with pytest.raises(ReleaseRefused) as refused:
        made.check()
    assert "\n" not in str(refused.value)


def listed(**changed: object) -> BundleNote:
    fields = {name: getattr(NOTE, name) for name in NOTE.__struct_fields__}
    return BundleNote(**{**fields, **changed})  # type: ignore[arg-type]


def resized(name: str, size: int) -> tuple[BundleFile, ...]:
    return tuple(
        BundleFile(name=one.name, size=size if one.name == name else one.size, sha256=one.sha256)
        for one in NOTE.files
    )


LISTS = {
    "names a file twice": listed(files=(*NOTE.files, NOTE.files[0])),
    "lacks requirements.txt": listed(
        files=tuple(one for one in NOTE.files if one.name != "requirements.txt")
    ),
    "aren't those of its list": listed(debian=()),
    "packages aren't those": listed(
        debian=(*NOTE.debian, DebianPackage(name="x-y", version="1", file="debs/x.deb"))
    ),
    "at most 250 MB": listed(files=resized("first-boot.pyz", 250_000_000)),
}


@pytest.mark.parametrize("why", LISTS)
def test_a_signed_list_that_no_bundle_has_is_refused_all_the_same(made: Made, why: str):
    note = sign_document(LISTS[why], "bundle", [ADA, BO])
    made.path.write_bytes(bundles.header("bundle.note", len(note)) + note + bytes(4096))
    with pytest.raises(ReleaseRefused, match=why):
        made.check()


@pytest.mark.parametrize(
    "name",
    ["/etc/passwd", "wheels/../x.whl", "wheels/a/b.whl", "wheels/.whl", "x.whl", "wheels/x.whl\n"],
)
def test_a_signed_name_that_leads_elsewhere_is_refused(made: Made, name: str):
    text = NOTE.encode().replace(b"wheels/pip-26.3-py3-none-any.whl", name.encode())
    text = text.replace(b"\n", b"\\n")
    note = b"doorward bundle\n" + text + b"\n"
    for signer in (ADA, BO):
        note = with_signature(note, signer)
    made.path.write_bytes(bundles.header("bundle.note", len(note)) + note + bytes(4096))
    with pytest.raises(ReleaseRefused, match="damaged"):
        made.check()


def test_a_file_that_changed_meanwhile_isnt_taken(made: Made):
    made.files["requirements.txt"].write_bytes(b"x")
    write_bundle(made.path, sign_document(NOTE, "bundle", [ADA, BO]), made.files)
    with pytest.raises(ReleaseRefused):
        made.check()


def test_a_list_and_files_that_differ_make_no_bundle(made: Made):
    before = made.path.read_bytes()
    files = {name: path for name, path in made.files.items() if name != "first-boot.pyz"}
    with pytest.raises(ReleaseRefused, match="differ"):
        write_bundle(made.path, unsigned_document(NOTE, "bundle"), files)
    assert made.path.read_bytes() == before
    assert not list(made.path.parent.glob(".*"))


def test_files_stand_in_the_order_that_first_boot_reads(made: Made):
    shuffled = [file_of(name, path) for name, path in reversed(made.files.items())]
    assert order_of(shuffled) == NOTE.files


def test_a_note_is_found_whoever_signed_it(made: Made):
    assert b"release.example/ada" in note_of(made.path)
    made.path.write_bytes(io.BytesIO(b"no bundle").getvalue())
    with pytest.raises(ReleaseRefused, match="no bundle of Doorward's"):
        note_of(made.path)
