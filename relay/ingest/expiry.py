"""Hourly deletion of expired rows: events, pictures, posts, notes, pushes, drafts and the like."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator, Sequence

from relay.base.clock import Clock
from relay.config.settings import EventsConfig
from relay.feed.rejudgements import LIFE_MS as REJUDGEMENT_LIFE_MS
from relay.feed.rules import APPEAL_WITHIN_MS, LEGAL_NOTICE_LIFE_MS, LIFE_MS, LOOSE_LIFE_MS
from relay.ingest.event_months import DAY_MS, EventMonths
from relay.request.drafts import DRAFT_LIFE_MS
from relay.store import (
    commands,
    door_notices,
    drafts,
    event_ids,
    event_retention,
    events,
    feed,
    feed_legal,
    feed_review,
    fleet,
    guests,
    postgresql,
    push,
    releases,
    sign_in_failures,
    thumbnails,
)
from relay.store.database import Database, Transaction

log = logging.getLogger(__name__)

EACH_S = 3600.0
ID_LIFE_MS = thumbnails.LIFE_MS
"""A doorbell that tells a passing event again after that long is believed once more; of one that is
kept, its row says that it isn't new."""
MOST_APART_MS = DAY_MS
"""Machine and database server; by more one of them has jumped."""
DOORBELLS_AT_ONCE = 100
"""Whose old events are looked for at once."""
EVENTS_AT_ONCE = 1000
"""Which go in one transaction, so that others have their turn in between."""
LATE_MS = 3600 * 1000
"""So much later than its number says an event may be committed, and more."""
SLOTS_WITH_NOTES = 1008
"""A week of ten-minute slots: only where slots are shorter are there more within their life."""
RELEASE_LIFE_MS = 30 * 24 * 3600 * 1000
"""So long a doorbell may take from its commitment to the announcement of the package."""
COMMAND_LIFE_MS = 7 * 24 * 3600 * 1000
"""After its answer, or its end: so long an app can ask what became of a command."""


class Expiry:
    """The task that deletes expired rows once an hour."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        events_config: EventsConfig | None = None,
        *,
        events_at_once: int = EVENTS_AT_ONCE,
        machine: Clock | None = None,
    ) -> None:
        """`machine`: the clock that has to agree with the database server's; None: none has."""
        self._database = database
        self._machine = machine
        self._clock = clock
        self._events_at_once = events_at_once
        self._keep_days = (events_config or EventsConfig()).keep_days
        self._looked_ms = self._looked_at_all_ms = 0
        self._months = EventMonths(database, most_days=self._keep_days)

    async def run(self) -> None:
        """Delete expired rows until cancelled."""
        while True:
            await self.forget()
            await asyncio.sleep(EACH_S)

    async def forget(self) -> None:
        """Delete all rows that have expired by now; none while it is unsure what time it is."""
        if not await self._is_clock_right():
            return
        now_ms = self._clock.wall_ms()
        async with self._database.begin() as tx:
            await thumbnails.forget(tx, now_ms=now_ms)
            await event_ids.forget(tx, before_ms=now_ms - ID_LIFE_MS)
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
        await self._forget_events(now_ms)

    async def _is_clock_right(self) -> bool:
        """Return whether machine and database server agree: after a jump too much would go."""
        if self._machine is None:
            return True
        async with self._database.read() as tx:
            server_ms = await postgresql.server_ms(tx)
        if server_ms is None:
            return True
        apart_ms = abs(self._machine.wall_ms() - server_ms)
        if apart_ms > MOST_APART_MS:
            log.error(
                "nothing is deleted for its age: this machine's clock and the database server's "
                "are %d days apart",
                apart_ms // DAY_MS,
            )
        return apart_ms <= MOST_APART_MS

    async def _forget_events(self, now_ms: int) -> None:
        usual_ms = now_ms - self._keep_days * DAY_MS
        since_ms = await self._months.keep(now_ms)
        if since_ms is not None:  # what is younger goes with its month
            usual_ms = min(usual_ms, since_ms)
        async with self._database.read() as tx:
            devices = await fleet.all_devices(tx)
        notes_since_ms = self._slot_notes_since_ms(now_ms)
        for some in batched(devices, DOORBELLS_AT_ONCE):
            await self._forget_slot_notes(now_ms, notes_since_ms, some)
            async with self._database.read() as tx:
                kept = await event_retention.of_doorbells(tx, some, most=self._keep_days)
                notes = await event_retention.of_notes(tx, kept, most=self._keep_days)
            for days in set(kept.values()):
                before_ms = usual_ms if days is None else now_ms - days * DAY_MS
                of_them = [one for one in some if kept[one] == days]
                await self._forget_before(before_ms, of_them, now_ms=now_ms)
            for one in notes:
                before_ms, its = now_ms - one.days * DAY_MS, [one.device]
                await self._forget_before(before_ms, its, one.credential_id, now_ms=now_ms)
        self._looked_ms = now_ms
        if notes_since_ms is None:
            self._looked_at_all_ms = now_ms

    def _slot_notes_since_ms(self, now_ms: int) -> int | None:
        """Return since when notes of slots came that may be over now; None: look at all.

        Those from before went at the last look. All are looked at once a day, for what came with
        doorbells of another shard, and after the clock was set back.
        """
        all_ms = self._looked_at_all_ms
        if not all_ms <= self._looked_ms <= now_ms < all_ms + DAY_MS:
            return None
        return self._looked_ms - events.SLOT_NOTES_LIFE_MS - LATE_MS

    async def _forget_before(
        self,
        before_ms: int,
        devices: Sequence[str],
        credential_id: str | None = None,
        *,
        now_ms: int,
    ) -> None:
        await self._forget_found(
            lambda tx: events.old_keys(
                tx,
                devices,
                before_ms=before_ms,
                now_ms=now_ms,
                limit=self._events_at_once,
                credential_id=credential_id,
            )
        )

    async def _forget_slot_notes(
        self, now_ms: int, since_ms: int | None, devices: Sequence[str]
    ) -> None:
        before_ms, at_once = now_ms - events.SLOT_NOTES_LIFE_MS, self._events_at_once
        await self._forget_found(
            lambda tx: events.old_slot_notes(
                tx, devices, since_ms=since_ms, before_ms=before_ms, limit=at_once
            )
        )
        if since_ms is None:  # it counts all of them: once a day
            await self._forget_found(
                lambda tx: events.crowded_slot_notes(
                    tx, devices, slots=SLOTS_WITH_NOTES, limit=at_once
                )
            )

    async def _forget_found(
        self, find: Callable[[Transaction], Awaitable[Sequence[events.EventKey]]]
    ) -> None:
        """Delete what is found, in pieces; where there is nothing, without a writer's turn."""
        keys = None
        while keys is None or len(keys) == self._events_at_once:
            async with self._database.read() as tx:
                keys = await find(tx)
            if keys:
                async with self._database.begin() as tx:
                    await events.forget(tx, keys)


def batched(devices: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    """Return them in pieces of this size; the last one may be smaller."""
    return (devices[start : start + size] for start in range(0, len(devices), size))
