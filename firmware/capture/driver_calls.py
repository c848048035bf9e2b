"""Calls into a camera's driver: one at a time, on threads that are abandoned if they hang.

A call that doesn't return is waited for again by the next one, which fails as well: nothing is
called beside it. The heartbeat beats about once a second meanwhile: who waits isn't stuck.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from firmware.errors import CameraError
from firmware.system.clock import Clock
from firmware.system.daemon_call import call_in_daemon
from firmware.system.supervision import Heartbeat

log = logging.getLogger(__name__)


class CallHung(Exception):
    """A call into the camera's driver didn't return."""


class DriverCalls:
    """One camera's driver. All on the loop."""

    def __init__(self, clock: Clock, *, call_s: float, heartbeat: Heartbeat) -> None:
        self._clock = clock
        self._call_s = call_s
        self._heartbeat = heartbeat
        self._one_at_a_time = asyncio.Lock()
        self._under_way: asyncio.Task[None] | None = None

    async def call(self, function: Callable[[], None]) -> None:
        """Call it; CallHung if it, or the one before, doesn't return, CameraError if it fails."""
        async with self._one_at_a_time:
            await self._wait_for_call()
            self._under_way = asyncio.create_task(
                call_in_daemon(function, name="camera call"), name="camera call"
            )
            await self._wait_for_call()

    async def has_ended(self, call: asyncio.Task[Any]) -> bool:  # Any: whatever it returns
        """Wait for a call on a thread, within the call's timeout."""
        end_ns = self._clock.monotonic_ns() + self._call_s * 1e9
        while not call.done() and self._clock.monotonic_ns() < end_ns:
            await asyncio.wait({call}, timeout=min(1.0, self._call_s))
            self._heartbeat.beat()
        return call.done()

    async def _wait_for_call(self) -> None:
        call = self._under_way
        if call is None:
            return
        if not await self.has_ended(call):
            raise CallHung("a call to the camera doesn't return")
        self._under_way = None
        try:
            call.result()
        except CameraError:
            raise
        except Exception as error:  # a driver's own: whatever it is, the camera is no good now
            log.exception("the camera's driver failed")
            raise CameraError("frozen", f"the camera's driver failed: {error}") from error
