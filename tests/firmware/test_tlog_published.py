"""How a log is published: proofs, tiles, bundles, and what is posted to a witness."""

import base64
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.protocol.encoding import WireError
from firmware.protocol.tlog.merkle import HASH_BYTES, Frontier, ProofRefused, Tree, leaf_hash
from firmware.protocol.tlog.proof import (
    MAX_PROOF_BYTES,
    TlogProof,
    check_proof,
    parse_proof,
)
from firmware.protocol.tlog.signed_note import NoteRefused
from firmware.protocol.tlog.tiles import (
    MAX_ENTRY_BYTES,
    TILE_WIDTH,
    Bundle,
    Tile,
    bundles_grown,
    encode_bundle,
    parse_bundle,
    tiles_grown,
)
from firmware.protocol.tlog.witness import (
    MAX_REQUEST_BYTES,
    AddCheckpoint,
    parse_add_checkpoint,
)
from tests.fakes.witness_log import NOW_S, ORIGIN, WitnessedLog

VECTORS = Path(__file__).parents[1] / "vectors" / "tlog"
LOG = WitnessedLog(b"entry %d" % number for number in range(13))
POLICY = LOG.policy()
PROOF = LOG.proof(7)
REQUEST = LOG.request(5)
# c2sp.org/tlog-witness, "add-checkpoint"
EXAMPLE_REQUEST = (VECTORS / "add-checkpoint.txt").read_bytes()

HASHES = st.lists(st.binary(min_size=32, max_size=32), max_size=63).map(tuple)
SIZES = st.integers(0, 2**63 - 1)


def check(proof: bytes, entry: bytes = b"entry 7", origin: str = ORIGIN) -> None:
    check_proof(proof, entry=entry, policy=POLICY, origin=origin)


@given(SIZES, HASHES, st.none() | st.binary(min_size=1, max_size=100))
def test_a_proof_is_written_and_read(index: int, hashes: tuple[bytes, ...], extra: bytes | None):
    proof = TlogProof(index=index, hashes=hashes, note=LOG.signed(), extra=extra)
    assert parse_proof(proof.encode()) == proof


def test_a_proof_begins_as_the_specification_says():
    assert PROOF.startswith(b"c2sp.org/tlog-proof@v1\nindex 7\n")


def test_every_entry_of_a_witnessed_log_is_proved():
    for index, entry in enumerate(LOG.entries):
        check(LOG.proof(index), entry)


def test_a_log_of_one_entry_is_proved_without_a_hash():
    log = WitnessedLog([b"only"])
    check_proof(log.proof(0), entry=b"only", policy=log.policy(), origin=ORIGIN)


def test_extra_data_changes_nothing():
    parsed = parse_proof(PROOF)
    more = TlogProof(index=7, hashes=parsed.hashes, note=parsed.note, extra=b"whatever")
    check(more.encode())


def test_another_entry_is_refused():
    with pytest.raises(ProofRefused, match="another root"):
        check(PROOF, b"entry 8")


def test_a_node_is_no_entry():
    left, right = (leaf_hash(LOG.entries[number]) for number in (6, 7))
    hashes = tuple(LOG.tree.inclusion_proof(7)[1:])
    forged = TlogProof(index=3, hashes=hashes, note=LOG.cosigned(ann=NOW_S, bea=NOW_S))
    with pytest.raises(ProofRefused):
        check(forged.encode(), left + right)


@pytest.mark.parametrize("index", [6, 8, 12, 13, 2**63 - 1])
def test_another_place_is_refused(index: int):
    parsed = parse_proof(PROOF)
    forged = TlogProof(index=index, hashes=parsed.hashes, note=parsed.note)
    with pytest.raises(ProofRefused):
        check(forged.encode())


def test_an_entry_of_an_unwitnessed_tree_is_refused():
    with pytest.raises(NoteRefused, match="no quorum"):
        check(LOG.proof(7, note=LOG.signed()))
    with pytest.raises(ProofRefused):
        check(LOG.proof(7, note=LOG.cosigned(size=12, ann=NOW_S, bea=NOW_S)))


def test_a_proof_in_another_log_is_refused():
    with pytest.raises(NoteRefused, match="knows no log"):
        check(PROOF, origin="log.example/custody")
    with pytest.raises(NoteRefused, match="isn't signed"):
        check_proof(PROOF, entry=b"entry 7", policy=WitnessedLog().policy(), origin=ORIGIN)


@given(st.integers(0, len(PROOF) - 1))
def test_a_truncated_proof_is_refused(end: int):
    with pytest.raises(WireError):
        check(PROOF[:end])


