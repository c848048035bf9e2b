"""Decimates a luma frame to about 160 pixels on its longer side, in quarters of a level (`SCALE`).

Each output value is the sum of four pixels of a k×k block (k = 2: all; k = 4: those of its second
row), or the block's mean times SCALE. A thread that works ten times a second finds its caches cold,
so what is read counts for more than what is computed: the other rows are left alone. Eight pixels
are added at once in 64-bit words, in buffers that are kept. Needs NumPy only.
"""

import numpy as np
from numpy.typing import NDArray

from firmware.capture.camera_output import LumaFrame

Shorts = NDArray[np.int16]
WIDTH = 160
SCALE = 4
"""Units of the decimated picture in a level of luma."""
_EVEN_BYTES = np.uint64(0x00FF00FF00FF00FF)
_BYTE_BITS = np.uint64(8)
_HALF_BITS = np.uint32(16)


def block_of(longer: int) -> int:
    """Return k for a frame of which this is the longer side."""
    return max(1, round(longer / WIDTH))


class Decimator:
    """The decimation of one size of frames."""

    def __init__(self, width: int, height: int) -> None:
        self._block = block_of(max(width, height))
        self.shape = height // self._block, width // self._block // 4 * 4
        """Rows and columns; those without a whole block are left out, and so are columns beyond
        a multiple of 4."""
        rows, columns = self.shape
        self._pixels = rows * self._block, columns * self._block
        kept_rows = rows * 2 if self._block == 2 else rows
        words = columns * self._block // 8
        self._sums = np.empty((kept_rows, words), np.uint64)
        self._spare = np.empty_like(self._sums)

    def decimate(self, frame: LumaFrame) -> Shorts:
        """Return the decimated frame, in an array of its own."""
        pixels = np.frombuffer(frame.data, dtype=np.uint8, count=frame.height * frame.stride)
        luma = pixels.reshape(frame.height, frame.stride)[: self._pixels[0], : self._pixels[1]]
        out = np.empty(self.shape, np.int16)
        if self._block == 2:
            self._add_pairs(luma)
            np.add(self._sums[::2], self._sums[1::2], out=out.view(np.uint64))
        elif self._block == 4:
            self._add_pairs(luma[1::4])
            pairs, spare = self._sums.view(np.uint32), self._spare.view(np.uint32)
            np.right_shift(pairs, _HALF_BITS, out=spare)
            np.add(pairs, spare, out=spare)
            np.copyto(out, spare, casting="unsafe")  # the lower half is the sum of four
        else:
            np.copyto(out, _sums(luma, self._block) * SCALE // self._block**2, casting="unsafe")
        return out

    def _add_pairs(self, luma: NDArray[np.uint8]) -> None:
        """Add each pixel to its neighbour: the sums are 16 bits each."""
        if luma.strides[0] % 8:
            luma = np.ascontiguousarray(luma)
        words = luma.view(np.uint64)
        np.right_shift(words, _BYTE_BITS, out=self._sums)
        np.bitwise_and(self._sums, _EVEN_BYTES, out=self._sums)
        np.bitwise_and(words, _EVEN_BYTES, out=self._spare)
        np.add(self._sums, self._spare, out=self._sums)


def _sums(luma: NDArray[np.uint8], k: int) -> NDArray[np.uint32]:
    total = np.zeros((luma.shape[0] // k, luma.shape[1] // k), dtype=np.uint32)
    for row in range(k):
        for column in range(k):
            total += luma[row::k, column::k]
    return total
