"""What a viewer lost and is sent once more: in bursts, and no more than a budget allows."""

import asyncio
from collections.abc import Callable, Iterable, Sequence

from firmware.live.budget import Budget

AT_ONCE, PER_S = 512, 500
"""A whole large key frame at once; in the long run half of a 1080p stream's packets."""
BURST_PACKETS = 16
INTERVAL_S = 0.002


class Repeats:
    """A queue of sequence numbers, each in it once. `send` returns whether to go on."""

    def __init__(self, send: Callable[[Sequence[int]], bool]) -> None:
        self._send = send
        self._wanted: dict[int, None] = {}
        self._budget = Budget(most=AT_ONCE, per_s=PER_S)
        self._timer: asyncio.TimerHandle | None = None
        self.refused = 0
        """How many were beyond the budget."""

    def want(self, sequences: Iterable[int], now_s: float) -> None:
        """Queue what isn't queued yet, and begin to send."""
        for sequence in sequences:
            wanted = sequence & 0xFFFF
            if wanted in self._wanted:
                continue
            if self._budget.take(now_s):
                self._wanted[wanted] = None
            else:
                self.refused += 1
        if self._wanted and self._timer is None:
            self._next()

    def forget(self) -> None:
        """Send nothing of what is queued."""
        self._wanted.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _next(self) -> None:
        self._timer = None
        burst = list(self._wanted)[:BURST_PACKETS]
        for sequence in burst:
            del self._wanted[sequence]
        if self._send(burst) and self._wanted:
            self._timer = asyncio.get_running_loop().call_later(INTERVAL_S, self._next)
