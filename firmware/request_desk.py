"""Published requests as they come in: matched here, kept, and told to the owners.

The answer to the relay never says what was found. What an owner decides is statements.py's.
"""

import asyncio
import logging

from firmware.clips.facts_store import FactsStore, KnownRequest
from firmware.clock import Clock
from firmware.consent.request_rules import RequestRefused, agency_of, check_request
from firmware.enrolment.owners import OwnerStore
from firmware.noting import Notes
from firmware.protocol.claims import Enrolment
from firmware.protocol.commands import Accepted, ReplyBody, RequestPublished
from firmware.protocol.encoding import sha256_hex
from firmware.protocol.grants import Owner
from firmware.protocol.notes import RequestMatched
from firmware.protocol.requests import MAX_LIFE_MS, MAX_SKEW_MS

log = logging.getLogger(__name__)


class RequestDesk:
    """One doorbell's desk for published requests."""

    def __init__(
        self,
        *,
        enrolment: Enrolment,
        cell: str,
        is_opted_in: bool,
        clock: Clock,
        owners: OwnerStore,
        notes: Notes,
        facts_store: FactsStore,
    ) -> None:
        self._enrolment = enrolment
        self._cell = cell
        self._is_opted_in = is_opted_in
        self._clock = clock
        self._owners = owners
        self._notes = notes
        self._store = facts_store

    async def on_request(self, command: RequestPublished) -> ReplyBody:
        """Match a published request by ourselves; the answer never says what was found."""
        try:
            agency = agency_of(command.signed, self._enrolment.agencies)
            request = check_request(
                command.signed, agency, now_ms=self._clock.wall_ms(), cell=self._cell
            )
        except RequestRefused as error:
            log.info("a published request doesn't concern this doorbell: %s", error)
            return Accepted()
        if not self._is_opted_in:
            return Accepted()
        known = KnownRequest(
            request_id=request.id,
            digest=sha256_hex(command.signed.request.encode()),
            signed=command.signed,
            received_ms=self._clock.wall_ms(),
        )
        if await asyncio.to_thread(self._store.add_request, known):
            for owner in self._owners.owners:
                await self._notes.to_owner(owner, RequestMatched(request_id=request.id))
        return Accepted()

    async def tell_standing(self, owner: Owner) -> None:
        """Tell a new owner of the requests that came before them and still stand."""
        now_ms = self._clock.wall_ms()
        for known in await asyncio.to_thread(self._store.requests):
            try:
                agency = agency_of(known.signed, self._enrolment.agencies)
                check_request(known.signed, agency, now_ms=now_ms, cell=self._cell)
            except RequestRefused:
                continue
            await self._notes.to_owner(owner, RequestMatched(request_id=known.request_id))

    def forget_old(self) -> None:
        """Remove the requests that are over for certain."""
        self._store.forget_requests_before(self._clock.wall_ms() - MAX_LIFE_MS - MAX_SKEW_MS)
