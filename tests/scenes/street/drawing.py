"""Drawing of shapes through the lens: their cover, their tone, and their shadows on the ground."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from tests.scenes.street.arrays import Bytes, Floats, Image
from tests.scenes.street.figures import Capsule, Hull, Shape
from tests.scenes.street.lens import HEIGHT, WIDTH, Lens
from tests.scenes.street.texture import SIZE

_SHIFT = 4  # fractional bits of a corner's coordinates
_TURNS = np.linspace(-np.pi / 2, np.pi / 2, 7)
_NEAREST_M = 0.14
_FOCUS_M = 3.0
_APERTURE_M = 0.0016

Box = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sketch:
    """A figure in its box (left, top, right, bottom).

    `cover` is 0 to 1 over the exposure, `tone` albedo times cover, `mask` where it is in the
    middle of the exposure.
    """

    box: Box
    cover: Image
    tone: Image
    mask: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class _Piece:
    depth_m: float
    outline: Floats
    tone: float


def sketch(lens: Lens, exposures: Sequence[Sequence[Shape]], light_from: float) -> Sketch | None:
    """Draw the shapes of each part of the exposure; None if nothing falls in the picture.

    `light_from` is -1 (left) to 1 (right): the side on which round shapes are brighter.
    """
    drawn = [_pieces(lens, shapes, light_from) for shapes in exposures]
    everything = [piece for pieces in drawn for piece in pieces]
    if not everything:
        return None
    nearest = min(piece.depth_m for piece in everything)
    blur = 0.45 + lens.focal_px * _APERTURE_M * max(0.0, 1 / max(nearest, 0.2) - 1 / _FOCUS_M)
    box = _box([piece.outline for piece in everything], margin=3 + int(3 * blur))
    if box is None:
        return None
    height, width = box[3] - box[1], box[2] - box[0]
    cover = np.zeros((height, width), np.float32)
    tone = np.zeros((height, width), np.float32)
    mask = np.zeros((height, width), bool)
    for number, pieces in enumerate(drawn):
        one_cover, one_tone = _filled(pieces, box)
        cover += one_cover
        tone += one_tone
        if number == len(drawn) // 2:
            mask = one_cover > 127
    scale = 1 / (255 * len(drawn))
    return Sketch(
        box=box,
        cover=cv2.GaussianBlur(cover * scale, (0, 0), blur),
        tone=cv2.GaussianBlur(tone * scale, (0, 0), blur),
        mask=mask,
    )


def patterned(figure: Sketch, pattern: Image, pixels_per_cell: float, strength: float) -> Image:
    """Return the figure's tone with a pattern on it that grows and moves with the figure."""
    left, top, right, bottom = figure.box
    across = (left + right) / 2 % 1 - (right - left) / 2
    scale = SIZE / 64 / max(pixels_per_cell, 0.5)
    matrix = np.array([[scale, 0, scale * across + SIZE / 2], [0, scale, SIZE / 8]], np.float32)
    cells = cv2.warpAffine(
        pattern,
        matrix,
        (right - left, bottom - top),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_WRAP,
    )
    fade = strength * min(1.0, pixels_per_cell / 1.5)
    return figure.tone * np.clip(1 + fade * cells, 0.3, 1.9)


def ground_shadow(
    lens: Lens, shapes: Sequence[Shape], sun: tuple[float, float, float], soft_px: float
) -> tuple[Box, Image] | None:
    """Return where on the level ground the shapes keep off light that comes from `sun`."""
    grounds = []
    for shape in shapes:
        if isinstance(shape, Capsule | Hull):
            fallen = _dropped(_points(shape), sun)[:, [0, 2]]
            plan = _rounded(fallen, _radii(shape))
            corners = np.stack([plan[:, 0], np.zeros(len(plan)), plan[:, 1]], axis=-1)
        else:
            corners = _dropped(shape.points, sun)
        grounds.append(corners)
    ends = np.cumsum([len(corners) for corners in grounds])[:-1]
    corners = np.concatenate(grounds)
    depths = np.split(lens.depth(corners), ends)
    projected = np.split(lens.project(corners), ends)
    outlines = [
        outline
        for outline, depth in zip(projected, depths, strict=True)
        if depth.min() > _NEAREST_M
    ]
    if not outlines:
        return None
    box = _box(outlines, margin=2 + int(3 * soft_px))
    if box is None:
        return None
    shade = np.zeros((box[3] - box[1], box[2] - box[0]), np.uint8)
    for outline in outlines:
        hull = cv2.convexHull(_fixed(outline, box))
        cv2.fillConvexPoly(shade, hull, 255, cv2.LINE_AA, _SHIFT)
    return box, cv2.GaussianBlur(shade, (0, 0), soft_px).astype(np.float32) / 255


