"""The end of one process: its work goes to the others, while it still answers requests.

    SIGTERM ─► /readyz says no ─► goodbye: others take over ─► drain_s are over ─► open pages end

The goodbye waits until each role is another process's as well, if it may: of the only process in
the role `ingest` nobody could take doorbells over, so it goes on with them to its end.
"""

import asyncio
import contextlib
import logging

from relay.bus import Bus
from relay.fleet.members import Members
from relay.notify.hub import Hub

LEAVE_S = 2.0

log = logging.getLogger(__name__)


class Drain:
    """What a process does between SIGTERM and its end. `drain_s` 0: nobody sends it requests."""

    def __init__(self, *, members: Members, bus: Bus, hub: Hub, drain_s: float) -> None:
        self._members = members
        self._bus = bus
        self._hub = hub
        self._drain_s = drain_s
        self._members_changed = asyncio.Event()
        self.has_begun = False

    async def run(self) -> None:
        """Hand the work over, and serve on; if it is cancelled, hand over all the same."""
        self.has_begun = True
        self._members.on_change(self._members_changed.set)
        end_s = asyncio.get_running_loop().time() + self._drain_s
        try:
            try:
                await self._wait_for_successors(end_s)
            finally:
                await self._leave()
            await asyncio.sleep(end_s - asyncio.get_running_loop().time())
        finally:
            self._hub.end()

    async def _wait_for_successors(self, end_s: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(end_s):
                while not self._members.has_successors:
                    self._members_changed.clear()
                    await self._members_changed.wait()

    async def _leave(self) -> None:
        is_alone = self._members.is_alone
        try:
            async with asyncio.timeout(LEAVE_S):
                await self._members.leave()
                if not is_alone:
                    await self._bus.leave_shared()
        except TimeoutError:
            log.warning("the broker doesn't answer: the others take over in a few seconds")
