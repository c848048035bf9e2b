"""Web Push of presses and motion, encrypted here to each browser that wants it.

The relay only passes the messages on; it learns which browsers, and when. A pushed event is in the
outbox before, so that nothing depends on a push service. In a browser's quiet hours it gets none;
while the doorbell doesn't know the time, no hour is quiet.
"""

import asyncio
import logging
from collections.abc import Sequence
from typing import Literal

from firmware.enrolment.browsers import BrowserStore, EnrolledBrowser
from firmware.errors import DoorwardError
from firmware.notes.push_encryption import encrypt
from firmware.notes.quiet_hours import is_quiet
from firmware.outbox.early_presses import EarlyPress
from firmware.outbox.publisher import EarlyEventPublisher
from firmware.protocol.encoding import WireError, b64u
from firmware.protocol.events import Event, EventBody, Motion, Pressed, PushMessage, PushWanted
from firmware.protocol.live import PushText, SetPush
from firmware.protocol.zones import MAX_BROWSERS, SealedZones, seal_zones
from firmware.system.clock import Clock

LIFE_MS = 10 * 60 * 1000
"""A ring that arrives later is no news."""
NEVER_MS = 253_402_300_799_999
MAX_WAITING = 20

log = logging.getLogger(__name__)


class Pushes:
    """Publishes events and pushes some of them; implements `EarlyEventPublisher`.

    All on the loop, but for the encryption.
    """

    def __init__(
        self, *, device: str, browsers: BrowserStore, clock: Clock, events: EarlyEventPublisher
    ) -> None:
        self._device = device
        self._browsers = browsers
        self._clock = clock
        self._events = events
        self._tasks: set[asyncio.Task[None]] = set()

    async def publish(self, body: EventBody, *, event_id: str | None = None) -> Event:
        """Publish a fact as usual, then push it if it is a press; the caller never waits."""
        event = await self._events.publish(body, event_id=event_id)
        if isinstance(body, Pressed):
            self._begin_push(event, "pressed")
        return event

    async def publish_early(self, body: EventBody, press: EarlyPress) -> Event | None:
        """Publish a press from before, and push it; None if it was published before."""
        event = await self._events.publish_early(body, press)
        if event is not None:
            self._begin_push(event, "pressed")
        return event

    async def publish_motion(self, zones: Sequence[str], *, event_id: str) -> Event:
        """Publish motion in zones of these names, sealed to each browser, and push it."""
        sealed = await asyncio.to_thread(self._sealed_zones, zones)
        event = await self._events.publish(Motion(zones=sealed), event_id=event_id)
        self._begin_push(event, "motion", detail=", ".join(zones)[:200] or None)
        return event

    def _sealed_zones(self, zones: Sequence[str]) -> list[SealedZones]:
        """Seal the names, also if there are none: that a place has no name says something too."""
        found, now_ms = [], self._clock.wall_ms()
        for browser in self._browsers.all():
            if not browser.may("rings", now_ms, is_clock_trusted=self._clock.is_trusted()):
                continue
            try:
                found += seal_zones(zones, [browser.keys])
            except WireError as error:
                log.warning("a browser can't be sealed to: %s", error)
        return found[:MAX_BROWSERS]

    def _begin_push(
        self, event: Event, kind: Literal["pressed", "motion"], *, detail: str | None = None
    ) -> None:
        if len(self._tasks) >= MAX_WAITING:
            return
        task = asyncio.create_task(self._push(event, kind, detail), name="push")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def aclose(self) -> None:
        """Wait for the pushes under way."""
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _push(
        self, event: Event, kind: Literal["pressed", "motion"], detail: str | None
    ) -> None:
        try:
            messages = await asyncio.to_thread(self._messages, event, kind, detail)
            if messages:
                expires_ms = event.time_ms + LIFE_MS if event.is_clock_trusted else NEVER_MS
                await self._events.publish(
                    PushWanted(for_event_id=event.id, expires_ms=expires_ms, messages=messages)
                )
        except DoorwardError as error:
            log.error("an event isn't pushed: %s", error)

    def _messages(
        self, event: Event, kind: Literal["pressed", "motion"], detail: str | None
    ) -> list[PushMessage]:
        text = PushText(
            device=self._device,
            event_id=event.id,
            kind=kind,
            time_ms=event.time_ms if event.is_clock_trusted else None,
            detail=detail,
        )
        plain = text.encode()
        return [
            message
            for browser in self._browsers.all()
            if (push := self._wanted(browser, text)) is not None
            and (message := _message(browser, push, plain)) is not None
        ]

    def _wanted(self, browser: EnrolledBrowser, text: PushText) -> SetPush | None:
        push, now_ms = browser.push, self._clock.wall_ms()
        if push is None or text.kind not in push.kinds:
            return None
        if not browser.may("rings", now_ms, is_clock_trusted=self._clock.is_trusted()):
            return None
        try:
            is_silent = self._clock.is_trusted() and is_quiet(push.quiet, now_ms)
        except WireError as error:  # its time zone went with an update of the system
            log.warning("quiet hours can't be applied: %s", error)
            return push
        return None if is_silent else push


def _message(browser: EnrolledBrowser, push: SetPush, plain: bytes) -> PushMessage | None:
    try:
        return PushMessage(browser=browser.keys.id, encrypted=b64u(encrypt(plain, push)))
    except WireError as error:
        log.warning("a browser can't be pushed to: %s", error)
        return None
