"""A sealed package opens with a key that the grant named, whole and unaltered, or not at all."""

import itertools
import random

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from firmware.protocol.encoding import WireError, b64u, new_id, sha256_hex
from firmware.protocol.media.byte_source import MemorySource
from firmware.protocol.packages import (
    MAGIC,
    MAX_HEADER_BYTES,
    ContentFile,
    ContentIndex,
    open_package,
    read_header,
)
from firmware.protocol.sealed_chunks import CHUNK_BYTES
from tests.fakes.media import opened_package
from tests.fakes.sealed_package import seal_package, seal_plain

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
    assert opened_package(sealed, *agency) == FILES


def test_holds_nothing_readable_but_its_header(sealed):
    assert b"canary" not in sealed
    assert b"clip-1" not in sealed
    assert read_header(sealed)[0].agency == "lakeland"


def test_refuses_another_agencys_key(sealed, agency):
    with pytest.raises(WireError, match="isn't sealed to this key"):
        opened_package(sealed, *keypair())
    stranger, _ = keypair()
    with pytest.raises(WireError, match="another key"):
        opened_package(sealed, stranger, agency[1])


def test_refuses_any_altered_byte(sealed, agency):
    rng = random.Random(7)
    for _ in range(200):
        position = rng.randrange(len(MAGIC), len(sealed))
        altered = bytearray(sealed)
        altered[position] ^= 1 << rng.randrange(8)
        with pytest.raises(WireError):
            opened_package(bytes(altered), *agency)


def test_refuses_a_package_whose_chunks_were_cut_swapped_or_appended(sealed, agency):
    _, begin = read_header(sealed)
    step = CHUNK_BYTES + 16
    first, second = sealed[begin : begin + step], sealed[begin + step : begin + 2 * step]
    rest = sealed[begin + 2 * step :]
    head = sealed[:begin]
    for body in (first, first + second, second + first + rest, first + second + rest + first, b""):
        with pytest.raises(WireError):
            opened_package(head + body, *agency)


def test_a_header_is_read_whole_or_not_at_all(sealed):
    header, begin = read_header(sealed)
    assert read_header(sealed[:begin]) == (header, begin)
    with pytest.raises(WireError, match="cut off"):
        read_header(sealed[: begin - 1])


def test_another_kind_of_file_is_no_package(sealed, agency):
    for position in range(len(MAGIC)):
        other = bytearray(sealed)
        other[position] ^= 1
        with pytest.raises(WireError, match="not a Doorward evidence package"):
            opened_package(bytes(other), *agency)


@pytest.mark.parametrize(
    ("size", "reason"),
    [(MAX_HEADER_BYTES, "PackageHeader"), (MAX_HEADER_BYTES + 1, "large"), (2**24, "large")],
)
def test_a_header_is_no_larger_than_it_may_be(size: int, reason: str):
    with pytest.raises(WireError, match=reason):
        read_header(MAGIC + size.to_bytes(4, "big") + bytes(MAX_HEADER_BYTES + 1))


def test_nothing_behind_the_header_is_cut_off(sealed, agency):
    _, begin = read_header(sealed)
    for end in (begin, begin + 15, begin + 16):
        with pytest.raises(WireError, match="altered or cut off"):
            opened_package(sealed[:end], *agency)


def test_refuses_what_is_no_package(agency):
    for junk in (b"", b"PK\x03\x04", MAGIC, MAGIC + b"\xff\xff\xff\xff"):
        with pytest.raises(WireError):
            opened_package(junk, *agency)


def entry(name: str, data: bytes, **changes: object) -> ContentFile:
    right = ContentFile(name=name, size_bytes=len(data), sha256=sha256_hex(data))
    return replace(right, **changes)


def inside(entries: list[ContentFile], *files: bytes) -> bytes:
    return indexed(ContentIndex(files=entries).encode(), *files)


def indexed(index: bytes, *files: bytes) -> bytes:
    return len(index).to_bytes(4, "big") + index + b"".join(files)


