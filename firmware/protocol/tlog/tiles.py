"""The publication of a log as static tiles of hashes and bundles of entries (c2sp.org/tlog-tiles).

Pure: which paths there are, what is in each. A log writes what `tiles_grown` and `bundles_grown`
name; a follower fetches what `bundles_grown` names and takes the new entries of each.
"""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from firmware.protocol.encoding import WireError
from firmware.protocol.tlog.merkle import MAX_SIZE, Tree

TILE_HEIGHT = 8
TILE_WIDTH = 1 << TILE_HEIGHT
MAX_ENTRY_BYTES = 2**16 - 1
MAX_BUNDLE_BYTES = TILE_WIDTH * (MAX_ENTRY_BYTES + 2)
CHECKPOINT_PATH = "checkpoint"

_LENGTH = struct.Struct(">H")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """One tile of hashes; `width` under 256 makes it partial."""

    level: int
    index: int
    width: int = TILE_WIDTH

    @property
    def path(self) -> str:
        """Its URL path under the log's prefix."""
        return f"tile/{self.level}/{_number_path(self.index)}{_partial(self.width)}"

    @property
    def full_path(self) -> str:
        """The path of the full tile, for when a partial one is gone: a log may delete it."""
        return f"tile/{self.level}/{_number_path(self.index)}"

    def hashes_in(self, tree: Tree) -> bytes:
        """Return the tile's bytes."""
        start = self.index * TILE_WIDTH
        hashes = tree.subtree_hashes(self.level * TILE_HEIGHT, start, start + self.width)
        return b"".join(hashes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """One bundle of entries, and the first of them that is new to whoever asked."""

    index: int
    width: int = TILE_WIDTH
    first: int = 0
    """Entries before this place in the bundle are known already."""

    @property
    def path(self) -> str:
        """Its URL path under the log's prefix."""
        return f"tile/entries/{_number_path(self.index)}{_partial(self.width)}"

    @property
    def full_path(self) -> str:
        """The path of the full bundle, for when a partial one is gone: a log may delete it."""
        return f"tile/entries/{_number_path(self.index)}"

    @property
    def start(self) -> int:
        """The index in the log of the bundle's first entry."""
        return self.index * TILE_WIDTH

    def new_entries(self, data: bytes, *, max_bytes: int = MAX_BUNDLE_BYTES) -> list[bytes]:
        """Return the new entries from the bundle's bytes, or from the full bundle's."""
        entries = parse_bundle(data, max_bytes=max_bytes)
        if len(entries) not in (self.width, TILE_WIDTH):
            raise WireError(f"{self.path} has {len(entries)} entries, not {self.width}")
        return entries[self.first : self.width]

    def entries_in_tail(self, data: bytes, *, max_bytes: int = MAX_BUNDLE_BYTES) -> list[bytes]:
        """Return the new entries from the bundle's bytes after the known ones."""
        entries = parse_bundle(data, max_bytes=max_bytes)
        if self.first + len(entries) not in (self.width, TILE_WIDTH):
            raise WireError(f"the end of {self.path} has {len(entries)} entries")
        return entries[: self.width - self.first]


def tiles_grown(old_size: int, size: int) -> Iterator[Tile]:
    """Yield the tiles that a tree of `size` has and one of `old_size` hasn't, low levels first."""
    _check_growth(old_size, size)
    level = 0
    while count := size >> (TILE_HEIGHT * level):
        old_count = old_size >> (TILE_HEIGHT * level)
        if count > old_count:
            for index, width in _spans(old_count, count):
                yield Tile(level=level, index=index, width=width)
        level += 1


def bundles_grown(old_size: int, size: int) -> Iterator[Bundle]:
    """Yield the bundles that hold the entries from `old_size` up to `size`, in order."""
    _check_growth(old_size, size)
    for index, width in _spans(old_size, size):
        yield Bundle(index=index, width=width, first=max(0, old_size - index * TILE_WIDTH))


def encode_bundle(entries: Sequence[bytes]) -> bytes:
    """Return the bundle of up to 256 entries, each with its length before it."""
    if not 0 < len(entries) <= TILE_WIDTH:
        raise ValueError(f"a bundle has 1 to {TILE_WIDTH} entries, not {len(entries)}")
    if any(len(entry) > MAX_ENTRY_BYTES for entry in entries):
        raise ValueError(f"an entry has at most {MAX_ENTRY_BYTES} bytes")
    return b"".join(_LENGTH.pack(len(entry)) + entry for entry in entries)


def encoded_bytes(entry: bytes) -> int:
    """Return how many bytes of a bundle an entry takes."""
    return _LENGTH.size + len(entry)


def parse_bundle(data: bytes, *, max_bytes: int = MAX_BUNDLE_BYTES) -> list[bytes]:
    """Split a bundle into its entries, or raise WireError."""
    if len(data) > max_bytes:
        raise WireError(f"a bundle of {len(data)} bytes, at most {max_bytes} are allowed")
    entries: list[bytes] = []
    at = 0
    while at < len(data):
        if len(entries) == TILE_WIDTH:
            raise WireError(f"a bundle has at most {TILE_WIDTH} entries")
        begin = at + _LENGTH.size
        if begin > len(data):
            raise WireError("a bundle ends within a length")
        at = begin + _LENGTH.unpack_from(data, at)[0]
        if at > len(data):
            raise WireError("a bundle ends within an entry")
        entries.append(data[begin:at])
    if not entries:
        raise WireError("a bundle has at least one entry")
    return entries


def _spans(start: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield index and width of the tiles with the places from `start` up to `end`."""
    for index in range(start // TILE_WIDTH, -(-end // TILE_WIDTH)):
        yield index, min(TILE_WIDTH, end - index * TILE_WIDTH)


def _check_growth(old_size: int, size: int) -> None:
    if not 0 <= old_size <= size <= MAX_SIZE:
        raise ValueError(f"a log of {old_size} doesn't grow into one of {size}")


def _number_path(number: int) -> str:
    """Return e.g. x001/x234/067 for 1234067."""
    groups = []
    while True:
        number, rest = divmod(number, 1000)
        groups.append(f"{rest:03}")
        if number == 0:
            break
    return "/".join([*(f"x{group}" for group in groups[:0:-1]), groups[0]])


def _partial(width: int) -> str:
    return "" if width == TILE_WIDTH else f".p/{width}"
