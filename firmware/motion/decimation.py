"""Decimates a luma frame to about 160 pixels on its longer side, by the means of k×k blocks.

For k = 2 and 4, eight pixels are added at once in 64-bit words; NumPy has no faster way. Needs
NumPy only.
"""

import numpy as np
from numpy.typing import NDArray

from firmware.capture.camera_output import LumaFrame

Floats = NDArray[np.float32]
WIDTH = 160
_EVEN_BYTES = np.uint64(0x00FF00FF00FF00FF)
_BYTE_BITS = np.uint64(8)
_LOW_HALF = np.uint32(0xFFFF)
_HALF_BITS = np.uint32(16)


def block_of(longer: int) -> int:
    """Return k for a frame of which this is the longer side."""
    return max(1, round(longer / WIDTH))


def decimated(frame: LumaFrame, out: Floats | None = None) -> Floats:
    """Return rows × columns of block means (0 to 255); rows and columns without a whole block
    are left out, and so are columns beyond a multiple of 4."""
    k = block_of(max(frame.width, frame.height))
    rows, columns = frame.height // k, frame.width // k // 4 * 4
    pixels = np.frombuffer(frame.data, dtype=np.uint8, count=frame.height * frame.stride)
    luma = pixels.reshape(frame.height, frame.stride)[: rows * k, : columns * k]
    if out is None:
        out = np.empty((rows, columns), dtype=np.float32)
    sums = _sums_of_words(luma, k) if k in (2, 4) else _sums(luma, k)
    np.copyto(out, sums)
    out *= np.float32(1 / (k * k))
    return out


def _sums_of_words(luma: NDArray[np.uint8], k: int) -> NDArray[np.uint16] | NDArray[np.uint32]:
    if luma.strides[0] % 8:
        luma = np.ascontiguousarray(luma)
    words = luma.view(np.uint64)
    sums, spare = words >> _BYTE_BITS, words & _EVEN_BYTES
    sums &= _EVEN_BYTES
    sums += spare
    columns = sums.shape[1]
    sums, spare = sums.reshape(-1), spare.reshape(-1)
    for rows in (1, 2)[: k // 2]:  # to each row the next, then the next but one, all in one go
        step = rows * columns
        np.add(sums[:-step], sums[step:], out=spare[:-step])
        sums, spare = spare, sums
    sums = sums.reshape(-1, k, columns)[:, 0]
    if k == 2:
        return sums.view(np.uint16)
    halves = sums.view(np.uint32)
    return (halves & _LOW_HALF) + (halves >> _HALF_BITS)


def _sums(luma: NDArray[np.uint8], k: int) -> NDArray[np.uint32]:
    total = np.zeros((luma.shape[0] // k, luma.shape[1] // k), dtype=np.uint32)
    for row in range(k):
        for column in range(k):
            total += luma[row::k, column::k]
    return total
