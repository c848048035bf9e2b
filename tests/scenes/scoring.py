"""Compares a detector's answers with a scene's truth, in the same way for every detector.

A frame counts as moving if somebody who isn't standing still covers at least the least size;
frames in which somebody smaller is seen, or stands, and those up to 0.5 s after somebody left,
count neither way. A walker is found in time if the detector says "moving" no later than in the
third frame after the first in which the walker has that size.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tests.scenes.rendering import Shot

WITHIN_FRAMES = 3
AFTER_FRAMES = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """Counts of frames, walkers and false alarms (runs of frames with no reason)."""

    hits: int = 0
    misses: int = 0
    false_frames: int = 0
    still_frames: int = 0
    false_alarms: int = 0
    walkers: int = 0
    found: int = 0
    found_in_time: int = 0

    def __add__(self, other: "Score") -> "Score":
        return Score(
            **{name: getattr(self, name) + getattr(other, name) for name in self.__slots__}
        )

    @property
    def precision(self) -> float:
        """Of the frames told as moving, the part in which something moved."""
        told = self.hits + self.false_frames
        return self.hits / told if told else 1.0

    @property
    def recall(self) -> float:
        """Of the frames in which something moved, the part told."""
        moving = self.hits + self.misses
        return self.hits / moving if moving else 1.0

    @property
    def f1(self) -> float:
        """The harmonic mean of both."""
        return 2 * self.hits / max(1, 2 * self.hits + self.false_frames + self.misses)


def truth_of(shots: Iterable[Shot], least_area: float) -> tuple[list[bool | None], list[int]]:
    """Return per frame whether something moves (None: counts neither way), and for each walker
    the first frame in which it has the least size."""
    truth: list[bool | None] = []
    first: dict[int, int] = {}
    last_seen = -AFTER_FRAMES - 1
    for number, shot in enumerate(shots):
        large = [seen for seen in shot.seen if seen.area >= least_area]
        for seen in large:
            first.setdefault(seen.mover, number)
        is_recent = number - last_seen <= AFTER_FRAMES
        if shot.seen:
            last_seen = number
        if any(not seen.is_still for seen in large):
            truth.append(True)
        else:
            truth.append(None if shot.seen or is_recent else False)
    return truth, list(first.values())


def score(told: Sequence[bool], truth: Sequence[bool | None], firsts: Sequence[int]) -> Score:
    """Count."""
    pairs = list(zip(told, truth, strict=True))
    alarms = sum(
        is_told and right is False and not (number and told[number - 1])
        for number, (is_told, right) in enumerate(pairs)
    )
    return Score(
        hits=sum(is_told and right is True for is_told, right in pairs),
        misses=sum(not is_told and right is True for is_told, right in pairs),
        false_frames=sum(is_told and right is False for is_told, right in pairs),
        still_frames=sum(not is_told and right is False for is_told, right in pairs),
        false_alarms=alarms,
        walkers=len(firsts),
        found=sum(any(told[at : at + 20]) for at in firsts),
        found_in_time=sum(any(told[at : at + WITHIN_FRAMES + 1]) for at in firsts),
    )
