"""The public files of a log: tiles, checkpoint, stamps and texts in a bucket.

    register/checkpoint        the newest witnessed checkpoint, written after all that it needs
    register/tile/…            tiles of hashes and bundles of entries (c2sp.org/tlog-tiles)
    register/stamps/…          the first witnessed checkpoint of each size in bundles, their count
    texts/<sha256>             published texts, such as agreements

What never changes is written once: a file of that name with other bytes in it is a contradiction,
never overwritten. Where the store has Object Lock, it refuses for a while to delete them.

A partial tile is deleted once the full one is there, never before: whoever looks for it then takes
the full one (c2sp.org/tlog-tiles).
"""

import hashlib
import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from firmware.protocol.tlog.merkle import Tree
from firmware.protocol.tlog.tiles import (
    CHECKPOINT_PATH,
    MAX_BUNDLE_BYTES,
    TILE_WIDTH,
    Bundle,
    Tile,
    bundles_grown,
    encode_bundle,
    tiles_grown,
)
from relay.base.clock import Clock
from relay.custody.errors import LogContradicts
from relay.store.objects import ObjectLock

STAMPS_COUNT_PATH = "stamps/count"
PARTIAL = ".p/"
MAX_TEXT_BYTES = 1024 * 1024
MAX_SMALL_BYTES = 256 * 1024
BYTES_TYPE = "application/octet-stream"
TEXT_TYPE = "text/plain; charset=utf-8"
FOR_EVER = "public, max-age=31536000, immutable"
FOR_A_DAY = "public, max-age=86400, immutable"
"""Of a partial tile: it never changes either, but is soon of no use, and then gone."""
FOR_A_SECOND = "public, max-age=1"
"""Of what changes: a doorbell that is told of growth asks a second later (follower.LEAST_PAUSE_S),
and of a fleet that asks at once, a cache in between lets one through."""
DAY_MS = 24 * 3600 * 1000
PARTIAL_DAYS = 30
"""Partial tiles are of use until the full one is there: no need to lock them for longer."""

_NUMBER = r"(?:x[0-9]{3}/){0,6}[0-9]{3}(?:\.p/(?:[1-9][0-9]{0,2}))?"
_PATH = re.compile(
    rf"(?:(?:register|custody)/(?:checkpoint|stamps/count|stamps/{_NUMBER}"
    rf"|tile/(?:[0-9]|entries)/{_NUMBER})|texts/[0-9a-f]{{64}})\Z"
)
_CHANGING = re.compile(r"(?:register|custody)/(?:checkpoint|stamps/count)\Z")

log = logging.getLogger(__name__)


class Bucket(Protocol):
    """The operations of the object store that the logs need."""

    async def ensure_lockable(self) -> bool:
        """Create the bucket; return whether objects in it can be locked."""
        ...

    async def put_new(
        self,
        key: str,
        data: bytes,
        *,
        content_type: str,
        cache_control: str,
        lock: ObjectLock | None = None,
    ) -> bool:
        """Store an object that never changes; False if there is one of this name already."""
        ...

    async def swap(
        self, key: str, data: bytes, *, old: bytes | None, content_type: str, cache_control: str
    ) -> bool:
        """Store an object in the place of `old`, or where none is; False if there is another."""
        ...

    async def get(self, key: str, *, max_bytes: int) -> bytes | None:
        """Return an object's bytes; None if there is none."""
        ...

    async def list_keys(self, prefix: str) -> frozenset[str]:
        """Return the names of all objects that begin so."""
        ...

    async def drop_under(self, prefix: str) -> None:
        """Delete all objects that begin so, with their versions; those that are locked stay."""
        ...

    async def drop_older(self, key: str) -> None:
        """Delete what an object was before, where the store keeps it."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """Object Lock's mode and duration for immutable files."""

    mode: Literal["none", "governance", "compliance"] = "none"
    days: int = 0


