"""The daily summary: one push a day to each browser that wants it, at the moment that it chose.

Nothing of when, to whom or how large hangs on what happened: it is pushed on a day with nothing
too, its content is made before its moment, and the moment is the owner's. So the relay doesn't
learn by it whether a request concerned this door.

A doorbell that is off at the moment, or doesn't know the time, leaves that day out.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Protocol

from firmware.enrolment.browsers import BrowserStore, EnrolledBrowser
from firmware.errors import DoorwardError
from firmware.notes.daily_time import next_moment_ms
from firmware.notes.push_messages import push_messages
from firmware.outbox.publisher import EventPublisher
from firmware.protocol.encoding import WireError, new_id
from firmware.protocol.events import PushMessage, PushWanted
from firmware.protocol.live import PushText, SummaryPush
from firmware.system.clock import Clock

LOOK_S = 20.0
"""So soon a browser's new choice counts; and so long before its moment a summary is made."""
LATE_MS = 60_000
"""The clock leapt over the moment: that day has no summary."""
LIFE_MS = 6 * 3600 * 1000
DAY_MS = 24 * 3600 * 1000

log = logging.getLogger(__name__)

Sleep = Callable[[float], Awaitable[None]]


class DayCounts(Protocol):
    """What was published lately (`firmware.outbox.queue.Outbox`); blocks."""

    def count(self, from_ms: int, to_ms: int) -> tuple[int, int]:
        """Return how many presses and how many motions there were."""
        ...


class Unread(Protocol):
    """Requests to owners (`firmware.decisions.request_intake.RequestIntake`); blocks."""

    def has_unanswered(self) -> bool:
        """Return whether a request concerns this door and nobody answered it."""
        ...


class DailySummaries:
    """Pushes one doorbell's summaries."""

    def __init__(
        self,
        *,
        device: str,
        browsers: BrowserStore,
        clock: Clock,
        counts: DayCounts,
        unread: Unread,
        events: EventPublisher,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._device = device
        self._browsers = browsers
        self._clock = clock
        self._counts = counts
        self._unread = unread
        self._events = events
        self._sleep = sleep

    async def run(self) -> None:
        """Push summaries until cancelled."""
        looked_ms = self._clock.wall_ms()
        while True:
            looked_ms = await self.turn(looked_ms)

    async def turn(self, looked_ms: int) -> int:
        """Wait for the next moment after `looked_ms`, at most `LOOK_S`, and push what is due.

        Returns up to when there was a look, for the next turn.
        """
        now_ms = self._clock.wall_ms()
        if not self._clock.is_trusted() or not -LATE_MS < now_ms - looked_ms < LATE_MS:
            await self._sleep(LOOK_S)
            return self._clock.wall_ms()
        due_ms, browsers = self._next(looked_ms)
        if due_ms - now_ms > LOOK_S * 1000:
            await self._sleep(LOOK_S)
            return max(looked_ms, min(self._clock.wall_ms(), due_ms - 1))
        messages = await asyncio.to_thread(self._messages, due_ms, browsers)
        while (left_ms := due_ms - self._clock.wall_ms()) > 0:
            await self._sleep(min(left_ms / 1000, LOOK_S))
        await self._push(due_ms, messages)
        return due_ms

    def _next(self, after_ms: int) -> tuple[int, list[EnrolledBrowser]]:
        """Return the next moment, and whose it is."""
        first_ms, found = after_ms + DAY_MS, list[EnrolledBrowser]()
        for browser in self._browsers.all():
            if not browser.is_owners or browser.push is None or browser.push.summary is None:
                continue
            try:
                due_ms = next_moment_ms(browser.push.summary, after_ms)
            except WireError as error:  # its time zone went with an update of the system
                log.warning("a browser gets no summary: %s", error)
                continue
            if browser.has_expired(due_ms) or due_ms > first_ms:
                continue
            found = [*found, browser] if due_ms == first_ms else [browser]
            first_ms = due_ms
        return first_ms, found

    def _messages(self, due_ms: int, browsers: Sequence[EnrolledBrowser]) -> list[PushMessage]:
        rings, motions = self._counts.count(due_ms - DAY_MS, due_ms)
        body = SummaryPush(rings=rings, motions=motions, has_to_read=self._unread.has_unanswered())
        text = PushText(device=self._device, id=new_id(), time_ms=due_ms, body=body)
        return push_messages(text, browsers)

    async def _push(self, due_ms: int, messages: list[PushMessage]) -> None:
        if not messages:
            return
        wanted = PushWanted(for_event_id=new_id(), expires_ms=due_ms + LIFE_MS, messages=messages)
        try:
            await self._events.publish(wanted)
        except DoorwardError as error:
            when = datetime.fromtimestamp(due_ms / 1000, UTC)
            log.error("the summary of %s isn't pushed: %s", when, error)
