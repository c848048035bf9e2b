"""Ways through the site: where somebody is, which way they face, and whether they stand."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_PER_S = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Walk:
    """To a place, at a speed."""

    x: float
    y: float
    speed: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Stand:
    """For a time, facing a direction; `gesture` is what the arms do in it, for `gesture_s`."""

    seconds: float
    facing: tuple[float, float] = (0.0, -1.0)
    gesture: str = ""
    gesture_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A moment on a route. `walked` is in metres; `gesture_share` runs from 0 to 1 in a gesture."""

    x: float
    y: float
    heading: float
    speed: float
    walked: float
    is_still: bool
    gesture: str
    gesture_share: float


class Route:
    """Legs one after another from a place and a time; `step` is None before and after."""

    def __init__(
        self, begin_s: float, x: float, y: float, legs: list[Walk | Stand], *, turn_s: float = 0.5
    ) -> None:
        self._begin_s = begin_s
        places: list[NDArray[np.floating]] = [np.array([[x, y]])]
        facings: list[NDArray[np.floating]] = []
        gestures: list[tuple[int, int, str]] = []
        for leg in legs:
            last = places[-1][-1]
            if isinstance(leg, Walk):
                way = np.array([leg.x, leg.y]) - last
                count = max(2, round(float(np.hypot(*way)) / leg.speed * _PER_S))
                places.append(last + way * (np.arange(1, count + 1) / count)[:, None])
                facings.append(np.tile(way / np.hypot(*way), (count, 1)))
            else:
                count = round(leg.seconds * _PER_S)
                start = sum(len(part) for part in places)
                gestures.append((start, start + round(leg.gesture_s * _PER_S), leg.gesture))
                places.append(np.tile(last, (count, 1)))
                facings.append(np.tile(np.array(leg.facing) / np.hypot(*leg.facing), (count, 1)))
        self._gestures = gestures
        at = _smoothed(np.concatenate(places), round(max(0.4, 0.8 * turn_s - 0.4) * _PER_S))
        facing = _smoothed(np.concatenate([facings[0][:1], *facings]), round(turn_s * _PER_S))
        steps = np.hypot(*np.diff(at, axis=0, prepend=at[:1]).T)
        self._at, self._heading = at, np.arctan2(facing[:, 1], facing[:, 0])
        self._walked, self._speed = np.cumsum(steps), steps * _PER_S
        turning = np.abs(np.diff(np.unwrap(self._heading), prepend=self._heading[0])) * _PER_S
        moving = (self._speed > 0.05) | (turning > 0.15)
        for start, end, _ in gestures:
            moving[start:end] = True
        self._still_since = np.arange(len(at)) - np.maximum.accumulate(
            np.where(moving, np.arange(len(at)), 0)
        )

    @property
    def end_s(self) -> float:
        """When it is over."""
        return self._begin_s + len(self._at) / _PER_S

    def step(self, at_s: float) -> Step | None:
        """Where one is at a time."""
        index = round((at_s - self._begin_s) * _PER_S)
        if not 0 <= index < len(self._at):
            return None
        gesture, share = "", 0.0
        for start, end, name in self._gestures:
            if start <= index < end:
                gesture, share = name, (index - start) / (end - start)
        return Step(
            x=float(self._at[index, 0]),
            y=float(self._at[index, 1]),
            heading=float(self._heading[index]),
            speed=float(self._speed[index]),
            walked=float(self._walked[index]),
            is_still=bool(self._still_since[index] >= 0.5 * _PER_S),
            gesture=gesture,
            gesture_share=share,
        )


def _smoothed(values: NDArray[np.floating], width: int) -> NDArray[np.floating]:
    padded = np.pad(values, ((width, width), (0, 0)), mode="edge")
    kernel = np.ones(width) / width
    smoothed = np.stack(
        [np.convolve(padded[:, axis], kernel, mode="same") for axis in (0, 1)], axis=1
    )
    return smoothed[width:-width]