@given(st.integers(0, 8 * len(PROOF) - 1))
def test_a_proof_with_a_bit_flipped_is_refused_or_proves_no_other_entry(bit: int):
    flipped = flip(PROOF, bit)
    try:
        check(flipped)
    except WireError:
        return
    # a flip in a witness's name or key id makes it a stranger: of two, that is too few
    raise AssertionError(flipped)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"c2sp.org/tlog-proof@v1", b"c2sp.org/tlog-proof@v2"),
        (b"index 7", b"index 07"),
        (b"index 7", b"index  7"),
        (b"index 7", b"Index 7"),
        (b"index 7\n", b""),
        (b"index 7", b"extra \nindex 7"),
        (b"index 7", b"extra AA==\nextra AA==\nindex 7"),
        (b"index 7", b"extra AB==\nindex 7"),
        (b"index 7\n", b"index 7\nindex 7\n"),
        (b"index 7\n", b"index 7\n\n"),
        (b"index 7\n", b"index 7\n" + (base64.b64encode(bytes(32)) + b"\n") * 64),
        (b"index 7\n", b"index 7\n" + base64.b64encode(bytes(31)) + b"\n"),
        (b"\n\n", b"\n"),
        (b"\n", b"\r\n"),
        (b"index 7", b"7"),
    ],
)  # fmt: skip
def test_what_is_no_proof_is_refused(old: bytes, new: bytes):
    with pytest.raises(WireError):
        check(PROOF.replace(old, new))


def test_no_more_hashes_than_a_tree_can_have_are_read():
    hashes = (bytes(32),) * 64
    proof = TlogProof(index=0, hashes=hashes, note=LOG.signed())
    request = AddCheckpoint(old_size=1, hashes=hashes, note=LOG.signed())
    with pytest.raises(WireError, match="at most 63"):
        parse_proof(proof.encode())
    with pytest.raises(WireError, match="at most 63"):
        parse_add_checkpoint(request.encode())


def test_no_more_than_a_proof_or_a_request_may_have_is_looked_at():
    with pytest.raises(WireError, match=f"at most {MAX_PROOF_BYTES}"):
        parse_proof(PROOF + bytes(MAX_PROOF_BYTES))
    with pytest.raises(WireError, match=f"at most {MAX_REQUEST_BYTES}"):
        parse_add_checkpoint(REQUEST + bytes(MAX_REQUEST_BYTES))


@pytest.mark.parametrize(
    ("tile", "path"),
    [
        (Tile(level=0, index=0), "tile/0/000"),
        (Tile(level=0, index=1234067), "tile/0/x001/x234/067"),
        (Tile(level=63, index=999, width=1), "tile/63/999.p/1"),
        (Tile(level=1, index=1000, width=255), "tile/1/x001/000.p/255"),
        (Bundle(index=1234067), "tile/entries/x001/x234/067"),
        (Bundle(index=3, width=112), "tile/entries/003.p/112"),
    ],
)
def test_a_tile_has_the_path_of_the_specification(tile: Tile | Bundle, path: str):
    assert tile.path == path


def test_a_log_of_70000_has_the_tiles_of_the_specification():
    tiles = list(tiles_grown(0, 70_000))
    full = [tile.level for tile in tiles if tile.width == TILE_WIDTH]
    partial = [(tile.level, tile.width) for tile in tiles if tile.width < TILE_WIDTH]
    assert (full.count(0), full.count(1), len(full)) == (273, 1, 274)
    assert partial == [(0, 112), (1, 17), (2, 1)]


def test_a_log_of_256_has_one_full_tile_and_one_of_width_1():
    assert [(tile.level, tile.width) for tile in tiles_grown(0, 256)] == [(0, 256), (1, 1)]


@given(st.lists(st.integers(0, 700), min_size=1, max_size=5).map(sorted))
def test_a_log_that_grows_in_steps_has_every_tile_of_its_last_size(sizes: list[int]):
    tree = Tree(leaf_hash(b"entry %d" % number) for number in range(sizes[-1]))
    written: dict[str, bytes] = {}
    for old_size, size in zip([0, *sizes], sizes, strict=False):
        for tile in tiles_grown(old_size, size):
            data = tile.hashes_in(tree)
            assert len(data) == tile.width * HASH_BYTES
            assert written.setdefault(tile.path, data) == data
    assert {tile.path for tile in tiles_grown(0, sizes[-1])} <= written.keys()


@given(st.integers(0, 700), st.integers(0, 700), st.booleans())
def test_a_follower_reads_exactly_the_new_entries(first: int, second: int, is_full: bool):
    old_size, size = sorted((first, second))
    entries = [b"entry %d" % number for number in range(1000)]
    frontier = Frontier()
    for entry in entries[:old_size]:
        frontier.append(leaf_hash(entry))
    read = []
    for bundle in bundles_grown(old_size, size):
        width = TILE_WIDTH if is_full else bundle.width
        data = encode_bundle(entries[bundle.start : bundle.start + width])
        if len(parse_bundle(data)) == width:
            read += bundle.new_entries(data)
    for entry in read:
        frontier.append(leaf_hash(entry))
    tree = Tree(map(leaf_hash, entries))
    assert read == entries[old_size:size]
    assert frontier.root() == tree.root(size)


