"""Slot messages: one of fixed form that every doorbell sends in every slot, whatever happened.

Right after a slot's end it tells one commitment, to the clips that it has finished and not yet
committed to, and one sealed note of fixed size to each browser of the owners. Nobody who sees the
message learns whether there was a clip, a request, or an owner who wants to hear of one. So:

- it is made before the moment at which it is told, and that moment hangs on the slot alone;
- its size, and how many notes there are to whom, hang on the owners' browsers alone.

What is committed to is durable, salts and all, before it is told.

An emergency request, wherever in town, is pushed right after the message of the slot in which the
register first has it, to each browser that wants to hear of those (notes/emergency_pushes.py).

A slot that can't be told in time isn't told: the relay has closed it, and its notes come in the
next. So while the relay gives no receipt, at most `MAX_WAITING` slots wait in the outbox; further
ones are left out, and their clips are committed to later. A doorbell that was off, or doesn't know
the time, leaves its slots out as well: its absence is seen anyway.
"""

import asyncio
import logging
import random
import secrets
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from firmware.decisions.request_intake import RequestIntake
from firmware.notes.sealed_notes import Notes
from firmware.outbox.publisher import EventPublisher
from firmware.protocol.commands import Accepted, ReplyBody, SlotLogged
from firmware.protocol.custody import (
    SlotRecord,
    clip_commitment,
    fill_up,
    slot_entry,
)
from firmware.protocol.encoding import new_id, new_salt
from firmware.protocol.events import Note, PushMessage, SlotCommitted
from firmware.protocol.slot_trees import slot_root
from firmware.protocol.tlog.proof import check_proof
from firmware.store.slots import SlotClip, SlotStore, StoredSlot
from firmware.system.clock import Clock
from firmware.transparency.policy_file import Logs

MAX_WAITING = 2
AWAITED_SLOTS = 2
"""So long a clip waits for the log's answer before it is committed to again."""
MAX_JITTER_MS = 30_000
"""The relay closes a slot half a slot, or a minute, after its end."""
LOOK_AGAIN_S = 5.0

log = logging.getLogger(__name__)

Sleep = Callable[[float], Awaitable[None]]


class WaitingEvents(Protocol):
    """The part of the outbox that slots need; its method blocks."""

    def still_waiting(self, event_ids: Sequence[str]) -> int:
        """Return how many of these events have no receipt yet."""
        ...


class PushesEmergencies(Protocol):
    """Pushes of emergency requests (`firmware.notes.emergency_pushes.EmergencyPushes`)."""

    def messages(self, *, is_here: bool | None) -> Sequence[PushMessage]:
        """Return the messages to the browsers that want them; blocks."""
        ...

    async def push(self, messages: Sequence[PushMessage]) -> None:
        """Publish them."""
        ...


class SlotLength(Protocol):
    """Where the length of slots is known, as `firmware.transparency.follower.RegisterFollower`."""

    @property
    def slot_ms(self) -> int | None:
        """How long a slot of the custody log is; None as long as the register wasn't read."""
        ...


class SlotAnswers:
    """Keeps what the log answers to one doorbell's slots."""

    def __init__(self, *, logs: Logs, store: SlotStore, clock: Clock) -> None:
        self._logs = logs
        self._store = store
        self._clock = clock

    async def on_logged(self, logged: SlotLogged) -> ReplyBody:
        """Keep the log's answer if it proves what was committed to; WireError if it doesn't."""
        await asyncio.to_thread(self._take_answer, logged)
        return Accepted()

    def _take_answer(self, logged: SlotLogged) -> None:
        record = self._store.record(logged.slot)
        if record is None:
            log.debug("an answer for slot %d, of which nothing is known", logged.slot)
            return
        root = slot_root(record.digest(), index=logged.index, hashes=logged.hashes)
        check_proof(
            logged.proof.encode(),
            entry=slot_entry(logged.slot, root),
            policy=self._logs.policy,
            origin=self._logs.custody_origin,
        )
        self._store.set_logged(logged, self._clock.wall_ms())


