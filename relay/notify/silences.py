"""The background task of silent doorbells: pushes what a doorbell left, once it is away for long.

    check-in ─► kept, one message a browser ─► the doorbell goes offline ─► due ─► queue of pushes

The relay decides only when, by its own connection to the doorbell. It reads no message; each is
encrypted to a browser, which judges for itself whether it still counts.
"""

import logging
from collections.abc import Sequence
from typing import Protocol

from firmware.protocol.events import PushWanted
from firmware.protocol.live import SILENT_LIFE_MS
from relay.base.clock import Clock
from relay.base.signals import LOOK_S
from relay.store import push, silences
from relay.store.database import Database
from relay.store.push import PushRow

AT_ONCE = 100
"""Doorbells a transaction: when a town's power fails, many fall silent together."""

log = logging.getLogger(__name__)


class Pusher(Protocol):
    """The sending of queued messages (`relay.notify.pusher.Pusher`)."""

    def send(self, rows: Sequence[PushRow]) -> None:
        """Send committed messages in the background."""
        ...


class Silences:
    """Queues the messages of doorbells that have been offline for as long as their owners chose."""

    def __init__(self, *, database: Database, clock: Clock, pusher: Pusher) -> None:
        self._database = database
        self._clock = clock
        self._pusher = pusher

    async def run(self) -> None:
        """Push until cancelled; woken when a doorbell goes offline, asleep until one is due."""
        waiter = self._database.signals.waiter("silences")
        while True:
            wait_s = await self.push_due()
            await waiter.wait(wait_s)

    async def push_due(self) -> float:
        """Queue what is due, and return for how many seconds nothing is."""
        while True:
            now_ms = self._clock.wall_ms()
            async with self._database.read() as tx:
                due_ms = await silences.next_due_ms(tx)
            if due_ms is None:
                return LOOK_S
            if due_ms > now_ms:
                return (due_ms - now_ms) / 1000
            self._pusher.send(await self._queue(now_ms))

    async def _queue(self, now_ms: int) -> list[PushRow]:
        rows = list[PushRow]()
        async with self._database.begin() as tx:
            due = await silences.take_due(tx, now_ms=now_ms, limit=AT_ONCE)
            for (device, event_id), messages in due.items():
                expires_ms = now_ms + SILENT_LIFE_MS
                wanted = PushWanted(
                    for_event_id=event_id, expires_ms=expires_ms, messages=list(messages)
                )
                log.info("doorbell %s is silent: its messages are pushed", device)
                rows += await push.queue(
                    tx, device, event_id, wanted, now_ms=now_ms, expires_ms=expires_ms
                )
        return rows