class TileStore:
    """The bucket of both logs."""

    def __init__(self, bucket: Bucket, clock: Clock, retention: Retention) -> None:
        self._bucket = bucket
        self._clock = clock
        self._retention = retention
        self._is_lockable: bool | None = None

    async def prepare(self) -> None:
        """Create the bucket, and log which guarantees the store lacks."""
        self._is_lockable = await self._bucket.ensure_lockable()
        if self._retention.mode == "none":
            log.warning("logs: retention is off, so that whoever runs the store can delete tiles")
        elif not self._is_lockable:
            log.warning(
                "logs: this bucket has no Object Lock, so that whoever runs the store can delete "
                "tiles; a store that has it, and a new bucket, are needed for retention"
            )

    async def checkpoint(self, name: str) -> bytes | None:
        """Return the published checkpoint; None if there never was one."""
        return await self._bucket.get(f"{name}/{CHECKPOINT_PATH}", max_bytes=MAX_SMALL_BYTES)

    async def stamps_count(self, name: str) -> int:
        """Return the number of published stamps."""
        data = await self._bucket.get(f"{name}/{STAMPS_COUNT_PATH}", max_bytes=32)
        return 0 if data is None else int(data)

    async def put_tile(self, name: str, tile: Tile, tree: Tree) -> None:
        """Write a tile of hashes."""
        is_full = tile.width == TILE_WIDTH
        await self._put_new(f"{name}/{tile.path}", tile.hashes_in(tree), is_full=is_full)

    async def put_bundle(self, name: str, bundle: Bundle, entries: Sequence[bytes]) -> None:
        """Write a bundle of entries."""
        is_full = bundle.width == TILE_WIDTH
        await self._put_new(f"{name}/{bundle.path}", encode_bundle(entries), is_full=is_full)

    async def put_stamps(self, name: str, bundle: Bundle, notes: Sequence[bytes]) -> None:
        """Write a bundle of stamps."""
        path = stamps_path(bundle)
        is_full = bundle.width == TILE_WIDTH
        await self._put_new(f"{name}/{path}", encode_bundle(notes), is_full=is_full)

    async def put_stamps_count(self, name: str, count: int, *, there: int) -> bool:
        """Replace the stamps' count `there` by a new one; False if the file has another."""
        key = f"{name}/{STAMPS_COUNT_PATH}"
        old = f"{there}\n".encode() if there else None
        data = f"{count}\n".encode()
        return await self._swap(key, data, old=old)

    async def put_checkpoint(self, name: str, note: bytes, *, seen: bytes | None) -> bool:
        """Replace the published checkpoint `seen` by the newest; False if another is there."""
        key = f"{name}/{CHECKPOINT_PATH}"
        return await self._swap(key, note, old=seen)

    async def sweep(self, name: str) -> None:
        """Delete partial tiles and bundles whose full one is there, and old checkpoints."""
        keys = await self._bucket.list_keys(f"{name}/")
        partial = {key.partition(PARTIAL)[0] for key in keys if PARTIAL in key}
        for full in sorted(partial & keys):
            await self._bucket.drop_under(f"{full}{PARTIAL}")
        for path in (CHECKPOINT_PATH, STAMPS_COUNT_PATH):
            await self._bucket.drop_older(f"{name}/{path}")

    async def put_text(self, text: bytes) -> str:
        """Publish a text; return its SHA-256 in hexadecimal, which is its name."""
        if len(text) > MAX_TEXT_BYTES:
            raise ValueError(f"a published text has at most {MAX_TEXT_BYTES} bytes")
        digest = hashlib.sha256(text).hexdigest()
        await self._put_new(f"texts/{digest}", text, is_full=True, content_type=TEXT_TYPE)
        return digest

    async def fetch(self, path: str) -> bytes | None:
        """Return the file at a path; None if there is no such file, or the path is invalid."""
        if not is_path(path):
            return None
        return await self._bucket.get(path, max_bytes=MAX_BUNDLE_BYTES)

    async def _swap(self, key: str, data: bytes, *, old: bytes | None) -> bool:
        return await self._bucket.swap(
            key, data, old=old, content_type=TEXT_TYPE, cache_control=FOR_A_SECOND
        )

    async def _put_new(
        self, key: str, data: bytes, *, is_full: bool, content_type: str = BYTES_TYPE
    ) -> None:
        if await self._bucket.put_new(
            key,
            data,
            content_type=content_type,
            cache_control=cache_control_of(key),
            lock=self._lock(is_full=is_full),
        ):
            return
        if await self._bucket.get(key, max_bytes=max(len(data), MAX_SMALL_BYTES)) != data:
            raise LogContradicts(
                f"{key} was published with other bytes. Was the database restored from an old "
                "backup, or is the bucket another relay's? Nothing is signed until that is mended"
            )

    def _lock(self, *, is_full: bool) -> ObjectLock | None:
        mode, days = self._retention.mode, self._retention.days
        if mode == "none" or not self._is_lockable:
            return None
        days = days if is_full else min(days, PARTIAL_DAYS)
        return ObjectLock(mode=mode, until_ms=self._clock.wall_ms() + days * DAY_MS)


def stamps_path(bundle: Bundle) -> str:
    """Return the path of a bundle of stamps: like that of entries, under another name."""
    return "stamps/" + bundle.path.removeprefix("tile/entries/")


def is_path(path: str) -> bool:
    """Return whether a path is one of a log's files."""
    return _PATH.match(path) is not None


def is_changing(path: str) -> bool:
    """Return whether the file at a path changes."""
    return _CHANGING.match(path) is not None


def cache_control_of(path: str) -> str:
    """Return for how long whoever has a file may keep it: also in the bucket, for a CDN there."""
    if is_changing(path):
        return FOR_A_SECOND
    return FOR_A_DAY if PARTIAL in path else FOR_EVER


def grown(old_size: int, size: int) -> tuple[list[Tile], list[Bundle]]:
    """Return the files that a log of `size` has and one of `old_size` hasn't."""
    return list(tiles_grown(old_size, size)), list(bundles_grown(old_size, size))
