"""The motion detector on rendered scenes, and its parts one by one.

DOORWARD_SCENE_SEEDS=6 judges all test seeds, at both sizes (`make soak`); by default one.
"""

import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from firmware.capture.camera_output import TICKS_PER_S, LumaFrame
from firmware.config.settings import MotionConfig
from firmware.motion.blobs import Blob, Track, follow
from firmware.motion.decimation import SCALE, Decimator, block_of
from firmware.motion.detector import MotionDetector, Movement
from firmware.motion.illumination import BLACK, SAME_LIGHT, Exposure
from firmware.motion.limits import Limits
from firmware.motion.zones import CellGrid, inside
from tests.footage.marks import film_frames, read_marks
from tests.footage.packages import FootageMissing, footage
from tests.scenes import TEST_SEEDS
from tests.scenes.porch import scene
from tests.scenes.rendering import KINDS, Scene, SceneKind
from tests.scenes.scoring import Score, frames_of, score, truth_of

SEEDS = TEST_SEEDS[: int(os.environ.get("DOORWARD_SCENE_SEEDS", "1"))]
SIZES = ((320, 240), (640, 360))[: 1 if len(SEEDS) == 1 else 2]
QUIET: tuple[SceneKind, ...] = (
    "noise_2", "noise_4", "noise_8", "light_step", "exposure", "leaves", "rain",
)  # fmt: skip
"""Scenes in whose first 16 s nothing may be told."""
BEFORE_ANYBODY = 160
HEAVIEST_RAIN = 30
"""A seed with 218 streaks a frame, 35 levels brighter."""
HAND_COMES = 231
"""In tree.avi, at 23.1 s: seen by eye."""


def luma(picture: np.ndarray, number: int, *, gain: float | None = None) -> LumaFrame:
    """Return the picture (rows × columns, any kind of number) as frame `number` of ten a second."""
    height, width = picture.shape
    data = np.clip(picture, 0, 255).astype(np.uint8).tobytes()
    pts_90k = (1000 + number) * TICKS_PER_S // 10
    return LumaFrame(
        pts_90k=pts_90k, width=width, height=height, stride=width, data=data, gain=gain
    )


class Street:
    """An evenly grey picture of 320×240 with some grain, in which squares are placed."""

    def __init__(self, **changes: object) -> None:
        self.detector = MotionDetector(replace(MotionConfig(), **changes))
        self._dice = np.random.default_rng(7)
        self.number = 0

    def pass_by(self, frames: int = 40) -> list[Movement | None]:
        """Let time go by without anybody."""
        return [self.show() for _ in range(frames)]

    def show(
        self, *squares: tuple[int, int, int], level: int = 60, light: float = 1.0
    ) -> Movement | None:
        """Show squares (left, top, side) and return what the detector says."""
        picture = np.full((240, 320), 110.0) + self._dice.normal(0, 1.5, (240, 320))
        for left, top, side in squares:
            picture[max(0, top) : top + side, max(0, left) : left + side] = level
        movement = self.detector.look(luma(16 + (picture - 16) * light, self.number))
        self.number += 1
        return movement

    def walk(self, *, frames: int, side: int = 40, top: int = 100) -> list[Movement | None]:
        """Let a square walk from the left."""
        return [self.show((8 * step, top, side)) for step in range(frames)]


def judged(kind: SceneKind, seed: int, size: tuple[int, int]) -> tuple[list[bool], Score]:
    detector = MotionDetector(MotionConfig())
    frames = frames_of(scene(kind, seed, width=size[0], height=size[1]))
    told = [detector.look(frame.frame) is not None for frame in frames]
    return told, score(told, truth_of(frames))


@pytest.mark.parametrize("kind", KINDS)
def test_finds_who_walks_through_a_scene_and_little_else(kind: SceneKind):
    total = Score()
    for size in SIZES:
        for seed in SEEDS:
            total += judged(kind, seed, size)[1]
    assert total.missed == 0
    assert total.longest_delay_s <= 2.0, total
    assert total.f1 >= 0.85, total


@pytest.mark.parametrize("kind", QUIET)
def test_tells_nothing_before_anybody_comes(kind: SceneKind):
    for size in SIZES:
        for seed in SEEDS:
            told, _ = judged(kind, seed, size)
            assert not any(told[:BEFORE_ANYBODY]), (seed, size)


