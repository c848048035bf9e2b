"""Replies to owners about their statements, as sealed notes of one size.

Whatever a statement decided, every browser of every owner gets one note: the signer's holds the
reply, the others' are empty. So a relay that counts notes learns nothing of it.
"""

import asyncio
import logging
from collections.abc import Sequence

from firmware.consent.facts import Refusal
from firmware.enrolment.owners import OwnerStore
from firmware.notes.sealed_notes import Notes
from firmware.outbox.deferred_events import DeferredEvents
from firmware.protocol.browsers import BrowserKeys
from firmware.protocol.custody import quarter_of
from firmware.protocol.decisions import GiveRight
from firmware.protocol.encoding import WireError, as_line, decode, decode_canonical, sha256_hex
from firmware.protocol.grants import SignedStatement, Statement, signer_of
from firmware.protocol.notes import (
    ConfirmationWanted,
    NoteBody,
    ReleaseDone,
    StatementDone,
    StatementRefused,
)
from firmware.protocol.releases import package_id_of
from firmware.store.deferred_events import DeferredEvent
from firmware.store.household import HouseholdStore
from firmware.system.clock import Clock

log = logging.getLogger(__name__)


class StatementReplies:
    """Sends one doorbell's replies, and logs refusals."""

    def __init__(
        self,
        *,
        owners: OwnerStore,
        notes: Notes,
        household: HouseholdStore,
        promises: DeferredEvents,
        clock: Clock,
        door_url: str,
    ) -> None:
        self._owners = owners
        self._notes = notes
        self._household = household
        self._promises = promises
        self._clock = clock
        self._door_url = door_url

    async def confirmation_wanted(
        self, digest: str, signed: SignedStatement, *, batch_ms: int | None
    ) -> None:
        """Reply that the statement waits for its owner at the doorbell's own page."""
        wanted = ConfirmationWanted(
            statement_digest=digest, door_page=self._door_url, batch_ms=batch_ms
        )
        await self._tell(signed.assertion.credential_id, wanted, also=_newcomer_of(signed))

    async def released(self, digest: str, request_digest: str) -> None:
        """Notify every owner that the package was sealed and is on its way."""
        done = ReleaseDone(
            statement_digest=digest,
            request_digest=request_digest,
            package_id=package_id_of(digest),
        )
        await self._notes.to_all(done)

    async def done(self, digest: str, kind: str, credential_id: str) -> None:
        """Reply that the decision is carried out."""
        await self._tell(credential_id, StatementDone(statement_digest=digest, kind=kind))

    async def lost(self, digest: str) -> None:
        """Notify every owner that an unreadable statement, with its signer, isn't carried out."""
        detail = "it can't be read on the memory card any more, so it isn't carried out"
        note = StatementRefused(
            statement_digest=digest, reason="card_spoilt", detail=f"{detail}: sign it again"
        )
        await self._notes.to_all(note)

    async def refused(self, data: bytes, refusal: Refusal) -> None:
        """Log a refusal and reply to its signer once; a stranger's junk is only logged.

        Nor is told of what was used before: it was answered then. One that was confirmed ends with
        that: whatever dies in between, either it goes on or its owner hears that it doesn't.
        """
        log.warning("a statement was refused: %s: %s", refusal.reason, refusal.detail)
        try:
            signed = decode_canonical(SignedStatement, data)
        except WireError:
            return
        owner = signer_of(signed, self._owners.owners)
        digest = sha256_hex(signed.statement.encode())
        if owner is None or refusal.reason == "spent":
            return
        if await asyncio.to_thread(self._household.was_told_refused, digest):
            return
        detail = as_line(refusal.detail, otherwise=refusal.reason)
        note = StatementRefused(statement_digest=digest, reason=refusal.reason, detail=detail)
        with self._promises.collect() as told:
            await self._tell(owner.passkey.credential_id, note, also=_newcomer_of(signed))
        await self._note_refusal(digest, refusal, told)

    async def _note_refusal(
        self, digest: str, refusal: Refusal, told: Sequence[DeferredEvent]
    ) -> None:
        now_ms = self._clock.wall_ms()
        try:
            await asyncio.to_thread(
                lambda: self._household.note_refusal(
                    digest,
                    quarter=quarter_of(now_ms),
                    reason=refusal.reason,
                    now_ms=now_ms,
                    promises=told,
                )
            )
        except OSError:
            log.exception("a refusal was sent, but that could not be stored")
            await self._promises.publish_unsaved(told)
        await self._promises.flush()

    async def _tell(
        self, credential_id: str, body: NoteBody, *, also: BrowserKeys | None = None
    ) -> None:
        owner = self._owners.find(credential_id)
        if owner is not None:
            await self._notes.to_one_of_all(owner, body, also=also)


def _newcomer_of(signed: SignedStatement) -> BrowserKeys | None:
    """Return the owner's browser that a statement would let in, which shows the outcome too."""
    try:
        terms = decode(Statement, signed.statement.encode()).terms
    except WireError:
        return None
    if isinstance(terms, GiveRight) and terms.holder == "owner":
        return terms.browser
    return None
