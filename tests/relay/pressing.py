"""A doorbell whose button is pressed again and again, whatever is killed meanwhile."""

import asyncio
import itertools
import queue
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from firmware.protocol.events import Event
from firmware.protocol.topics import topic
from tests.fakes.waiting import in_time
from tests.relay.doorbells import Connection, Doorbell

AGAIN_S = 1.0
"""So soon it tells again what has no receipt, at whichever broker lets it in."""
LET_IN_S = 8.0
"""So long it waits for a broker that may have been killed meanwhile."""
ACK_S = 5.0
"""So long it waits for what it told to be taken by such a broker."""


class Pressing:
    """A doorbell whose button is pressed until `is_over`, each press told until its receipt."""

    def __init__(self, doorbell: Doorbell, ports: Sequence[int]) -> None:
        self.is_over = False
        self.pressed: list[Event] = []
        self.took_s: list[float] = []
        self._doorbell = doorbell
        self._ports = itertools.cycle(ports)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Press in a thread for as long as the block runs, and until the last has its receipt."""
        task = asyncio.create_task(asyncio.to_thread(self.run))
        try:
            yield
        finally:
            self.is_over = True
        await in_time(task)

    def run(self) -> None:
        line = self._connected()
        while not self.is_over:
            event = self._doorbell.event()
            self.pressed.append(event)
            began = time.monotonic()
            while not self._tell(line, event):
                if not line.client.is_connected():
                    line.close()
                    line = self._connected()
            self.took_s.append(time.monotonic() - began)
            time.sleep(0.1)
        line.close()

    def _tell(self, line: Connection, event: Event) -> bool:
        try:
            line.publish("event", event.encode(), wait_s=ACK_S)
        except (RuntimeError, ValueError):  # the connection is gone
            return False
        return line.wait_for_receipt(event.id, AGAIN_S)

    def _connected(self) -> Connection:
        while True:
            self._doorbell.port = next(self._ports)
            try:
                line = self._doorbell.open(wait_s=LET_IN_S)
                if line.subscribe(topic(self._doorbell.device, "command"), LET_IN_S):
                    return line
            except (OSError, PermissionError, queue.Empty):
                time.sleep(0.2)
