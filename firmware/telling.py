"""Telling: facts go into the outbox in the order in which they happened, off the loop."""

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor

from firmware.clock import Clock
from firmware.outbox.queue import Outbox
from firmware.protocol.events import Event, EventBody

Tell = Callable[[EventBody], Awaitable[Event]]


class Teller:
    """Appends to the outbox on one thread: the loop never waits for the disk."""

    def __init__(self, outbox: Outbox, clock: Clock) -> None:
        self._outbox = outbox
        self._clock = clock
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="outbox")

    async def tell(self, body: EventBody) -> Event:
        """Return once the event is accepted: it will arrive, whatever dies now."""
        time_ms, is_trusted = self._clock.wall_ms(), self._clock.is_trusted()
        return await asyncio.get_running_loop().run_in_executor(
            self._thread,
            lambda: self._outbox.append(body, time_ms=time_ms, is_clock_trusted=is_trusted),
        )

    def close(self) -> None:
        """Wait for what is being appended."""
        self._thread.shutdown(wait=True)
