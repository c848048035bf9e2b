"""What disturbs a scene without anybody moving: light, wind, rain, snow, insects, the sensor.

Each is made once from dice and then applied to one picture after another: `disturb(picture,
now_s)` changes the picture (luma as float32) in place. Sizes are fractions of the picture.
"""

import math
import random
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Disturb = Callable[[Floats, float], None]
BLACK = 16.0


def light_steps(dice: random.Random) -> Disturb:
    """A lamp is switched: all gets brighter or darker from one frame to the next."""
    steps = [(at + dice.uniform(0, 2), dice.choice((0.7, 0.8, 1.25, 1.35))) for at in (6, 12, 24)]

    def disturb(picture: Floats, now_s: float) -> None:
        factor = math.prod(by for at, by in steps if now_s >= at)
        _brighten(picture, min(1.5, max(0.55, factor)))

    return disturb


def exposure_ramps(dice: random.Random) -> Disturb:
    """Automatic exposure: slow ramps that overshoot and come back."""
    begins = [(at + dice.uniform(0, 2), dice.uniform(-0.3, 0.45)) for at in (6, 13, 24)]

    def disturb(picture: Floats, now_s: float) -> None:
        factor = 1.0
        for begin, by in begins:
            age = now_s - begin
            if age > 0:
                factor *= 1 + by * (1 - math.exp(-age / 0.7) * (1 + math.sin(3 * age) * 0.3))
        _brighten(picture, factor)

    return disturb


def clouds(dice: random.Random) -> Disturb:
    """Soft shadows drift over the picture."""
    angle = dice.uniform(0, 2 * math.pi)
    speed = dice.uniform(0.05, 0.2)
    depth = dice.uniform(0.15, 0.35)
    waves = [(dice.uniform(0.5, 1.6), dice.uniform(0, 6.3), dice.uniform(0, 6.3)) for _ in range(4)]

    def disturb(picture: Floats, now_s: float) -> None:
        rows, columns = _grid(picture)
        field = np.zeros_like(picture)
        drift_x, drift_y = math.cos(angle) * speed * now_s, math.sin(angle) * speed * now_s
        for scale, phase, turn in waves:
            ax, ay = math.cos(turn) * scale * 4, math.sin(turn) * scale * 4
            field += np.sin((columns - drift_x) * ax + (rows - drift_y) * ay + phase)
        shade = 1 - depth / (1 + np.exp(-2.5 * field))
        picture[:] = BLACK + (picture - BLACK) * shade

    return disturb


def headlights(dice: random.Random) -> Disturb:
    """Cars pass at dusk: their light sweeps over the porch."""
    sweeps = [
        (at + dice.uniform(0, 3), dice.uniform(0.8, 2.0), dice.choice((-1, 1)), dice.uniform(1, 3))
        for at in (5, 10, 15, 25)
    ]
    height = dice.uniform(0.4, 0.7)

    def disturb(picture: Floats, now_s: float) -> None:
        for begin, duration, way, power in sweeps:
            part = (now_s - begin) / duration
            if not 0 <= part < 1:
                continue
            rows, columns = _grid(picture)
            centre = part * 2.4 - 0.4 if way > 0 else 2.0 - part * 2.4
            spread = ((columns - centre) / 0.28) ** 2 + ((rows - height) / 0.25) ** 2
            picture[:] = BLACK + (picture - BLACK) * (1 + power * np.exp(-spread))

    return disturb


def leaves(dice: random.Random) -> Disturb:
    """Bushes sway; gusts come and go, the first after the scene has been still."""
    patches = [
        (dice.uniform(0.0, 1.3), dice.uniform(0.1, 0.6), dice.uniform(0.12, 0.25)) for _ in range(3)
    ]
    gusts = [(at + dice.uniform(0, 2), dice.uniform(0.004, 0.012)) for at in (5, 11, 17, 24)]
    texture = np.random.default_rng(dice.getrandbits(32))
    foliage = _smooth(texture.standard_normal((512, 512)).astype(np.float32), 3) * 60

    def disturb(picture: Floats, now_s: float) -> None:
        height = picture.shape[0]
        reach = 0.0015 + sum(by * math.exp(-(((now_s - at) / 1.5) ** 2)) for at, by in gusts)
        for number, (cx, cy, radius) in enumerate(patches):
            left, top = int((cx - radius) * height), int((cy - radius) * height)
            side = int(2 * radius * height)
            box = picture[max(0, top) : top + side, max(0, left) : left + side]
            if not box.size:
                continue
            rows = np.arange(max(0, top), max(0, top) + box.shape[0], dtype=np.float32)[:, None]
            columns = np.arange(max(0, left), max(0, left) + box.shape[1], dtype=np.float32)
            phase = number + 7 * now_s + rows / height * 25 + columns[None, :] / height * 18
            sway = np.sin(phase) * reach * height
            u = (columns[None, :] + sway) / height * 360 + number * 100
            w = (rows + sway * 0.4) / height * 360
            seen = _sampled(foliage, w, u)
            distance = np.hypot(rows / height - cy, columns[None, :] / height - cx)
            edge = np.clip((radius - distance) * 60, 0, 1)
            box += (70 + seen - box) * edge

    return disturb


