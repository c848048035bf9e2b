"""First pairing of a doorbell without an owner, completed by setting the door number.

    service button ─► code ─► words ─► service button ─► door number ─► owner

Order: door number, deferred event of the pairing (stored, not due yet), browser, owner, event due,
event published. After a crash before the owner is stored nobody was paired, and the service button
begins anew; after it, the next start or minute publishes the event. So the relay gets it exactly
once.
"""

import asyncio
import logging
from collections.abc import Sequence

from firmware.decisions.admission import Admission
from firmware.enrolment.door_number import DoorNumber
from firmware.enrolment.owners import OwnerStore
from firmware.enrolment.pairing import Pairing
from firmware.errors import DoorwardError
from firmware.outbox.deferred_events import DeferredEvents
from firmware.protocol.events import Paired
from firmware.store.deferred_events import DeferredEvent, DeferredEventStore, deferred_event_of
from firmware.system.clock import Clock

log = logging.getLogger(__name__)

HOLDER = "first pairing"
"""Holds back what is promised of it; the other holders are digests."""


class FirstPairing:
    """Completes the first pairing of one doorbell, and resumes it after a crash."""

    def __init__(
        self,
        *,
        pairing: Pairing,
        door_number: DoorNumber,
        admitting: Admission,
        owners: OwnerStore,
        promise_store: DeferredEventStore,
        promises: DeferredEvents,
        clock: Clock,
    ) -> None:
        self._pairing = pairing
        self._door_number = door_number
        self._admitting = admitting
        self._owners = owners
        self._promise_store = promise_store
        self._promises = promises
        self._clock = clock
        self._told_unkept: set[str] = set()
        """Pairings whose event was published, while storage doesn't take that."""
        self._one_at_a_time = asyncio.Lock()

    async def complete(self, door_number: str) -> str | None:
        """Store the person of the four words as owner; None: done, else the error for the page.

        Raises DoorNumberInvalid. One after the other: of two who send a number, the one who pairs
        has set it.
        """
        async with self._one_at_a_time:
            view = self._pairing.view(self._now_ms())
            if view.state != "pressed" or view.is_recovery:  # before the door number is touched
                return "Nobody is pairing, or the service button wasn't pressed after the words."
            try:
                await asyncio.to_thread(self._door_number.choose, door_number)
            except OSError as error:
                log.exception("a door number could not be stored")
                return f"the door number could not be stored: {error}"
            confirmed = self._pairing.confirm(self._now_ms())
            if confirmed is None:
                return "The ten minutes are over. Begin again."
            try:
                await asyncio.to_thread(
                    self._promise_store.hold, [deferred_event_of(confirmed.event)], HOLDER
                )
            except (DoorwardError, OSError) as error:
                log.exception("a pairing could not be begun")
                self._pairing.undo()
                return f"the memory card doesn't take it: {error}"
            refusal = await self._admitting.add_owner(confirmed.owner)
            if refusal is not None:
                self._pairing.undo()
                return refusal.detail
            await self._finish_if_it_can()  # they are the owner, whoever hears of it when
            return None

    async def resume(self) -> None:
        """Publish the deferred event of a completed pairing, after a start and each minute."""
        async with self._one_at_a_time:
            await self._finish_if_it_can()

    async def _finish_if_it_can(self) -> None:
        try:
            await self._finish()
        except (DoorwardError, OSError):  # it mustn't keep the doorbell from starting
            log.exception("the event of a pairing can't be published now, but later")

    async def _finish(self) -> None:
        """Publish the deferred event if its owner is stored; else the next pairing replaces it."""
        held = await asyncio.to_thread(self._promise_store.held, HOLDER)
        paired = next((one.body for one in held if isinstance(one.body, Paired)), None)
        if paired is None or self._owners.find(paired.credential_id) is None:
            return
        with self._promises.collect() as told:
            if paired.pairing_id not in self._told_unkept:
                await self._admitting.notify_browsers(paired.credential_id)
        await self._make_due(paired.pairing_id, held, told)
        await self._promises.flush()

    async def _make_due(
        self, pairing_id: str, held: Sequence[DeferredEvent], told: Sequence[DeferredEvent]
    ) -> None:
        try:
            await asyncio.to_thread(self._promise_store.wake, HOLDER, told)
        except OSError:
            log.exception("the event of a pairing was published, but that could not be stored")
            await self._promises.publish_unsaved([*held, *told])
            self._told_unkept.add(pairing_id)

    def _now_ms(self) -> int:
        return self._clock.monotonic_ns() // 1_000_000
