"""The clock of a sound card's samples: maps them to monotonic time.

A card counts 48,000 samples by a crystal of its own, which is off by up to some 200 millionths:
24 ms in two minutes. Here each block of samples gets its place on a line of exactly 48,000
samples a second of the monotonic clock; where card and line drift apart, one sample is left out
or said twice, at the quietest step of its block, which nobody hears. No resampler is needed.

What a card says of a block's time is noisy, and late whenever the process was: so the middle of
the last second's times counts. Where the two are suddenly far apart (sound was lost, the machine
slept), the line jumps forward; it never goes back: then blocks are dropped until it fits again.
"""

from array import array
from collections import deque
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from firmware.sound.frames import SAMPLE_RATE

WINDOW_BLOCKS = 50
SLIP_SAMPLES = 24
"""Half a millisecond: drift is mended beyond that, noise below is left alone."""
JUMP_SAMPLES = SAMPLE_RATE * 60 // 1000
JUMP_BLOCKS = 5
YOUNG_BLOCKS = 150
YOUNG_JUMP_SAMPLES = SAMPLE_RATE * 8 // 1000
"""In a stream's first 3 s, while a sound server still learns its own times, it jumps sooner."""
SETTLE_BLOCKS = 5
"""A stream's first blocks come in a burst, with times that mean little."""


def sample_index_of(monotonic_ns: int) -> int:
    """Return the sample index of a moment of the monotonic clock."""
    return monotonic_ns * 48 // 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """A block and its first sample's index, counted from the monotonic clock's zero."""

    index: int
    samples: bytes


class SampleClock:
    """Places one stream's blocks, in order. Not for two threads at once."""

    def __init__(
        self, *, settle_blocks: int = SETTLE_BLOCKS, jump_samples: int = JUMP_SAMPLES
    ) -> None:
        """`jump_samples`: how far off a stream may be before its line jumps."""
        self._settle_blocks = settle_blocks
        self._jump_samples = jump_samples
        self._errors: deque[int] = deque(maxlen=WINDOW_BLOCKS)
        self._next: int | None = None
        self._seen = 0
        self._debt = 0
        self.slips = 0
        """Samples put in (or, below zero, left out) so far, for measurements."""

    def place(self, samples: bytes, at_ns: int) -> Placed | None:
        """Place a block whose first sample is of `at_ns`; None if it must be dropped.

        What comes back may be one sample longer or shorter.
        """
        count = len(samples) // 2
        measured = sample_index_of(at_ns)
        if self._next is None:
            self._next = measured
        self._errors.append(measured - self._next)
        self._seen += 1
        if self._seen <= self._settle_blocks:
            self._next += count
            if self._seen == self._settle_blocks:
                self._move(round(median(self._errors)))
            return None
        self._jump_if_far()
        if self._debt > 0:
            self._debt -= count
            return None
        samples = self._slipped(samples)
        placed = Placed(index=self._next, samples=samples)
        self._next += len(samples) // 2
        return placed

    def _jump_if_far(self) -> None:
        if len(self._errors) < JUMP_BLOCKS or self._debt > 0:
            return
        newest = list(self._errors)[-JUMP_BLOCKS:]
        far = YOUNG_JUMP_SAMPLES if self._seen <= YOUNG_BLOCKS else self._jump_samples
        if min(newest) > far:
            self._move(round(median(newest)))
        elif max(newest) < -far:
            self._debt = -round(median(newest))
            self._errors.clear()

    def _move(self, by: int) -> None:
        """Move the line; before the first block that is placed it may go back."""
        if self._next is not None:
            self._next += by
        self._errors.clear()

    def _slipped(self, samples: bytes) -> bytes:
        if len(self._errors) < WINDOW_BLOCKS // 2:
            return samples
        drift = median(self._errors)
        if abs(drift) <= SLIP_SAMPLES:
            return samples
        step = 1 if drift > 0 else -1
        self._errors = deque((error - step for error in self._errors), maxlen=WINDOW_BLOCKS)
        self.slips += step
        return _longer(samples) if step > 0 else _shorter(samples)


def _longer(samples: bytes) -> bytes:
    at = _quietest(samples) * 2
    return samples[:at] + samples[at - 2 : at] + samples[at:]


def _shorter(samples: bytes) -> bytes:
    at = _quietest(samples) * 2
    return samples[:at] + samples[at + 2 :]


def _quietest(samples: bytes) -> int:
    """Return the sample that differs least from the one before it."""
    values = array("h", samples)
    steps = [abs(after - before) for before, after in pairwise(values)]
    return 1 + steps.index(min(steps))