def test_the_heaviest_rain_is_no_motion_and_hides_nobody():
    _, total = judged("rain", HEAVIEST_RAIN, SIZES[0])
    assert total.false_alarms == 0
    assert total.visits > 0
    assert total.longest_delay_s <= 1.0, total


def test_the_same_scene_is_rendered_the_same():
    first, second = (
        [shot.frame.data for shot in Scene(kind="snow", seed=5, width=160, height=120).shots()]
        for _ in range(2)
    )
    assert first == second


def test_the_truth_has_each_walker_inside_its_box():
    quiet, busy = (
        list(Scene(kind="calm", seed=101, width=320, height=240).shots())[number]
        for number in (150, 175)
    )
    (seen,) = busy.seen
    left, top, right, bottom = seen.box
    change = np.abs(
        np.frombuffer(busy.frame.data, np.uint8).astype(int)
        - np.frombuffer(quiet.frame.data, np.uint8)
    ).reshape(240, 320)
    plain = change > 12
    assert plain[top:bottom, left:right].sum() == plain.sum() > 0.5 * seen.area * plain.size


def test_a_movement_begins_with_the_first_frame_that_it_was_in():
    street = Street()
    street.pass_by()
    first_90k = luma(np.zeros((8, 8)), street.number).pts_90k
    told = [movement for movement in street.walk(frames=6) if movement]
    assert told[0].began_pts_90k == first_90k
    assert {movement.began_pts_90k for movement in told} == {first_90k}


def test_is_quiet_in_the_first_seconds_and_after_a_gap():
    street = Street()
    assert not any(street.walk(frames=20))
    street.pass_by()
    assert any(street.walk(frames=6))
    street.pass_by(80)
    street.number += 50
    assert not any(street.walk(frames=20))


def test_is_quiet_after_the_picture_became_another_size():
    street = Street()
    street.pass_by()
    dice = np.random.default_rng(3)
    for number in range(20):
        picture = dice.integers(0, 255, (180, 320))
        assert street.detector.look(luma(picture, street.number + number)) is None


@pytest.mark.parametrize(("min_time_s", "frames"), [(0.0, 1), (0.3, 3), (0.6, 6)])
def test_tells_what_lasts_for_the_shortest_time(min_time_s: float, frames: int):
    street = Street(min_time_s=min_time_s)
    street.pass_by()
    told = [movement is not None for movement in street.walk(frames=8)]
    assert told.index(True) + 1 == frames


@pytest.mark.parametrize(("side", "is_told"), [(10, False), (40, True)])
def test_tells_what_has_the_least_size(side: int, is_told: bool):
    street = Street(min_size_percent=1.0)
    street.pass_by()
    assert any(street.walk(frames=8, side=side)) is is_told


@pytest.mark.parametrize(("sensitivity", "is_told"), [(1, False), (5, False), (10, True)])
def test_the_higher_the_sensitivity_the_fainter_what_is_told(sensitivity: int, is_told: bool):
    street = Street(sensitivity=sensitivity)
    street.pass_by()
    told = [street.show((8 * step, 100, 40), level=104) for step in range(12)]
    assert any(told) is is_told


def test_a_lamp_that_is_switched_is_no_motion():
    street = Street()
    street.pass_by()
    told = [street.show(light=light) for light in [1.4] * 20 + [0.7] * 20 + [1.0] * 20]
    assert not any(told)


def test_somebody_who_is_there_when_a_lamp_is_switched_is_still_told():
    street = Street()
    street.pass_by()
    street.walk(frames=5)
    assert street.show((48, 100, 40), light=1.4)


def test_somebody_pale_who_comes_in_from_the_side_is_no_light():
    street = Street(min_time_s=0.0)
    street.pass_by()
    assert street.show((284, 72, 96), level=92)


def test_somebody_who_steps_into_mere_light_begins_there_and_then():
    tracks: list[Track] = []
    for at_90k in range(0, 9000 * 12, 9000):
        is_light = at_90k < 9000 * 10
        blob = Blob(cells=1, hot_px=50, centre=(0, 0), changed_px=20, is_light=is_light)
        tracks = follow(tracks, [blob], at_90k, lambda cells: cells)
    (track,) = tracks
    assert (track.began_90k, track.frames, track.solid_frames) == (9000 * 10, 2, 2)


def test_what_was_put_down_is_no_motion_after_a_moment_and_background_after_some_seconds():
    street = Street()
    street.pass_by()
    street.walk(frames=6, side=26)
    told = [street.show((48, 100, 26)) is not None for _ in range(60)]
    assert not any(told[10:])
    assert not any(street.pass_by(1))
    later = [street.show((48, 100, 26)) is not None for _ in range(10)]
    assert not any(later)


