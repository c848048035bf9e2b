"""A FAT32 partition's files: read, written, and removed by paths like `doorward/claim.json`.

What is written lies in new clusters and is synced before the folder's entry is turned to it, and
only then are the old clusters freed: a card that is pulled has each file as before or as after.
"""

import hashlib
import io
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from provisioning.block_file import Blocks
from provisioning.errors import CardDamaged
from provisioning.fat32 import names
from provisioning.fat32.boot_sector import Layout, read_layout
from provisioning.fat32.folder import FOLDER, Entry, Folder, short_entry
from provisioning.fat32.table import Table
from provisioning.partitions import Partition

MAX_FILE_BYTES = 64 * 1024 * 1024
"""What is read or written is held in memory, but for a `LargeFile`."""
PIECE_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class LargeFile:
    """A file of this machine that is copied piece by piece, and known by its digest."""

    path: Path
    size: int
    sha256: str


Content = bytes | LargeFile


class Volume:
    """One FAT32 partition. Raises CardDamaged for one that contradicts itself."""

    def __init__(self, blocks: Blocks, partition: Partition) -> None:
        self._blocks = blocks
        self._layout: Layout = read_layout(blocks, partition.start, partition.size)
        self._table = Table(blocks, self._layout)

    def names(self, folder: str = "") -> list[str]:
        """Return the names in the root, or in one of its folders."""
        return [entry.name for entry in self._folder(folder).entries()]

    def read(self, path: str) -> bytes:
        """Return a file's bytes, or raise FileNotFoundError."""
        folder, name = _split(path)
        entry = self._folder(folder).find(name)
        if entry is None or entry.is_folder:
            raise FileNotFoundError(f"the card has no file {path}")
        if entry.size > MAX_FILE_BYTES:
            raise CardDamaged(f"{path} on the card has {entry.size} bytes, too many to be read")
        pieces = [
            self._blocks.read(self._layout.position(cluster), self._layout.cluster)
            for cluster in self._clusters(entry)
        ]
        data = b"".join(pieces)[: entry.size]
        if len(data) < entry.size:
            raise CardDamaged(f"{path} on the card is shorter than its folder says; flash it anew")
        return data

    def sha256(self, path: str) -> str:
        """Return the digest of a file of any size, or raise FileNotFoundError."""
        digest = hashlib.sha256()
        for piece in self.pieces(path):
            digest.update(piece)
        return digest.hexdigest()

    def pieces(self, path: str) -> Iterator[bytes]:
        """Yield a file of any size in pieces, or raise FileNotFoundError."""
        folder, name = _split(path)
        entry = self._folder(folder).find(name)
        if entry is None or entry.is_folder:
            raise FileNotFoundError(f"the card has no file {path}")
        left = entry.size
        for begin, count in _runs(self._clusters(entry), self._layout.cluster):
            piece = self._blocks.read(self._layout.position(begin), count)[:left]
            left -= len(piece)
            yield piece
        if left:
            raise CardDamaged(f"{path} on the card is shorter than its folder says; flash it anew")

    def write(self, files: Mapping[str, Content], *, at: datetime) -> None:
        """Write files, new ones or in the place of others; `at` is the card's local time.

        Raises CardFull before any of them has changed (but where a folder has to grow, and there is
        no cluster left for that); ValueError for a name that FAT can't have.
        """
        places = {path: _split(path) for path in files}
        sizes = {path: size_of(content) for path, content in files.items()}
        if any(isinstance(one, bytes) and len(one) > MAX_FILE_BYTES for one in files.values()):
            raise ValueError(f"a file for the card may have {MAX_FILE_BYTES} bytes at most")
        for folder in sorted({folder for folder, _ in places.values() if folder}):
            self._make_folder(folder, at)
        chains = self._chains(sizes)
        for path, content in files.items():
            self._write_chain(chains[path], content)
        self._table.store()
        self._blocks.sync()
        old: list[int] = []
        for path, size in sizes.items():
            first = chains[path][0] if size else 0
            old += self._turn(*places[path], first, size, at)
        self._blocks.sync()
        self._table.free(old)
        self._table.store()
        self._blocks.sync()

    def remove(self, path: str) -> None:
        """Remove a file, or raise FileNotFoundError. What it held stays in the flash memory."""
        folder_name, name = _split(path)
        folder = self._folder(folder_name)
        entry = folder.find(name)
        if entry is None or entry.is_folder:
            raise FileNotFoundError(f"the card has no file {path}")
        chain = self._clusters(entry)
        folder.remove(entry)
        self._blocks.sync()
        self._table.free(chain)
        self._table.store()
        self._blocks.sync()

    def _turn(
        self, folder_name: str, name: str, cluster: int, size: int, at: datetime
    ) -> list[int]:
        """Turn an entry to a new chain, or add it; return the clusters that it had."""
        folder = self._folder(folder_name)
        entry = folder.find(name)
        if entry is None:
            folder.add(name, cluster=cluster, size=size, at=at)
            return []
        if entry.is_folder:
            raise CardDamaged(f"{name} is a folder on the card, not a file; flash the card anew")
        old = self._clusters(entry)
        folder.change(entry, cluster=cluster, size=size, at=at)
        return old

    def _chains(self, sizes: Mapping[str, int]) -> dict[str, list[int]]:
        """Return free clusters for each file; an empty one has none."""
        counts = {path: -(-size // self._layout.cluster) for path, size in sizes.items()}
        free = self._table.find_free(sum(counts.values()))
        chains = {}
        for path, count in counts.items():
            chains[path], free = free[:count], free[count:]
        return chains

    def _write_chain(self, chain: list[int], content: Content) -> None:
        if not chain:
            return
        self._table.link(chain)
        left = size_of(content)
        with _opened(content) as file:
            for begin, count in _runs(chain, self._layout.cluster):
                piece = file.read(min(count, left))
                if len(piece) < min(count, left):
                    raise OSError(f"a file became shorter while it was written, by {left} bytes")
                self._blocks.write(self._layout.position(begin), piece.ljust(count, b"\0"))
                left -= len(piece)

    def _make_folder(self, name: str, at: datetime) -> None:
        root = self._folder("")
        entry = root.find(name)
        if entry is not None:
            if not entry.is_folder:
                raise CardDamaged(f"{name} is a file on the card, not a folder; flash it anew")
            return
        (cluster,) = self._table.find_free(1)
        self._table.link([cluster])
        here = short_entry(b".".ljust(11), 0, FOLDER, cluster=cluster, size=0, at=at)
        above = short_entry(b"..".ljust(11), 0, FOLDER, cluster=0, size=0, at=at)
        data = (here + above).ljust(self._layout.cluster, b"\0")
        self._blocks.write(self._layout.position(cluster), data)
        self._table.store()
        self._blocks.sync()
        root.add(name, cluster=cluster, size=0, at=at, is_folder=True)
        self._blocks.sync()

    def _folder(self, name: str) -> Folder:
        root = Folder(self._blocks, self._layout, self._table, self._layout.root_cluster)
        if not name:
            return root
        entry = root.find(name)
        if entry is None or not entry.is_folder:
            raise FileNotFoundError(f"the card has no folder {name}")
        return Folder(self._blocks, self._layout, self._table, entry.cluster)

    def _clusters(self, entry: Entry) -> list[int]:
        """Return a file's clusters; its chain may not be longer than the card."""
        return list(self._table.chain(entry.cluster)) if entry.cluster else []


def _runs(chain: list[int], cluster: int) -> Iterator[tuple[int, int]]:
    """Yield clusters that lie beside each other, as the first and how many bytes; none is large."""
    begin = 0
    for place in range(1, len(chain) + 1):
        is_over = place == len(chain) or chain[place] != chain[place - 1] + 1
        if is_over or (place - begin) * cluster >= PIECE_BYTES:
            yield chain[begin], (place - begin) * cluster
            begin = place


def size_of(content: Content) -> int:
    """Return how many bytes a file has."""
    return len(content) if isinstance(content, bytes) else content.size


def _opened(content: Content) -> AbstractContextManager[BinaryIO]:
    return io.BytesIO(content) if isinstance(content, bytes) else content.path.open("rb")


def _split(path: str) -> tuple[str, str]:
    """Return folder ("": the root) and name, or raise ValueError."""
    folder, _, name = path.rpartition("/")
    if "/" in folder:
        raise ValueError(f"{path} lies deeper than one folder")
    for part in filter(None, (folder, name)):
        names.check_name(part)
    if not name:
        raise ValueError(f"{path!r} names no file")
    return folder, name
