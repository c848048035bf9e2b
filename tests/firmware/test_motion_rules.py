"""The motion detector's rules, each on small pictures made for it: weather, light, who stays."""

import math

import numpy as np
import pytest

from firmware.capture.camera_output import TICKS_PER_S, LumaFrame
from firmware.config.settings import MotionConfig
from firmware.motion.detector import MotionDetector
from firmware.motion.weather import Weather

HEIGHT, WIDTH = 180, 320
PER_S = 10
Picture = np.ndarray


class Yard:
    """A textured wall, and the detector that watches it; pictures go by at ten a second."""

    def __init__(self, seed: int = 1) -> None:
        self.detector = MotionDetector(MotionConfig())
        self._dice = np.random.default_rng(seed)
        self.wall = self.texture(110, 22)
        self.number = 0
        self.pass_by(45)

    def texture(self, level: float, spread: float, side: int = 8) -> Picture:
        """Return patches of `side` pixels, of levels around `level`."""
        rows, columns = -(-HEIGHT // side) + 1, -(-WIDTH // side) + 1
        patches = self._dice.normal(level, spread, (rows, columns))
        return patches.repeat(side, 0).repeat(side, 1)[:HEIGHT, :WIDTH]

    def show(self, picture: Picture | None = None) -> bool:
        """Show one picture (the wall, if none is given) and return whether motion is told."""
        shown = (self.wall if picture is None else picture) + self._dice.normal(
            0, 1.5, (HEIGHT, WIDTH)
        )
        frame = LumaFrame(
            pts_90k=(1000 + self.number) * TICKS_PER_S // PER_S,
            width=WIDTH,
            height=HEIGHT,
            stride=WIDTH,
            data=np.clip(shown, 0, 255).astype(np.uint8).tobytes(),
            gain=1.0,
        )
        self.number += 1
        return self.detector.look(frame) is not None

    def pass_by(self, frames: int) -> list[bool]:
        return [self.show() for _ in range(frames)]

    def with_person(self, centre: float, tall: float, *, lean: float = 0.0) -> Picture:
        """Return the wall with somebody in a striped coat before it, feet at the lower edge."""
        picture = self.wall.copy()
        top, half = int(HEIGHT - tall), tall * 0.17
        left, right = int(max(0, centre - half + lean)), int(min(WIDTH, centre + half + lean))
        coat = np.where((np.arange(HEIGHT)[:, None] // 6) % 2, 35.0, 60.0)
        picture[max(0, top) :, left:right] = coat[max(0, top) :]
        return picture

    def walk_in(self) -> list[bool]:
        """Let somebody walk from the left to the middle, before the door."""
        return [self.show(self.with_person(x, 130)) for x in np.arange(-10, 160, 7)]


def disc(picture: Picture, x: float, y: float, radius: float, level: float) -> None:
    rows, columns = np.ogrid[:HEIGHT, :WIDTH]
    distance = np.hypot(rows - y, columns - x)
    picture += np.clip(radius - distance, 0, 1) * (level - picture)


def test_insects_that_curl_before_the_lens_are_no_motion():
    yard, dice = Yard(), np.random.default_rng(5)
    told = []
    for _ in range(15):
        x, y, heading = dice.uniform((40, 30, 0), (280, 150, 6))
        for _ in range(8):
            heading += dice.uniform(0.5, 1.5)
            x, y = x + 17 * math.cos(heading), y + 17 * math.sin(heading)
            picture = yard.wall.copy()
            disc(picture, x, y, 11, 240)
            told.append(yard.show(picture))
        told += yard.pass_by(2)
    assert not any(told)


def test_flakes_before_the_lens_are_no_motion_and_a_visitor_among_them_is():
    yard, dice = Yard(), np.random.default_rng(6)
    flakes = dice.uniform(0, 1, (14, 2)) * (WIDTH, HEIGHT)

    def snow(picture: Picture) -> Picture:
        flakes[:, 1] += 23
        gone = flakes[:, 1] > HEIGHT
        flakes[gone, 1] -= HEIGHT
        flakes[gone, 0] = dice.uniform(0, WIDTH, gone.sum())
        for x, y in flakes:
            disc(picture, x, y, 9, 235)
        return picture

    assert not any(yard.show(snow(yard.wall.copy())) for _ in range(120))
    told = [yard.show(snow(yard.with_person(x, 130))) for x in np.arange(0, 160, 5)]
    assert told.index(True) <= 10
    assert all(told[15:])


def test_streaks_under_infrared_are_no_motion_and_a_visitor_among_them_is():
    yard, dice = Yard(), np.random.default_rng(7)

    def rain(picture: Picture) -> Picture:
        for _ in range(25):
            x, y = int(dice.integers(0, WIDTH - 4)), int(dice.integers(0, HEIGHT - 40))
            picture[y : y + 40, x : x + 4] += 90
        return picture

    assert not any(yard.show(rain(yard.wall.copy())) for _ in range(120))
    told = [yard.show(rain(yard.with_person(x, 130))) for x in np.arange(0, 160, 5)]
    assert told.index(True) <= 10
    assert all(told[15:])


def test_a_camera_that_shakes_is_no_motion():
    yard, dice = Yard(), np.random.default_rng(8)
    told = []
    for _ in range(80):
        down, right = dice.integers(-7, 8, 2)
        told.append(yard.show(np.roll(yard.wall, (down, right), (0, 1))))
    assert not any(told)


def test_a_flag_that_flaps_in_its_place_is_no_motion():
    yard = Yard()
    told = []
    for step in range(120):
        picture = yard.wall.copy()
        swing = int(9 * math.sin(step * 0.9))
        picture[40:64, 200 + swing : 226 + swing] = 225
        told.append(yard.show(picture))
    assert not any(told)


def test_a_cloud_s_shadow_that_wanders_over_a_wall_is_no_motion():
    yard = Yard()
    columns, told = np.arange(WIDTH), []
    for edge in range(-40, WIDTH + 200, 8):
        shade = (
            0.4 * np.clip((edge - columns) / 40, 0, 1) * np.clip((columns - edge + 200) / 40, 0, 1)
        )
        told.append(yard.show(yard.wall - (yard.wall - 16) * shade))
    assert not any(told)


def test_who_stands_close_is_told_until_they_leave():
    yard = Yard()
    yard.walk_in()
    still = [yard.show(yard.with_person(160, 130, lean=step // 15 % 2 * 2)) for step in range(600)]
    assert all(still)
    for x in np.arange(160, 380, 7):
        yard.show(yard.with_person(x, 130))
    assert not any(yard.pass_by(30)[6:])


def test_what_doesn_t_stir_is_told_for_seconds_and_then_is_background():
    yard = Yard()
    yard.walk_in()
    parked = [yard.show(yard.with_person(160, 130)) for _ in range(200)]
    assert all(parked[:80])
    assert not any(parked[150:])


def test_somebody_who_walks_into_the_lens_is_told_while_they_fill_the_picture():
    yard = Yard()
    yard.walk_in()
    near = [yard.show(yard.with_person(160, tall)) for tall in np.geomspace(130, 1400, 25)]
    filled = [yard.show(yard.with_person(160, 1400 + step % 3 * 20)) for step in range(60)]
    assert all(near)
    assert all(filled)


def test_the_switch_to_infrared_is_no_motion_and_a_second_later_a_walker_is():
    yard = Yard()
    by_day = yard.wall
    yard.wall = 150 - 0.4 * by_day + yard.texture(0, 25, side=12)
    assert not any(yard.pass_by(12))
    told = yard.walk_in()
    assert told.index(True) <= 6


def test_who_is_there_at_the_switch_to_infrared_is_told_on():
    yard = Yard()
    yard.walk_in()
    yard.wall = 150 - 0.4 * yard.wall + yard.texture(0, 25, side=12)
    told = [yard.show(yard.with_person(x, 130)) for x in np.arange(160, 260, 4)]
    assert all(told)


@pytest.mark.parametrize(("stays", "is_bad"), [(1, True), (2, False)])
def test_weather_is_pixels_that_are_hot_for_one_frame_only(stays: int, is_bad: bool):
    weather = Weather((90, 160))
    for step in range(60):
        weather.next.fill(False)
        weather.next[10, :90] = step % 3 < stays
        weather.take(90, None)
    assert weather.is_bad is is_bad
