"""Supervision of parts: one that ends or fails is logged and restarted, with back-off.

Systemd's watchdog is fed only while no vital part is stuck; a fault that can't be repaired inside
the process ends it, for systemd to start it again.
"""

import asyncio
import logging
import os
import random
import threading
from collections.abc import Awaitable, Callable
from typing import Protocol

from firmware.system.backoff import Backoff
from firmware.system.clock import Clock
from firmware.system.systemd import ServiceManager

log = logging.getLogger(__name__)

Part = Callable[[], Awaitable[None]]
"""Runs until it is cancelled."""

STEADY_AFTER_S = 60.0
STUCK_AFTER_S = 20.0
EXIT_GIVEN_UP = 70
"""The exit code of a doorbell that wants to be started again."""
GRACE_S = 10.0


class Vital(Protocol):
    """A part that the doorbell can't do without."""

    def stuck_s(self) -> float:
        """Return the seconds without progress while there was work."""
        ...


async def keep_running(name: str, part: Part, *, source: random.Random) -> None:
    """Run `part` until cancelled, again whenever it ends or fails (0.5 s to 30 s later)."""
    backoff = Backoff(first_s=0.5, max_s=30, source=source)
    loop = asyncio.get_running_loop()
    while True:
        began_s = loop.time()
        try:
            await part()
        except Exception:
            log.exception("%s failed", name)
        if loop.time() - began_s >= STEADY_AFTER_S:
            backoff.reset()
        wait_s = backoff.next_s()
        log.warning("%s begins again in %.1f s", name, wait_s)
        await asyncio.sleep(wait_s)


class OneAtATime:
    """A job that runs on request, never twice at once.

    Asked for while it runs, it runs once more afterwards.
    """

    def __init__(self, job: Callable[[], Awaitable[None]], *, name: str) -> None:
        self._job = job
        self._name = name
        self._running: asyncio.Task[None] | None = None
        self._is_asked_again = False

    def ask(self) -> None:
        """Request a run soon; call it on the loop."""
        if self._running is None or self._running.done():
            self._running = asyncio.create_task(self._run(), name=self._name)
        else:
            self._is_asked_again = True

    async def _run(self) -> None:
        while True:
            self._is_asked_again = False
            try:
                await self._job()
            except Exception:
                log.exception("%s failed", self._name)
            if not self._is_asked_again:
                return


class Heartbeat:
    """A `Vital` whose part calls `beat` regularly; any thread may call either method."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._last_ns = clock.monotonic_ns()

    def beat(self) -> None:
        """Record that the part makes progress."""
        self._last_ns = self._clock.monotonic_ns()

    def stuck_s(self) -> float:
        """Return the seconds since the last beat."""
        return (self._clock.monotonic_ns() - self._last_ns) / 1e9


class Watchdog:
    """Feeds systemd's watchdog from the loop, so that a blocked loop stops feeding it.

    A part that is stuck longer than `stuck_after_s` starves it: systemd then kills and restarts
    the process.
    """

    def __init__(
        self,
        manager: ServiceManager,
        *,
        stuck_after_s: float = STUCK_AFTER_S,
    ) -> None:
        self._manager = manager
        self._vitals: dict[str, Vital] = {}
        self._stuck_after_s = stuck_after_s

    def watch(self, name: str, vital: Vital) -> None:
        """Watch this part from now on."""
        self._vitals[name] = vital

    def stuck(self) -> list[str]:
        """Return the names of the parts that are stuck."""
        return [
            name for name, vital in self._vitals.items() if vital.stuck_s() > self._stuck_after_s
        ]

    async def run(self) -> None:
        """Feed at half of the watchdog's time; for ever idle if there is no watchdog."""
        watchdog_s = self._manager.watchdog_s
        if watchdog_s is None:
            await asyncio.Event().wait()
            return
        while True:
            stuck = self.stuck()
            if stuck:
                log.critical("systemd's watchdog isn't fed, stuck: %s", ", ".join(stuck))
            else:
                self._manager.alive()
            await asyncio.sleep(watchdog_s / 2)


class LastResort:
    """Ends the process so that it is started again, or restarts the board.

    The process ends in good order, or hard after `grace_s`. `stop` is what a signal would set.
    Everything durable is safe against a hard end, and a camera that hangs inside its driver lets
    no process end in another way.
    """

    def __init__(
        self,
        stop: asyncio.Event,
        manager: ServiceManager,
        *,
        grace_s: float = GRACE_S,
        end: Callable[[int], object] = os._exit,
    ) -> None:
        self._stop = stop
        self._manager = manager
        self._grace_s = grace_s
        self._end = end
        self._has_given_up = False

    @property
    def exit_code(self) -> int:
        """What the process should end with: EXIT_GIVEN_UP after `give_up`, else 0."""
        return EXIT_GIVEN_UP if self._has_given_up else 0

    def reboot(self) -> None:
        """Ask the service manager to restart the board."""
        self._manager.ask_for_reboot()

    def give_up(self, reason: str) -> None:
        """Begin to end; call it on the loop."""
        log.critical("the doorbell ends to be started again: %s", reason)
        self._has_given_up = True
        timer = threading.Timer(self._grace_s, self._end, args=(EXIT_GIVEN_UP,))
        timer.daemon = True
        timer.start()
        self._stop.set()
