"""Zones of the picture on the detector's two grids: pixels of the decimated picture, and cells.

A cell is 4×4 pixels. A set of cells is one Python integer, one bit a cell, each row with one
spare bit at its end so that a shift never wraps around: growing, joining and intersecting areas
are then a few operations on integers of about 1,000 bits.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from firmware.config.polygon import Polygon

Bools = NDArray[np.bool_]
CELL = 4
"""Pixels of the decimated picture in a cell's side."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CellGrid:
    """The cells of one picture size."""

    rows: int
    columns: int

    @property
    def stride(self) -> int:
        """Bits a row: one more than cells."""
        return self.columns + 1

    def pack(self, active: Bools) -> int:
        """Return rows × stride booleans as a set; the spare column must be false."""
        return int.from_bytes(np.packbits(active, bitorder="little").tobytes(), "little")

    def unpack(self, cells: int) -> Bools:
        """Return a set as rows × columns booleans."""
        count = self.rows * self.stride
        data = np.frombuffer(cells.to_bytes((count + 7) // 8, "little"), dtype=np.uint8)
        bits = np.unpackbits(data, count=count, bitorder="little").view(np.bool_)
        return bits.reshape(self.rows, self.stride)[:, : self.columns]

    @property
    def every(self) -> int:
        """All cells."""
        whole = np.zeros((self.rows, self.stride), dtype=np.bool_)
        whole[:, : self.columns] = True
        return self.pack(whole)

    def grown(self, cells: int, every: int) -> int:
        """Return the set with all eight neighbours of each cell; `every` is `self.every`."""
        wide = cells | cells << 1 | cells >> 1
        return (wide | wide << self.stride | wide >> self.stride) & every

    def parts(self, seeds: int, cells: int, every: int) -> list[int]:
        """Return the connected parts of `cells` that hold a seed, each as a set."""
        found = []
        while seeds:
            part, grown = 0, seeds & -seeds
            while grown != part:
                part = grown
                grown = self.grown(part, every) & cells
            found.append(part)
            seeds &= ~part
        return found

    def box(self, cells: int) -> tuple[int, int, int, int]:
        """Return left, top, right, bottom (the last two exclusive) of a set that isn't empty."""
        lowest, highest = (cells & -cells).bit_length() - 1, cells.bit_length() - 1
        top, bottom = lowest // self.stride, highest // self.stride + 1
        row_mask = (1 << self.stride) - 1
        shadow = 0
        for row in range(top, bottom):
            shadow |= cells >> (row * self.stride) & row_mask
        return (shadow & -shadow).bit_length() - 1, top, shadow.bit_length(), bottom


def inside(polygon: Polygon, width: int, height: int) -> Bools:
    """Return which pixels' centres are in the polygon (even-odd rule)."""
    x = (np.arange(width) + 0.5) / width
    y = ((np.arange(height) + 0.5) / height)[:, None]
    is_inside = np.zeros((height, width), dtype=np.bool_)
    for (x1, y1), (x2, y2) in zip(polygon, polygon[1:] + polygon[:1], strict=True):
        if y1 != y2:
            crosses = (y1 <= y) != (y2 <= y)
            is_inside ^= crosses & (x < (x2 - x1) * (y - y1) / (y2 - y1) + x1)
    return is_inside
