"""What is in the air between lens and garden: rain, snow, insects and a spider, drops on the lens.

Each draws into the radiance of one picture, in front of what is farther (`depth`, metres). None of
them is a mover.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from tests.scenes.courtyard.lens import HEIGHT, WIDTH, Floats, Lens


@dataclass(frozen=True, slots=True, kw_only=True)
class Air:
    """What falling things need of a moment; `tone` is the radiance of the sky around.

    `depth` is how far each pixel's nearest surface is, in metres.
    """

    depth: Floats
    lens: Lens
    at_s: float
    exposure_s: float
    gust: float
    tone: float
    infrared: float
    dice: np.random.Generator


class Airborne(Protocol):
    """Anything that draws itself into the air."""

    def draw(self, picture: Floats, air: Air) -> None:
        """Change `picture` (radiance) in place."""


class Rain:
    """Drops as streaks of the exposure's length; `count` of them in the picture."""

    def __init__(self, dice: np.random.Generator, *, count: int, slant: float) -> None:
        self._count = count
        self._slant = slant
        self._pulse = dice.uniform(0, 6.28, 3)

    def draw(self, picture: Floats, air: Air) -> None:
        """Draw other drops in each picture: none is in two, they fall too fast."""
        strength = 1 + 0.35 * np.sin(0.7 * air.at_s + self._pulse[0]) + 0.5 * air.gust
        count = air.dice.poisson(self._count * max(0.2, strength))
        column = air.dice.uniform(-20, WIDTH + 20, count)
        row = air.dice.uniform(-40, HEIGHT, count)
        distance = 0.25 + 7 * air.dice.uniform(0, 1, count) ** 0.6
        inside = (column >= 0) & (column < WIDTH) & (row >= 0)
        behind = air.depth[
            np.clip(row, 0, HEIGHT - 1).astype(int), np.clip(column, 0, WIDTH - 1).astype(int)
        ]
        keep = ~inside | (distance < behind)
        column, row, distance = column[keep], row[keep], distance[keep]
        length = np.clip(air.lens.focal_px * 7.0 * air.exposure_s / distance, 1.5, 130)
        width = air.lens.focal_px * 0.0022 / distance + 0.25
        slant = self._slant + 0.35 * air.gust + air.dice.normal(0, 0.03, len(row))
        _streaks(picture, column, row, length, slant, width, distance, air)
        _splashes(picture, air, round(self._count * 0.15))


def _streaks(
    picture: Floats,
    column: Floats,
    row: Floats,
    length: Floats,
    slant: Floats,
    width: Floats,
    distance: Floats,
    air: Air,
) -> None:
    samples = int(length.max(initial=1.0)) + 2
    share = (np.arange(samples) + 0.5) / samples
    thick = np.clip(np.round(width * 1.4), 1, 4).astype(int)
    cover = np.zeros(HEIGHT * WIDTH)
    light = np.zeros(HEIGHT * WIDTH)
    for lane in range(4):
        some = thick > lane
        x = column[some][:, None] + slant[some][:, None] * length[some][:, None] * share + lane
        y = row[some][:, None] + length[some][:, None] * share
        good = (x >= 0) & (x < WIDTH) & (y >= 0) & (y < HEIGHT)
        # A drop covers a pixel only for the part of the exposure in which it passes it.
        opaque = np.minimum(width[some] / thick[some], 1) * 0.42
        amount = np.broadcast_to((opaque * length[some] / samples)[:, None], x.shape)
        shine = 0.45 * air.infrared / np.maximum(distance[some], 0.3) ** 2
        pixels = (y[good].astype(int) * WIDTH + x[good].astype(int)).ravel()
        cover += np.bincount(pixels, amount[good], HEIGHT * WIDTH)
        shone = amount * shine[:, None]
        light += np.bincount(pixels, shone[good], HEIGHT * WIDTH)
    cover = np.minimum(cover, 0.85).reshape(HEIGHT, WIDTH).astype(np.float32)
    picture *= 1 - cover
    picture += cover * np.float32(air.tone) + light.reshape(HEIGHT, WIDTH).astype(np.float32)