def test_a_bundle_of_another_width_is_refused():
    bundle = Bundle(index=0, width=3)
    for width in (1, 2, 4, 255):
        with pytest.raises(WireError, match="entries, not 3"):
            bundle.new_entries(encode_bundle([b"x"] * width))


ENTRIES = st.lists(st.binary(max_size=30), min_size=1, max_size=TILE_WIDTH)


@given(ENTRIES)
def test_a_bundle_is_written_and_read(entries: list[bytes]):
    assert parse_bundle(encode_bundle(entries)) == entries


def test_the_largest_entry_fits_into_a_bundle_and_no_larger():
    largest = [bytes(MAX_ENTRY_BYTES)]
    assert parse_bundle(encode_bundle(largest)) == largest
    with pytest.raises(ValueError, match="at most"):
        encode_bundle([bytes(MAX_ENTRY_BYTES + 1)])


@given(ENTRIES, st.data())
def test_a_truncated_bundle_is_refused_or_has_lost_whole_entries(
    entries: list[bytes], data: st.DataObject
):
    encoded = encode_bundle(entries)
    end = data.draw(st.integers(0, len(encoded) - 1))
    try:
        read = parse_bundle(encoded[:end])
    except WireError:
        return
    assert read == entries[: len(read)]
    assert len(read) < len(entries)


@given(ENTRIES, st.data())
def test_a_bundle_with_a_bit_flipped_has_another_root(entries: list[bytes], data: st.DataObject):
    encoded = encode_bundle(entries)
    flipped = flip(encoded, data.draw(st.integers(0, 8 * len(encoded) - 1)))
    try:
        read = parse_bundle(flipped)
    except WireError:
        return
    assert Tree(map(leaf_hash, read)).root() != Tree(map(leaf_hash, entries)).root()


@pytest.mark.parametrize(
    ("do", "why"),
    [
        (lambda: parse_bundle(b""), "at least one"),
        (lambda: parse_bundle(bytes(2 * 257)), "at most 256"),
        (lambda: parse_bundle(bytes(10), max_bytes=9), "at most 9"),
        (lambda: parse_bundle(b"\x00"), "within a length"),
        (lambda: parse_bundle(b"\x00\x01"), "within an entry"),
        (lambda: encode_bundle([]), "1 to 256"),
        (lambda: encode_bundle([b""] * 257), "1 to 256"),
        (lambda: list(tiles_grown(2, 1)), "doesn't grow"),
        (lambda: list(bundles_grown(-1, 1)), "doesn't grow"),
    ],
)
def test_what_is_no_tile_or_bundle_is_refused(do: Callable[[], object], why: str):
    with pytest.raises(ValueError, match=why):  # WireError is one
        do()


def test_the_example_of_a_request_is_read():
    request = parse_add_checkpoint(EXAMPLE_REQUEST)
    assert (request.old_size, len(request.hashes)) == (20852014, 4)
    assert request.encode() == EXAMPLE_REQUEST


@given(SIZES, HASHES)
def test_a_request_is_written_and_read(old_size: int, hashes: tuple[bytes, ...]):
    request = AddCheckpoint(old_size=old_size, hashes=hashes, note=LOG.signed())
    assert parse_add_checkpoint(request.encode()) == request


@given(st.integers(0, len(REQUEST) - 1))
def test_a_truncated_request_is_refused(end: int):
    with pytest.raises(WireError):
        parse_add_checkpoint(REQUEST[:end])


@given(st.integers(0, 8 * len(REQUEST) - 1))
def test_a_request_with_a_bit_flipped_is_refused_or_another(bit: int):
    flipped = flip(REQUEST, bit)
    try:
        assert parse_add_checkpoint(flipped).encode() == flipped
    except WireError:
        return


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"old 5", b"old 05"),
        (b"old 5", b"old -5"),
        (b"old 5", b"old"),
        (b"old 5", b"5"),
        (b"old 5\n", b""),
        (b"old 5", b"Old 5"),
        (b"old 5\n", b"old 5\n" + (base64.b64encode(bytes(32)) + b"\n") * 64),
        (b"old 5\n", b"old 5\nAA==\n"),
        (b"old 5\n", b"\nold 5\n"),
        (b"\n\n", b"\n"),
    ],
)
def test_what_is_no_request_is_refused(old: bytes, new: bytes):
    with pytest.raises(WireError):
        parse_add_checkpoint(REQUEST.replace(old, new))


def flip(data: bytes, bit: int) -> bytes:
    flipped = bytearray(data)
    flipped[bit // 8] ^= 1 << bit % 8
    return bytes(flipped)
