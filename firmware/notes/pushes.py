"""Web Push of rings and motion, encrypted here to each browser that wants it.

The relay only passes the messages on; it learns which browsers, and when. A pushed event is in the
outbox before, so that nothing depends on a push service. In a browser's quiet hours, and while it
snoozes, it gets none; while the doorbell doesn't know the time, no hour is quiet.

A ring ends: by an answer, or after `RING_S`. Each browser that was pushed to is told so, without a
sound, except the one that answered. So a ring leaves no phone that says that somebody waits.
"""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from firmware.enrolment.browsers import BrowserStore, EnrolledBrowser
from firmware.errors import DoorwardError
from firmware.notes.daily_time import is_quiet
from firmware.notes.push_messages import push_messages
from firmware.outbox.early_presses import EarlyPress
from firmware.outbox.publisher import EarlyEventPublisher
from firmware.protocol.encoding import WireError, as_line
from firmware.protocol.events import Event, EventBody, Motion, Pressed, PushWanted
from firmware.protocol.live import (
    MotionPush,
    PushBody,
    PushKind,
    PushText,
    RingOverPush,
    RingPush,
)
from firmware.protocol.zones import MAX_BROWSERS, SealedZones, SeenMotion, seal_zones
from firmware.system.clock import Clock

LIFE_MS = 10 * 60 * 1000
"""A ring that arrives later is no news."""
RING_S = 120.0
"""A visitor waits no longer."""
NEVER_MS = 253_402_300_799_999
MAX_WAITING = 20

log = logging.getLogger(__name__)


class Answerer(Protocol):
    """The browser that answered a ring (`firmware.live.signature_checks.Who`)."""

    @property
    def browser(self) -> str:
        """Its id."""
        ...

    @property
    def name(self) -> str:
        """Its owner's name."""
        ...


@dataclass(slots=True)
class _Ring:
    """A ring that isn't over; a further press belongs to it. `told` are the browsers' ids."""

    event: Event
    timer: asyncio.TimerHandle
    told: set[str] = field(default_factory=set)


