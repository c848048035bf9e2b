"""Ingest of doorbells' states: presence and health, into the database and the hub."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from firmware.protocol.encoding import WireError, decode
from firmware.protocol.events import Status
from relay.base.clock import Clock
from relay.bus import Bus, StreamMessage
from relay.errors import BusUnavailable
from relay.fleet.boots import BootHistory, judge
from relay.fleet.message_parser import parse_device_message
from relay.ingest.events import BROKER_AWAY_S
from relay.ingest.health import is_news
from relay.store import fleet, health, silences
from relay.store.database import Database, Transaction
from relay.store.health import HealthRow

log = logging.getLogger(__name__)

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
    ) -> None:
        self._bus = bus
        self._database = database
        self._clock = clock
        self._notices = notices
        self._online_hooks = tuple(online_hooks)
        self._cloned_hooks = tuple(cloned_hooks)

    async def run(self) -> None:
        """Process states until cancelled."""
        puller = await self._bus.statuses()
        while True:
            try:
                for delivery in await puller.next():
                    await self.take(delivery)
            except BusUnavailable as error:
                log.warning("status ingest waits for the broker: %s", error)
                await asyncio.sleep(BROKER_AWAY_S)

    async def take(self, delivery: StreamMessage) -> None:
        """Process one state."""
        try:
            status = parse_device_message(Status, delivery.subject, delivery.data)
        except WireError as error:
            log.warning("status on %s refused: %s", delivery.subject, error)
            await delivery.discard()
            return
        async with self._database.begin() as tx:
            has_changed = await fleet.set_state(
                tx, status.device, status.state, since_ms=self._clock.wall_ms()
            )
            if has_changed:
                await self._set_due(tx, status)
            news = await self._keep_health(tx, status)
            is_cloned = await self._look_for_clone(tx, status, delivery.stored_ms)
        if has_changed:
            self._notices.state_changed(status.device, status.state)
        if news is not None:
            self._notices.health_changed(status.device, news)
        if status.state == "online":
            for hook in self._online_hooks:
                await hook(status.device)
        if is_cloned:
            for hook in self._cloned_hooks:
                await hook(status.device)
        await delivery.ack()

    async def _set_due(self, tx: Transaction, status: Status) -> None:
        """Start, or stop, the time after which the doorbell's owners are told of its silence."""
        if status.state == "offline":
            await silences.set_offline(tx, status.device, since_ms=self._clock.wall_ms())
        else:
            await silences.set_online(tx, status.device)

    async def _look_for_clone(self, tx: Transaction, status: Status, stored_ms: int) -> bool:
        """Return whether it is an online doorbell whose card is known to be in two devices."""
        if status.state != "online":
            return False
        text = await fleet.boot_history(tx, status.device)
        before = BootHistory() if text is None else decode(BootHistory, text.encode())
        history, verdict = judge(before, status, stored_ms)
        if history != before:
            await fleet.keep_boot_history(tx, status.device, history.encode().decode())
        if verdict == "other_line":
            log.warning("doorbell %s: its card is from a backup, or was copied", status.device)
        if verdict == "cloned" and await fleet.mark_cloned(
            tx, status.device, cloned_ms=self._clock.wall_ms()
        ):
            log.error("doorbell %s: another device uses a copy of its card", status.device)
        return await fleet.is_cloned(tx, status.device)

    async def _keep_health(self, tx: Transaction, status: Status) -> HealthRow | None:
        """Store the doorbell's health report; return it if it changes anything displayed."""
        if status.health is None:  # its will message knows nothing: the last word stays
            return None
        before = await health.get(tx, status.device)
        row = HealthRow(received_ms=self._clock.wall_ms(), health=status.health)
        await health.put(tx, status.device, row)
        return row if is_news(None if before is None else before.health, status.health) else None
