"""Watches an invented town's clock, which any process of the town may wind."""

import asyncio

from relay.base.clock import SimulatedClock
from relay.base.signals import TOPICS, Signals

EACH_S = 1.0


class TownWatch:
    """Has everybody look for work when the clock was wound: what was far off may be due."""

    def __init__(self, town: SimulatedClock, signals: Signals, *, each_s: float = EACH_S) -> None:
        self._town = town
        self._signals = signals
        self._each_s = each_s

    async def run(self) -> None:
        """Look at the clock's file once a second, until cancelled."""
        seen_ms = -1
        while True:
            offset_ms = self._town.offset_ms()
            if offset_ms != seen_ms:
                seen_ms = offset_ms
                self._signals.hear(*TOPICS)
            await asyncio.sleep(self._each_s)