LEFT = ((0.0, 0.0), (0.4, 0.0), (0.4, 1.0), (0.0, 1.0))
RIGHT = ((0.6, 0.0), (1.0, 0.0), (1.0, 1.0), (0.6, 1.0))


@pytest.mark.parametrize(
    ("left", "zones"), [(20, ("Gate",)), (240, ("Path",)), (145, None)], ids=("in", "in", "out")
)
def test_only_what_is_in_a_zone_counts_and_the_zone_is_named(
    left: int, zones: tuple[str, ...] | None
):
    street = Street(zones=(LEFT, RIGHT), zone_names=("Gate", "Path"))
    street.pass_by()
    told = [street.show((left + step % 3, 80 + 6 * step, 30)) for step in range(6)]
    last = told[-1]
    assert (last.zones if last else None) == zones


def test_somebody_who_fills_a_small_zone_is_told():
    zone = ((0.3, 0.4), (0.5, 0.4), (0.5, 0.6), (0.3, 0.6))
    street = Street(zones=(zone,), zone_names=("Step",))
    street.pass_by()
    assert any(street.walk(frames=12, side=80, top=80))


def test_the_night_s_gain_asks_for_more_contrast():
    def is_told(gain: float) -> bool:
        street = Street()
        street.pass_by()
        answers = []
        for step in range(12):
            picture = np.full((240, 320), 110.0)
            picture[100:140, 8 * step : 8 * step + 40] = 120
            answers.append(street.detector.look(luma(picture, street.number + step, gain=gain)))
        return any(answers)

    assert is_told(1.0)
    assert not is_told(64.0)


@pytest.mark.parametrize("size", [(320, 240), (640, 480)])
def test_the_waving_tree_is_quiet_and_the_hand_before_it_is_told(size: tuple[int, int]):
    detector = MotionDetector(MotionConfig())
    told = [detector.look(frame) is not None for frame in film_frames(film("tree.avi"), *size)]
    assert not any(told[:HAND_COMES])
    assert any(told[HAND_COMES : HAND_COMES + 10])


@pytest.mark.parametrize("zone", ["picture", "lawn", "road"])
def test_finds_people_in_the_marked_zones_of_a_street(zone: str):
    marks = read_marks()
    marked = marks.zones[zone]
    detector = MotionDetector(MotionConfig(zones=(marked.polygon,)))
    frames = film_frames(film("vtest.avi"), 320, 240)
    told = [detector.look(frame) is not None for frame in frames]
    total = score(told, marks.truth(marked))
    assert total.precision >= 0.99, total
    assert total.recall >= (0.8 if zone == "road" else 0.99), total


def film(name: str):
    try:
        return footage(name)
    except FootageMissing as why:
        pytest.skip(f"no footage: {why}")


def plain_means(frame: LumaFrame, k: int) -> np.ndarray:
    """Return the means of the blocks, or for k = 4 of their second rows, in units of SCALE."""
    rows, columns = frame.height // k, frame.width // k // 4 * 4
    pixels = np.frombuffer(frame.data, np.uint8).reshape(frame.height, frame.stride).astype(float)
    blocks = pixels[: rows * k, : columns * k].reshape(rows, k, columns, k)
    return (blocks[:, 1] if k == 4 else blocks.mean(axis=1)).mean(axis=-1) * SCALE


@settings(max_examples=40, deadline=None)
@given(
    width=st.sampled_from((160, 320, 328, 480, 640, 636, 768)),
    height=st.integers(8, 50),
    padding=st.integers(0, 70),
    seed=st.integers(0, 2**32 - 1),
)
def test_decimation_is_the_mean_of_each_block(width: int, height: int, padding: int, seed: int):
    data = np.random.default_rng(seed).integers(0, 256, (height, width + padding), np.uint8)
    frame = LumaFrame(
        pts_90k=0, width=width, height=height, stride=width + padding, data=data.tobytes()
    )
    decimated = Decimator(width, height).decimate(frame)
    assert np.array_equal(decimated, np.floor(plain_means(frame, block_of(width)) + 1e-9))


