"""Ingest of doorbells' states: presence and health, into the database and the hub.

A state that comes alone is committed at once. Otherwise what comes within EACH_S is committed
together: one read, one statement a table, one sync, however many doorbells there are.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

import msgspec

from firmware.protocol.encoding import WireError, decode
from firmware.protocol.events import Status
from relay.base.clock import Clock
from relay.bus import MAX_BATCH, Bus, Puller, StreamMessage, partition_of
from relay.errors import BusUnavailable, PartitionLost, said
from relay.fleet.boots import BootHistory, judge
from relay.fleet.message_parser import parse_status
from relay.ingest.event_batches import UNUSABLE
from relay.ingest.events import (
    BROKER_AWAY_S,
    DATABASE_AWAY_S,
    UNCLAIMED_RETRY_S,
    retry_all,
)
from relay.ingest.fence import Fence, Owned
from relay.ingest.health import is_news
from relay.store import fleet, silences, statuses
from relay.store.database import AWAY, Database, Transaction
from relay.store.health import HealthRow
from relay.store.statuses import StatusRow

log = logging.getLogger(__name__)

EACH_S = 1.0

OnlineHook = Callable[[str], Awaitable[None]]
"""Is called with a doorbell's id each time that it says it is online."""
ClonedHook = Callable[[str], Awaitable[None]]
"""Is called likewise, if the doorbell's card is known to be in two devices."""


