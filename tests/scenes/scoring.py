"""Compares a detector's answers with a scene's truth, in the same way for every maker and detector.

A frame must be told while somebody of at least LEAST_AREA moves, or somebody of at least CLOSE_AREA
stands still before the door. It counts neither way while somebody smaller is in the picture or
stands, for AFTER_S after somebody left, for AROUND_FIRST_S before and after a visit's first frame,
and in the first QUIET_S. Otherwise it must not be told. A visit begins with the first frame in
which a mover of at least LEAST_AREA moves.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from firmware.capture.camera_output import TICKS_PER_S, LumaFrame
from firmware.capture.frame_selection import luma_pacer
from firmware.capture.video_source import LUMA_WIDTH
from tests.scenes.made import MadeScene, Mover, Picture

LEAST_AREA, CLOSE_AREA = 0.004, 0.03
AFTER_S, AROUND_FIRST_S, QUIET_S = 1.0, 0.4, 3.0
SOON_S, LATEST_S = 0.5, 2.0
RESAMPLES = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """One frame as the product hands it to its detector, and who is in the picture."""

    at_s: float
    frame: LumaFrame
    movers: tuple[Mover, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """The frames of a visit: its first, and the last in which the mover was in the picture."""

    first: int
    last: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """Whether each frame must be told (None: counts neither way), and the visits."""

    at_s: tuple[float, ...]
    must_tell: tuple[bool | None, ...]
    visits: tuple[Visit, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """Counts of frames, false alarms (runs of frames with no reason), and the visits' delays."""

    hits: int = 0
    misses: int = 0
    false_frames: int = 0
    still_frames: int = 0
    false_alarms: int = 0
    nobody_s: float = 0.0
    delays_s: tuple[float | None, ...] = field(default=())
    """One a visit; None: it was missed."""

    def __add__(self, other: "Score") -> "Score":
        return Score(
            hits=self.hits + other.hits,
            misses=self.misses + other.misses,
            false_frames=self.false_frames + other.false_frames,
            still_frames=self.still_frames + other.still_frames,
            false_alarms=self.false_alarms + other.false_alarms,
            nobody_s=self.nobody_s + other.nobody_s,
            delays_s=self.delays_s + other.delays_s,
        )

    @property
    def precision(self) -> float:
        """Of the frames told that count, the part that had to be."""
        told = self.hits + self.false_frames
        return self.hits / told if told else 1.0

    @property
    def recall(self) -> float:
        """Of the frames that had to be told, the part that was."""
        moving = self.hits + self.misses
        return self.hits / moving if moving else 1.0

    @property
    def f1(self) -> float:
        """The harmonic mean of both."""
        return 2 * self.hits / max(1, 2 * self.hits + self.false_frames + self.misses)

    @property
    def alarms_per_minute(self) -> float:
        """False alarms per minute with nobody in the picture."""
        return 60 * self.false_alarms / self.nobody_s if self.nobody_s else 0.0

    @property
    def visits(self) -> int:
        """All visits."""
        return len(self.delays_s)

    @property
    def missed(self) -> int:
        """Visits never told."""
        return sum(delay is None for delay in self.delays_s)

    @property
    def in_time(self) -> int:
        """Visits told within SOON_S."""
        return sum(delay is not None and delay <= SOON_S + 0.01 for delay in self.delays_s)

    @property
    def longest_delay_s(self) -> float:
        """The delay of the visit that was told last, of those that were told."""
        return max((delay for delay in self.delays_s if delay is not None), default=0.0)


def judged_frames(pictures: Iterable[Picture]) -> Iterator[Judged]:
    """Return the pictures that the product's detector gets: ten a second, of its luma's size."""
    pacer = luma_pacer()
    for picture in pictures:
        if not pacer.is_due(round(picture.at_s * 1e9)):
            continue
        luma = _scaled(picture.luma)
        height, width = luma.shape
        yield Judged(
            at_s=picture.at_s,
            frame=LumaFrame(
                pts_90k=round((100 + picture.at_s) * TICKS_PER_S),
                width=width,
                height=height,
                stride=width,
                data=luma.tobytes(),
                gain=picture.gain,
            ),
            movers=picture.movers,
        )


