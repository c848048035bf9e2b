"""Hourly deletion of expired rows: pictures, posts, notes, notices, pushes, drafts and the like."""

import asyncio

from relay.base.clock import Clock
from relay.feed.rejudgements import LIFE_MS as REJUDGEMENT_LIFE_MS
from relay.feed.rules import APPEAL_WITHIN_MS, LEGAL_NOTICE_LIFE_MS, LIFE_MS, LOOSE_LIFE_MS
from relay.request.drafts import DRAFT_LIFE_MS
from relay.store import (
    carried_events,
    commands,
    door_notices,
    drafts,
    events,
    feed,
    feed_legal,
    feed_review,
    guests,
    push,
    releases,
    thumbnails,
)
from relay.store.database import Database

EACH_S = 3600.0
CARRIED_LIFE_MS = thumbnails.LIFE_MS
"""A doorbell that tells a passing event again after that long is believed once more."""
SLOTS_WITH_NOTES = 1008
"""A week of ten-minute slots: only where slots are shorter are there more within their life."""
RELEASE_LIFE_MS = 30 * 24 * 3600 * 1000
"""So long a doorbell may take from its commitment to the announcement of the package."""
COMMAND_LIFE_MS = 7 * 24 * 3600 * 1000
"""After its answer, or its end: so long an app can ask what became of a command."""


class Expiry:
    """The task that deletes expired rows once an hour."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

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
            await carried_events.forget(tx, before_ms=now_ms - CARRIED_LIFE_MS)
            await events.forget_slot_notes(tx, before_ms=now_ms - events.SLOT_NOTES_LIFE_MS)
            await events.keep_newest_slot_notes(tx, slots=SLOTS_WITH_NOTES)
            await push.forget_expired(tx, now_ms=now_ms)
            await guests.forget_ended(tx, before_ms=now_ms)
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