class Notices(Protocol):
    """The hub's notices that ingest sends."""

    def state_changed(self, device: str, state: str) -> None:
        """Notify that a doorbell went online or offline."""
        ...

    def health_changed(self, device: str, row: HealthRow) -> None:
        """Notify that a displayed part of a doorbell's health has changed."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class _ReceivedStatus:
    delivery: StreamMessage
    status: Status


@dataclass(slots=True)
class _Changed:
    """What a batch changes in the database, by doorbell."""

    states: dict[str, str] = field(default_factory=dict)
    reports: dict[str, HealthRow] = field(default_factory=dict)
    histories: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class _News:
    """What is to be said after the commit; doorbells in the order in which they were heard."""

    notices: list[Callable[[], None]] = field(default_factory=list)
    online: dict[str, None] = field(default_factory=dict)
    cloned: dict[str, None] = field(default_factory=dict)

    def add(self, other: "_News") -> None:
        self.notices += other.notices
        self.online |= other.online
        self.cloned |= other.cloned


class StatusIngest:
    """The ingest task of doorbells' states."""

    def __init__(
        self,
        *,
        bus: Bus,
        database: Database,
        clock: Clock,
        notices: Notices,
        online_hooks: Sequence[OnlineHook] = (),
        cloned_hooks: Sequence[ClonedHook] = (),
        partitions: Owned | None = None,
    ) -> None:
        self._bus = bus
        self._fence = Fence(database, partitions)
        self._partitions = partitions
        self._is_told = False
        self._clock = clock
        self._notices = notices
        self._online_hooks = tuple(online_hooks)
        self._cloned_hooks = tuple(cloned_hooks)

    async def run(self) -> None:
        """Process states until cancelled."""
        puller = await self._bus.statuses()
        self._work_on_own(puller)
        loop = asyncio.get_running_loop()
        while True:
            batch: list[StreamMessage] = []
            try:
                batch = await puller.next()
                begun_s = loop.time()
                await self.take(batch)
            except BusUnavailable as error:
                log.warning("status ingest waits for the broker: %s", error)
                await asyncio.sleep(BROKER_AWAY_S)
                continue
            except AWAY as error:
                log.warning("status ingest waits for the database: %s", said(error))
                await asyncio.sleep(DATABASE_AWAY_S)
                await retry_all(batch)
                continue
            if batch and len(batch) < MAX_BATCH:
                await asyncio.sleep(begun_s + EACH_S - loop.time())

    def _work_on_own(self, puller: Puller) -> None:
        """Have the puller take from this process's partitions, whichever they are from now on."""
        if self._partitions is not None and not self._is_told:  # a supervisor may run this again
            self._is_told = True
            puller.work_on(self._partitions.owned)
            self._partitions.on_change(puller.work_on)

    async def take(self, deliveries: Sequence[StreamMessage]) -> None:
        """Process states, in the order in which they were told."""
        told: list[_ReceivedStatus] = []
        for delivery in deliveries:
            try:
                status = parse_status(delivery.subject, delivery.data)
            except WireError as error:
                log.warning("status on %s refused: %s", delivery.subject, error)
                await delivery.discard()
                continue
            told.append(_ReceivedStatus(delivery=delivery, status=status))
        committed, news, unclaimed = await self._commit_what_can_be(told)
        for notice in news.notices:
            notice()
        for device in news.online:
            for hook in self._online_hooks:
                await hook(device)
        for device in news.cloned:
            for hook in self._cloned_hooks:
                await hook(device)
        for one in committed:
            await one.delivery.ack()
        for one in unclaimed:
            await one.delivery.retry(UNCLAIMED_RETRY_S)

    async def _commit_what_can_be(
        self, told: list[_ReceivedStatus]
    ) -> tuple[list[_ReceivedStatus], _News, list[_ReceivedStatus]]:
        """Commit in halves if a state breaks the others'; that one is discarded.

        Return what is committed, what is to be said of it, and what isn't: it is of a partition
        that another process has now, or the database was lost at it.
        """
        committed, news, unclaimed = list[_ReceivedStatus](), _News(), list[_ReceivedStatus]()
        left = [told] if told else []
        while left:
            piece = left.pop()
            try:
                news.add(await self._commit(piece))
                committed += piece
            except PartitionLost as error:
                lost = error.partition
                unclaimed += [one for one in piece if partition_of(one.status.device) == lost]
                ours = [one for one in piece if partition_of(one.status.device) != lost]
                left += [ours] if ours else []
            except UNUSABLE:
                log.exception("%d states can't be committed together", len(piece))
                middle = len(piece) // 2
                if middle:
                    left += [piece[middle:], piece[:middle]]
                else:
                    await piece[0].delivery.discard()
            except AWAY as error:
                if not committed:
                    raise
                log.warning("a part of the states waits for the database: %s", said(error))
                unclaimed += [one for some in (piece, *left) for one in some]
                break
        return committed, news, unclaimed

    async def _commit(self, told: Sequence[_ReceivedStatus]) -> _News:
        now_ms, news = self._clock.wall_ms(), _News()
        devices = {one.status.device for one in told}
        async with self._fence.begin(devices) as tx:
            rows = await statuses.read(tx, devices)
            changed = _Changed()
            for one in told:
                if (row := rows.get(one.status.device)) is not None:
                    await self._apply(tx, one, row, changed, news, now_ms)
            await statuses.set_states(tx, changed.states, since_ms=now_ms)
            await silences.set_offline(tx, _in_state(changed, "offline"), since_ms=now_ms)
            await silences.set_online(tx, _in_state(changed, "online"))
            await statuses.put_health(tx, changed.reports)
            await statuses.put_histories(tx, changed.histories)
        return news

    async def _apply(
        self,
        tx: Transaction,
        told: _ReceivedStatus,
        row: StatusRow,
        changed: _Changed,
        news: _News,
        now_ms: int,
    ) -> None:
        """Bring a doorbell's row forward by one status."""
        status, device = told.status, told.status.device
        if status.state != row.state:
            row.state = changed.states[device] = status.state
            news.notices.append(partial(self._notices.state_changed, device, status.state))
        if status.health is not None:  # its will message knows nothing: the last word stays
            report = HealthRow(received_ms=now_ms, health=status.health)
            if is_news(None if row.health is None else row.health.health, status.health):
                news.notices.append(partial(self._notices.health_changed, device, report))
            row.health = changed.reports[device] = report
        if status.state != "online":
            return
        news.online[device] = None
        before = BootHistory() if row.history is None else decode(BootHistory, row.history.encode())
        history, verdict = judge(before, status, told.delivery.stored_ms)
        if history != before:
            text = msgspec.json.encode(history, order="sorted").decode()
            row.history = changed.histories[device] = text
        if verdict == "other_line":
            log.warning("doorbell %s: its card is from a backup, or was copied", device)
        if verdict == "cloned" and await fleet.mark_cloned(tx, device, cloned_ms=now_ms):
            log.error("doorbell %s: another device uses a copy of its card", device)
        row.is_cloned = row.is_cloned or verdict == "cloned"
        if row.is_cloned:
            news.cloned[device] = None


def _in_state(changed: _Changed, state: str) -> list[str]:
    return [device for device, now in changed.states.items() if now == state]