def rain(dice: random.Random) -> Disturb:
    """Streaks of a hand's length, new ones in each frame."""
    rng = np.random.default_rng(dice.getrandbits(32))
    count, power = dice.randint(80, 250), dice.uniform(15, 40)

    def disturb(picture: Floats, now_s: float) -> None:
        height, width = picture.shape
        length = max(4, int(height * 0.04))
        tops = rng.integers(0, height - length, count)
        lefts = rng.integers(0, width - 2, count)
        for step in range(length):
            picture[tops + step, lefts + (step * 2) // length] += power

    return disturb


def snow(dice: random.Random) -> Disturb:
    """Flakes of several sizes fall and drift."""
    rng = np.random.default_rng(dice.getrandbits(32))
    count = dice.randint(60, 160)
    places = rng.random((count, 2)) * (1.1, 2.0)
    sizes = rng.choice((0.0028, 0.004, 0.007), count, p=(0.6, 0.3, 0.1))

    def disturb(picture: Floats, now_s: float) -> None:
        height = picture.shape[0]
        for number in range(count):
            size = sizes[number]
            y = (places[number, 0] + now_s * (0.15 + 60 * size)) % 1.1
            x = (places[number, 1] + 0.03 * math.sin(now_s * 2 + number) + now_s * 0.05) % 2.0
            r = max(1, int(size * height))
            top, left = int(y * height), int(x * height)
            box = picture[top : top + r, left : left + r]
            box += (225 - box) * 0.7

    return disturb


def insects(dice: random.Random) -> Disturb:
    """Something bright and out of focus flies past, close to the lens, in two to four frames."""
    flights = [
        (at + dice.uniform(0, 1.5), dice.uniform(0.2, 0.4), dice.uniform(0, 6.3))
        for at in (5, 8, 11, 14, 23, 26)
    ]

    def disturb(picture: Floats, now_s: float) -> None:
        for begin, duration, angle in flights:
            part = (now_s - begin) / duration
            if not 0 <= part < 1:
                continue
            rows, columns = _grid(picture)
            x, y = 0.85 + (part - 0.5) * 2.2 * math.cos(angle), 0.5 + (part - 0.5) * math.sin(angle)
            spread = ((columns - x) ** 2 + (rows - y) ** 2) / 0.05**2
            picture += 110 * np.exp(-spread)

    return disturb


def flashes(dice: random.Random) -> Disturb:
    """Lightning, or an infrared lamp that is switched: one or two frames are much brighter."""
    moments = [at + dice.uniform(0, 2) for at in (5, 8, 11, 14, 24)]

    def disturb(picture: Floats, now_s: float) -> None:
        if any(at <= now_s < at + 0.15 for at in moments):
            _brighten(picture, 1.9)

    return disturb


def noise(rng: np.random.Generator, sigma: float, shape: tuple[int, int]) -> Disturb:
    """The sensor's own: Gaussian, new in each frame (cut from a larger sheet at random)."""
    height, width = shape
    sheets = rng.standard_normal((3, height + 40, width + 40)).astype(np.float32) * sigma

    def disturb(picture: Floats, now_s: float) -> None:
        top, left = rng.integers(0, 40, 2)
        sheet = sheets[rng.integers(0, 3)]
        picture += sheet[top : top + height, left : left + width]

    return disturb


def _brighten(picture: Floats, factor: float) -> None:
    picture[:] = BLACK + (picture - BLACK) * factor


def _grid(picture: Floats) -> tuple[Floats, Floats]:
    """Return each pixel's row and column, as fractions of the height."""
    height, width = picture.shape
    rows = np.arange(height, dtype=np.float32)[:, None] / height
    return rows, np.arange(width, dtype=np.float32)[None, :] / height


def _smooth(field: Floats, reach: int) -> Floats:
    total = sum(
        np.roll(np.roll(field, dy, 0), dx, 1)
        for dy in range(-reach, reach + 1)
        for dx in range(-reach, reach + 1)
    )
    smooth: Floats = (total / total.std()).astype(np.float32)
    return smooth * 0.5


def _sampled(texture: Floats, rows: Floats, columns: Floats) -> Floats:
    """Return the texture between its pixels (bilinear), repeated for ever."""
    y0, x0 = np.floor(rows).astype(np.int32), np.floor(columns).astype(np.int32)
    fy, fx = rows - y0, columns - x0
    y0, x0 = y0 % 511, x0 % 511
    upper = texture[y0, x0] * (1 - fx) + texture[y0, x0 + 1] * fx
    lower = texture[y0 + 1, x0] * (1 - fx) + texture[y0 + 1, x0 + 1] * fx
    return (upper * (1 - fy) + lower * fy).astype(np.float32)
