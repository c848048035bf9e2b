"""The street's scenes come out the same each time, and their truth is where the mover is."""

from dataclasses import dataclass
from itertools import islice

import numpy as np
import pytest

from tests.scenes import street
from tests.scenes.street import film
from tests.scenes.street.figures import Polygon, Pose, Shape
from tests.scenes.street.lens import HEIGHT, WIDTH
from tests.scenes.street.light import Sky, steady
from tests.scenes.street.movement import Actor, Way
from tests.scenes.street.place import HEDGE_M, Place
from tests.scenes.street.stagings import new_place


@dataclass(frozen=True, kw_only=True)
class _Board:
    """An upright board of a square metre."""

    texture: float = 0.0
    texture_scale: float = 1.0
    stride_m: float = 1.0

    def shapes(self, pose: Pose) -> list[Shape]:
        corners = [(-0.5, 0), (0.5, 0), (0.5, 1), (-0.5, 1)]
        points = np.array([(pose.x + x, y, pose.z) for x, y in corners])
        return [Polygon(points=points, albedo=0.5)]


@pytest.fixture(scope="module")
def place() -> Place:
    return new_place(np.random.default_rng(5))


def _mover(place: Place, x: float, z: float):
    board = Actor(number=7, body=_Board(), way=Way((-2, x, z), (60, x, z)))
    staging = film.Staging(place=place, lights=(Sky(level=steady(0.5)),), actors=(board,))
    (picture,) = islice(film.pictures(staging, np.random.default_rng(1)), 1)
    (mover,) = picture.movers
    return mover


@pytest.mark.parametrize("kind", street.KINDS[::14])
def test_a_scene_comes_out_the_same_each_time(kind: str) -> None:
    scene = street.scene(kind, 3)
    first, again = (list(islice(scene.pictures(), 5)) for _ in range(2))
    assert [picture.at_s for picture in first] == [number / 10 for number in range(5)]
    for one, other in zip(first, again, strict=True):
        assert one.luma.shape == (HEIGHT, WIDTH)
        assert one.luma.dtype == np.uint8
        assert np.array_equal(one.luma, other.luma)
        assert (one.gain, one.movers) == (other.gain, other.movers)
    assert not any(picture.movers for picture in first)
    assert not np.array_equal(first[0].luma, first[4].luma)


def test_a_movers_area_and_box_are_those_of_what_is_seen(place: Place) -> None:
    mover = _mover(place, 0.0, 4.0)
    side = place.lens.focal_px / 4
    left, top, right, bottom = mover.box
    assert mover.number == 7
    assert mover.is_still
    assert abs((left + right) / 2 - WIDTH / 2) < 2
    assert right - left == pytest.approx(side, rel=0.06)
    assert bottom - top == pytest.approx(side, rel=0.08)
    assert mover.area * WIDTH * HEIGHT == pytest.approx((right - left) * (bottom - top), rel=0.04)


def test_what_the_hedge_hides_of_a_mover_is_not_counted(place: Place) -> None:
    in_front, behind = _mover(place, 2.2, HEDGE_M - 0.4), _mover(place, 2.2, HEDGE_M + 0.4)
    assert behind.area < 0.45 * in_front.area
    assert behind.box[3] < in_front.box[3] - 20