def frames_of(scene: MadeScene) -> list[Judged]:
    """Render a scene as the product's detector gets it."""
    return list(judged_frames(scene.pictures()))


def truth_of(
    frames: Sequence[Judged], least_area: float = LEAST_AREA, close_area: float = CLOSE_AREA
) -> Truth:
    """Return what must be told."""
    at_s = tuple(frame.at_s for frame in frames)
    must_tell: list[bool | None] = []
    first: dict[int, int] = {}
    last: dict[int, int] = {}
    for number, frame in enumerate(frames):
        moving = [m for m in frame.movers if m.area >= least_area and not m.is_still]
        is_close = any(m.area >= close_area and m.is_still for m in frame.movers)
        for mover in moving:
            first.setdefault(mover.number, number)
        for mover in frame.movers:
            last[mover.number] = number
        if moving or is_close:
            must_tell.append(True)
        else:
            gone_s = at_s[number] - max((at_s[n] for n in last.values()), default=-AFTER_S - 1)
            must_tell.append(None if frame.movers or gone_s <= AFTER_S else False)
    visits = tuple(Visit(first=n, last=last[mover]) for mover, n in first.items())
    edges_s = [at_s[visit.first] for visit in visits]
    for number, now_s in enumerate(at_s):
        is_edge = any(abs(now_s - edge_s) <= AROUND_FIRST_S + 0.001 for edge_s in edges_s)
        if is_edge or now_s - at_s[0] < QUIET_S:
            must_tell[number] = None
    return Truth(at_s=at_s, must_tell=tuple(must_tell), visits=visits)


def score(told: Sequence[bool], truth: Truth) -> Score:
    """Count."""
    pairs = list(zip(told, truth.must_tell, strict=True))
    alarms = sum(
        is_told and right is False and not (number and told[number - 1])
        for number, (is_told, right) in enumerate(pairs)
    )
    quiet = [right is False for right in truth.must_tell]
    return Score(
        hits=sum(is_told and right is True for is_told, right in pairs),
        misses=sum(not is_told and right is True for is_told, right in pairs),
        false_frames=sum(is_told and right is False for is_told, right in pairs),
        still_frames=sum(not is_told and right is False for is_told, right in pairs),
        false_alarms=alarms,
        nobody_s=sum(quiet) * _interval_s(truth.at_s),
        delays_s=tuple(_delay_s(told, truth, visit) for visit in truth.visits),
    )


def f1_interval(scores: Sequence[Score]) -> tuple[float, float]:
    """Return the 95 % interval of F1, by drawing scenes anew (bootstrap)."""
    if not scores:
        return 0.0, 0.0
    counts = np.array([(one.hits, one.false_frames + one.misses) for one in scores], float)
    dice = np.random.default_rng(1)
    drawn = counts[dice.integers(0, len(scores), (RESAMPLES, len(scores)))].sum(axis=1)
    f1 = 2 * drawn[:, 0] / np.maximum(1, 2 * drawn[:, 0] + drawn[:, 1])
    low, high = np.percentile(f1, (2.5, 97.5))
    return float(low), float(high)


def _scaled(luma: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the mean of blocks, as the product's sources scale their luma (the rest is cut)."""
    scale = max(1, luma.shape[1] // LUMA_WIDTH)
    if scale == 1:
        return luma
    rows, columns = luma.shape[0] // scale, luma.shape[1] // scale
    blocks = luma[: rows * scale, : columns * scale].reshape(rows, scale, columns, scale)
    return (blocks.sum(axis=(1, 3), dtype=np.uint32) // (scale * scale)).astype(np.uint8)


def _delay_s(told: Sequence[bool], truth: Truth, visit: Visit) -> float | None:
    for number in range(visit.first, visit.last + 1):
        if told[number]:
            return truth.at_s[number] - truth.at_s[visit.first]
    return None


def _interval_s(at_s: Sequence[float]) -> float:
    return (at_s[-1] - at_s[0]) / (len(at_s) - 1) if len(at_s) > 1 else 0.0
