"""Paced sending: spreads bursts of packets over time, on timers of the event loop."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence

from firmware.live.packets_h264 import PackedUnit

CATCH_UP_PACKETS = 40
CATCH_UP_INTERVAL_S = 0.002


class Pacer:
    """Calls `step` soon, and again after as many seconds as it returns; None ends it."""

    def __init__(self, step: Callable[[], float | None]) -> None:
        self._step = step
        self._loop = asyncio.get_running_loop()
        self._handle: asyncio.Handle = self._loop.call_soon(self._run)

    def stop(self) -> None:
        """Stop calling `step`; may be called twice."""
        self._handle.cancel()

    def _run(self) -> None:
        wait_s = self._step()
        if wait_s is not None:
            self._handle = self._loop.call_later(wait_s, self._run)


class Backlog:
    """The queue of pictures with which a viewer begins, and of those that come meanwhile.

    `send` gets a unit and which of its packets; `on_end` is called once all are sent.
    """

    def __init__(
        self,
        units: Sequence[PackedUnit],
        send: Callable[[PackedUnit, int, int], None],
        on_end: Callable[[], None],
    ) -> None:
        self._units = deque(units)
        self._sent = 0
        self._send = send
        self._on_end = on_end
        self._drip = Pacer(self._step)

    def add(self, unit: PackedUnit) -> None:
        """Append a picture to the queue."""
        self._units.append(unit)

    def stop(self) -> None:
        """Send nothing more; may be called twice."""
        self._units.clear()
        self._drip.stop()

    def _step(self) -> float | None:
        room = CATCH_UP_PACKETS
        while self._units and room:
            unit, begin = self._units[0], self._sent
            end = min(begin + room, len(unit.payloads))
            room -= end - begin
            self._sent = end
            if end == len(unit.payloads):
                self._units.popleft()
                self._sent = 0
            self._send(unit, begin, end)
        if self._units:
            return CATCH_UP_INTERVAL_S
        self._on_end()
        return None