def _splashes(picture: Floats, air: Air, count: int) -> None:
    """Small bright dots where drops hit the ground near by."""
    row = (HEIGHT * (0.5 + 0.5 * air.dice.uniform(0, 1, count))).astype(int) - 1
    column = air.dice.integers(0, WIDTH - 1, count)
    far = air.depth[row, column]
    near = far < 7
    row, column, far = row[near], column[near], far[near]
    amount = (0.3 / np.maximum(far, 0.8)).astype(np.float32)
    bright = air.tone + 0.5 * air.infrared / np.maximum(far, 0.5) ** 2
    for step in (0, 1):
        spot = picture[row, column + step]
        picture[row, column + step] = spot + (bright - spot) * amount


class Snow:
    """Flakes that drift through the space before the lens; near ones are wide and blurred."""

    def __init__(self, dice: np.random.Generator, *, count: int, wind: float) -> None:
        self._size = np.array([9.0, 8.0, 5.0])
        self._corner = np.array([-4.5, 0.12, -0.3])
        self._places = dice.uniform(0, 1, (count, 3)) * self._size
        self._speed = dice.uniform(0.6, 1.3, count)
        self._phase = dice.uniform(0, 6.28, count)
        self._wind = wind
        self._flake_m = dice.uniform(0.004, 0.012, count)

    def draw(self, picture: Floats, air: Air) -> None:
        """Draw all flakes where they are now."""
        t = air.at_s
        drift = self._wind * t + 0.9 * np.sin(0.35 * t)
        places = self._places.copy()
        places[:, 0] += drift + 0.12 * np.sin(2.1 * t + self._phase)
        places[:, 1] += 0.12 * np.cos(1.7 * t + self._phase) - 0.2 * t
        places[:, 2] -= self._speed * t
        places = places % self._size + self._corner
        distance = np.linalg.norm(places - air.lens.position, axis=1)
        at = air.lens.project(places.astype(np.float32))
        seen = (
            (at[:, 0] > -12) & (at[:, 0] < WIDTH + 12) & (at[:, 1] > -12) & (at[:, 1] < HEIGHT + 12)
        )
        seen &= ((places - air.lens.position) @ air.lens.axes[2] > 0.05) & (distance > 0.15)
        at, distance, flake_m = at[seen], distance[seen], self._flake_m[seen]
        sharp = air.lens.focal_px * flake_m / 2 / distance
        radius = sharp + air.lens.focal_px * 0.0009 / distance
        opaque = np.minimum((sharp / radius) ** 2 * 1.9, 1) * np.minimum(radius * radius * 3, 1)
        bright = 1.05 * air.tone + 0.75 * air.infrared / np.maximum(distance, 0.25) ** 2
        streak = 0.6 * air.exposure_s * air.lens.focal_px / distance
        is_dot = (radius < 0.9) & (streak < 2)
        _dots(picture, air.depth, at[is_dot], opaque[is_dot], bright[is_dot], distance[is_dot])
        for n in np.flatnonzero(~is_dot):
            _disc(
                picture,
                air.depth,
                at[n, 0],
                at[n, 1],
                max(radius[n], 0.6),
                opaque[n],
                bright[n],
                distance[n],
                streak[n],
            )


def _dots(
    picture: Floats, depth: Floats, at: Floats, opaque: Floats, bright: Floats, distance: Floats
) -> None:
    """Dots of about a pixel, shared between the four that they touch."""
    left, top = np.floor(at[:, 0] - 0.5).astype(int), np.floor(at[:, 1] - 0.5).astype(int)
    right_share, lower_share = at[:, 0] - 0.5 - left, at[:, 1] - 0.5 - top
    cover, light = np.zeros(HEIGHT * WIDTH), np.zeros(HEIGHT * WIDTH)
    for down in (0, 1):
        for aside in (0, 1):
            row, column = top + down, left + aside
            inside = (row >= 0) & (row < HEIGHT) & (column >= 0) & (column < WIDTH)
            share = (lower_share if down else 1 - lower_share) * opaque
            share = share * (right_share if aside else 1 - right_share)
            inside[inside] &= depth[row[inside], column[inside]] > distance[inside]
            pixels = row[inside] * WIDTH + column[inside]
            cover += np.bincount(pixels, share[inside], HEIGHT * WIDTH)
            light += np.bincount(pixels, (share * bright)[inside], HEIGHT * WIDTH)
    cover = np.minimum(cover, 1).reshape(HEIGHT, WIDTH).astype(np.float32)
    picture *= 1 - cover
    picture += light.reshape(HEIGHT, WIDTH).astype(np.float32)


