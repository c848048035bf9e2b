"""Sender of the outbox's events: in order, with a window, until the relay's receipts come.

Independent of MQTT. An event counts as delivered at the relay's receipt, not at the broker's
PUBACK: a broker that was killed after its PUBACK has lost events. So after each connect, and
when no receipt comes for a while, everything without a receipt is sent again from the first;
the relay knows events by their id.

After a storage error an event is read or deleted again later; commands come in meanwhile.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Protocol

from firmware.errors import DoorwardError
from firmware.link.rare_warning import RareWarning
from firmware.protocol.events import Event

WINDOW = 20
"""Events without a receipt that are under way at once."""
RESEND_AFTER_S = 10.0
MAX_RESEND_AFTER_S = 120.0
CARD_AGAIN_S = 5.0
"""Pause after a read error of storage; an event that can't be deleted is sent again."""

log = logging.getLogger(__name__)


class EventStore(Protocol):
    """The outbox as the link needs it; any method may be called from any thread."""

    @property
    def last_seq(self) -> int:
        """The seq of the newest event that was ever appended."""
        ...

    def pending(self, limit: int, *, after_seq: int = 0) -> list[Event]:
        """Return events without a receipt, in order."""
        ...

    def forget(self, event_ids: Sequence[str]) -> int:
        """Drop events that the relay has committed."""
        ...

    def wait_beyond(self, seq: int) -> Coroutine[Any, Any, None]:
        """Return once there is an event with a higher seq."""
        ...


class EventSender:
    """Sends one outbox's events over one connection after another."""

    def __init__(
        self,
        store: EventStore,
        *,
        window: int = WINDOW,
        resend_after_s: float = RESEND_AFTER_S,
    ) -> None:
        self._store = store
        self._window = window
        self._resend_after_s = resend_after_s
        self._wait_s = resend_after_s
        self._under_way: set[str] = set()
        self._sent: set[str] = set()  # without a receipt, over all connections; a window at most
        self._last_seq = 0
        self._looked_to = 0  # up to this seq, nothing more can be sent before a receipt
        self._is_progress = asyncio.Event()
        self._card_fails = RareWarning(
            log, "the card doesn't give or forget events: %s (%d so far)"
        )

    async def run(self, publish: Callable[[bytes], None]) -> None:
        """Send for as long as one connection lasts; ends only by being cancelled."""
        self._begin_again()
        self._wait_s = self._resend_after_s
        while True:
            room = self._window - len(self._under_way)
            for event in await self._next(room):
                publish(event.encode())
                self._under_way.add(event.id)
                self._sent.add(event.id)
                self._last_seq = event.seq
            if not await self._something_happens():
                log.info("no receipt for %d events, sending them again", len(self._under_way))
                self._wait_s = min(MAX_RESEND_AFTER_S, self._wait_s * 2)
                self._begin_again()

    async def take_receipt(self, event_ids: Sequence[str]) -> None:
        """Handle the relay's receipt of committed events.

        What this sender sent nobody is looked for in the store: receipts that a relay makes up
        would hold its lock, which a press needs.
        """
        told = [event_id for event_id in dict.fromkeys(event_ids) if event_id in self._sent]
        if not told:
            return
        try:
            await asyncio.to_thread(self._store.forget, told)
        except (DoorwardError, OSError) as error:
            self._card_fails.happened(error)
            return
        self._under_way.difference_update(told)
        self._sent.difference_update(told)
        self._wait_s = self._resend_after_s
        self._is_progress.set()

    def _begin_again(self) -> None:
        self._under_way.clear()
        self._last_seq = self._looked_to = 0

    async def _next(self, room: int) -> list[Event]:
        if room <= 0:
            return []
        while True:
            newest = self._store.last_seq
            try:
                events = await asyncio.to_thread(
                    self._store.pending, room, after_seq=self._last_seq
                )
            except (DoorwardError, OSError) as error:
                self._card_fails.happened(error)
                await asyncio.sleep(CARD_AGAIN_S)
                continue
            if len(events) < room:
                self._looked_to = newest
            return events

    async def _something_happens(self) -> bool:
        """Wait for a receipt or a new event; False when it is time to send again."""
        receipt = asyncio.create_task(self._is_progress.wait(), name="receipt")
        waits: set[asyncio.Task[Any]] = {receipt}  # Any: what they return is of no interest
        if len(self._under_way) < self._window:
            news = self._store.wait_beyond(max(self._last_seq, self._looked_to))
            waits.add(asyncio.create_task(news, name="new event"))
        timeout_s = self._wait_s if self._under_way else None
        try:
            done, _ = await asyncio.wait(
                waits, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            for wait in waits:
                wait.cancel()
        self._is_progress.clear()
        return bool(done)