class Slots:
    """Sends one doorbell's slot messages, and stores the log's proofs."""

    def __init__(
        self,
        *,
        clock: Clock,
        register: SlotLength,
        desk: RequestIntake,
        notes: Notes,
        emergencies: PushesEmergencies,
        store: SlotStore,
        outbox: WaitingEvents,
        events: EventPublisher,
        chance: random.Random,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._clock = clock
        self._register = register
        self._desk = desk
        self._notes = notes
        self._emergencies = emergencies
        self._store = store
        self._outbox = outbox
        self._events = events
        self._sleep = sleep
        self._phase = 0.5 + chance.random() / 2  # of the jitter: the same in every slot

    async def run(self) -> None:
        """Tell each slot after its end, until cancelled."""
        while True:
            slot_ms = self._register.slot_ms
            if slot_ms is None or not self._clock.is_trusted():
                await self._sleep(LOOK_AGAIN_S)
                continue
            slot = self._clock.wall_ms() // slot_ms
            if await self._wait_until((slot + 1) * slot_ms):
                await self.commit(slot, slot_ms)

    async def commit(self, slot: int, slot_ms: int) -> bool:
        """Commit to a slot that has just ended, and tell it at its moment; False: left out."""
        jitter_ms = min(MAX_JITTER_MS, slot_ms // 4)
        due_ms = (slot + 1) * slot_ms + round(self._phase * jitter_ms)
        if not await asyncio.to_thread(self._may_tell, slot):
            return False
        kept, notes, pushes = await self._prepare(slot)
        await asyncio.to_thread(self._store.keep, kept)
        if not await self._wait_until(due_ms) or self._clock.wall_ms() > due_ms + jitter_ms:
            log.warning("slot %d couldn't be told in time", slot)
            return False
        body = SlotCommitted(slot=slot, commitment=kept.record.digest(), notes=notes)
        await self._events.publish(body, event_id=kept.event_id)
        await self._emergencies.push(pushes)
        return True

    async def _wait_until(self, due_ms: int) -> bool:
        """Wait until a wall time; False if the clock can't be trusted, or was set, meanwhile."""
        while (left_ms := due_ms - self._clock.wall_ms()) > 0:
            before_ns = self._clock.monotonic_ns()
            await self._sleep(left_ms / 1000)
            passed_ms = (self._clock.monotonic_ns() - before_ns) // 1_000_000
            if due_ms - self._clock.wall_ms() > max(0, left_ms - passed_ms) + LOOK_AGAIN_S * 1000:
                return False  # somebody set it back
        return self._clock.is_trusted()

    def _may_tell(self, slot: int) -> bool:
        newest = self._store.newest_slot() or 0
        if slot <= newest <= slot + 1:
            return False  # before a restart, or before the clock was set back a little
        if newest > slot:
            log.warning("the clock was ahead: what was committed to then is forgotten")
            self._store.forget_after(slot)
        waiting = self._outbox.still_waiting(self._store.event_ids(count=MAX_WAITING))
        if waiting >= MAX_WAITING:
            log.info("the relay gives no receipts: slot %d is left out", slot)
            return False
        return True

    async def _prepare(self, slot: int) -> tuple[StoredSlot, list[Note], Sequence[PushMessage]]:
        tellings = await asyncio.to_thread(self._desk.tellings, self._notes.owners_turn(slot))
        notes = await self._notes.for_slot(slot, tellings.bodies)
        emergencies = await asyncio.to_thread(self._desk.new_emergencies)
        pushes: Sequence[PushMessage] = []
        if emergencies.digests:
            pushes = await asyncio.to_thread(
                lambda: self._emergencies.messages(is_here=emergencies.is_here)
            )
        clips = await asyncio.to_thread(self._clips, slot)
        record = SlotRecord(
            device=self._notes.device,
            slot=slot,
            salt=new_salt(secrets.token_bytes(32)),
            clips=fill_up(
                [clip_commitment(clip.manifest_digest, clip.salt) for clip in clips],
                secrets.token_bytes,
            ),
        )
        kept = StoredSlot(
            record=record,
            event_id=new_id(),
            clips=clips,
            told=tellings.told,
            emergencies=emergencies.digests,
        )
        return kept, notes, pushes

    def _clips(self, slot: int) -> tuple[SlotClip, ...]:
        found = self._store.uncommitted(awaited_from=slot - AWAITED_SLOTS)
        return tuple(
            SlotClip(clip_id=clip_id, manifest_digest=digest, salt=secrets.token_bytes(32))
            for clip_id, digest in found
        )
