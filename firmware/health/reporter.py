"""Publishes troubles as events: that one has begun, and that it is over, each once.

What can't be published now (the card takes nothing) is published later and holds up nobody.
"""

import asyncio
import logging
from collections.abc import Collection, Sequence
from typing import Protocol

from firmware.errors import DoorwardError
from firmware.health.trouble_texts import begun, over
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
        """`report` waits `patience_s` at most for what it publishes."""
        self._troubles = troubles
        self._camera = camera
        self._events = events
        self._owners = owners
        self._clock = clock
        self._patience_s = patience_s
        self._publishing: asyncio.Task[None] | None = None

    @property
    def told(self) -> Sequence[TroubleCode]:
        """What is wrong, as the owner knows it."""
        return self._troubles.told

    async def report(self, present: Collection[TroubleCode]) -> None:
        """Take what is wrong now; publish what is due of it."""
        self._troubles.see(present, self._now_s())
        if not self._owners.has_owner():
            return
        if self._publishing is None or self._publishing.done():
            self._publishing = asyncio.create_task(self._publish_due(), name="troubles")
        await asyncio.wait({self._publishing}, timeout=self._patience_s)
        if self._publishing.done():
            self._publishing.result()

    def cancel(self) -> None:
        """Publish nothing more; what is due stays due after the next start."""
        if self._publishing is not None:
            self._publishing.cancel()

    async def _publish_due(self) -> None:
        while due := self._troubles.due(self._now_s()):
            news = due[0]
            detail = over(news.code) if news.is_over else begun(news.code, self._camera.state)
            try:
                await self._events.publish(
                    Trouble(code=news.code, is_over=news.is_over, detail=detail)
                )
                self._troubles.mark_told(news, self._now_s())
                await asyncio.to_thread(self._troubles.keep)
            except (DoorwardError, OSError) as error:
                log.warning("a trouble is told later: %s", error)
                return

    def _now_s(self) -> float:
        return self._clock.monotonic_ns() / 1e9
