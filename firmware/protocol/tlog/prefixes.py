"""Proofs, from a log's tiles of hashes, that its tree begins with a smaller one. Pure.

A tree's leaves from one place to another are a few complete subtrees. Their roots are in the tiles,
which nobody signs: whatever is in them, only what leads to a witnessed root says anything. So a
reader that has a smaller tree's right edge adds the roots of what comes after it, and one that
hasn't takes both parts from the tiles.
"""

from collections.abc import Callable, Iterable, Sequence

from firmware.protocol.encoding import WireError
from firmware.protocol.tlog.merkle import HASH_BYTES, MAX_SIZE, Frontier, node_hash
from firmware.protocol.tlog.tiles import TILE_HEIGHT, TILE_WIDTH, Tile

MAX_TILE_BYTES = TILE_WIDTH * HASH_BYTES

Subtree = tuple[int, int]
"""Height and place of a complete subtree."""


def subtrees_between(start: int, end: int) -> list[Subtree]:
    """Return the complete subtrees that the leaves from `start` up to `end` are made of."""
    if not 0 <= start <= end <= MAX_SIZE:
        raise ValueError(f"there are no leaves from {start} up to {end}")
    found = []
    while start < end:
        height = (end - start).bit_length() - 1
        if start:
            height = min(height, (start & -start).bit_length() - 1)
        found.append((height, start >> height))
        start += 1 << height
    return found


def tile_with(subtree: Subtree, *, size: int) -> Tile:
    """Return the tile of a log of `size` from which a subtree's root can be computed."""
    height, place = subtree
    level, inner = divmod(height, TILE_HEIGHT)
    index = (place << inner) // TILE_WIDTH
    there = (size >> (TILE_HEIGHT * level)) - index * TILE_WIDTH
    return Tile(level=level, index=index, width=min(TILE_WIDTH, there))


def root_in_tile(subtree: Subtree, data: bytes) -> bytes:
    """Return a subtree's root by the bytes of its tile; WireError if the tile is too short."""
    height, place = subtree
    inner = height % TILE_HEIGHT
    begin = (place << inner) % TILE_WIDTH * HASH_BYTES
    part = data[begin : begin + (HASH_BYTES << inner)]
    if len(part) != HASH_BYTES << inner:
        raise WireError("a tile of hashes is too short")
    row = [part[at : at + HASH_BYTES] for at in range(0, len(part), HASH_BYTES)]
    while len(row) > 1:
        row = [node_hash(*pair) for pair in zip(row[::2], row[1::2], strict=True)]
    return row[0]


def subtrees_in(frontier: Frontier) -> list[tuple[Subtree, bytes]]:
    """Return a tree's complete subtrees with their roots."""
    return list(zip(subtrees_between(0, frontier.size), frontier.hashes, strict=True))


def joined_root(parts: Iterable[tuple[Subtree, bytes]]) -> bytes:
    """Return the root over neighbouring complete subtrees, the first of which begins the tree."""
    heights: list[int] = []
    hashes: list[bytes] = []
    for (height, _), node in parts:
        while heights and heights[-1] == height:
            heights.pop()
            node, height = node_hash(hashes.pop(), node), height + 1
        heights.append(height)
        hashes.append(node)
    if not hashes:
        raise WireError("no part of a tree has no root")
    root = hashes.pop()
    while hashes:
        root = node_hash(hashes.pop(), root)
    return root


def roots_of(
    subtrees: Sequence[Subtree], tile: Callable[[Subtree], bytes]
) -> list[tuple[Subtree, bytes]]:
    """Return the subtrees with their roots; `tile` gives the bytes of the tile of each."""
    return [(one, root_in_tile(one, tile(one))) for one in subtrees]