def _pieces(lens: Lens, shapes: Sequence[Shape], light_from: float) -> list[_Piece]:
    pieces: list[_Piece] = []
    for shape in shapes:
        points = _points(shape)
        depth = lens.depth(points)
        if depth.min() < _NEAREST_M:
            continue
        pixels = lens.project(points)
        if not isinstance(shape, Capsule | Hull):
            front = float(depth.mean()) - shape.bias_m
            pieces.append(_Piece(front, pixels, shape.albedo))
            continue
        radii = _radii(shape) * lens.focal_px / depth
        if isinstance(shape, Capsule):
            outline = _hull(pixels[0], pixels[1], radii[0], radii[1])
        else:
            outline = _rounded(pixels, radii)
        front = float(depth.mean()) - float(_radii(shape).max())
        pieces += _shaded(front, outline, shape.albedo, float(radii.max()), light_from)
    return sorted(pieces, key=lambda piece: -piece.depth_m)


def _points(shape: Shape) -> Floats:
    return np.array([shape.start, shape.end]) if isinstance(shape, Capsule) else shape.points


def _radii(shape: Capsule | Hull) -> Floats:
    if isinstance(shape, Hull):
        return shape.radii
    return np.array([shape.start_radius, shape.end_radius])


def _shaded(
    front: float, outline: Floats, albedo: float, radius: float, light_from: float
) -> list[_Piece]:
    """Return a round shape's outline and, if it is large enough to see, its brighter side."""
    if radius < 1.5:
        return [_Piece(front, outline, albedo * 0.92)]
    pieces = [_Piece(front, outline, albedo * 0.84)]
    middle = (outline.min(axis=0) + outline.max(axis=0)) / 2
    for number, (inset, tone) in enumerate(((0.9, 0.89), (0.78, 0.94), (0.62, 1.0), (0.4, 1.05))):
        shift = np.array([light_from * 0.8, -0.1]) * radius * (1 - inset)
        # Along its length the shape stays as long as the width allows.
        narrowed = outline - middle
        narrowed *= 1 - radius * (1 - inset) / np.maximum(np.abs(narrowed).max(axis=0), radius)
        pieces.append(_Piece(front - 1e-5 * (number + 1), middle + narrowed + shift, albedo * tone))
    return pieces


def _rounded(points: Floats, radii: Floats) -> Floats:
    turns = np.linspace(0, 2 * np.pi, 14)[:-1]
    circle = np.stack([np.cos(turns), np.sin(turns)], axis=-1)
    rims = (points[:, None, :] + radii[:, None, None] * circle).reshape(-1, 2)
    return cv2.convexHull(rims.astype(np.float32))[:, 0, :].astype(float)


def _hull(one: Floats, two: Floats, radius_one: float, radius_two: float) -> Floats:
    angle = np.arctan2(two[1] - one[1], two[0] - one[0])
    back, ahead = angle + np.pi + _TURNS, angle + _TURNS
    return np.concatenate(
        [
            one + radius_one * np.stack([np.cos(back), np.sin(back)], axis=-1),
            two + radius_two * np.stack([np.cos(ahead), np.sin(ahead)], axis=-1),
        ]
    )


def _filled(pieces: Sequence[_Piece], box: Box) -> tuple[Bytes, Bytes]:
    shape = (box[3] - box[1], box[2] - box[0])
    cover, tone = np.zeros(shape, np.uint8), np.zeros(shape, np.uint8)
    for piece in pieces:
        corners = _fixed(piece.outline, box)
        value = min(255, round(255 * piece.tone))
        cv2.fillPoly(cover, [corners], 255, cv2.LINE_AA, _SHIFT)
        cv2.fillPoly(tone, [corners], value, cv2.LINE_AA, _SHIFT)
    return cover, tone


def _fixed(outline: Floats, box: Box) -> NDArray[np.int32]:
    local = np.clip(outline - np.array(box[:2]), -4000, 4000)
    return np.round(local * (1 << _SHIFT)).astype(np.int32)


def _box(outlines: Sequence[Floats], margin: int) -> Box | None:
    corners = np.concatenate(outlines)
    low, high = corners.min(axis=0), corners.max(axis=0)
    left, top = max(0, int(low[0]) - margin), max(0, int(low[1]) - margin)
    right = min(WIDTH, int(np.ceil(high[0])) + margin + 1)
    bottom = min(HEIGHT, int(np.ceil(high[1])) + margin + 1)
    return (left, top, right, bottom) if right > left and bottom > top else None


def _dropped(points: Floats, sun: tuple[float, float, float]) -> Floats:
    up = points[..., 1:2] / sun[1]
    fallen = points - up * np.array(sun)
    fallen[..., 1] = 0
    return fallen
