"""Check-ins: the doorbell leaves with the relay what is to be pushed if it falls silent.

Every ten minutes, while the relay is reached, a new message to each browser that wants it takes
the place of the one before. The relay can't read or write one: it has neither of the browser's
push keys. It says when it was left; the browser believes it for a short while only, and no more
once it has any later word of the doorbell. So an old one is worth nothing.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Protocol

from firmware.enrolment.browsers import BrowserStore, EnrolledBrowser
from firmware.errors import DoorwardError
from firmware.notes.push_messages import encrypted_to
from firmware.outbox.publisher import EventPublisher
from firmware.protocol.encoding import new_id
from firmware.protocol.events import CheckedIn, SilenceMessage
from firmware.protocol.live import CHECK_IN_MS, PushText, SetPush, SilentPush
from firmware.system.clock import Clock

LOOK_S = 5.0

log = logging.getLogger(__name__)

Sleep = Callable[[float], Awaitable[None]]


class Link(Protocol):
    """The line to the relay (`firmware.link.link_session.LinkSession`)."""

    @property
    def is_online(self) -> bool:
        """Whether the relay is connected now."""
        ...


class CheckIns:
    """Publishes one doorbell's check-ins: regularly, after each reconnection and each change."""

    def __init__(
        self,
        *,
        device: str,
        browsers: BrowserStore,
        clock: Clock,
        events: EventPublisher,
        link: Link,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._device = device
        self._browsers = browsers
        self._clock = clock
        self._events = events
        self._link = link
        self._sleep = sleep
        self._left: list[tuple[str, SetPush]] = []
        self._left_ns = 0
        self._was_online = False

    async def run(self) -> None:
        """Check in until cancelled."""
        while True:
            await self.turn()
            await self._sleep(LOOK_S)

    async def turn(self) -> None:
        """Check in if it is time to. An unreachable relay gets none later: it would be old then."""
        is_online, was_online = self._link.is_online, self._was_online
        self._was_online = is_online
        if not is_online or not self._clock.is_trusted():
            return
        wanting = self._wanting()
        now = [(browser.keys.id, push) for browser, push in wanting]
        is_old = self._clock.monotonic_ns() - self._left_ns >= CHECK_IN_MS * 10**6
        is_due = bool(now) and (is_old or not was_online)
        if not is_due and now == self._left:
            return
        try:
            messages = await asyncio.to_thread(self._messages, wanting)
            await self._events.publish(CheckedIn(messages=messages))
        except DoorwardError as error:
            log.error("the doorbell can't check in: %s", error)
            return
        self._left, self._left_ns = now, self._clock.monotonic_ns()

    def _wanting(self) -> list[tuple[EnrolledBrowser, SetPush]]:
        now_ms = self._clock.wall_ms()
        return [
            (browser, browser.push)
            for browser in self._browsers.all()
            if browser.is_owners
            and browser.push is not None
            and browser.push.silent_after_minutes is not None
            and not browser.has_expired(now_ms)
        ]

    def _messages(self, wanting: list[tuple[EnrolledBrowser, SetPush]]) -> list[SilenceMessage]:
        now_ms, messages = self._clock.wall_ms(), []
        for browser, push in wanting:
            after_minutes = push.silent_after_minutes
            if after_minutes is None:
                continue
            body = SilentPush(after_minutes=after_minutes)
            text = PushText(device=self._device, id=new_id(), time_ms=now_ms, body=body)
            encrypted = encrypted_to(browser, text.encode())
            if encrypted is not None:
                messages.append(
                    SilenceMessage(
                        browser=browser.keys.id, after_minutes=after_minutes, encrypted=encrypted
                    )
                )
        return messages
