"""The held-out maker of motion scenes: the same pictures each time, and a truth that is exact."""

from itertools import islice

import numpy as np
import pytest

from tests.scenes.courtyard import KINDS, scene
from tests.scenes.courtyard.drawing import draw_figure
from tests.scenes.courtyard.figures import Paint, Part, Pose
from tests.scenes.courtyard.kinds import make_plan
from tests.scenes.courtyard.lens import HEIGHT, WIDTH, make_lens
from tests.scenes.courtyard.solids import Capsule
from tests.scenes.courtyard.texture import make_textures
from tests.scenes.courtyard.truth import movers_seen


def test_a_kind_and_a_seed_make_equal_pictures_twice() -> None:
    made = scene("heavy rain, visitor", 7)
    first, second = (list(islice(made.pictures(), 10)) for _ in range(2))
    assert [p.at_s for p in first] == [n / 10 for n in range(10)]
    for one, other in zip(first, second, strict=True):
        assert one.luma.shape == (HEIGHT, WIDTH)
        assert one.luma.dtype == np.uint8
        assert np.array_equal(one.luma, other.luma)
        assert (one.gain, one.movers) == (other.gain, other.movers)
    assert not np.array_equal(first[0].luma, first[1].luma)


@pytest.mark.parametrize("kind", KINDS)
def test_nobody_comes_in_the_first_eight_seconds(kind: str) -> None:
    plan, _ = make_plan(kind, 7)
    assert all(figure.pose(at / 10) is None for figure in plan.figures for at in range(80))
    has_somebody = any(
        figure.pose(float(at)) for figure in plan.figures for at in range(8, int(plan.length_s))
    )
    assert has_somebody != kind.endswith("nobody")


def test_a_ball_covers_as_many_pixels_as_its_solid_angle_gives() -> None:
    # An equisolid lens shows equal solid angles as equal areas: focal length squared a steradian.
    lens = make_lens(position=(0.0, 0.0, 1.5), yaw=0.05, pitch=0.15, view=2.3)
    distance, radius = 3.0, 0.6
    middle = lens.position + distance * lens.rays()[120, 500]
    depth = np.full((HEIGHT, WIDTH), 100.0, np.float32)
    textures = make_textures(np.random.default_rng(1))
    drawn = draw_figure(lens, lens.rays(), textures, _ball(middle, radius), depth)
    assert drawn is not None
    solid_angle = 2 * np.pi * (1 - np.cos(np.arcsin(radius / distance)))
    assert len(drawn.pixels) == pytest.approx(lens.focal_px**2 * solid_angle, rel=0.01)
    assert drawn.surface.distance.min() == pytest.approx(distance - radius, abs=0.01)
    assert np.count_nonzero(depth < 100) == len(drawn.pixels)


def test_area_and_box_are_those_of_the_pixels_that_show() -> None:
    owner = np.full((HEIGHT, WIDTH), -1, np.int16)
    owner[100:200, 50:90] = 0
    owner[150:160, 80:300] = 1
    through = np.ones((HEIGHT, WIDTH), np.float32)
    through[100:130] = 0.2
    through[:, 250:] = 0.6
    poses = [_ball(np.zeros(3, np.float32), 1.0)] * 2
    first, second = movers_seen(poses, [4, 2], owner.ravel(), through)
    assert (first.number, first.box) == (4, (50, 130, 90, 200))
    assert first.area == (70 * 40 - 10 * 10) / (HEIGHT * WIDTH)
    assert (second.number, second.box) == (2, (80, 150, 300, 160))
    assert second.area == 10 * 220 / (HEIGHT * WIDTH)


def _ball(middle: np.ndarray, radius: float) -> Pose:
    solid = Capsule(start=middle, end=middle + np.float32(1e-3), radius=radius)
    paint = Paint(visible=0.4, infrared=0.4)
    part = Part(solid=solid, paint=paint, start=middle, axis=np.eye(3)[2], side=np.eye(3)[0])
    return Pose(
        parts=[part],
        foot=middle,
        height=1.0,
        contacts=middle[None],
        contact_radius=0.1,
        is_still=False,
    )
