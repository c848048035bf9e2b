"""The file allocation table: follows, makes and frees chains of clusters, in both copies.

An entry is 32 bits of which the upper 4 are kept as they are. What is changed is noted in memory
until `store`, which writes each changed sector once to each copy.
"""

import struct
from array import array
from collections.abc import Iterator, Sequence

from provisioning.block_file import Blocks
from provisioning.errors import CardDamaged, CardFull
from provisioning.fat32.boot_sector import FIRST_CLUSTER, FSINFO_BYTES, Layout

ENTRY_MASK = 0x0FFFFFFF
LAST = 0x0FFFFFF8
"""This and above: the last of a chain."""
END = 0x0FFFFFFF
PIECE_BYTES = 256 * 1024
"""So much of a table is read at a time."""
UNKNOWN = 0xFFFFFFFF
_FSINFO = struct.Struct("<I480xIII12xI")
_FSINFO_SIGNS = (0x41615252, 0x61417272, 0xAA550000)


class Table:
    """The tables of one partition."""

    def __init__(self, blocks: Blocks, layout: Layout) -> None:
        self._blocks = blocks
        self._layout = layout
        self._pieces: dict[int, array[int]] = {}
        self._changed: set[int] = set()
        self._free_change = 0
        self._search_from = self._hint()

    @property
    def layout(self) -> Layout:
        """Where the tables and clusters lie."""
        return self._layout

    def chain(self, first: int) -> Iterator[int]:
        """Yield a chain's clusters, or raise CardDamaged if it leaves the card or never ends."""
        cluster = first
        for _ in range(self._layout.clusters):
            if not self._layout.is_cluster(cluster):
                raise CardDamaged(f"a file's cluster {cluster} isn't on the card; flash it anew")
            yield cluster
            following = self._get(cluster)
            if following >= LAST:
                return
            cluster = following
        raise CardDamaged("a file's chain of clusters has no end; flash the card anew")

    def find_free(self, count: int) -> list[int]:
        """Return `count` free clusters, which `link` makes a file's; raise CardFull."""
        found: list[int] = []
        for cluster in self._free_clusters():
            if len(found) == count:
                break
            found.append(cluster)
        if len(found) < count:
            need = (count - len(found)) * self._layout.cluster
            raise CardFull(f"the card's boot partition is full; it lacks {need} bytes")
        return found

    def link(self, chain: Sequence[int]) -> None:
        """Make free clusters one chain."""
        for cluster, following in zip(chain, [*chain[1:], END], strict=True):
            self._set(cluster, following)
        self._free_change -= len(chain)
        self._search_from = chain[-1] + 1

    def append(self, last: int, cluster: int) -> None:
        """Let a chain go on with another."""
        self._set(last, cluster)

    def free(self, chain: Sequence[int]) -> None:
        """Free a chain's clusters."""
        for cluster in chain:
            self._set(cluster, 0)
        self._free_change += len(chain)
        if chain:
            self._search_from = min(self._search_from, *chain)

    def store(self) -> None:
        """Write what was changed to each copy, and the count of free clusters."""
        layout = self._layout
        per_sector = layout.sector // 4
        for sector in sorted({cluster // per_sector for cluster in self._changed}):
            data = self._sector(sector)
            for table in layout.tables:
                self._blocks.write(table + sector * layout.sector, data)
        self._changed.clear()
        self._store_hint()

    def _free_clusters(self) -> Iterator[int]:
        end = FIRST_CLUSTER + self._layout.clusters
        begin = self._search_from if self._layout.is_cluster(self._search_from) else FIRST_CLUSTER
        yield from self._free_between(begin, end)
        yield from self._free_between(FIRST_CLUSTER, begin)

    def _free_between(self, begin: int, end: int) -> Iterator[int]:
        per_piece = PIECE_BYTES // 4
        cluster = begin
        while cluster < end:
            number, at = divmod(cluster, per_piece)
            try:
                found = number * per_piece + self._piece(number).index(0, at)
            except ValueError:
                cluster = (number + 1) * per_piece
                continue
            if found < end:
                yield found
            cluster = found + 1

    def _get(self, cluster: int) -> int:
        piece, at = divmod(cluster, PIECE_BYTES // 4)
        return self._piece(piece)[at] & ENTRY_MASK

    def _set(self, cluster: int, value: int) -> None:
        piece, at = divmod(cluster, PIECE_BYTES // 4)
        entries = self._piece(piece)
        entries[at] = (entries[at] & ~ENTRY_MASK) | value
        self._changed.add(cluster)

    def _piece(self, number: int) -> "array[int]":
        if number not in self._pieces:
            entries = array("I")
            entries.frombytes(self._read(number * PIECE_BYTES, PIECE_BYTES))
            self._pieces[number] = entries
        return self._pieces[number]

    def _sector(self, number: int) -> bytes:
        piece, at = divmod(number * self._layout.sector, PIECE_BYTES)
        return self._piece(piece)[at // 4 : (at + self._layout.sector) // 4].tobytes()

    def _read(self, at: int, count: int) -> bytes:
        entries = FIRST_CLUSTER + self._layout.clusters
        sectors = -(-entries * 4 // self._layout.sector)
        count = min(count, sectors * self._layout.sector - at)
        copies = [self._blocks.read(table + at, count) for table in self._layout.tables]
        if any(len(copy) < count for copy in copies):
            raise CardDamaged("the file allocation table can't be read; flash the card anew")
        if any(copy != copies[0] for copy in copies):
            raise CardDamaged("the two file allocation tables differ; flash the card anew")
        return copies[0]

    def _hint(self) -> int:
        found = self._fsinfo()
        return FIRST_CLUSTER if found is None else found[1]

    def _fsinfo(self) -> tuple[int, int] | None:
        """Return the noted count of free clusters and where to look for one."""
        if self._layout.fsinfo_at is None:
            return None
        data = self._blocks.read(self._layout.fsinfo_at, FSINFO_BYTES)
        if len(data) < FSINFO_BYTES:
            return None
        lead, middle, free, following, trail = _FSINFO.unpack(data)
        return (free, following) if (lead, middle, trail) == _FSINFO_SIGNS else None

    def _store_hint(self) -> None:
        found = self._fsinfo()
        if found is None or self._layout.fsinfo_at is None:
            return
        free, _ = found
        if free != UNKNOWN:
            changed = free + self._free_change
            free = changed if 0 <= changed <= self._layout.clusters else UNKNOWN
        self._free_change = 0
        hint = struct.pack("<II", free, self._search_from)
        self._blocks.write(self._layout.fsinfo_at + 488, hint)
