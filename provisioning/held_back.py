"""A medium whose first bytes aren't on it yet: they are held in memory, and changed there.

So a card can be customised while it has no partition table, and is blank for whoever pulls it.
"""

from provisioning.block_file import Blocks


class HeldBack:
    """`Blocks` over others; `first` is what belongs at their beginning."""

    def __init__(self, blocks: Blocks, first: bytes) -> None:
        self._blocks = blocks
        self._first = bytearray(first)

    @property
    def first(self) -> bytes:
        """The held bytes as they are now."""
        return bytes(self._first)

    def read(self, at: int, count: int) -> bytes:
        """Return up to `count` bytes from byte `at`; fewer at the end."""
        held = bytes(self._first[at : at + count])
        if len(held) == count:
            return held
        return held + self._blocks.read(at + len(held), count - len(held))

    def write(self, at: int, data: bytes) -> None:
        """Write all of it from byte `at`."""
        here = max(0, min(len(data), len(self._first) - at))
        self._first[at : at + here] = data[:here]
        if here < len(data):
            self._blocks.write(at + here, data[here:])

    def sync(self) -> None:
        """Return once all but the held bytes would survive the card being pulled."""
        self._blocks.sync()
