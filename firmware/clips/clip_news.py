"""Events for finished clips: one each, again once it is dated; a crash loses none.

The owner's app takes the times of a grant from the newest telling, and the doorbell refuses a
grant with other times than the library's. A time that is told while the clock isn't trusted is
corrected by the app once the clock is set. A clip that was begun by a clock that was still right
needs no correction; where such a one had to be told by a clock that wasn't, it is told anew.
"""

import asyncio
import logging

from firmware.clips.library import Library
from firmware.clips.record import ClipRecord, manifest_of
from firmware.errors import VaultError
from firmware.outbox.publisher import EventPublisher
from firmware.protocol.events import ClipReady

log = logging.getLogger(__name__)


class ClipNews:
    """The publisher of one library's clip events. All on the loop."""

    def __init__(self, library: Library, events: EventPublisher, *, boot_id: str) -> None:
        self._library = library
        self._events = events
        self._boot_id = boot_id
        self._telling: dict[str, asyncio.Task[None]] = {}
        self._doubted: set[str] = set()
        """Clips of a right clock that were told by a wrong one."""

    def publish(self, record: ClipRecord) -> None:
        """Start publishing a clip's event."""
        task = asyncio.create_task(self._tell_clip(record), name="clip")
        self._telling[record.clip_id] = task
        task.add_done_callback(lambda _: self._telling.pop(record.clip_id, None))

    async def publish_pending(self) -> None:
        """Publish the clips that a dead process left unpublished, or that were dated anew."""
        for record in await asyncio.to_thread(self._library.unpublished):
            if record.clip_id not in self._telling and record.clip_id not in self._doubted:
                self.publish(record)

    async def on_time_known(self, difference_ms: int) -> None:
        """Date the clips that began before the clock was trusted, and publish them again."""
        await asyncio.to_thread(self._library.date_boot, self._boot_id, difference_ms)
        self._doubted.clear()
        await self.publish_pending()

    async def aclose(self) -> None:
        """Finish the events that are being published."""
        await asyncio.gather(*self._telling.values(), return_exceptions=True)

    async def _tell_clip(self, record: ClipRecord) -> None:
        try:
            manifest = manifest_of(record.signed_manifest)
        except VaultError as error:
            log.error("the event of clip %s can't be published: %s", record.clip_id, error)
            return
        ids = dict.fromkeys(trigger.event_id for trigger in manifest.triggers)
        ids.pop(record.trigger_event_id, None)
        event = await self._events.publish(
            ClipReady(
                clip_id=record.clip_id,
                manifest_digest=record.manifest_digest,
                trigger_event_id=record.trigger_event_id,
                more_trigger_ids=list(ids),
                started_ms=record.started_ms,
                duration_ms=record.duration_ms,
                pre_roll_ms=record.pre_roll_ms,
                is_cut_short=record.is_cut_short,
                gaps=manifest.gaps,
            )
        )
        if event.is_clock_trusted or record.dating == "unknown":
            await asyncio.to_thread(self._library.mark_published, record)
        else:
            self._doubted.add(record.clip_id)