A, B = b"a" * 70_000, b"{}"
BOTH = [entry("clip-1.mp4", A), entry("part-1.json", B)]
MORE_OR_LESS = "more or less than its index names"
LYING: list[tuple[str, bytes, str]] = [
    ("nothing", b"", "no index"),
    ("three bytes", b"\0\0\0", "no index"),
    ("an index of no bytes", b"\0\0\0\0", "ContentIndex"),
    ("an index without its last byte", inside(BOTH)[:-1], "index is cut off or too large"),
    ("an index as large as it may be", (65_536).to_bytes(4, "big") + bytes(70_000), "ContentIndex"),
    ("an index of files that aren't there", inside(BOTH), MORE_OR_LESS),
    ("an index of four gigabytes", b"\xff" * 200, "index is cut off or too large"),
    ("an index longer than it", inside(BOTH)[:100], "index is cut off or too large"),
    ("an index beyond its limit", (65_537).to_bytes(4, "big") + bytes(70_000), "too large"),
    ("no JSON", b"\0\0\0\2[[" + A, "ContentIndex"),
    ("no files", indexed(b'{"files":[]}'), "ContentIndex: .*files"),
    ("another field", indexed(ContentIndex(files=BOTH).encode()[:-1] + b',"version":2}', A, B),
     "ContentIndex: .*version"),
    ("a file cut off", inside(BOTH, A, B[:1]), MORE_OR_LESS),
    ("a byte more", inside(BOTH, A, B, b"x"), MORE_OR_LESS),
    ("a file missing", inside(BOTH, A), MORE_OR_LESS),
    ("files in another order", inside(BOTH, B, A), "clip-1.mp4 inside the package is damaged"),
    ("another file", inside(BOTH, A, b"[]"), "part-1.json inside the package is damaged"),
    ("a file twice", inside([BOTH[1], BOTH[1]], B, B), "part-1.json inside the package is damaged"),
    ("a terabyte", inside([entry("clip-1.mp4", A, size_bytes=2**40)], A), MORE_OR_LESS),
    ("two sizes that cancel out", inside(
        [entry("clip-1.mp4", A, size_bytes=len(A) + 1), entry("part-1.json", B, size_bytes=1)],
        A, B), "clip-1.mp4 inside the package is damaged"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("plain", "reason"), [case[1:] for case in LYING], ids=[case[0] for case in LYING]
)
def test_refuses_what_a_hostile_doorbell_can_seal(agency, plain: bytes, reason: str):
    with pytest.raises(WireError, match=reason):
        opened_package(seal_plain(plain, agency[1]), *agency)


def test_what_fills_a_chunk_is_one_chunk(agency):
    around = 4 + len(ContentIndex(files=[entry("clip-1.mp4", bytes(CHUNK_BYTES - 200))]).encode())
    files = {"clip-1.mp4": bytes(CHUNK_BYTES - around)}
    sealed = seal_package(
        package_id=new_id(),
        device="a" * 20,
        agency="lakeland",
        grant_digest="12" * 32,
        recipients=[b64u(agency[1])],
        files=files,
    )
    assert len(sealed) - read_header(sealed)[1] == CHUNK_BYTES + 16
    assert opened_package(sealed, *agency) == files


def test_opens_what_is_right_by_the_same_tools(agency):
    sealed = seal_plain(inside(BOTH, A, B), agency[1])
    assert opened_package(sealed, *agency) == {"clip-1.mp4": A, "part-1.json": B}


@given(cuts=st.lists(st.integers(0, 200_000), min_size=2, max_size=12))
def test_a_file_is_the_same_however_it_is_read(cuts: list[int]):
    private, public = keypair()
    data = random.Random(len(cuts)).randbytes(200_000)
    sealed = MemorySource(seal_plain(inside([entry("clip-1.mp4", data)], data), public))
    file = open_package(sealed, private, public)["clip-1.mp4"]
    for begin, end in itertools.pairwise(cuts):
        if begin <= end:
            assert file.read(begin, end - begin) == data[begin:end]
        else:
            with pytest.raises(WireError, match="cut off"):
                file.read(begin, len(data) - begin + 1)
