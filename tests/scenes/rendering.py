"""A scene: 30 s of luma frames before a doorbell, ten a second, and the truth of each.

Nobody moves for the first 16 s, while the weather does what its kind says; then somebody comes,
under the same weather, in most kinds.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from firmware.capture.camera_output import TICKS_PER_S, LumaFrame
from firmware.capture.replay import porch
from tests.scenes import movers, weather

Floats = NDArray[np.float32]
SceneKind = Literal[
    "calm", "noise_2", "noise_4", "noise_8", "light_step", "exposure", "clouds", "headlights",
    "leaves", "rain", "snow", "insects", "flashes", "night", "cat", "faint",
]  # fmt: skip
KINDS: tuple[SceneKind, ...] = SceneKind.__args__  # type: ignore[attr-defined]
LENGTH_S, PER_S = 32, 10
FIRST_MOVER_S = 16.0

WEATHER = {
    "light_step": weather.light_steps,
    "exposure": weather.exposure_ramps,
    "clouds": weather.clouds,
    "headlights": weather.headlights,
    "leaves": weather.leaves,
    "rain": weather.rain,
    "snow": weather.snow,
    "insects": weather.insects,
    "flashes": weather.flashes,
}
NOISE = {"noise_2": 2.0, "noise_4": 4.0, "noise_8": 8.0, "night": 7.0, "insects": 4.0}
DARK = ("headlights", "insects", "night")


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One mover in one frame: the box is left, top, right, bottom in pixels, `area` the part of
    the picture that it covers, `visible` the part of it that is inside."""

    mover: int
    box: tuple[int, int, int, int]
    area: float
    visible: float
    is_still: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Shot:
    """A frame and the truth about it."""

    frame: LumaFrame
    seen: tuple[Seen, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """One scene; `shots` renders it anew each time, always the same."""

    kind: SceneKind
    seed: int
    width: int
    height: int
    length_s: float = LENGTH_S

    def shots(self) -> Iterator[Shot]:
        """Return the frames in order."""
        dice = random.Random(f"{self.kind} {self.seed}")
        backdrop = _backdrop(self.width, self.height, dice, is_dark=self.kind in DARK)
        disturbs = [WEATHER[self.kind](dice)] if self.kind in WEATHER else []
        rng = np.random.default_rng(dice.getrandbits(32))
        grain = weather.noise(rng, NOISE.get(self.kind, 1.5), backdrop.shape)
        cast = _cast(self.kind, dice)
        for number in range(int(self.length_s * PER_S)):
            now_s = number / PER_S
            picture = backdrop.copy()
            if self.kind == "leaves":  # bushes stand behind people
                disturbs[0](picture, now_s)
            seen = _draw_all(picture, cast, now_s)
            if self.kind != "leaves":
                for disturb in disturbs:
                    disturb(picture, now_s)
            grain(picture, now_s)
            luma = np.clip(np.rint(picture), 0, 255).astype(np.uint8)
            frame = LumaFrame(
                pts_90k=(1000 + number) * TICKS_PER_S // PER_S,
                width=self.width,
                height=self.height,
                stride=self.width,
                data=luma.tobytes(),
                gain=8.0 if self.kind == "night" else 1.0,
            )
            yield Shot(frame=frame, seen=seen)


def _cast(kind: SceneKind, dice: random.Random) -> list[movers.Mover]:
    levels = dice.choice((30.0, 45.0, 70.0))
    if kind == "faint":
        levels = 20.0
    if kind == "night":
        levels = 25.0
    if kind == "cat":
        return [movers.cat(dice, FIRST_MOVER_S + 7.0 * n, levels=levels) for n in range(2)]
    first = movers.person(dice, FIRST_MOVER_S, levels=levels)
    cast = [first]
    if first.end_s + 4 < LENGTH_S - 4:
        cast.append(movers.person(dice, first.end_s + 4, levels=levels))
    return cast


def _draw_all(picture: Floats, cast: list[movers.Mover], now_s: float) -> tuple[Seen, ...]:
    seen = []
    aspect = picture.shape[1] / picture.shape[0]
    for number, mover in enumerate(cast):
        place = mover.where(now_s, aspect)
        drawn = None if place is None else movers.draw(picture, mover, place, now_s)
        if place is not None and drawn is not None:
            box, area, visible = drawn
            seen.append(Seen(mover=number, box=box, area=area, visible=visible, is_still=place[3]))
    return tuple(seen)


def _backdrop(width: int, height: int, dice: random.Random, *, is_dark: bool) -> Floats:
    luma = _porch_luma(width, height)
    if dice.random() < 0.5:
        luma = luma[:, ::-1]
    contrast, light = dice.uniform(0.6, 1.0), dice.uniform(-15, 15)
    picture = 110 + (luma - 125) * contrast + light
    if is_dark:
        picture = weather.BLACK + (picture - weather.BLACK) * 0.35
    return np.ascontiguousarray(np.clip(picture, 12, 245), dtype=np.float32)


@lru_cache(maxsize=4)
def _porch_luma(width: int, height: int) -> Floats:
    return np.asarray(porch.backdrop(width, height).convert("L"), dtype=np.float32)
