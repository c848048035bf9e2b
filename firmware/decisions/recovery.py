"""Recovery from storage damage: unreadable statements and packages.

An unreadable statement, or one of another version, is marked refused, and every owner is notified.
A damaged package never leaves; its grant stays done, and its owner is notified once. A package
that is wholly in the bucket by then is no loss. Neither keeps back any other statement.
"""

import asyncio
import logging

from firmware.consent.facts import Refusal
from firmware.decisions.package_sealer import PackageSealer
from firmware.decisions.replies import StatementReplies
from firmware.errors import DoorwardError
from firmware.outbox.deferred_events import DeferredEvents
from firmware.protocol.releases import package_id_of
from firmware.store.statements import StatementStore

log = logging.getLogger(__name__)

DAMAGED = Refusal(
    reason="card_spoilt",
    detail="the memory card spoilt its package: what wasn't sent yet never will be;"
    " take back what was, or give it anew",
)


class Recovery:
    """Finds one doorbell's damaged statements and packages, and notifies the owners."""

    def __init__(
        self,
        *,
        answers: StatementReplies,
        facts_store: StatementStore,
        promises: DeferredEvents,
        releasing: PackageSealer,
    ) -> None:
        self._answers = answers
        self._store = facts_store
        self._promises = promises
        self._releasing = releasing
        self._told: set[str] = set()
        """Grants whose owner was notified of the damaged package since the start."""

    async def recover(self) -> None:
        """Refuse unreadable statements, report damaged packages; while nothing is under way."""
        try:
            for digest in await asyncio.to_thread(self._store.unreadable_in, "confirmed"):
                await self._refuse(digest)
            for digest in await asyncio.to_thread(self._with_damaged_package):
                await self._tell_damaged(digest)
        except (DoorwardError, OSError):  # it mustn't keep the doorbell from starting
            log.exception("recovery from damaged statements is tried again later")

    async def _refuse(self, digest: str) -> None:
        """Mark a statement refused. Its signer is unreadable, so every owner is notified."""
        await asyncio.to_thread(self._releasing.discard, digest)  # sealed, and never announced
        with self._promises.collect() as told:
            await self._answers.lost(digest)
        await asyncio.to_thread(
            lambda: self._store.move_statement(
                digest, from_state="confirmed", to="refused", promises=told
            )
        )
        await self._promises.flush()

    def _with_damaged_package(self) -> list[str]:
        damaged = self._releasing.damaged()
        if not damaged:
            return []
        untold = self._store.released() - self._told
        return [digest for digest in untold if package_id_of(digest) in damaged]

    async def _tell_damaged(self, digest: str) -> None:
        statement = await asyncio.to_thread(self._store.statement, digest)
        if statement is not None:
            await self._answers.refused(statement.statement.encode(), DAMAGED)
        self._told.add(digest)
