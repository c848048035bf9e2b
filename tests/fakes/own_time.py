"""A loop's own time: it passes while nothing is left to do, so no busy machine makes a test late.

For tests that wait on the loop alone: what a thread or another process does takes none of it.
"""

import asyncio
import selectors
from collections.abc import Iterator
from contextlib import contextmanager

from tests.fakes.clock import ManualClock

TICK_S = 1e-6
"""What each turn of the loop takes: else who waits for no time at all would wait for ever."""


class OwnTime:
    """The time of a loop, in seconds."""

    def __init__(self, selector: selectors.BaseSelector, now_s: float) -> None:
        self._select = selector.select
        self._now_s = now_s

    def now_s(self) -> float:
        return self._now_s

    def hang(self, seconds: float) -> None:
        """Let time pass without a turn of the loop."""
        self._now_s += seconds

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Return what has come; if nothing has, let the time until the next timer pass."""
        self._now_s += TICK_S
        come = self._select(0)
        if come or timeout == 0:
            return come
        if timeout is None:
            return self._select(None)
        self._now_s += timeout
        return []


@contextmanager
def own_time() -> Iterator[OwnTime]:
    """Give the running loop a time of its own."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, asyncio.SelectorEventLoop)
    selector: selectors.BaseSelector = loop._selector  # type: ignore[attr-defined]
    time = OwnTime(selector, loop.time())
    vars(loop)["time"] = time.now_s
    vars(selector)["select"] = time.select
    try:
        yield time
    finally:
        del vars(selector)["select"]
        del vars(loop)["time"]


class LoopClock(ManualClock):
    """Implements `firmware.system.clock.Clock`: its monotonic time is the running loop's."""

    def monotonic_ns(self) -> int:
        return round(asyncio.get_running_loop().time() * 1e9)
