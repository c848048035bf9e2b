"""The entries of one folder: found by name, changed in place, added and removed.

Each change is written so that a card which is pulled shows the folder as before or as after: what a
short entry points to is on the card before the entry is, and that entry is one write.
"""

import struct
from dataclasses import dataclass
from datetime import datetime

from provisioning.block_file import Blocks
from provisioning.errors import CardDamaged
from provisioning.fat32 import names
from provisioning.fat32.boot_sector import Layout
from provisioning.fat32.table import Table

ENTRY_BYTES = 32
MAX_FOLDER_BYTES = 65_536 * ENTRY_BYTES
FOLDER, ARCHIVE, VOLUME_LABEL = 0x10, 0x20, 0x08
ATTRIBUTES = 0x3F
REMOVED, NO_MORE = 0xE5, 0x00
_SHORT = struct.Struct("<11sBBBHHHHHHHI")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One file or folder; `first` and `last` are the numbers of its slots, the short one last."""

    name: str
    first: int
    last: int
    is_folder: bool
    cluster: int
    size: int


class Folder:
    """One folder; `first_cluster` is where it begins."""

    def __init__(self, blocks: Blocks, layout: Layout, table: Table, first_cluster: int) -> None:
        self._blocks = blocks
        self._layout = layout
        self._table = table
        self._chain = []
        for cluster in table.chain(first_cluster):
            self._chain.append(cluster)
            if len(self._chain) * layout.cluster > MAX_FOLDER_BYTES:
                raise CardDamaged("a folder on the card is longer than FAT allows; flash it anew")
        self._data = bytearray()
        for cluster in self._chain:
            self._data += blocks.read(layout.position(cluster), layout.cluster)
        if len(self._data) != len(self._chain) * layout.cluster:
            raise CardDamaged("a folder on the card can't be read whole; flash it anew")

    def entries(self) -> list[Entry]:
        """Return the files and folders in the order in which they lie there."""
        found: list[Entry] = []
        long: list[bytes] = []
        for number in range(self._used()):
            slot = self._slot(number)
            attributes = slot[11] & ATTRIBUTES
            if slot[0] == REMOVED:
                long = []
            elif attributes == names.LONG_ATTRIBUTE:
                long = [slot] if slot[0] & names.LAST_LONG else [*long, slot]
            else:
                if not attributes & VOLUME_LABEL:
                    found.append(self._entry(number, slot, long))
                long = []
        return [entry for entry in found if entry.name not in (".", "..")]

    def find(self, name: str) -> Entry | None:
        """Return the entry of a name in whatever case, by its long name or its alias."""
        wanted = names.folded(name)
        for entry in self.entries():
            slot = self._slot(entry.last)
            if wanted in (names.folded(entry.name), names.folded(names.shown_short(slot[:11], 0))):
                return entry
        return None

    def change(self, entry: Entry, *, cluster: int, size: int, at: datetime) -> None:
        """Point an entry at another chain, in one write."""
        fields = list(_SHORT.unpack(self._slot(entry.last)))
        fields[7] = cluster >> 16
        fields[8:10] = _time(at), _date(at)
        fields[10:12] = cluster & 0xFFFF, size
        self._write(entry.last, _SHORT.pack(*fields))

    def add(
        self, name: str, *, cluster: int, size: int, at: datetime, is_folder: bool = False
    ) -> None:
        """Add an entry; its chain is on the card already. May raise CardFull."""
        plain = names.plain_short(name)
        if plain is None:
            packed, flags = names.alias(name, self._taken()), 0
            long = names.long_entries(name, packed)
        else:
            (packed, flags), long = plain, []
        attributes = FOLDER if is_folder else ARCHIVE
        short = short_entry(packed, flags, attributes, cluster=cluster, size=size, at=at)
        first = self._room(len(long) + 1)
        for number, slot in enumerate(long):
            self._write(first + number, slot)
        if long:
            self._blocks.sync()
        self._write(first + len(long), short)

    def remove(self, entry: Entry) -> None:
        """Remove an entry; its chain is the caller's to free, once this is on the card."""
        for number in range(entry.last, entry.first - 1, -1):
            self._write(number, bytes([REMOVED]) + self._slot(number)[1:])

    def _entry(self, number: int, slot: bytes, long: list[bytes]) -> Entry:
        packed, attributes, flags, _, _, _, _, high, _, _, low, size = _SHORT.unpack(slot)
        spelled = names.long_name(long, packed)
        return Entry(
            name=names.shown_short(packed, flags) if spelled is None else spelled,
            first=number - (0 if spelled is None else len(long)),
            last=number,
            is_folder=bool(attributes & FOLDER),
            cluster=(high << 16 | low) & 0x0FFFFFFF,
            size=size,
        )

    def _taken(self) -> frozenset[bytes]:
        return frozenset(self._slot(entry.last)[:11] for entry in self.entries())

    def _used(self) -> int:
        """Return how many slots lie before the first that was never used."""
        count = len(self._data) // ENTRY_BYTES
        for number in range(count):
            if self._data[number * ENTRY_BYTES] == NO_MORE:
                return number
        return count

    def _room(self, count: int) -> int:
        """Return the first of `count` free slots in a row; lengthen the folder if need be."""
        used, run = self._used(), 0
        for number in range(used):
            run = run + 1 if self._slot(number)[0] == REMOVED else 0
            if run == count:
                return number - count + 1
        first = used - run
        while (first + count) * ENTRY_BYTES > len(self._data):
            self._lengthen()
        after = first + count
        if after * ENTRY_BYTES < len(self._data) and self._slot(after)[0] != NO_MORE:
            self._write(after, bytes(ENTRY_BYTES))  # what lay beyond the end mark is no entry
            self._blocks.sync()
        return first

    def _lengthen(self) -> None:
        if len(self._data) + self._layout.cluster > MAX_FOLDER_BYTES:
            raise CardDamaged("a folder on the card is as long as FAT allows; flash it anew")
        (cluster,) = self._table.find_free(1)
        self._table.link([cluster])
        self._blocks.write(self._layout.position(cluster), bytes(self._layout.cluster))
        self._blocks.sync()
        self._table.append(self._chain[-1], cluster)
        self._table.store()
        self._blocks.sync()
        self._chain.append(cluster)
        self._data += bytes(self._layout.cluster)

    def _slot(self, number: int) -> bytes:
        return bytes(self._data[number * ENTRY_BYTES : (number + 1) * ENTRY_BYTES])

    def _write(self, number: int, slot: bytes) -> None:
        at = number * ENTRY_BYTES
        self._data[at : at + ENTRY_BYTES] = slot
        cluster = self._chain[at // self._layout.cluster]
        self._blocks.write(self._layout.position(cluster) + at % self._layout.cluster, slot)


def short_entry(
    packed: bytes, flags: int, attributes: int, *, cluster: int, size: int, at: datetime
) -> bytes:
    """Return the 32 bytes of a short entry that was made and written at one time."""
    time, date = _time(at), _date(at)
    high, low = cluster >> 16, cluster & 0xFFFF
    return _SHORT.pack(packed, attributes, flags, 0, time, date, date, high, time, date, low, size)


def _time(at: datetime) -> int:
    return at.hour << 11 | at.minute << 5 | at.second // 2


def _date(at: datetime) -> int:
    year = min(max(at.year, 1980), 2107)
    return (year - 1980) << 9 | at.month << 5 | at.day
