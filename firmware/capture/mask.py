"""The owner's privacy mask, painted into a picture before anything else sees it.

A mask hides whole macroblocks (16×16 pixels): each that a polygon covers, however little of it. So
no block that an encoder compresses mixes what is hidden with what is shown; its deblocking filter
may draw what is shown up to three pixels into the black. What a polygon encloses is worked out once
(rectangles, the non-zero winding rule: a loop drawn over itself has no hole); painting a picture is
a few block fills. Polygons are of the buffers that are painted: a source flips its pictures first
(on a Pi, the sensor does), and where the camera is on its side, `turn.coded_mask` turns the
owner's polygons back.

Needs NumPy, and nothing else.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from firmware.capture.i420 import Bytes
from firmware.capture.video_source import Mask

Grid = NDArray[np.bool_]
Corner = tuple[float, float]

BLOCK = 16
HIDDEN_LUMA = 16
HIDDEN_CHROMA = 128
"""Black, in limited range."""


@dataclass(frozen=True, slots=True)
class Rectangle:
    """Luma pixels of rows `top` to `bottom` and columns `left` to `right`, ends excluded."""

    top: int
    bottom: int
    left: int
    right: int


class MaskPainter:
    """Paints one mask into pictures of one even size; another size needs a painter of its own.

    The painting methods change the buffer in place: a contiguous uint8 array of any shape, whose
    rows are `stride` bytes apart. What lies between `width` and `stride` stays as it is. A
    buffer that can't be such a picture raises ValueError: then the picture must be dropped.
    """

    def __init__(self, mask: Mask, width: int, height: int) -> None:
        self.width = width
        self.height = height
        self.rectangles = _rectangles(_covered_blocks(mask, width, height), width, height)

    def paint_yuv420(self, buffer: Bytes, stride: int) -> None:
        """Hide in Y, then U, then V; U and V have half as many rows, `stride`/2 bytes apart."""
        if stride % 2:
            raise ValueError(f"a stride of {stride} bytes can't be halved for U and V")
        flat = self._flat(buffer, stride, self.height * stride * 3 // 2)
        luma_bytes, half = self.height * stride, stride // 2
        chroma_bytes = self.height // 2 * half
        self._fill_luma(flat[:luma_bytes].reshape(self.height, stride))
        for begin in (luma_bytes, luma_bytes + chroma_bytes):
            plane = flat[begin : begin + chroma_bytes].reshape(self.height // 2, half)
            for r in self.rectangles:
                rows = plane[r.top // 2 : r.bottom // 2]
                rows[:, r.left // 2 : r.right // 2] = HIDDEN_CHROMA

    def paint_nv12(self, buffer: Bytes, stride: int) -> None:
        """Hide in Y, then in the plane of U and V by turns (or V and U), also `stride` apart."""
        flat = self._flat(buffer, stride, self.height * stride * 3 // 2)
        luma_bytes = self.height * stride
        self._fill_luma(flat[:luma_bytes].reshape(self.height, stride))
        pairs = flat[luma_bytes : luma_bytes + self.height // 2 * stride].reshape(-1, stride)
        for r in self.rectangles:
            pairs[r.top // 2 : r.bottom // 2, r.left : r.right] = HIDDEN_CHROMA

    def paint_luma(self, buffer: Bytes, stride: int) -> None:
        """Hide in a lone Y plane."""
        flat = self._flat(buffer, stride, self.height * stride)
        self._fill_luma(flat[: self.height * stride].reshape(self.height, stride))

    def _flat(self, buffer: Bytes, stride: int, size_bytes: int) -> Bytes:
        if buffer.dtype != np.uint8 or not buffer.flags.c_contiguous:
            raise ValueError("a picture must be contiguous bytes, so that painting changes it")
        if stride < self.width or buffer.size < size_bytes:
            raise ValueError(
                f"{buffer.size} bytes, {stride} a row, are no picture of {self.width}×{self.height}"
            )
        return buffer.reshape(-1)

    def _fill_luma(self, plane: Bytes) -> None:
        for r in self.rectangles:
            plane[r.top : r.bottom, r.left : r.right] = HIDDEN_LUMA


def _covered_blocks(mask: Mask, width: int, height: int) -> Grid:
    """Return which blocks a polygon covers, wholly or in part.

    Exact: a block that no side passes through lies either wholly inside or wholly outside, so
    its middle tells.
    """
    covered = np.zeros((-(-height // BLOCK), -(-width // BLOCK)), dtype=np.bool_)
    for polygon in mask.polygons:
        corners = [(x * width / BLOCK, y * height / BLOCK) for x, y in polygon]
        sides = list(zip(corners, corners[1:] + corners[:1], strict=True))
        for begin, end in sides:
            _mark_passed(covered, begin, end)
        for row in range(covered.shape[0]):
            _mark_enclosed(covered[row], row + 0.5, sides)
    return covered


def _mark_passed(covered: Grid, begin: Corner, end: Corner) -> None:
    """Mark the blocks that a side passes through; along a border it passes through none."""
    (x0, y0), (x1, y1) = sorted((begin, end), key=lambda corner: corner[1])
    if y0 == y1:
        _mark_between(covered, y0, x0, x1)
        return
    for row in range(math.floor(y0), math.ceil(y1)):
        enter, leave = ((min(max(y, y0), y1) - y0) / (y1 - y0) for y in (row, row + 1))
        _mark_between(covered, row + 0.5, x0 + (x1 - x0) * enter, x0 + (x1 - x0) * leave)


def _mark_between(covered: Grid, y: float, x0: float, x1: float) -> None:
    row, left, right = math.floor(y), math.floor(min(x0, x1)), math.ceil(max(x0, x1))
    if y != row and 0 <= row < covered.shape[0]:
        covered[row, max(0, left) : max(0, right)] = True


def _mark_enclosed(blocks: Grid, y: float, sides: list[tuple[Corner, Corner]]) -> None:
    """Mark the blocks of one row whose middle has a winding number other than zero."""
    middles = np.arange(blocks.size) + 0.5
    winding = np.zeros(blocks.size, dtype=np.int64)
    for (x0, y0), (x1, y1) in sides:
        if (y0 <= y) != (y1 <= y):
            crossing_x = x0 + (x1 - x0) * (y - y0) / (y1 - y0)
            winding += np.where(middles > crossing_x, 1 if y1 > y0 else -1, 0)
    blocks |= winding != 0


def _rectangles(covered: Grid, width: int, height: int) -> tuple[Rectangle, ...]:
    """Return the marked blocks as few rectangles, cut at the picture's edges."""
    done: list[Rectangle] = []
    growing: dict[tuple[int, int], int] = {}
    for row in range(covered.shape[0] + 1):
        spans = _spans(covered[row]) if row < covered.shape[0] else set()
        ended = growing.keys() - spans
        done += [_cut(growing.pop(span), row, span, width, height) for span in ended]
        growing |= dict.fromkeys(spans - growing.keys(), row)
    return tuple(sorted(done, key=lambda r: (r.top, r.left)))


def _spans(blocks: Grid) -> set[tuple[int, int]]:
    steps = np.diff(np.concatenate(([0], blocks.astype(np.int8), [0])))
    begins, ends = np.flatnonzero(steps == 1), np.flatnonzero(steps == -1)
    return {(int(begin), int(end)) for begin, end in zip(begins, ends, strict=True)}


def _cut(top: int, bottom: int, span: tuple[int, int], width: int, height: int) -> Rectangle:
    return Rectangle(
        top=top * BLOCK,
        bottom=min(bottom * BLOCK, height),
        left=span[0] * BLOCK,
        right=min(span[1] * BLOCK, width),
    )
