"""Retransmission (RTX) of lost packets: in bursts, within a budget.

Few packets that were lost are sent twice, a moment apart: to lose one of them again costs another
round trip, in which the picture stands still. Many that were lost at once found no room on the
line, and more of them would find less; those are sent once.

The budget is earned by what is sent for the first time, so that on a line that loses most of it
the repeats stay fewer than the stream: by the hundred they would leave it no room.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from firmware.system.budget import Budget

AT_ONCE, SHARE = 512, 0.5
"""A whole large key frame at once; in the long run half as many as the stream has packets."""
AT_FIRST = 64
"""Before anything was earned: at the beginning, and after `forget`."""
BURST_PACKETS = 16
INTERVAL_S = 0.002
FEW = 12
TWICE_AT_ONCE, TWICE_PER_S = 48, 40
"""Two of a hundred packets of 9 Mbit/s are 20 a second."""
TWICE_AFTER_S = 0.008


class RepeatSender(Protocol):
    """The sender of retransmissions (`firmware.live.rtp_sender.RtpSender`)."""

    def send_again(self, sequences: Sequence[int]) -> bool:
        """Retransmit these, as far as they are kept; return whether to go on."""
        ...


class RtxQueue:
    """The queue of sequence numbers to be retransmitted, each in it once."""

    def __init__(self, sender: RepeatSender) -> None:
        self._sender = sender
        self._wanted: dict[int, None] = {}
        self._left = float(AT_FIRST)
        self._twice = Budget(most=TWICE_AT_ONCE, per_s=TWICE_PER_S)
        self._timer: asyncio.TimerHandle | None = None
        self._second: set[asyncio.TimerHandle] = set()
        self.refused = 0
        """How many were beyond the budget, or kept no more."""

    def add_budget(self, packets: int) -> None:
        """Add to the budget for this many first transmissions."""
        self._left = min(self._left + SHARE * packets, AT_ONCE)

    def enqueue(
        self, sequences: Iterable[int], now_s: float, *, is_kept: Callable[[int], bool]
    ) -> None:
        """Queue the packets that aren't queued yet and can still be sent, and begin to send."""
        asked = list(dict.fromkeys(sequence & 0xFFFF for sequence in sequences))
        queued = []
        for wanted in asked:
            if wanted in self._wanted:
                continue
            if self._left >= 1 and is_kept(wanted):
                self._left -= 1
                self._wanted[wanted] = None
                queued.append(wanted)
            else:
                self.refused += 1
        if queued and len(asked) <= FEW and self._may_send_twice(len(queued), now_s):
            self._send_later(queued)
        if self._wanted and self._timer is None:
            self._next()

    def forget(self) -> None:
        """Clear the queue and its budget: another stream follows, which earns its own."""
        self._left = AT_FIRST
        self._wanted.clear()
        for timer in self._second:
            timer.cancel()
        self._second.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _may_send_twice(self, count: int, now_s: float) -> bool:
        if self._left < count or not self._twice.take(now_s, count):
            return False
        self._left -= count
        return True

    def _next(self) -> None:
        self._timer = None
        burst = list(self._wanted)[:BURST_PACKETS]
        for sequence in burst:
            del self._wanted[sequence]
        if self._sender.send_again(burst) and self._wanted:
            self._timer = asyncio.get_running_loop().call_later(INTERVAL_S, self._next)

    def _send_later(self, sequences: Sequence[int]) -> None:
        """Send these again a little later."""

        def send() -> None:
            self._second.discard(timer)
            self._sender.send_again(sequences)

        timer = asyncio.get_running_loop().call_later(TWICE_AFTER_S, send)
        self._second.add(timer)