def _disc(
    picture: Floats,
    depth: Floats | None,
    column: float,
    row: float,
    radius: float,
    opaque: float,
    bright: float,
    far: float,
    streak: float = 0.0,
) -> None:
    """A soft disc, drawn out downwards by `streak` pixels, where nothing is nearer than `far`."""
    reach = int(radius + 1.5)
    top, bottom = max(0, int(row) - reach), min(HEIGHT, int(row + streak) + reach + 1)
    left, right = max(0, int(column) - reach), min(WIDTH, int(column) + reach + 1)
    if top >= bottom or left >= right:
        return
    y = np.arange(top, bottom)[:, None] + 0.5
    x = np.arange(left, right)[None] + 0.5
    dy = y - np.clip(y, row, row + streak)
    cover = np.clip(radius + 0.5 - np.hypot(x - column, dy), 0, 1) * opaque
    cover /= 1 + streak / (2 * radius + 1)
    part = picture[top:bottom, left:right]
    if depth is not None:
        cover = cover * (depth[top:bottom, left:right] > far)
    part += (cover * (bright - part)).astype(np.float32)


class Insects:
    """Moths and midges about the infrared lamp: short bright curves close to the air.lens."""

    def __init__(self, dice: np.random.Generator, *, count: int, length_s: float) -> None:
        self._flights = []
        for _ in range(count):
            begin = float(dice.uniform(0, length_s - 3))
            self._flights.append(
                (
                    begin,
                    begin + float(dice.uniform(0.8, 7)),
                    dice.uniform(-0.25, 0.25, 2),
                    dice.uniform(0.16, 0.75),
                    dice.uniform(0.1, 0.45, 3),
                    dice.uniform(2.0, 11.0, 3),
                    dice.uniform(0, 6.28, 3),
                    dice.uniform(0.002, 0.006),
                )
            )

    def draw(self, picture: Floats, air: Air) -> None:
        """Draw each along its way during the exposure."""
        for begin, end, middle, away, reach, pace, phase, size in self._flights:
            if not begin <= air.at_s < end:
                continue
            for step in np.linspace(-1, 0, 16):
                t = air.at_s + step * air.exposure_s
                swing = reach * (
                    np.sin(pace * t + phase) + 0.3 * np.sin(2.7 * pace * t + phase * 2)
                )
                local = np.array(
                    [middle[0] + swing[0], middle[1] + 0.6 * swing[1], away * (1 + 0.6 * swing[2])]
                )
                far = float(np.linalg.norm(local))
                column, row = air.lens.project(
                    air.lens.position + local.astype(np.float32) @ air.lens.axes
                )
                flap = 0.6 + 0.4 * np.sin(150 * t)
                radius = air.lens.focal_px * (size * (0.5 + 0.5 * flap) + 0.0011) / far
                bright = 0.5 * air.infrared / far**2 + air.tone * 0.5
                _disc(picture, None, column, row, radius, 0.16, bright, far)


