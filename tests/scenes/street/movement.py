"""Ways through the street: where a mover is at each moment, and when it stands."""

from dataclasses import dataclass

import numpy as np

from tests.scenes.street.arrays import Floats
from tests.scenes.street.figures import Body, Pose
from tests.scenes.street.light import NONE, Level

_TICK_S = 0.05
_ROUNDED_S = 0.3  # corners and starts take this long to each side
_STILL_M_S = 0.1
STANDS_AFTER_S = 0.5


class Way:
    """A line through (second, x, z) points with rounded corners; equal neighbours are a stand."""

    def __init__(self, *points: tuple[float, float, float], rest_heading: float = np.pi) -> None:
        self.starts_s = points[0][0]
        self.ends_s = points[-1][0]
        seconds, x, z = np.array(points, float).T
        self._times = np.arange(self.starts_s - 1, self.ends_s + 1, _TICK_S)
        about = np.linspace(-_ROUNDED_S, _ROUNDED_S, 9)[:, None]
        self._x = _beyond(self._times + about, seconds, x).mean(axis=0)
        self._z = _beyond(self._times + about, seconds, z).mean(axis=0)
        velocity = np.gradient(self._x, _TICK_S), np.gradient(self._z, _TICK_S)
        self._speed = np.hypot(*velocity)
        self._arc = np.cumsum(self._speed) * _TICK_S
        rest = np.maximum(0, 0.5 - self._speed)
        self._heading = np.unwrap(
            np.arctan2(
                velocity[0] + rest * np.sin(rest_heading), velocity[1] + rest * np.cos(rest_heading)
            )
        )

    def is_present(self, at_s: float) -> bool:
        """Whether the mover is in the street at all."""
        return self.starts_s <= at_s <= self.ends_s

    def is_still(self, at_s: float) -> bool:
        """Whether it has stood for STANDS_AFTER_S."""
        since = np.linspace(at_s - STANDS_AFTER_S, at_s, 6)
        return bool(np.all(np.interp(since, self._times, self._speed) < _STILL_M_S))

    def pose(self, at_s: float, stride_m: float, reach: float = 0.0) -> Pose:
        """Return where it is and how far its step is."""

        def now(values: Floats) -> float:
            return float(np.interp(at_s, self._times, values))

        return Pose(
            x=now(self._x),
            z=now(self._z),
            heading=now(self._heading),
            phase=2 * np.pi * now(self._arc) / stride_m,
            stride=min(1.0, now(self._speed) / 0.8),
            at_s=at_s,
            reach=reach,
        )


def _beyond(at: Floats, seconds: Floats, values: Floats) -> Floats:
    """Interpolate, and go on at the first and the last leg's pace outside of them."""
    inside = np.interp(at, seconds, values)
    first = (values[1] - values[0]) / (seconds[1] - seconds[0])
    last = (values[-1] - values[-2]) / (seconds[-1] - seconds[-2])
    return inside + np.minimum(0, at - seconds[0]) * first + np.maximum(0, at - seconds[-1]) * last


@dataclass(frozen=True, kw_only=True)
class Actor:
    """A body on its way. A prop (`is_mover` False) is drawn but isn't part of the truth."""

    number: int
    body: Body
    way: Way
    reach: Level = NONE
    is_mover: bool = True

    def pose(self, at_s: float) -> Pose:
        """Return the body's pose."""
        return self.way.pose(at_s, self.body.stride_m, self.reach(at_s))
