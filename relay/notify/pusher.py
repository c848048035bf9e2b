"""The background task of pushes: from the database to the push services.

    ingest commits a PushWanted ─► one row a browser ─► send ─► row deleted

A message is kept until it was sent, refused or is over, so that a relay that is killed goes on
with it; then it may arrive twice, and replaces itself by its topic. Of several processes in the
role `notify` one sends all, and the others tell it that messages wait; it takes those alone that
nobody has taken, a bounded number at a time. Nobody waits for a push service. An account has a few
at a time on their way, so that one that points to a service that never answers holds up only
itself.
"""

import asyncio
import hashlib
import logging
import random
from collections.abc import Callable, Sequence
from typing import Protocol
from weakref import WeakValueDictionary

from firmware.protocol.encoding import WireError, b64u, unb64u
from relay.base.clock import Clock
from relay.errors import said
from relay.fleet.members import Members
from relay.notify.push_sender import Outcome
from relay.store import push
from relay.store.database import AWAY, Database
from relay.store.push import PushRow

AT_ONCE_PER_ACCOUNT = 4
FIRST_RETRY_S = 1.0
LAST_RETRY_S = 60.0
TAKEN_AT_ONCE = 100
AGAIN_MS = 600_000
"""A message that was taken and is still there is taken again then; mostly it is under way still."""

log = logging.getLogger(__name__)


class Sender(Protocol):
    """A sender that tries one message once."""

    async def send(self, url: str, message: bytes, *, ttl_s: int, topic: str) -> Outcome:
        """Try once."""
        ...


class Pusher:
    """Sends committed messages, and those left by an earlier process."""

    def __init__(
        self,
        *,
        database: Database,
        clock: Clock,
        sender: Sender,
        members: Members | None = None,
        first_retry_s: float = FIRST_RETRY_S,
        jitter: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._database = database
        self._clock = clock
        self._sender = sender
        self._first_retry_s = first_retry_s
        self._jitter = jitter
        # Bounded by what `push.queue` lets in; overflow: it is dropped there.
        self._taken: asyncio.Queue[PushRow] = asyncio.Queue()
        self._under_way: set[tuple[str, str, str]] = set()
        self._members = members
        self._waiter = database.signals.waiter("pushes")
        if members is not None:
            members.on_change(self._waiter.wake)
        self._turns: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()

    def send(self, rows: Sequence[PushRow]) -> None:
        """Send committed messages in the background, or have them sent."""
        if not rows:
            return
        if not self._is_sending:
            self._database.signals.give(["pushes"])
            return
        for row in rows:
            self._taken.put_nowait(row)

    @property
    def _is_sending(self) -> bool:
        return self._members is None or self._members.leads("notify")

    async def run(self) -> None:
        """Send until cancelled."""
        self._under_way.clear()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._look(), name="pushes of others")
            while True:
                row = await self._taken.get()
                if row.key not in self._under_way:
                    self._under_way.add(row.key)
                    group.create_task(self._deliver(row), name=f"push {row.event_id}")

    async def _look(self) -> None:
        """Take what other processes have committed, and what an earlier one has left."""
        was_sending = False
        while True:
            is_sending = self._is_sending
            try:
                if is_sending and not was_sending:
                    async with self._database.begin() as tx:
                        await push.release_all(tx)
                while is_sending and await self.take_due() == TAKEN_AT_ONCE:
                    pass
            except AWAY as error:  # those under way go on
                log.warning("pushes that wait can't be taken now, tried again: %s", said(error))
                await asyncio.sleep(self._first_retry_s)
            else:
                was_sending = is_sending
                await self._waiter.wait()

    async def take_due(self) -> int:
        """Take the next messages that no process has taken yet; return how many there were."""
        now_ms = self._clock.wall_ms()
        async with self._database.begin() as tx:
            rows = await push.take_due(
                tx, now_ms=now_ms, again_ms=now_ms + AGAIN_MS, limit=TAKEN_AT_ONCE
            )
        for row in rows:
            self._taken.put_nowait(row)
        return len(rows)

    async def _deliver(self, row: PushRow) -> None:
        try:
            await self._send_in_time(row)
            await self._finish(row)
        except Exception:  # supervisor: one message mustn't stop the others
            log.exception("push %s failed", row.event_id)
            asyncio.get_running_loop().call_later(LAST_RETRY_S, self._taken.put_nowait, row)
        finally:
            self._under_way.discard(row.key)

    async def _finish(self, row: PushRow) -> None:
        """Delete a message that is done, however long the database is away: it isn't sent again."""
        wait_s = self._first_retry_s
        while True:
            try:
                async with self._database.begin() as tx:
                    await push.finish(tx, row)
            except AWAY as error:
                log.warning("push %s is done and still stored: %s", row.event_id, said(error))
                await asyncio.sleep(wait_s)
                wait_s = min(2 * wait_s, LAST_RETRY_S)
            else:
                return

    async def _send_in_time(self, row: PushRow) -> None:
        """Send a message with retries until it expires."""
        wait_s = self._first_retry_s
        while (outcome := await self._try(row)) is not None:
            if outcome.verdict != "later":
                if outcome.verdict == "refused":
                    log.warning("push for %s: %s", row.device, outcome.detail)
                return
            delay_s = max(outcome.retry_after_s, self._jitter(wait_s / 2, wait_s))
            log.info("push for %s: %s; again in %.0f s", row.device, outcome.detail, delay_s)
            if self._clock.wall_ms() + delay_s * 1000 >= row.expires_ms:
                return
            await asyncio.sleep(delay_s)
            wait_s = min(2 * wait_s, LAST_RETRY_S)

    async def _try(self, row: PushRow) -> Outcome | None:
        """Try once; None if the message has expired, or its subscription has ended."""
        turn = self._turns.setdefault(row.account_id, asyncio.Semaphore(AT_ONCE_PER_ACCOUNT))
        async with turn:
            now_ms = self._clock.wall_ms()
            async with self._database.read() as tx:
                endpoint = await push.find_endpoint(tx, row, now_ms=now_ms)
            ttl_s = (row.expires_ms - now_ms) // 1000
            if endpoint is None or ttl_s <= 0:
                return None
            try:
                message = unb64u(row.encrypted)
            except WireError as error:
                return Outcome(verdict="refused", detail=str(error))
            outcome = await self._sender.send(endpoint, message, ttl_s=ttl_s, topic=_topic(row))
        if outcome.verdict == "gone":
            await self._forget(row, endpoint)
        return outcome

    async def _forget(self, row: PushRow, endpoint: str) -> None:
        async with self._database.begin() as tx:
            await push.forget_endpoint(
                tx, account_id=row.account_id, browser=row.browser, endpoint=endpoint
            )


def _topic(row: PushRow) -> str:
    """Return a topic of 32 characters, without information: one of all messages of one event.

    So the end of a ring takes the place of the ring itself, if that isn't delivered yet.
    """
    parts = (row.device, row.for_event_id, row.account_id, row.browser)
    return b64u(hashlib.sha256("\0".join(parts).encode()).digest())[:32]
