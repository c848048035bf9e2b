"""The mask covers what the owner drew, in whole macroblocks, in every layout, and nothing else."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware.capture.mask import BLOCK, HIDDEN_CHROMA, HIDDEN_LUMA, MaskPainter
from firmware.capture.video_source import Mask

WIDTH, HEIGHT = 104, 72
"""Not whole macroblocks: the last column and row of blocks are cut."""
LEFT_THIRD = Mask(polygons=(((0, 0), (0.33, 0), (0.33, 1), (0, 1)),))
SHOWN = 77

fractions = st.floats(0, 1, allow_nan=False) | st.sampled_from([0, 1, 16 / 104, 32 / 104, 16 / 72])
polygons = st.lists(st.tuples(fractions, fractions), min_size=3, max_size=8).map(tuple)
masks = st.lists(polygons, max_size=3).map(lambda found: Mask(polygons=tuple(found)))
strides = st.sampled_from([104, 112, 128])


def yuv420(stride: int) -> np.ndarray:
    """A picture as the Pi's memory holds it: rows of `stride` bytes, two of U (or V) in each."""
    return np.full((HEIGHT * 3 // 2, stride), SHOWN, dtype=np.uint8)


def y_u_v(picture: np.ndarray, stride: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    flat, half = picture.reshape(-1), stride // 2
    y = flat[: HEIGHT * stride].reshape(HEIGHT, stride)
    u, v = flat[HEIGHT * stride :].reshape(2, HEIGHT // 2, half)
    return y, u, v


def painted(mask: Mask) -> np.ndarray:
    """Which pixels a mask hides, as a matrix of truth."""
    y = np.full((HEIGHT, WIDTH), SHOWN, dtype=np.uint8)
    MaskPainter(mask, WIDTH, HEIGHT).paint_luma(y, WIDTH)
    return y == HIDDEN_LUMA


def winding_numbers(polygon: tuple[tuple[float, float], ...], x: float, y: float) -> int:
    """Of one point, by angles: another way than the painter's."""
    corners = np.array(polygon) * (WIDTH, HEIGHT) - (x, y)
    angles = np.arctan2(corners[:, 1], corners[:, 0])
    turns = np.diff(np.append(angles, angles[0]))
    return round(((turns + np.pi) % (2 * np.pi) - np.pi).sum() / (2 * np.pi))


def meets_block(begin: np.ndarray, end: np.ndarray, left: int, top: int) -> bool:
    """Whether a side meets the closed block (Liang and Barsky's clipping)."""
    enter, leave = 0.0, 1.0
    for axis, low in ((0, left), (1, top)):
        step = end[axis] - begin[axis]
        if step == 0:
            if not low <= begin[axis] <= low + BLOCK:
                return False
            continue
        near, far = sorted(((low - begin[axis]) / step, (low + BLOCK - begin[axis]) / step))
        enter, leave = max(enter, near), min(leave, far)
    return enter <= leave + 1e-9


@settings(max_examples=60, deadline=None)
@given(masks, st.lists(st.tuples(fractions, fractions), min_size=20, max_size=20))
def test_every_point_that_a_polygon_encloses_is_hidden(
    mask: Mask, points: list[tuple[float, float]]
) -> None:
    hidden = painted(mask)
    for polygon, (x, y) in itertools.product(mask.polygons, points):
        x, y = min(x * WIDTH, WIDTH - 1e-6), min(y * HEIGHT, HEIGHT - 1e-6)
        sides = np.array([*polygon, polygon[0]]) * (WIDTH, HEIGHT)
        if distance_to(sides, x, y) > 1e-6 and winding_numbers(polygon, x, y) != 0:
            assert hidden[int(y), int(x)]


def distance_to(sides: np.ndarray, x: float, y: float) -> float:
    begin, step = sides[:-1], np.diff(sides, axis=0)
    lengths = (step**2).sum(axis=1)
    along = ((np.array((x, y)) - begin) * step).sum(axis=1) / np.where(lengths > 0, lengths, 1)
    nearest = begin + step * np.clip(along, 0, 1)[:, None]
    return float(np.hypot(*(nearest - (x, y)).T).min())


@settings(max_examples=60, deadline=None)
@given(masks)
def test_only_whole_macroblocks_that_a_polygon_meets_are_hidden(mask: Mask) -> None:
    hidden = painted(mask)
    for top, left in itertools.product(range(0, HEIGHT, BLOCK), range(0, WIDTH, BLOCK)):
        block = hidden[top : top + BLOCK, left : left + BLOCK]
        assert block.all() or not block.any()
        if block.any():
            middle = (left + BLOCK / 2, top + BLOCK / 2)
            assert any(
                winding_numbers(polygon, *middle) != 0
                or any(
                    meets_block(begin, end, left, top)
                    for begin, end in itertools.pairwise(
                        np.array([*polygon, polygon[0]]) * (WIDTH, HEIGHT)
                    )
                )
                for polygon in mask.polygons
            )


@settings(max_examples=60, deadline=None)
@given(masks, strides)
def test_both_layouts_hide_the_same_in_all_planes_and_leave_the_padding(
    mask: Mask, stride: int
) -> None:
    planar, woven = yuv420(stride), yuv420(stride)
    painter = MaskPainter(mask, WIDTH, HEIGHT)
    painter.paint_yuv420(planar, stride)
    painter.paint_nv12(woven, stride)
    y, u, v = y_u_v(planar, stride)
    hidden = painted(mask)
    coarse = hidden[::2, ::2]
    assert (y[:, :WIDTH] == np.where(hidden, HIDDEN_LUMA, SHOWN)).all()
    assert (u[:, : WIDTH // 2] == np.where(coarse, HIDDEN_CHROMA, SHOWN)).all()
    assert (v[:, : WIDTH // 2] == np.where(coarse, HIDDEN_CHROMA, SHOWN)).all()
    assert (y[:, WIDTH:] == SHOWN).all()
    assert (u[:, WIDTH // 2 :] == SHOWN).all()
    assert (v[:, WIDTH // 2 :] == SHOWN).all()
    assert (woven[:HEIGHT] == planar[:HEIGHT]).all()
    pairs = woven[HEIGHT:]
    assert (pairs[:, 0:WIDTH:2] == u[:, : WIDTH // 2]).all()
    assert (pairs[:, 1:WIDTH:2] == v[:, : WIDTH // 2]).all()
    assert (pairs[:, WIDTH:] == SHOWN).all()


def test_no_mask_hides_nothing() -> None:
    assert not painted(Mask()).any()


def test_the_whole_picture_can_be_hidden() -> None:
    assert painted(Mask(polygons=(((0, 0), (1, 0), (1, 1), (0, 1)),))).all()


def test_a_side_on_the_border_of_a_block_hides_no_block_beyond_it() -> None:
    half = 64 / WIDTH
    hidden = painted(Mask(polygons=(((0, 0), (half, 0), (half, 1), (0, 1)),)))
    assert hidden[:, :64].all()
    assert not hidden[:, 64:].any()


def test_what_a_loop_encloses_twice_is_hidden_as_well() -> None:
    square = ((0, 0), (1, 0), (1, 1), (0, 1))
    assert painted(Mask(polygons=(square * 2,))).all()


def test_a_hair_of_a_polygon_hides_its_block() -> None:
    hair = Mask(polygons=(((0.5, 0), (0.5, 1), (0.5000001, 1)),))
    column = int(0.5 * WIDTH) // BLOCK * BLOCK
    assert painted(hair)[:, column : column + BLOCK].all()


@pytest.mark.parametrize(
    "picture",
    [
        yuv420(WIDTH)[:-1],
        yuv420(WIDTH).astype(np.int16),
        yuv420(2 * WIDTH)[:, :WIDTH],
    ],
    ids=["too short", "no bytes", "a view that painting a copy of would not change"],
)
def test_what_is_no_such_picture_is_refused(picture: np.ndarray) -> None:
    painter = MaskPainter(LEFT_THIRD, WIDTH, HEIGHT)
    for paint in (painter.paint_yuv420, painter.paint_nv12):
        with pytest.raises(ValueError, match="picture"):
            paint(picture, WIDTH)
    with pytest.raises(ValueError, match="picture"):
        painter.paint_nv12(yuv420(WIDTH), WIDTH - 2)
    with pytest.raises(ValueError, match="halved"):
        painter.paint_yuv420(yuv420(WIDTH + 1), WIDTH + 1)


def test_a_large_mask_is_few_rectangles() -> None:
    assert len(MaskPainter(LEFT_THIRD, 1920, 1080).rectangles) == 1
