"""Who moves through a scene: people and cats, drawn as silhouettes with soft edges of one pixel."""

import random
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Kind = Literal["person", "cat"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mover:
    """Somebody who crosses the picture, or walks up to the door, stands there, and leaves.

    Lengths are fractions of the picture's height, times seconds; `contrast` is the difference in
    luma levels from what is behind (negative: darker), of the upper and of the lower half.
    """

    kind: Kind
    begin_s: float
    end_s: float
    size: float
    is_from_left: bool
    is_caller: bool
    feet: float
    contrast: tuple[float, float]
    stride_hz: float

    def where(self, now_s: float, aspect: float) -> tuple[float, float, float, bool] | None:
        """Return centre x, feet y, size (all in picture heights) and whether it stands still."""
        if not self.begin_s <= now_s < self.end_s:
            return None
        part = (now_s - self.begin_s) / (self.end_s - self.begin_s)
        if not self.is_caller:
            way = part if self.is_from_left else 1 - part
            margin = self.size * 0.6
            return way * (aspect + 2 * margin) - margin, self.feet, self.size, False
        closeness = min(1.0, 2.5 * min(part, 1 - part))
        size = 0.12 + (self.size - 0.12) * closeness
        side = -0.2 if self.is_from_left else 0.2
        x = aspect * (0.55 + side * (1 - closeness))
        return x, 0.45 + 0.6 * size, size, closeness == 1.0


def person(dice: random.Random, begin_s: float, *, levels: float) -> Mover:
    """Return somebody who crosses at a walking pace, or calls at the door."""
    size = dice.choice((0.25, 0.4, 0.6, 0.8))
    is_caller = dice.random() < 0.3
    duration_s = 12.0 if is_caller else dice.uniform(1.6, 2.6) / size**0.5
    sign = dice.choice((-1, 1))
    return Mover(
        kind="person",
        begin_s=begin_s,
        end_s=begin_s + duration_s,
        size=0.85 if is_caller else size,
        is_from_left=dice.random() < 0.5,
        is_caller=is_caller,
        feet=0.48 + 0.55 * size,
        contrast=(sign * levels, sign * levels * dice.uniform(0.5, 1.2)),
        stride_hz=dice.uniform(0.8, 1.2),
    )


def cat(dice: random.Random, begin_s: float, *, levels: float) -> Mover:
    """Return a cat that crosses."""
    return Mover(
        kind="cat",
        begin_s=begin_s,
        end_s=begin_s + dice.uniform(2.5, 4.5),
        size=dice.uniform(0.13, 0.2),
        is_from_left=dice.random() < 0.5,
        is_caller=False,
        feet=dice.uniform(0.7, 0.95),
        contrast=(levels * dice.choice((-1, 1)),) * 2,
        stride_hz=2.0,
    )


def draw(
    picture: Floats, mover: Mover, place: tuple[float, float, float, bool], now_s: float
) -> tuple[tuple[int, int, int, int], float, float] | None:
    """Draw into the picture; return the box (left, top, right, bottom), the part of the picture
    covered, and the part of the mover that is inside. None if nothing is inside."""
    height, width = picture.shape
    x, feet, size, is_still = place
    tall = size * height
    wide = tall * (0.5 if mover.kind == "person" else 1.6)
    left, right = int(x * height - wide / 2), int(x * height + wide / 2) + 1
    top, bottom = int(feet * height - tall), int(feet * height) + 1
    inner = (max(0, left), max(0, top), min(width, right), min(height, bottom))
    if inner[0] >= inner[2] or inner[1] >= inner[3]:
        return None
    rows = np.arange(top, bottom, dtype=np.float32)[:, None]
    columns = np.arange(left, right, dtype=np.float32)[None, :]
    v = (rows - (feet * height - tall)) / tall
    u = (columns - x * height) / tall
    swing = 0.0 if is_still else float(np.sin(2 * np.pi * mover.stride_hz * now_s)) * 0.09
    shape = _person(u, v, swing) if mover.kind == "person" else _cat(u, v, swing)
    alpha = np.clip(shape * tall + 0.5, 0, 1)
    part = alpha[inner[1] - top : inner[3] - top, inner[0] - left : inner[2] - left]
    seen = float(part.sum())
    if seen < 1:
        return None
    behind = picture[inner[1] : inner[3], inner[0] : inner[2]]
    upper, lower = mover.contrast
    level = float(behind.mean())
    is_upper = (v < 0.52)[inner[1] - top : inner[3] - top]
    colour = np.clip(np.where(is_upper, level + upper, level + lower), 4, 250)
    behind += (colour - behind) * part
    return inner, seen / (width * height), seen / float(alpha.sum())


def _ellipse(u: Floats, v: Floats, cu: float, cv: float, ru: float, rv: float) -> Floats:
    """Return about the distance inside an ellipse (negative outside)."""
    radius = np.sqrt(((u - cu) / ru) ** 2 + ((v - cv) / rv) ** 2)
    return ((1 - radius) * min(ru, rv)).astype(np.float32)


def _box(u: Floats, v: Floats, cu: float, cv: float, ru: float, rv: float) -> Floats:
    return np.minimum(ru - np.abs(u - cu), rv - np.abs(v - cv)).astype(np.float32)


def _person(u: Floats, v: Floats, swing: float) -> Floats:
    lean = swing * np.clip((v - 0.5) / 0.5, 0, 1)
    return np.maximum.reduce(
        [
            _ellipse(u, v, 0.0, 0.08, 0.055, 0.075),
            _box(u, v, 0.0, 0.34, 0.105, 0.2),
            _box(u - lean, v, -0.045, 0.76, 0.042, 0.24),
            _box(u + lean, v, 0.045, 0.76, 0.042, 0.24),
            _box(u + swing * np.clip((v - 0.2) / 0.3, 0, 1), v, 0.14, 0.37, 0.028, 0.17),
        ]
    )


def _cat(u: Floats, v: Floats, swing: float) -> Floats:
    return np.maximum.reduce(
        [
            _ellipse(u, v, 0.0, 0.45, 0.5, 0.22),
            _ellipse(u, v, 0.5, 0.25, 0.17, 0.17),
            _box(u, v, -0.3 + swing, 0.8, 0.05, 0.2),
            _box(u, v, 0.3 - swing, 0.8, 0.05, 0.2),
        ]
    )