class Spider:
    """A spider and its threads right before the lens, out of focus and far too bright."""

    def __init__(self, dice: np.random.Generator, length_s: float) -> None:
        steps = int(length_s) + 2
        pauses = dice.random(steps) < 0.45
        self._way = np.cumsum(
            dice.normal(0, 26, (steps, 2)) * ~pauses[:, None], axis=0
        ) + dice.uniform((160, 60), (480, 200))
        self._begin_s = float(dice.uniform(2, 12))
        self._threads = dice.uniform((0, 0, 0, 0), (WIDTH, HEIGHT, WIDTH, HEIGHT), (4, 4))

    def draw(self, picture: Floats, air: Air) -> None:
        """Draw threads that swing in the air, and the spider once it has come."""
        bright = 2.0 * air.infrared + 0.2 * air.tone
        for number, (x0, y0, x1, y1) in enumerate(self._threads):
            swing = (2.5 + 4 * air.gust) * np.sin(1.6 * air.at_s + number * 2)
            bend = np.sin(np.linspace(0, np.pi, 160)) * swing
            columns = np.linspace(x0, x1, 160) + bend
            rows = np.linspace(y0, y1, 160) + bend * 0.5
            pixels = (
                np.clip(rows, 0, HEIGHT - 2).astype(int),
                np.clip(columns, 0, WIDTH - 2).astype(int),
            )
            glint = 0.018 + 0.018 * np.sin(np.linspace(0, 9, 160) + number + 0.8 * swing)
            for down in (0, 1):
                at = pixels[0] + down, pixels[1]
                picture[at] += (glint * (bright - picture[at])).astype(np.float32)
        if air.at_s < self._begin_s:
            return
        seconds = np.arange(len(self._way))
        x = float(np.interp(air.at_s, seconds, self._way[:, 0]))
        y = float(np.interp(air.at_s, seconds, self._way[:, 1]))
        x, y = float(np.clip(x, -20, WIDTH + 20)), float(np.clip(y, -20, HEIGHT + 20))
        for leg in range(8):
            turn = leg / 8 * 2 * np.pi + 0.2 * np.sin(5 * air.at_s + leg)
            knee = 26 + 5 * np.sin(4 * air.at_s + 1.9 * leg)
            for share in np.linspace(0.2, 1, 9):
                bow = turn + 0.5 * share
                _disc(
                    picture,
                    None,
                    x + np.cos(bow) * knee * share * 1.5,
                    y + np.sin(bow) * knee * share * 1.2,
                    3.6,
                    0.16,
                    bright,
                    0.05,
                )
        for wide, opaque in ((17, 0.35), (13, 0.6), (9, 0.7)):
            _disc(picture, None, x, y, wide, opaque, bright, 0.05)


class LensDrops:
    """Drops on the glass, each a small upside-down picture of the garden; some run down."""

    def __init__(self, dice: np.random.Generator, *, count: int, length_s: float) -> None:
        self._drops = [
            (
                float(dice.uniform(-20, length_s)),
                float(dice.uniform(0, WIDTH)),
                float(dice.uniform(0, HEIGHT)),
                float(dice.uniform(4, 13)),
                float(dice.choice([0.0, 0.0, 0.0, 1.0])) * float(dice.uniform(4, 40)),
            )
            for _ in range(count)
        ]

    def draw(self, picture: Floats, air: Air) -> None:
        """Draw those that have fallen by now."""
        for begin, column, fallen, radius, speed in self._drops:
            age = air.at_s - begin
            row = fallen + speed * max(0.0, age - 1.5)
            if age < 0 or row > HEIGHT + radius:
                continue
            top, bottom = max(0, int(row - radius - 2)), min(HEIGHT, int(row + radius + 3))
            left, right = max(0, int(column - radius - 2)), min(WIDTH, int(column + radius + 3))
            if top >= bottom or left >= right:
                continue
            y = np.arange(top, bottom)[:, None] + 0.5 - row
            x = np.arange(left, right)[None] + 0.5 - column
            reach = np.hypot(x, y) / radius
            cover = 0.72 * np.clip((1.25 - reach) / 0.5, 0, 1)
            seen_x = np.clip(column - x * 11, 0, WIDTH - 1).astype(int)
            seen_y = np.clip(row - y * 9, 0, HEIGHT - 1).astype(int)
            turned = picture[seen_y, seen_x]
            part = picture[top:bottom, left:right]
            part += (cover * (turned * (0.9 - 0.25 * reach) - part)).astype(np.float32)
