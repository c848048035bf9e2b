"""Publisher of events: appends facts to the outbox in the order in which they happened.

A fact whose id must be known at once (a press starts a clip under its event's id) brings its id
along. A card that takes nothing for a while delays what is told and loses nothing: it waits in
memory, with the time at which it happened, and is tried again every few seconds.
"""

import asyncio
import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol, TypeVar

from firmware.errors import OutboxFull, StoreError
from firmware.outbox.early_presses import EarlyPress
from firmware.outbox.queue import Outbox
from firmware.protocol.encoding import new_id
from firmware.protocol.events import Event, EventBody
from firmware.system.clock import Clock

FIRST_PAUSE_S = 0.25
LONGEST_PAUSE_S = 4.0
MAX_WAITING = 500
"""Facts in memory that the card hasn't taken yet; more are refused."""

log = logging.getLogger(__name__)
T = TypeVar("T")


class FactPublisher(Protocol):
    """Reports facts to the relay; every `EventPublisher` is one."""

    async def publish(self, body: EventBody) -> object:
        """Return once the fact is accepted: it will arrive. DoorwardError if it isn't."""
        ...


class EventPublisher(Protocol):
    """Reports facts to the relay, as events."""

    async def publish(self, body: EventBody, *, event_id: str | None = None) -> Event:
        """Return once the event is accepted: it will arrive, whatever dies now.

        `event_id` is a new one unless it is given. DoorwardError if the event isn't accepted.
        """
        ...


class EarlyEventPublisher(EventPublisher, Protocol):
    """Reports facts to the relay, also those from before it was there."""

    async def publish_early(self, body: EventBody, press: EarlyPress) -> Event | None:
        """Publish what happened then, with its time; None if it was published before."""
        ...


class OnceEventPublisher(EventPublisher, Protocol):
    """Reports facts, and some of them exactly once."""

    async def publish_once(self, body: EventBody, event_id: str) -> None:
        """Publish under this id, unless an event was published under it before."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class _Moment:
    """The time of a fact, by both clocks."""

    wall_ms: int
    monotonic_ms: int | None
    """None: of another boot, so no clock of this one dates it."""
    is_trusted: bool


class EventWriter:
    """Appends to the outbox on one thread: the loop never waits for the disk.

    Implements `OnceEventPublisher` and `EarlyEventPublisher`.
    """

    def __init__(self, outbox: Outbox, clock: Clock, *, boot: str = "") -> None:
        """`boot` is the kernel's id of this boot; "": not known."""
        self._outbox = outbox
        self._clock = clock
        self._boot = boot
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="outbox")
        self._waiting = 0
        self._is_closing = threading.Event()

    async def publish(self, body: EventBody, *, event_id: str | None = None) -> Event:
        """Return once the event is accepted; OutboxFull if too many wait before it."""
        event_id = event_id or new_id()
        return await self._hand_over(lambda moment: self._append(event_id, body, moment))

    async def publish_once(self, body: EventBody, event_id: str) -> None:
        """Publish likewise, unless it was published under this id before, by any start of ours."""
        await self._hand_over(lambda moment: self._append_once(event_id, body, moment))

    async def publish_early(self, body: EventBody, press: EarlyPress) -> Event | None:
        """Publish under the press's id and with its time, once; None if that was done before."""
        is_of_this_boot = bool(self._boot) and press.boot == self._boot
        moment = _Moment(
            wall_ms=press.time_ms,
            monotonic_ms=press.monotonic_ns // 1_000_000 if is_of_this_boot else None,
            is_trusted=press.is_clock_trusted,
        )
        return await self._hand_over(
            lambda moment: self._append_once(press.id, body, moment), moment=moment
        )

    async def _hand_over(
        self, append: Callable[[_Moment], T], *, moment: _Moment | None = None
    ) -> T:
        if self._waiting >= MAX_WAITING:
            raise OutboxFull(MAX_WAITING)
        moment = moment or self._now()
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, append, moment)
        finally:
            self._waiting -= 1

    def _now(self) -> _Moment:
        return _Moment(
            wall_ms=self._clock.wall_ms(),
            monotonic_ms=self._clock.monotonic_ns() // 1_000_000,
            is_trusted=self._clock.is_trusted(),
        )

    def stop_retrying(self) -> None:
        """From now on try each event once: a failing card must not hold up the doorbell's end."""
        self._is_closing.set()

    def close(self) -> None:
        """Try what still waits once more, and end. Waits for the card."""
        self.stop_retrying()
        self._thread.shutdown(wait=True)

    def _append_once(self, event_id: str, body: EventBody, moment: _Moment) -> Event | None:
        if self._outbox.has_event(event_id):  # all is told on this one thread
            return None
        return self._append(event_id, body, moment, is_once=True)

    def _append(
        self, event_id: str, body: EventBody, moment: _Moment, *, is_once: bool = False
    ) -> Event:
        pause_s = FIRST_PAUSE_S
        while True:
            is_last = self._is_closing.is_set()
            try:
                return self._outbox.append(
                    body,
                    event_id=event_id,
                    time_ms=moment.wall_ms,
                    is_clock_trusted=moment.is_trusted,
                    monotonic_ms=moment.monotonic_ms,
                    is_once=is_once,
                )
            except StoreError as error:
                log.error("an event waits for the card: %s", error)
                if is_last:
                    raise
            self._is_closing.wait(pause_s)
            pause_s = min(LONGEST_PAUSE_S, 2 * pause_s)
