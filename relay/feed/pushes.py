"""The background task of the feed's pushes: wakes browsers of members for whom something is new.

    published, or a digest is due ─► its topics ─► quiet hours ─► an empty push ─► the app fetches

A push is empty: the relay has no key to encrypt one, and what it would say is public. It is a
comfort, sent once and never again: what it would tell stands in the list.
"""

import asyncio
import logging
from collections.abc import Sequence
from typing import Protocol

from relay.base.clock import Clock
from relay.base.signals import LOOK_S
from relay.feed.local_times import is_quiet, next_moment_ms
from relay.feed.push_choices import DIGEST_DAYS, quiet_of, topic_of
from relay.notify.push_sender import Outcome
from relay.store import feed, feed_legal, feed_pushes, push
from relay.store.database import Database, Transaction
from relay.store.feed_pushes import Batch, Endpoint, FeedPushRow

AT_ONCE = 200
"""Accounts a transaction."""
SENT_AT_ONCE = 16
LIFE_S = 6 * 3600
TOPIC = "neighbours"
"""One that isn't delivered yet is replaced by the next (RFC 8030, section 5.4)."""

log = logging.getLogger(__name__)


class Sender(Protocol):
    """A sender that tries one message once."""

    async def send(self, url: str, message: bytes, *, ttl_s: int, topic: str) -> Outcome:
        """Try once."""
        ...


class FeedPushes:
    """Wakes the browsers of members."""

    def __init__(self, *, database: Database, clock: Clock, sender: Sender) -> None:
        self._database = database
        self._clock = clock
        self._sender = sender
        self._turns = asyncio.Semaphore(SENT_AT_ONCE)

    async def run(self) -> None:
        """Push until cancelled; woken by what is published, asleep until something is due."""
        waiter = self._database.signals.waiter("feed")
        while True:
            wait_s = await self.push_due()
            await waiter.wait(wait_s)

    async def push_due(self) -> float:
        """Push what is due, and return for how many seconds nothing is."""
        await self._push_legal_notices()
        while await self._push_digests():
            pass
        while (batch := await self._next_batch()) is not None:
            await self._push_batch(batch)
        now_ms = self._clock.wall_ms()
        async with self._database.read() as tx:
            next_ms = await feed_pushes.next_time_ms(tx, now_ms=now_ms)
        return LOOK_S if next_ms is None else (next_ms - now_ms) / 1000

    async def _next_batch(self) -> Batch | None:
        async with self._database.read() as tx:
            return await feed_pushes.next_batch(tx, now_ms=self._clock.wall_ms())

    async def _push_batch(self, batch: Batch) -> None:
        """Push a batch to the followers in its district, some in each transaction."""
        after, is_over = "", False
        while not is_over:
            async with self._database.begin() as tx:
                rows = await feed_pushes.list_followers(tx, batch, after=after, limit=AT_ONCE)
                since_ms = batch.published_ms - 1
                endpoints = await self._take_all(tx, rows, since_ms=since_ms)
                is_over = len(rows) < AT_ONCE
                if is_over:
                    await feed_pushes.end_batch(tx, batch)
                else:
                    after = rows[-1].account_id
            await self._send_all(endpoints)

    async def _push_legal_notices(self) -> None:
        """Push that there was legal process about their posts to authors who follow something."""
        async with self._database.read() as tx:
            if not await feed_legal.has_unpushed(tx):
                return
        now_ms = self._clock.wall_ms()
        async with self._database.begin() as tx:
            accounts = await feed_legal.take_unpushed(tx, limit=AT_ONCE)
            wanted = [one for one in accounts if await self._may_wake(tx, one, now_ms)]
            endpoints = await feed_pushes.endpoints_of(tx, wanted, now_ms=now_ms)
        await self._send_all(endpoints)

    async def _may_wake(self, tx: Transaction, account_id: str, now_ms: int) -> bool:
        row = await feed_pushes.find(tx, account_id)
        member = await feed.find_membership(tx, account_id)
        if row is None or member is None or not member.follows:
            return False
        return not is_quiet(quiet_of(row), now_ms)

    async def _push_digests(self) -> bool:
        """Push some of the digests that are due; return whether there may be more."""
        now_ms = self._clock.wall_ms()
        async with self._database.read() as tx:
            if not await feed_pushes.list_digests_due(tx, now_ms=now_ms, limit=1):
                return False
        async with self._database.begin() as tx:
            rows = await feed_pushes.list_digests_due(tx, now_ms=now_ms, limit=AT_ONCE)
            endpoints = await self._take_all(tx, rows)
        await self._send_all(endpoints)
        return len(rows) == AT_ONCE

    async def _take_all(
        self, tx: Transaction, rows: list[FeedPushRow], *, since_ms: int = 0
    ) -> Sequence[Endpoint]:
        """Note that accounts were looked at; return where those are pushed that are to be.

        What was published until `since_ms` isn't news: who came to the district after it.
        """
        now_ms = self._clock.wall_ms()
        wanted = [
            row.account_id
            for row in rows
            if await self._take(tx, row, now_ms, since_ms=max(since_ms, row.seen_ms))
        ]
        return await feed_pushes.endpoints_of(tx, wanted, now_ms=now_ms)

    async def _send_all(self, endpoints: Sequence[Endpoint]) -> None:
        async with asyncio.TaskGroup() as group:
            for endpoint in endpoints:
                group.create_task(self._send(endpoint), name="feed push")

    async def _take(self, tx: Transaction, row: FeedPushRow, now_ms: int, *, since_ms: int) -> bool:
        """Note that an account was looked at; return whether it is to be pushed."""
        kinds = await feed_pushes.kinds_since(tx, row.account_id, since_ms=since_ms, now_ms=now_ms)
        member = await feed.find_membership(tx, row.account_id)
        days = DIGEST_DAYS.get(row.how)
        next_ms = (
            None
            if days is None
            else next_moment_ms(row.minute, row.time_zone, after_ms=now_ms, days=days)
        )
        await feed_pushes.set_seen(tx, row.account_id, seen_ms=now_ms, next_ms=next_ms)
        if member is None or not {topic_of(kind) for kind in kinds} & set(member.follows):
            return False
        return days is not None or not is_quiet(quiet_of(row), now_ms)

    async def _send(self, endpoint: Endpoint) -> None:
        async with self._turns:
            outcome = await self._sender.send(endpoint.endpoint, b"", ttl_s=LIFE_S, topic=TOPIC)
        if outcome.verdict == "gone":
            async with self._database.begin() as tx:
                await push.forget_endpoint(
                    tx,
                    account_id=endpoint.account_id,
                    browser=endpoint.browser,
                    endpoint=endpoint.endpoint,
                )
        elif outcome.verdict != "sent":
            log.info("a push of the feed: %s", outcome.detail)
