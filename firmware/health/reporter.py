"""Reporter of troubles as events: one when a trouble begins, one when it is over.

An event that can't be stored now (a storage error) is published later, and delays nothing.
"""

import asyncio
import logging
from collections.abc import Collection, Sequence
from typing import Protocol

from firmware.errors import DoorwardError
from firmware.health.trouble_texts import trouble_began_text, trouble_over_text
from firmware.health.troubles import Troubles
from firmware.outbox.publisher import EventPublisher
from firmware.protocol.events import CameraState, Trouble, TroubleCode
from firmware.system.clock import Clock
from firmware.system.ownership import Ownership

PATIENCE_S = 1.0

log = logging.getLogger(__name__)


class ReportedCamera(Protocol):
    """The camera as its troubles are put into words
    (`firmware.capture.camera_keeper.CameraKeeper`)."""

    @property
    def state(self) -> CameraState:
        """Whether it gives pictures, or why not."""
        ...


class TroubleReporter:
    """Reports the troubles of one doorbell, once it has an owner. All on the loop."""

    def __init__(
        self,
        troubles: Troubles,
        *,
        camera: ReportedCamera,
        events: EventPublisher,
        owners: Ownership,
        clock: Clock,
        patience_s: float = PATIENCE_S,
    ) -> None:
        """`report` waits `patience_s` at most for its events to be stored."""
        self._troubles = troubles
        self._camera = camera
        self._events = events
        self._owners = owners
        self._clock = clock
        self._patience_s = patience_s
        self._publishing: asyncio.Task[None] | None = None

    @property
    def told(self) -> Sequence[TroubleCode]:
        """The troubles that the owner was notified of."""
        return self._troubles.told

    async def report(self, present: Collection[TroubleCode]) -> None:
        """Take the current troubles; publish the events that are due."""
        self._troubles.see(present, self._now_s())
        if not self._owners.has_owner():
            return
        if self._publishing is None or self._publishing.done():
            self._publishing = asyncio.create_task(self._publish_due(), name="troubles")
        await asyncio.wait({self._publishing}, timeout=self._patience_s)
        if self._publishing.done():
            self._publishing.result()

    def cancel(self) -> None:
        """Publish nothing more; due events stay due after the next start."""
        if self._publishing is not None:
            self._publishing.cancel()

    async def _publish_due(self) -> None:
        while due := self._troubles.due(self._now_s()):
            news = due[0]
            detail = (
                trouble_over_text(news.code)
                if news.is_over
                else trouble_began_text(news.code, self._camera.state)
            )
            try:
                await self._events.publish(
                    Trouble(code=news.code, is_over=news.is_over, detail=detail)
                )
                self._troubles.mark_told(news, self._now_s())
                await asyncio.to_thread(self._troubles.keep)
            except (DoorwardError, OSError) as error:
                log.warning("a trouble's event can't be stored now, but later: %s", error)
                return

    def _now_s(self) -> float:
        return self._clock.monotonic_ns() / 1e9
