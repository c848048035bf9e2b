"""Deferred events: stored in the commit of their fact, then published exactly once.

    with promises.collect() as told:        # what is told in here is gathered, and not told yet
        await carry_out(…)
    store.finish(…, promises=told)         # the fact and what is to be told of it: one commit
    await promises.flush()                  # into the outbox, each under its own id, once

After a crash before the commit nothing was told and the fact is made again; after it, `keep` tells
what is left. Only what happens in the gathering task itself is gathered: others' tellings pass.

    async with promises.hold_back():        # what this task tells leaves at the block's end
        await take(…)

What is held back is durable as ever. After a crash it is told at the start.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

from firmware.errors import DoorwardError, EventRefused
from firmware.outbox.publisher import OnceEventPublisher
from firmware.protocol.events import EventBody
from firmware.store.deferred_events import DeferredEvent, DeferredEventStore, deferred_event_of

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Gathering:
    told: list[DeferredEvent] = field(default_factory=list)
    is_open: bool = True
    """A task that was begun meanwhile, and outlives the gathering, tells as ever."""


@dataclass(slots=True)
class _Holding:
    ids: set[str] = field(default_factory=set)
    unsaved: list[DeferredEvent] = field(default_factory=list)
    """What the card didn't take."""
    is_open: bool = True


class DeferredEvents:
    """The deferred events of one doorbell. Implements `FactPublisher`."""

    def __init__(self, *, store: DeferredEventStore, events: OnceEventPublisher) -> None:
        self._store = store
        self._events = events
        self._gathering: ContextVar[_Gathering | None] = ContextVar("gathering", default=None)
        self._holding: ContextVar[_Holding | None] = ContextVar("holding", default=None)
        self._held_ids: set[str] = set()
        self._one_at_a_time = asyncio.Lock()

    @contextmanager
    def collect(self) -> Iterator[list[DeferredEvent]]:
        """Gather what this task tells in the block, to be committed with its fact."""
        gathering = _Gathering()
        token = self._gathering.set(gathering)
        try:
            yield gathering.told
        finally:
            gathering.is_open = False
            self._gathering.reset(token)

    @asynccontextmanager
    async def hold_back(self) -> AsyncIterator[None]:
        """Hold back what this task tells in the block, and tell it at the end."""
        holding = _Holding()
        token = self._holding.set(holding)
        try:
            yield
        finally:
            holding.is_open = False
            self._holding.reset(token)
            self._held_ids -= holding.ids
            await self.publish_unsaved(holding.unsaved)
            await self.flush()

    async def publish(self, body: EventBody) -> None:
        """Tell a fact, or promise it within a gathering."""
        gathering = self._gathering.get()
        holding = self._open_holding()
        if gathering is not None and gathering.is_open:
            told = deferred_event_of(body)
            gathering.told.append(told)
            if holding is not None:
                self._hold([told], holding)
        elif holding is not None:
            told = deferred_event_of(body)
            self._hold([told], holding)
            try:
                await asyncio.to_thread(self._store.put, [told])
            except OSError:
                log.exception("what is held back can't be stored")
                holding.unsaved.append(told)
        else:
            await self._events.publish(body)

    async def publish_unsaved(self, promises: Sequence[DeferredEvent]) -> None:
        """Tell what the card didn't take as promises: better perhaps twice than never."""
        holding = self._open_holding()
        if holding is not None:
            holding.unsaved += promises
            return
        for one in promises:
            await self._events.publish_once(one.body, one.event_id)

    async def flush(self) -> None:
        """Tell what is due; what can't be told now stays promised."""
        async with self._one_at_a_time:
            try:
                for one in await asyncio.to_thread(self._store.due):
                    if one.event_id in self._held_ids:
                        continue
                    try:
                        await self._events.publish_once(one.body, one.event_id)
                    except EventRefused:  # it never will be told, and mustn't hold up the others
                        log.exception("a promise is dropped")
                    await asyncio.to_thread(self._store.forget, one.event_id)
            except (DoorwardError, OSError):
                log.exception("what was promised is told later")

    def _open_holding(self) -> _Holding | None:
        holding = self._holding.get()
        return holding if holding is not None and holding.is_open else None

    def _hold(self, told: Sequence[DeferredEvent], holding: _Holding) -> None:
        ids = {one.event_id for one in told}
        holding.ids |= ids
        self._held_ids |= ids
