"""The picture's cells, zones and sizes, for one size of the picture and one set of settings."""

import math

import numpy as np

from firmware.config.settings import MotionConfig
from firmware.motion.background import Box
from firmware.motion.illumination import Bools
from firmware.motion.zones import CELL, CellGrid, inside

STRONG_PIXELS, WEAK_PIXELS = 6, 3
"""Hot pixels of the 16 in a cell that begin a blob, and that let it reach further."""
FOUND_PART = 0.5
"""Of a thing's pixels at least this part is hot: arms and legs are thin, colours alike."""

SCATTERED_PART = 0.1
"""In rain and snow much is hot here and there, and some of it lies together by chance: something
needs so much more for each scattered hot pixel ..."""
SCATTERED_FREE = 2.0
"""... beyond so many of the least things: a walker's own edges are scattered too."""


class Areas:
    """The picture's cells, zones and sizes."""

    def __init__(self, settings: MotionConfig, height: int, width: int) -> None:
        rows = -(-height // CELL)
        self.grid = CellGrid(rows=rows, columns=width // CELL)
        self._every = self.grid.every
        rim = np.ones((rows, self.grid.stride), dtype=np.bool_)
        rim[1:-1, 1:-2] = rim[:, -1] = False
        self.rim = self.grid.pack(rim)
        """The outermost cells: who comes in is seen there first."""
        self._height = height
        self.pixels = height * width
        self._padded: Bools = np.zeros((rows * CELL, width), dtype=np.bool_)
        self._active: Bools = np.zeros((rows, self.grid.stride), dtype=np.bool_)
        self._counts = np.zeros((rows, width // CELL), dtype=np.uint32)
        self.least_px = FOUND_PART * settings.min_size_percent / 100 * height * width
        cells = math.ceil(self.least_px / 2 / CELL**2)
        self._least_hot_px = STRONG_PIXELS + (cells - 1) * WEAK_PIXELS
        self.zones: list[tuple[str, int]] = []
        self._counted: Bools | None = None
        names = settings.zone_names or ("",) * len(settings.zones)
        for name, polygon in zip(names, settings.zones, strict=True):
            pixels = inside(polygon, width, height)
            counted = pixels if self._counted is None else self._counted | pixels
            self._counted = counted
            if name:
                self.zones.append((name, self._cells_of(pixels, is_zone=True)[1]))

    def place(self, cells: int) -> tuple[int, int, int, int]:
        """Return left, top, right, bottom of cells, in thousandths of the picture."""
        left, top, right, bottom = self.grid.box(cells)
        width, height = self.pixels // self._height, self._height
        return (
            min(1000, left * CELL * 1000 // width),
            min(1000, top * CELL * 1000 // height),
            min(1000, right * CELL * 1000 // width),
            min(1000, bottom * CELL * 1000 // height),
        )

    def parts(self, hot: Bools, hot_px: int) -> list[int]:
        """Return the connected cells in which much is hot, but for the smallest; `hot_px` pixels
        are hot in all."""
        if hot_px < self._least_hot_px:
            self._counts.fill(0)
            return []
        strong, weak = self._cells_of(hot)
        if weak.bit_count() * CELL * CELL < self.least_px / 2:
            return []
        return [
            cells
            for cells in self.grid.parts(strong, weak, self._every)
            if cells.bit_count() * CELL * CELL >= self.least_px / 2
        ]

    def grown(self, cells: int) -> int:
        """Return the cells with all their neighbours."""
        return self.grid.grown(cells, self._every)

    def count(self, cells: int) -> int:
        """Return how many hot pixels these cells hold (after `parts`)."""
        return int(self._counts[self.grid.unpack(cells)].sum())

    def centre(self, cells: int) -> tuple[float, float]:
        """Return column and row of the middle of these cells' hot pixels (after `parts`)."""
        rows, columns = np.nonzero(self.grid.unpack(cells))
        weights = self._counts[rows, columns].astype(np.float32)
        total = max(1.0, float(weights.sum()))
        return float(weights @ columns) / total, float(weights @ rows) / total

    def pixels_of(self, cells: int) -> Bools:
        """Return which pixels are in these cells."""
        wide = self.grid.unpack(cells).repeat(CELL, axis=0)[: self._height]
        return wide.repeat(CELL, axis=1)

    def needed_px(self, found_px: int) -> float:
        """Return the hot pixels that a movement needs, if so many are in parts (after `parts`)."""
        scattered_px = int(self._counts.sum()) - found_px
        beyond = max(0.0, scattered_px - SCATTERED_FREE * self.least_px)
        return self.least_px + SCATTERED_PART * beyond

    def box(self, cells: int) -> Box:
        """Return the pixels around these cells, one cell more on each side."""
        left, top, right, bottom = self.grid.box(cells)
        return (
            slice(max(0, top - 1) * CELL, min(self._height, (bottom + 1) * CELL)),
            slice(max(0, left - 1) * CELL, (right + 1) * CELL),
        )

    def _cells_of(self, pixels: Bools, *, is_zone: bool = False) -> tuple[int, int]:
        """Return the cells with many such pixels, and those with some (of a zone: any)."""
        np.copyto(self._padded[: self._height], pixels)
        if self._counted is not None and not is_zone:
            self._padded[: self._height] &= self._counted
        fours = self._padded.view(np.uint32).reshape(self.grid.rows, CELL, -1)
        sums = fours[:, 0] + fours[:, 1]
        sums += fours[:, 2]
        sums += fours[:, 3]
        sums *= 0x01010101  # the top byte becomes the sum of the four
        np.right_shift(sums, 24, out=self._counts)
        inner = self._active[:, :-1]
        np.greater_equal(self._counts, 1 if is_zone else WEAK_PIXELS, out=inner)
        weak = self.grid.pack(self._active)
        if not weak:
            return 0, 0
        np.greater_equal(self._counts, STRONG_PIXELS, out=inner)
        return self.grid.pack(self._active), weak
