"""A log's files as one read of a follower needs them: the new ends of bundles, and tiles' hashes.

Nothing here is trusted: what it gives counts once it leads to a witnessed root.
"""

from collections import deque
from collections.abc import Sequence
from contextlib import suppress

from firmware.protocol.encoding import WireError
from firmware.protocol.tlog.checkpoint import Checkpoint
from firmware.protocol.tlog.lines import parse_size
from firmware.protocol.tlog.prefixes import (
    MAX_TILE_BYTES,
    Subtree,
    joined_root,
    root_in_tile,
    subtrees_between,
    tile_with,
)
from firmware.protocol.tlog.tiles import TILE_WIDTH, Bundle
from firmware.transparency.errors import LogUnreachable, LogUnreadable
from firmware.transparency.log_source import LogSource

ENTRIES, STAMPS = "tile/entries/", "stamps/"
MAX_COUNT_BYTES = 64
MAX_TILES = 64
"""Tiles that are remembered during a read: those of a long one's parts are mostly the same."""


class LogFiles:
    """The files of a log of one size, for one read."""

    def __init__(self, source: LogSource, *, size: int) -> None:
        self.stamps = deque[bytes]()
        """Stamps that were fetched, and are of trees larger than what was read up to now."""
        self._source = source
        self._size = size
        self._count: int | None = None
        self._tiles: dict[str, bytes] = {}

    async def stamps_count(self) -> int:
        """Return the number of cosigned times that the log lists."""
        if self._count is None:
            data = await self._source.fetch("stamps/count", max_bytes=MAX_COUNT_BYTES)
            try:
                self._count = parse_size(data.decode("ascii").strip())
            except (WireError, UnicodeDecodeError) as error:
                raise LogUnreadable(f"the register's stamps can't be counted: {error}") from error
            if self._count > self._size + 1:
                raise LogUnreadable("the register has more stamps than sizes")
        return self._count

    async def bundle(
        self, bundle: Bundle, folder: str, *, known_bytes: int, max_bytes: int
    ) -> list[bytes]:
        """Return a bundle's new records.

        `known_bytes` is how many of its bytes those take that are known: only what follows them is
        asked for, and all of it where the server gives no ranges, or where that isn't whole records
        (the card may have lost some). A partial bundle may be gone because it has become full.
        """
        if bundle.first and known_bytes:
            with suppress(LogUnreadable):
                return await self._bundle(bundle, folder, known_bytes, max_bytes)
        return await self._bundle(bundle, folder, 0, max_bytes)

    async def _bundle(
        self, bundle: Bundle, folder: str, start_byte: int, max_bytes: int
    ) -> list[bytes]:
        paths = [bundle.path] if bundle.width == TILE_WIDTH else [bundle.path, bundle.full_path]
        for path in paths:
            path = path.replace(ENTRIES, folder, 1)
            found = await self._source.fetch_from(path, start_byte, max_bytes=max_bytes)
            if found is None:
                continue
            try:
                if found.start_byte:
                    return bundle.entries_in_tail(found.data, max_bytes=max_bytes)
                return bundle.new_entries(found.data, max_bytes=max_bytes)
            except WireError as error:
                what = "stamps" if folder == STAMPS else "entries"
                raise LogUnreadable(f"the register's {what} can't be read: {error}") from error
        raise LogUnreachable(f"the log has no {paths[0].replace(ENTRIES, folder, 1)} just now")

    async def roots(self, subtrees: Sequence[Subtree]) -> list[tuple[Subtree, bytes]]:
        """Return the roots of complete subtrees, as the log's tiles have them."""
        found = []
        for subtree in subtrees:
            data = await self._tile(subtree)
            try:
                found.append((subtree, root_in_tile(subtree, data)))
            except WireError as error:
                raise LogUnreadable(f"the register's tiles can't be read: {error}") from error
        return found

    async def is_beginning(self, old: Checkpoint, new: Checkpoint) -> bool | None:
        """Return whether a checkpoint's tree begins with a smaller one's, as the tiles prove it.

        None if they prove nothing. The answer for one pair of checkpoints never changes.
        """
        begin = await self.roots(subtrees_between(0, old.size))
        rest = await self.roots(subtrees_between(old.size, new.size))
        if joined_root([*begin, *rest]) != new.root:
            return None
        return old.size == 0 or joined_root(begin) == old.root

    async def _tile(self, subtree: Subtree) -> bytes:
        tile = tile_with(subtree, size=self._size)
        if tile.path not in self._tiles:
            data = await self._source.fetch_if_there(tile.path, max_bytes=MAX_TILE_BYTES)
            if data is None and tile.path != tile.full_path:
                data = await self._source.fetch_if_there(tile.full_path, max_bytes=MAX_TILE_BYTES)
            if data is None:
                raise LogUnreachable(f"the log has no {tile.path} just now")
            if len(self._tiles) == MAX_TILES:
                self._tiles.clear()
            self._tiles[tile.path] = data
        return self._tiles[tile.path]
