"""Check-ins: the doorbell leaves with the relay what is to be pushed if it falls silent.

Every ten minutes, while the relay is reached, a new message to each browser that wants it takes
the place of the one before. The relay can't read or write one: it has neither of the browser's
push keys. It says when it was left; the browser believes it for a short while only, and no more
once it has any later word of the doorbell. So an old one is worth nothing.

Back after a silence for which a browser had chosen to be told, the doorbell pushes that it is back.
When it last checked in is kept in a file, for a silence without power.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Literal, Protocol

from firmware.enrolment.browsers import BrowserStore, EnrolledBrowser
from firmware.errors import DoorwardError
from firmware.notes.push_messages import encrypted_to, push_messages
from firmware.outbox.publisher import EventPublisher
from firmware.protocol.encoding import Document, WallTimeMs, WireError, decode, new_id
from firmware.protocol.events import CheckedIn, PushMessage, PushWanted, SilenceMessage
from firmware.protocol.live import (
    CHECK_IN_MS,
    SILENT_LIFE_MS,
    BackPush,
    PushText,
    SetPush,
    SilentPush,
)
from firmware.system.clock import Clock
from firmware.system.durable_files import write_atomic

LOOK_S = 5.0
MINUTE_MS = 60_000
CHECK_IN_FILE = "check-in.json"

log = logging.getLogger(__name__)

Sleep = Callable[[float], Awaitable[None]]


class Link(Protocol):
    """The line to the relay (`firmware.link.link_session.LinkSession`)."""

    @property
    def is_online(self) -> bool:
        """Whether the relay is connected now."""
        ...


class KeptCheckIn(Document, frozen=True, kw_only=True):
    """The file: when the doorbell last checked in, by a clock that it trusted."""

    v: Literal[1] = 1
    left_ms: WallTimeMs


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
        kept: Path,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        """`kept` is the file with the last check-in's time."""
        self._device = device
        self._browsers = browsers
        self._clock = clock
        self._events = events
        self._link = link
        self._sleep = sleep
        self._left: list[tuple[str, SetPush]] = []
        self._left_ns = 0
        self._kept = kept
        self._left_ms = _read(kept)
        self._online_ms = self._left_ms
        """When the relay was last known to be reached; None: a silence isn't known of."""
        self._back_ns: int | None = None
        """When it was reached again, until that is pushed."""
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
        if is_online and not was_online:
            self._back_ns = self._clock.monotonic_ns()
        if not is_online or not self._clock.is_trusted():
            return
        wanting = self._wanting()
        if not await self._has_said_back(wanting):
            return
        self._online_ms = self._clock.wall_ms() if wanting else None
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
        self._left_ms = self._clock.wall_ms() if now else None
        await asyncio.to_thread(_keep, self._kept, self._left_ms)

    async def _has_said_back(self, wanting: list[tuple[EnrolledBrowser, SetPush]]) -> bool:
        """After a silence, push to each browser that had chosen to hear of one so long.

        Returns whether there is nothing left to be pushed of it.
        """
        if self._back_ns is None:
            return True
        ago_ms = (self._clock.monotonic_ns() - self._back_ns) // 10**6
        since_ms = self._clock.wall_ms() - ago_ms
        left_ms, online_ms = self._left_ms, self._online_ms
        if left_ms is not None and online_ms is not None:
            silent_ms = since_ms - online_ms
            told = [
                browser
                for browser, push in wanting
                if push.silent_after_minutes is not None
                and silent_ms >= push.silent_after_minutes * MINUTE_MS
            ]
            body = BackPush(since_ms=since_ms, silent_since_ms=left_ms)
            if not await self._pushed(body, told):
                return False
        self._back_ns = None
        return True

    async def _pushed(self, body: BackPush, browsers: list[EnrolledBrowser]) -> bool:
        """Push to these browsers; return whether it needs no other try."""
        now_ms = self._clock.wall_ms()
        text = PushText(device=self._device, id=new_id(), time_ms=now_ms, body=body)
        messages: list[PushMessage] = await asyncio.to_thread(push_messages, text, browsers)
        if not messages:
            return True
        expires_ms = now_ms + SILENT_LIFE_MS
        wanted = PushWanted(for_event_id=new_id(), expires_ms=expires_ms, messages=messages)
        try:
            await self._events.publish(wanted)
        except DoorwardError as error:
            log.error("the doorbell can't say that it is back: %s", error)
            return False
        return True

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


def _read(path: Path) -> int | None:
    """Return when the doorbell last checked in; None if it never did, or nobody wanted it."""
    try:
        return decode(KeptCheckIn, path.read_bytes(), max_bytes=256).left_ms
    except FileNotFoundError:
        return None
    except (OSError, WireError) as error:
        log.warning("the time of the last check-in can't be read: %s", error)
        return None


def _keep(path: Path, left_ms: int | None) -> None:
    try:
        if left_ms is None:
            path.unlink(missing_ok=True)
        else:
            write_atomic(path, KeptCheckIn(left_ms=left_ms).encode())
    except OSError as error:
        log.warning("the time of a check-in can't be kept: %s", error)
