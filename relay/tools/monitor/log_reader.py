"""Reader of one whole log, with checks of its policy, tree, tiles and stamps.

What comes out is what its witnesses signed; LogDishonest is raised where anything that was served
can't be so.
"""

from collections.abc import Callable
from dataclasses import dataclass

from firmware.protocol.encoding import WireError
from firmware.protocol.register.facts import Stamps
from firmware.protocol.tlog.merkle import Tree, leaf_hash
from firmware.protocol.tlog.policy import Policy, Witnessed
from firmware.protocol.tlog.signed_note import MAX_NOTE_BYTES
from firmware.protocol.tlog.tiles import (
    CHECKPOINT_PATH,
    MAX_BUNDLE_BYTES,
    TILE_WIDTH,
    Bundle,
    Tile,
    bundles_grown,
    parse_bundle,
    tiles_grown,
)
from relay.tools.monitor.errors import LogDishonest, LogUnreadable
from relay.tools.monitor.source import Source

MAX_ENTRIES = 50_000_000
"""No limit of a log: a monitor reads all of one each time, and has it in memory, some 7 KB an entry
(a machine with 16 GB: two million). What a false size costs is one file that isn't there."""
MAX_STAMPS_BYTES = 32
STAMPS_COUNT_PATH = "stamps/count"

Keep = Callable[[str, bytes], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadLog:
    """One log, read and verified."""

    name: str
    origin: str
    newest: Witnessed
    entries: tuple[bytes, ...]
    stamps: Stamps
    as_of_ms: int
    """By when witnesses had seen all of these entries: the same for everybody who has them."""
    charter: str | None = None
    """SHA-256 over the first entry, where the policy names it."""

    @property
    def size(self) -> int:
        """The number of entries."""
        return len(self.entries)

    def seen_ms(self, index: int) -> int:
        """Return the cosigned time of an entry."""
        seen = self.stamps.seen_ms(index)
        return self.as_of_ms if seen is None else seen


class LogReader:
    """Reads the log of one origin below `name`/ of a source."""

    def __init__(self, source: Source, policy: Policy, *, name: str, origin: str) -> None:
        self._source = source
        self._policy = policy
        self._name = name
        self._origin = origin

    def read(self, before: bytes | None = None) -> ReadLog:
        """Return the log; `before` is a checkpoint that was seen earlier."""
        note = self._fetch(CHECKPOINT_PATH, max_bytes=MAX_NOTE_BYTES)
        newest = self._witnessed(note)
        if newest.checkpoint.size > MAX_ENTRIES:
            raise LogUnreadable(f"{self._origin} says to have {newest.checkpoint.size} entries")
        self._check_not_rolled_back(newest, before)
        entries, tree = self._read_entries(newest)
        self._check_same_history(tree, newest, before)
        self._check_tiles(tree)
        stamps = self._read_stamps(tree)
        as_of_ms = stamps.seen_ms(newest.checkpoint.size - 1)
        if as_of_ms is None:
            raise LogDishonest(f"{self._origin}: no stamp covers its newest entries")
        return ReadLog(
            name=self._name,
            origin=self._origin,
            newest=newest,
            entries=tuple(entries),
            stamps=stamps,
            as_of_ms=as_of_ms,
            charter=self._policy.charter_of(self._origin),
        )

    def _witnessed(self, note: bytes) -> Witnessed:
        try:
            return self._policy.check(note, origin=self._origin)
        except WireError as error:
            raise LogDishonest(f"{self._origin}: a checkpoint isn't accepted: {error}") from error

    def _check_not_rolled_back(self, newest: Witnessed, before: bytes | None) -> None:
        if before is None:
            return
        old = self._witnessed(before)
        if newest.checkpoint.size < old.checkpoint.size:
            raise LogDishonest(
                f"{self._origin} was rolled back: it had {old.checkpoint.size} entries, and now "
                f"shows {newest.checkpoint.size}",
                proof=(before, newest.note),
            )

    def _check_same_history(self, tree: Tree, newest: Witnessed, before: bytes | None) -> None:
        if before is None:
            return
        old = self._witnessed(before).checkpoint
        if tree.root(old.size) != old.root:
            raise LogDishonest(
                f"{self._origin} was forked: its first {old.size} entries are no longer those that "
                "were seen before",
                proof=(before, newest.note),
            )

    def _read_entries(self, newest: Witnessed) -> tuple[list[bytes], Tree]:
        checkpoint = newest.checkpoint
        entries: list[bytes] = []
        for bundle in bundles_grown(0, checkpoint.size):
            data = self._fetch(bundle.path, instead=bundle.full_path, max_bytes=MAX_BUNDLE_BYTES)
            try:
                entries += bundle.new_entries(data)
            except WireError as error:
                raise LogDishonest(f"{self._origin}: {bundle.path}: {error}") from error
        tree = Tree(map(leaf_hash, entries))
        if tree.root() != checkpoint.root:
            raise LogDishonest(
                f"{self._origin}: the {checkpoint.size} entries that are served aren't those that "
                "its witnesses signed",
                proof=(newest.note,),
            )
        return entries, tree

    def _check_tiles(self, tree: Tree) -> None:
        for tile in tiles_grown(0, tree.size):
            full = Tile(level=tile.level, index=tile.index)
            data = self._fetch(tile.path, instead=full.path, max_bytes=TILE_WIDTH * 32)
            expected = tile.hashes_in(tree)
            if data[: len(expected)] != expected:
                raise LogDishonest(f"{self._origin}: {tile.path} holds other hashes")

    def _read_stamps(self, tree: Tree) -> Stamps:
        count_text = self._fetch(STAMPS_COUNT_PATH, max_bytes=MAX_STAMPS_BYTES).strip()
        if not count_text.isdigit():
            raise LogUnreadable(f"{self._origin}: {STAMPS_COUNT_PATH} is no number")
        stamps, last_size = Stamps(), 0
        for bundle in bundles_grown(0, min(int(count_text), MAX_ENTRIES)):
            for note in self._read_stamp_bundle(bundle):
                witnessed = self._witnessed(note)
                size = witnessed.checkpoint.size
                if size <= last_size:
                    raise LogDishonest(f"{self._origin}: its stamps aren't in the order of size")
                last_size = size
                if size > tree.size:
                    continue  # published while this was read
                if tree.root(size) != witnessed.checkpoint.root:
                    raise LogDishonest(
                        f"{self._origin} was forked: the first {size} entries were stamped as "
                        "others",
                        proof=(note,),
                    )
                stamps.add(size, witnessed.aged_ms)
        return stamps

    def _read_stamp_bundle(self, bundle: Bundle) -> list[bytes]:
        path = _stamps_path(bundle.path)
        data = self._fetch(path, instead=_stamps_path(bundle.full_path), max_bytes=MAX_BUNDLE_BYTES)
        try:
            return parse_bundle(data)[: bundle.width]
        except WireError as error:
            raise LogDishonest(f"{self._origin}: {path}: {error}") from error

    def _fetch(self, path: str, *, max_bytes: int, instead: str | None = None) -> bytes:
        data = self._source.fetch(f"{self._name}/{path}", max_bytes=max_bytes)
        if data is None and instead is not None and instead != path:
            data = self._source.fetch(f"{self._name}/{instead}", max_bytes=max_bytes)
        if data is None:
            raise LogUnreadable(f"{self._origin}: there is no {path}")
        return data


def _stamps_path(path: str) -> str:
    return "stamps/" + path.removeprefix("tile/entries/")