@given(st.lists(st.floats(0.875, 1.125), min_size=4, max_size=4))
def test_the_exposure_is_the_median_ratio_or_1_where_that_is_about_the_same(ratios: list[float]):
    ground = np.full((30, 40), BLACK + 400, np.int16)
    now = ground.copy()
    for quarter, ratio in enumerate(ratios):
        now[:, 10 * quarter : 10 * quarter + 10] = np.rint(BLACK + 400 * ratio)
    middle = float(np.sort((now[0, ::10] - BLACK) / 400.0)[1])
    gain = Exposure(ground).gain(now)
    assert gain == (1.0 if abs(middle - 1) < SAME_LIGHT else pytest.approx(middle, abs=1e-6))


def plain_hot(now: np.ndarray, ground: np.ndarray, threshold: int) -> np.ndarray:
    """Return what is hot by comparing with each neighbour; the outermost columns are wrong."""
    shifts = [(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)]
    padded = np.pad(ground, 1, mode="edge")
    height, width = ground.shape
    around = [padded[1 + dy :, 1 + dx :][:height, :width] for dy, dx in shifts]
    return (now > np.max(around, 0) + threshold) | (now < np.min(around, 0) - threshold)


@given(
    seed=st.integers(0, 2**32 - 1),
    steps=st.lists(st.sampled_from(("frame", "threshold", "ground")), max_size=8),
)
def test_hot_pixels_are_those_beyond_all_neighbours_whatever_was_kept_from_before(
    seed: int, steps: list[str]
):
    dice = np.random.default_rng(seed)
    shape = (9, 12)
    ground = dice.integers(0, 255 * SCALE, shape).astype(np.int16)
    zero, limits = np.zeros_like(ground), Limits(shape)
    unrest = sway = zero
    for step in ["ground", "threshold", *steps, "frame"]:
        if step == "threshold":
            unrest, sway = (dice.integers(0, 200, shape).astype(np.int16) for _ in range(2))
        elif step == "ground":
            ground = dice.integers(0, 255 * SCALE, shape).astype(np.int16)
            limits.set_high(ground)
            limits.set_low(ground)
        limits.set_threshold(unrest, sway, 24)
        now = dice.integers(0, 255 * SCALE, shape).astype(np.int16)
        hot = limits.hot(now, np.empty(shape, np.bool_))
        expected = plain_hot(now, ground, np.maximum(unrest, sway) + 24)
        assert np.array_equal(hot[:, 1:-1], expected[:, 1:-1])


cell_sets = st.sets(st.tuples(st.integers(0, 8), st.integers(0, 11)), max_size=40)
GRID = CellGrid(rows=9, columns=12)


def packed(cells: set[tuple[int, int]]) -> int:
    active = np.zeros((GRID.rows, GRID.stride), dtype=np.bool_)
    for row, column in cells:
        active[row, column] = True
    return GRID.pack(active)


def unpacked(cells: int) -> set[tuple[int, int]]:
    return {(int(row), int(column)) for row, column in np.argwhere(GRID.unpack(cells))}


def neighbours(cell: tuple[int, int]) -> set[tuple[int, int]]:
    around = ((cell[0] + dy, cell[1] + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1))
    return {(y, x) for y, x in around if 0 <= y < GRID.rows and 0 <= x < GRID.columns}


@given(cell_sets)
def test_cells_are_packed_grown_and_boxed_as_plain_sets_are(cells: set[tuple[int, int]]):
    whole = packed(cells)
    assert unpacked(whole) == cells
    grown = set().union(*map(neighbours, cells))
    assert unpacked(GRID.grown(whole, GRID.every)) == grown
    if cells:
        rows, columns = zip(*cells, strict=True)
        assert GRID.box(whole) == (min(columns), min(rows), max(columns) + 1, max(rows) + 1)


@given(cell_sets, st.integers(0, 5))
def test_parts_are_connected_hold_a_seed_and_share_nothing(cells: set[tuple[int, int]], count: int):
    seeds = set(sorted(cells)[:count])
    parts = [unpacked(part) for part in GRID.parts(packed(seeds), packed(cells), GRID.every)]
    assert sum(map(len, parts)) == len(set().union(*parts))
    assert seeds <= set().union(*parts)
    for part in parts:
        assert part & seeds
        assert set().union(*map(neighbours, part)) & cells == part


def test_a_polygon_s_pixels_are_those_whose_middle_it_holds():
    triangle = ((0.0, 0.0), (1.0, 0.0), (0.0, 1.0))
    pixels = inside(triangle, 4, 4)
    assert pixels.tolist() == [
        [True, True, True, False],
        [True, True, False, False],
        [True, False, False, False],
        [False, False, False, False],
    ]
