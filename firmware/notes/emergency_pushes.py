"""Pushes of emergency requests, to each browser that wants to hear of those.

Every doorbell pushes every emergency of its town, and says whether it is about its own door. What
the relay sees is the same: how many, to whom and when hangs on the browsers and on the register.
Not in a browser's quiet hours; snoozing is for rings and motion.
"""

import logging
from collections.abc import Sequence

from firmware.enrolment.browsers import BrowserStore
from firmware.errors import DoorwardError
from firmware.notes.push_messages import push_messages
from firmware.notes.pushes import is_quiet_now
from firmware.outbox.publisher import EventPublisher
from firmware.protocol.encoding import new_id
from firmware.protocol.events import PushMessage, PushWanted
from firmware.protocol.live import EmergencyPush, PushText
from firmware.system.clock import Clock

LIFE_MS = 3600 * 1000

log = logging.getLogger(__name__)


class EmergencyPushes:
    """Encrypts and publishes them. Each is made before the moment at which it is told."""

    def __init__(
        self, *, device: str, browsers: BrowserStore, clock: Clock, events: EventPublisher
    ) -> None:
        self._device = device
        self._browsers = browsers
        self._clock = clock
        self._events = events

    def messages(self, *, is_here: bool | None) -> list[PushMessage]:
        """Return a message for each browser that wants it now; blocks a moment."""
        now_ms = self._clock.wall_ms()
        wanting = [
            browser
            for browser in self._browsers.all()
            if browser.is_owners
            and browser.push is not None
            and "emergency" in browser.push.kinds
            and not browser.has_expired(now_ms)
            and not is_quiet_now(browser, self._clock)
        ]
        body = EmergencyPush(is_here=is_here)
        text = PushText(device=self._device, id=new_id(), time_ms=now_ms, body=body)
        return push_messages(text, wanting)

    async def push(self, messages: Sequence[PushMessage]) -> None:
        """Publish the messages; a push is a comfort, so a failure is only logged."""
        if not messages:
            return
        wanted = PushWanted(
            for_event_id=new_id(),
            expires_ms=self._clock.wall_ms() + LIFE_MS,
            messages=list(messages),
        )
        try:
            await self._events.publish(wanted)
        except DoorwardError as error:
            log.error("an emergency isn't pushed: %s", error)
