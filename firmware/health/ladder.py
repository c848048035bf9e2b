"""Heat ladder: limits the camera's frame rate by the board's temperature.

Below 75 °C as many as configured; from 75 °C at most 30, from 80 °C 15, from 83 °C 10. Up at
once, over several rungs if need be; down one rung at a time, when it has been 3 °C below the
rung for a minute. Fewer pictures is all that is ever shed: recording and the bell go on until
the board's own firmware turns it off. A pure state machine; the seconds are the caller's.
"""

from dataclasses import dataclass

BACK_MILLI_C = 3_000
DWELL_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Rung:
    """From this temperature on, at most this many pictures a second."""

    from_milli_c: int
    max_fps: int


RUNGS = (
    Rung(from_milli_c=75_000, max_fps=30),
    Rung(from_milli_c=80_000, max_fps=15),
    Rung(from_milli_c=83_000, max_fps=10),
)


class HeatLadder:
    """A board's current rung. `fps` is its frame rate when it is cool."""

    def __init__(self, fps: int, *, rungs: tuple[Rung, ...] = RUNGS) -> None:
        self._fps = fps
        self._rungs = rungs
        self._height = 0
        self._cool_since_s: float | None = None

    @property
    def max_fps(self) -> int:
        """Pictures a second that are allowed now."""
        if self._height == 0:
            return self._fps
        return min(self._fps, self._rungs[self._height - 1].max_fps)

    @property
    def is_too_hot(self) -> bool:
        """Return whether heat limits the frame rate now."""
        return self.max_fps < self._fps

    def step(self, temperature_milli_c: int | None, now_s: float) -> int:
        """Take one reading; return `max_fps`. An unknown temperature changes nothing."""
        if temperature_milli_c is None:
            return self.max_fps
        reached = sum(temperature_milli_c >= rung.from_milli_c for rung in self._rungs)
        if reached > self._height:
            self._height, self._cool_since_s = reached, None
        elif self._is_cool(temperature_milli_c):
            self._cool_down(now_s)
        else:
            self._cool_since_s = None
        return self.max_fps

    def _is_cool(self, temperature_milli_c: int) -> bool:
        if self._height == 0:
            return False
        return temperature_milli_c <= self._rungs[self._height - 1].from_milli_c - BACK_MILLI_C

    def _cool_down(self, now_s: float) -> None:
        if self._cool_since_s is None:
            self._cool_since_s = now_s
        elif now_s - self._cool_since_s >= DWELL_S:
            self._height -= 1
            self._cool_since_s = None