class Pushes:
    """Publishes events and pushes some of them; implements `EarlyEventPublisher`.

    All on the loop, but for the encryption.
    """

    def __init__(
        self,
        *,
        device: str,
        browsers: BrowserStore,
        clock: Clock,
        events: EarlyEventPublisher,
        ring_s: float = RING_S,
    ) -> None:
        self._device = device
        self._browsers = browsers
        self._clock = clock
        self._events = events
        self._ring_s = ring_s
        self._ring: _Ring | None = None
        self._snoozed_until_ns: dict[str, int] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._turn = asyncio.Lock()  # a ring is told before its end

    async def publish(self, body: EventBody, *, event_id: str | None = None) -> Event:
        """Publish a fact as usual, then push it if it is a press; the caller never waits."""
        event = await self._events.publish(body, event_id=event_id)
        if isinstance(body, Pressed):
            self._begin_ring(event)
        return event

    async def publish_early(self, body: EventBody, press: EarlyPress) -> Event | None:
        """Publish a press from before, and push it; None if it was published before."""
        event = await self._events.publish_early(body, press)
        if event is not None:
            self._begin_ring(event)
        return event

    async def publish_motion(self, seen: SeenMotion, *, event_id: str) -> Event:
        """Publish motion, what is known of it sealed to each browser, and push it."""
        zones = seen.names
        sealed = await asyncio.to_thread(self._sealed_zones, seen)
        event = await self._events.publish(Motion(zones=sealed), event_id=event_id)
        names = as_line(", ".join(zones)[:200], otherwise="") or None
        self._begin(event, MotionPush(zones=names), self._wanting("motion"))
        return event

    def answered(self, by: Answerer) -> None:
        """End the ring: somebody watches, or had a quick reply played."""
        self._end_ring(by)

    def snooze(self, browser: str, minutes: int) -> None:
        """Push no ring and no motion to a browser for some minutes; 0 ends that.

        Counted by the monotonic clock and not stored: after a restart the browser is pushed to.
        """
        self._snoozed_until_ns.pop(browser, None)
        if minutes > 0 and self._browsers.find(browser) is not None:
            now_ns = self._clock.monotonic_ns()
            known = {one.keys.id for one in self._browsers.all()}
            self._snoozed_until_ns = {
                one: until_ns
                for one, until_ns in self._snoozed_until_ns.items()
                if one in known and until_ns > now_ns
            }
            self._snoozed_until_ns[browser] = now_ns + minutes * 60 * 10**9

    async def aclose(self) -> None:
        """Wait for the pushes under way; a ring that isn't over stays as it is."""
        if self._ring is not None:
            self._ring.timer.cancel()
            self._ring = None
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _sealed_zones(self, seen: SeenMotion) -> list[SealedZones]:
        """Seal it, also if no zone has a name: that a place has no name says something too."""
        found, now_ms = [], self._clock.wall_ms()
        for browser in self._browsers.all():
            if not browser.may("rings", now_ms, is_clock_trusted=self._clock.is_trusted()):
                continue
            try:
                found += seal_zones(seen, [browser.keys])
            except WireError as error:
                log.warning("a browser can't be sealed to: %s", error)
        return found[:MAX_BROWSERS]

    def _begin_ring(self, event: Event) -> None:
        told = self._ring.told if self._ring is not None else set()
        if self._ring is not None:
            self._ring.timer.cancel()
        wanting = self._wanting("pressed")
        loop = asyncio.get_running_loop()
        self._ring = _Ring(
            event=event,
            timer=loop.call_later(self._ring_s, self._end_ring, None),
            told=told | {browser.keys.id for browser in wanting},
        )
        self._begin(event, RingPush(), wanting)

    def _end_ring(self, by: Answerer | None) -> None:
        ring, self._ring = self._ring, None
        if ring is None:
            return
        ring.timer.cancel()
        told = [
            browser
            for browser in self._browsers.all()
            if browser.keys.id in ring.told and (by is None or browser.keys.id != by.browser)
        ]
        name = None if by is None else as_line(by.name, otherwise="-")
        self._begin(ring.event, RingOverPush(by=name), told)

    def _begin(self, event: Event, body: PushBody, browsers: Sequence[EnrolledBrowser]) -> None:
        if len(self._tasks) >= MAX_WAITING or not browsers:
            return
        task = asyncio.create_task(self._push(event, body, browsers), name="push")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _push(
        self, event: Event, body: PushBody, browsers: Sequence[EnrolledBrowser]
    ) -> None:
        text = PushText(
            device=self._device,
            id=event.id,
            time_ms=event.time_ms if event.is_clock_trusted else None,
            body=body,
        )
        try:
            async with self._turn:
                messages = await asyncio.to_thread(push_messages, text, browsers)
                if messages:
                    expires_ms = event.time_ms + LIFE_MS if event.is_clock_trusted else NEVER_MS
                    await self._events.publish(
                        PushWanted(for_event_id=event.id, expires_ms=expires_ms, messages=messages)
                    )
        except DoorwardError as error:
            log.error("an event isn't pushed: %s", error)

    def _wanting(self, kind: PushKind) -> list[EnrolledBrowser]:
        return [browser for browser in self._browsers.all() if self._is_wanted(browser, kind)]

    def _is_wanted(self, browser: EnrolledBrowser, kind: PushKind) -> bool:
        push, now_ms = browser.push, self._clock.wall_ms()
        if push is None or kind not in push.kinds:
            return False
        if not browser.may("rings", now_ms, is_clock_trusted=self._clock.is_trusted()):
            return False
        if self._clock.monotonic_ns() < self._snoozed_until_ns.get(browser.keys.id, 0):
            return False
        return not is_quiet_now(browser, self._clock)


def is_quiet_now(browser: EnrolledBrowser, clock: Clock) -> bool:
    """Return whether a browser is in its quiet hours; never while the time isn't known."""
    if browser.push is None or not clock.is_trusted():
        return False
    try:
        return is_quiet(browser.push.quiet, clock.wall_ms())
    except WireError as error:  # its time zone went with an update of the system
        log.warning("quiet hours can't be applied: %s", error)
        return False
