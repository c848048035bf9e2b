"""Hourly deletion of expired rows: events, pictures, posts, notes, pushes, drafts and the like."""

import asyncio
from collections.abc import Iterator, Sequence

from relay.base.clock import Clock
from relay.config.settings import EventsConfig
from relay.feed.rejudgements import LIFE_MS as REJUDGEMENT_LIFE_MS
from relay.feed.rules import APPEAL_WITHIN_MS, LEGAL_NOTICE_LIFE_MS, LIFE_MS, LOOSE_LIFE_MS
from relay.request.drafts import DRAFT_LIFE_MS
from relay.store import (
    commands,
    door_notices,
    drafts,
    event_ids,
    events,
    feed,
    feed_legal,
    feed_review,
    fleet,
    guests,
    push,
    releases,
    sign_in_failures,
    thumbnails,
)
from relay.store.database import Database

EACH_S = 3600.0
DAY_MS = 24 * 3600 * 1000
ID_LIFE_MS = thumbnails.LIFE_MS
"""A doorbell that tells a passing event again after that long is believed once more; of one that is
kept, its row says that it isn't new."""
DOORBELLS_AT_ONCE = 100
"""Whose old events go in one transaction, so that others have their turn in between."""
SLOTS_WITH_NOTES = 1008
"""A week of ten-minute slots: only where slots are shorter are there more within their life."""
RELEASE_LIFE_MS = 30 * 24 * 3600 * 1000
"""So long a doorbell may take from its commitment to the announcement of the package."""
COMMAND_LIFE_MS = 7 * 24 * 3600 * 1000
"""After its answer, or its end: so long an app can ask what became of a command."""


class Expiry:
    """The task that deletes expired rows once an hour."""

    def __init__(
        self, database: Database, clock: Clock, events_config: EventsConfig | None = None
    ) -> None:
        self._database = database
        self._clock = clock
        self._keep_ms = (events_config or EventsConfig()).keep_days * DAY_MS

    async def run(self) -> None:
        """Delete expired rows until cancelled."""
        while True:
            await self.forget()
            await asyncio.sleep(EACH_S)

    async def forget(self) -> None:
        """Delete all rows that have expired by now."""
        now_ms = self._clock.wall_ms()
        async with self._database.begin() as tx:
            await thumbnails.forget(tx, now_ms=now_ms)
            await event_ids.forget(tx, before_ms=now_ms - ID_LIFE_MS)
            await events.forget_slot_notes(tx, before_ms=now_ms - events.SLOT_NOTES_LIFE_MS)
            await events.keep_newest_slot_notes(tx, slots=SLOTS_WITH_NOTES)
            await push.forget_expired(tx, now_ms=now_ms)
            await guests.forget_ended(tx, before_ms=now_ms)
            await sign_in_failures.forget_old(tx, before_ms=now_ms - sign_in_failures.LIFE_MS)
            await door_notices.forget(tx, now_ms=now_ms)
            await drafts.forget(tx, before_ms=now_ms - DRAFT_LIFE_MS)
            await releases.forget(tx, before_ms=now_ms - RELEASE_LIFE_MS)
            await feed.erase_old(
                tx,
                before_ms=now_ms - LIFE_MS,
                appeal_before_ms=now_ms - APPEAL_WITHIN_MS,
                loose_before_ms=now_ms - LOOSE_LIFE_MS,
            )
            await feed_legal.delete_old(tx, before_ms=now_ms - LEGAL_NOTICE_LIFE_MS)
            await feed_review.erase_rejudged(tx, before_ms=now_ms - REJUDGEMENT_LIFE_MS)
            await feed_review.delete_agency_posts(tx, before_ms=now_ms - LIFE_MS)
            await commands.forget(tx, before_ms=now_ms - COMMAND_LIFE_MS)
        await self._forget_events(now_ms - self._keep_ms)

    async def _forget_events(self, before_ms: int) -> None:
        async with self._database.read() as tx:
            devices = await fleet.all_devices(tx)
        for some in batched(devices, DOORBELLS_AT_ONCE):
            async with self._database.begin() as tx:
                await events.forget_old(tx, some, before_ms=before_ms)


def batched(devices: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    """Return them in pieces of this size; the last one may be smaller."""
    return (devices[start : start + size] for start in range(0, len(devices), size))
