"""Lists that several offline keys sign."""

import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.protocol.tlog.signed_note import NoteSigner
from provisioning.errors import ReleaseRefused
from provisioning.release.images import PURPOSE, ImageList, ListedImage, listed_image
from provisioning.release.signed_document import (
    Signers,
    open_document,
    parse_signers,
    sign_document,
)

ADA, BO, CY, EVE = (
    NoteSigner(name=f"release.example/{name}", kind="ed25519", private_key=bytes([n]) * 32)
    for n, name in enumerate(("ada", "bo", "cy", "eve"), 1)
)
SIGNERS = parse_signers(
    f"# who signs Doorward's releases\nquorum 2\n{ADA.key.vkey}\n{BO.key.vkey}\n{CY.key.vkey}\n"
)
BYTES = b"an image" * 100


def entry(**changed: object) -> ListedImage:
    fields = {
        "name": "Raspberry Pi OS Lite (64-bit), Trixie",
        "url": "https://images.example/trixie.img.xz",
        "packed_size": len(BYTES),
        "packed_sha256": hashlib.sha256(BYTES).hexdigest(),
        "size": 10_000,
        "sha256": "0" * 64,
        **changed,
    }
    return ListedImage(**fields)  # type: ignore[arg-type]


LIST = ImageList(made_ms=1, images=(entry(packed_sha256="1" * 64), entry()))


def opened(data: bytes, purpose: str = PURPOSE, signers: Signers = SIGNERS) -> ImageList:
    return open_document(ImageList, data, purpose, signers)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "trixie.img.xz"
    path.write_bytes(BYTES)
    return path


def test_two_of_three_suffice(file: Path):
    for pair in ([ADA, BO], [BO, CY], [ADA, BO, CY, EVE]):
        assert opened(sign_document(LIST, PURPOSE, pair)) == LIST
    assert listed_image(sign_document(LIST, PURPOSE, [ADA, CY]), SIGNERS, file) == entry()


@pytest.mark.parametrize("signers", [[ADA], [ADA, ADA], [ADA, EVE], [EVE, EVE]])
def test_fewer_that_count_do_not(signers: list[NoteSigner]):
    with pytest.raises(ReleaseRefused, match="2 must"):
        opened(sign_document(LIST, PURPOSE, signers))


def test_a_name_alone_is_no_signature():
    eve = NoteSigner(name=BO.key.name, kind="ed25519", private_key=bytes([9]) * 32)
    with pytest.raises(ReleaseRefused, match="1 of the signers"):
        opened(sign_document(LIST, PURPOSE, [ADA, eve]))


def test_what_was_signed_for_something_else_is_refused():
    with pytest.raises(ReleaseRefused, match="not as Doorward's images"):
        opened(sign_document(LIST, "bundle", [ADA, BO]))


@given(st.integers(0, 10_000), st.integers(0, 7))
def test_no_bit_of_it_can_be_changed(place: int, bit: int):
    data = bytearray(sign_document(LIST, PURPOSE, [ADA, BO]))
    data[place % len(data)] ^= 1 << bit
    with pytest.raises(ReleaseRefused):
        opened(bytes(data))


def test_another_file_and_a_cut_one_are_in_no_list(file: Path):
    data = sign_document(LIST, PURPOSE, [ADA, BO])
    for wrong in (BYTES[:-1], BYTES[:-1] + b"x"):
        file.write_bytes(wrong)
        with pytest.raises(ReleaseRefused, match="download it anew"):
            listed_image(data, SIGNERS, file)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "quorum 2\n",
        f"quorum 2\n{ADA.key.vkey}\n",
        f"quorum 1\n{ADA.key.vkey}\n{BO.key.vkey}\n",
        f"{ADA.key.vkey}\n{BO.key.vkey}\n",
        f"quorum 2\n{ADA.key.vkey}\n{ADA.key.vkey}\n",
        f"quorum 2\n{ADA.key.vkey}\nrubbish\n",
        f"quorum two\n{ADA.key.vkey}\n{BO.key.vkey}\n",
    ],
)
def test_a_signers_file_that_would_let_one_decide_is_refused(text: str):
    with pytest.raises(ReleaseRefused, match="signers' file"):
        parse_signers(text)
