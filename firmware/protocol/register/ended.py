"""What is kept of requests that ended long ago: ids, cases, and when places were last asked about.

A request that stands is judged by others of its agency: those that stand with it, the newest about
each of its places, those of its case, and that its id is new. The last two go on for ever, and for
them 8 bytes of a hash each are enough: two that agree by chance (one time in 10^7, among a million)
would keep a request out, and never let one in.
"""

import hashlib
from array import array
from bisect import bisect_left, bisect_right, insort
from dataclasses import dataclass, field

from firmware.protocol.encoding import WireError

_BYTES = 8
_SHIFT = 52
"""The hashes lie in some thousand sorted rows, so that adding one moves few of them."""


class HashBag:
    """A bag of texts by their hashes: how often each was added."""

    def __init__(self) -> None:
        self._rows: dict[int, array[int]] = {}

    def __len__(self) -> int:
        return sum(map(len, self._rows.values()))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, HashBag) and self._rows == other._rows

    __hash__ = None  # type: ignore[assignment]

    def add(self, *texts: str) -> None:
        """Add a tuple of texts once more."""
        hashed = _hash_of(texts)
        insort(self._rows.setdefault(hashed >> _SHIFT, array("Q")), hashed)

    def count(self, *texts: str) -> int:
        """Return how often it was added."""
        hashed = _hash_of(texts)
        row = self._rows.get(hashed >> _SHIFT)
        return 0 if row is None else bisect_right(row, hashed) - bisect_left(row, hashed)

    def to_bytes(self) -> bytes:
        """Return the hashes in order, in this machine's byte order."""
        return b"".join(self._rows[row].tobytes() for row in sorted(self._rows))

    @classmethod
    def from_bytes(cls, data: bytes) -> "HashBag":
        """Return the bag that `to_bytes` wrote, or raise WireError."""
        if len(data) % _BYTES:
            raise WireError("a bag of hashes is cut")
        bag, whole = cls(), memoryview(data).cast("Q")  # it may be large: no copy of it
        begin = 0
        while begin < len(whole):
            row = whole[begin] >> _SHIFT
            end = bisect_left(whole, (row + 1) << _SHIFT, begin)
            bag._rows[row] = array("Q", data[begin * _BYTES : end * _BYTES])
            begin = end
        return bag


@dataclass(slots=True)
class Ended:
    """The requests that ended so long ago that no later one is judged by their times."""

    ids: HashBag = field(default_factory=HashBag)
    cases: HashBag = field(default_factory=HashBag)
    """By agency and case; renewals aren't counted."""
    places: dict[tuple[str, str], int] = field(default_factory=dict)
    """By agency and cell: when the newest about it was made. Whatever stands was made later."""


def _hash_of(texts: tuple[str, ...]) -> int:
    return int.from_bytes(hashlib.sha256("\0".join(texts).encode()).digest()[:_BYTES])
