"""A sealed package opens with a key that the grant named, whole and unaltered, or not at all."""

import random

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from firmware.protocol.encoding import WireError, b64u, new_id
from firmware.protocol.packages import CHUNK_BYTES, MAGIC, open_package, read_header
from tests.fakes.sealed_package import seal_package

CANARY = b"canary-frame-" * 20_000
FILES = {"clip-1.mp4": CANARY, "manifest-1.json": b"{}"}


def keypair() -> tuple[bytes, bytes]:
    key = X25519PrivateKey.generate()
    return key.private_bytes_raw(), key.public_key().public_bytes_raw()


@pytest.fixture(scope="module")
def agency() -> tuple[bytes, bytes]:
    return keypair()


@pytest.fixture(scope="module")
def sealed(agency) -> bytes:
    return seal_package(
        package_id=new_id(),
        device="a" * 20,
        agency="lakeland",
        grant_digest="12" * 32,
        recipients=[b64u(agency[1])],
        files=FILES,
    )


def test_opens_with_the_agencys_key(sealed, agency):
    assert open_package(sealed, *agency) == FILES


def test_holds_nothing_readable_but_its_header(sealed):
    assert b"canary" not in sealed
    assert b"clip-1" not in sealed
    assert read_header(sealed)[0].agency == "lakeland"


def test_refuses_another_agencys_key(sealed, agency):
    with pytest.raises(WireError, match="isn't sealed to this key"):
        open_package(sealed, *keypair())
    stranger, _ = keypair()
    with pytest.raises(WireError, match="another key"):
        open_package(sealed, stranger, agency[1])


def test_refuses_any_altered_byte(sealed, agency):
    rng = random.Random(7)
    for _ in range(200):
        position = rng.randrange(len(MAGIC), len(sealed))
        altered = bytearray(sealed)
        altered[position] ^= 1 << rng.randrange(8)
        with pytest.raises(WireError):
            open_package(bytes(altered), *agency)


def test_refuses_a_package_whose_chunks_were_cut_swapped_or_appended(sealed, agency):
    _, begin = read_header(sealed)
    step = CHUNK_BYTES + 16
    first, second = sealed[begin : begin + step], sealed[begin + step : begin + 2 * step]
    rest = sealed[begin + 2 * step :]
    head = sealed[:begin]
    for body in (first, first + second, second + first + rest, first + second + rest + first, b""):
        with pytest.raises(WireError):
            open_package(head + body, *agency)


def test_a_header_is_read_whole_or_not_at_all(sealed):
    header, begin = read_header(sealed)
    assert read_header(sealed[:begin]) == (header, begin)
    with pytest.raises(WireError, match="cut off"):
        read_header(sealed[: begin - 1])


def test_refuses_what_is_no_package(agency):
    for junk in (b"", b"PK\x03\x04", MAGIC, MAGIC + b"\xff\xff\xff\xff"):
        with pytest.raises(WireError):
            open_package(junk, *agency)
