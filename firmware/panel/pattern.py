"""Patterns of presses: classifies long and short ones, and groups them into runs. Pure.

A run is everything that was pressed between two silences. A pattern is compared with a whole run,
so one that merely lies inside a longer run is another run. What a run means is `firmware.knock`'s;
every press rings all the same.

Tolerance: a press is short below SHORT_BELOW_S, long from there to LONG_UP_TO_S, and neither
beyond, which no pattern holds. Presses belong together while at most QUIET_S lies between them.
Times are those of the contact's edges, so neither a busy loop nor the debouncing blurs them.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from firmware.panel.button import Edge

PressKind = Literal["short", "long"]
Pattern = tuple[PressKind, ...]
Heard = PressKind | Literal["neither"]

MIN_PRESSES = 3
"""Fewer than these are somebody who rings."""
MAX_PRESSES = 6
SHORT_BELOW_S = 0.5
LONG_UP_TO_S = 3.0
QUIET_S = 1.5
SETTLE_S = 0.6
"""How late the edge of a press may be told: the longest debouncing, and a busy loop."""
MAX_RUNS = 8
"""Finished runs that wait to be read; when more come the oldest go."""


def why_weak(pattern: Sequence[PressKind]) -> str | None:
    """Return why a pattern is too weak, as a sentence; None if it isn't."""
    if not MIN_PRESSES <= len(pattern) <= MAX_PRESSES:
        return f"a pattern has {MIN_PRESSES} to {MAX_PRESSES} presses; choose another"
    if len(set(pattern)) == 1:
        return "presses that are all alike are what an impatient visitor does; mix short and long"
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """The presses between two pauses; of more than MAX_PRESSES only one more is kept."""

    begun_ns: int
    presses: tuple[Heard, ...]

    @property
    def is_try(self) -> bool:
        """Whether the run may be an attempt at a pattern."""
        return len(self.presses) >= MIN_PRESSES


class Rhythm:
    """The detector of runs in the bell's edges, in bounded memory."""

    def __init__(self) -> None:
        self._presses: list[Heard] = []
        self._begun_ns = 0
        self._last_ns = 0
        self._down_ns: int | None = None
        self._finished: deque[Run] = deque(maxlen=MAX_RUNS)

    def take(self, edge: Edge) -> None:
        """Take the next edge."""
        if edge.is_down:
            is_new = self._down_ns is None and edge.at_ns - self._last_ns > QUIET_S * 1e9
            if is_new or not self._presses:
                self._finish()
                if self._down_ns is None:
                    self._begun_ns = edge.at_ns
            if self._down_ns is not None:  # its release was never told
                self._add("neither")
            self._down_ns = edge.at_ns
        elif self._down_ns is None:  # it was down before anybody listened
            if not self._presses:
                self._begun_ns = edge.at_ns
            self._add("neither")
        else:
            self._add(_kind(edge.at_ns - self._down_ns))
            self._down_ns = None
        self._last_ns = edge.at_ns

    def read(self, now_ns: int) -> Run | None:
        """Return the oldest run that is over and wasn't read."""
        is_quiet = now_ns - self._last_ns > (QUIET_S + SETTLE_S) * 1e9
        if self._down_ns is None and is_quiet:
            self._finish()
        return self._finished.popleft() if self._finished else None

    def _add(self, heard: Heard) -> None:
        if len(self._presses) <= MAX_PRESSES:
            self._presses.append(heard)

    def _finish(self) -> None:
        if self._presses:
            self._finished.append(Run(begun_ns=self._begun_ns, presses=tuple(self._presses)))
            self._presses = []


def _kind(held_ns: int) -> Heard:
    if held_ns < SHORT_BELOW_S * 1e9:
        return "short"
    return "long" if held_ns <= LONG_UP_TO_S * 1e9 else "neither"
