"""What a failing card spoilt of what owners confirmed: it isn't carried out, and they are told.

A statement that can't be read any more, or is of another version, counts as refused. A package that
can't be read never leaves; its grant is done and stays so. If all of it is in the bucket by then,
nothing is amiss. Neither may keep back all else.
"""

import asyncio
import logging

from firmware.consent.facts import Refusal
from firmware.decisions.package_sealer import Releasing, package_id_of
from firmware.decisions.replies import Answers
from firmware.errors import DoorwardError
from firmware.outbox.deferred_events import Promises
from firmware.store.statements import FactsStore

log = logging.getLogger(__name__)

DAMAGED = Refusal(
    reason="card_spoilt",
    detail="the memory card spoilt its package: what wasn't sent yet never will be;"
    " take back what was, or give it anew",
)


class Spoilt:
    """Looks for what one doorbell's card spoilt."""

    def __init__(
        self,
        *,
        answers: Answers,
        facts_store: FactsStore,
        promises: Promises,
        releasing: Releasing,
    ) -> None:
        self._answers = answers
        self._store = facts_store
        self._promises = promises
        self._releasing = releasing
        self._told: set[str] = set()

    async def tell(self) -> None:
        """Tell owners of what they don't know yet; while no statement is under way."""
        try:
            for digest in await asyncio.to_thread(self._store.unreadable_in, "confirmed"):
                await self._refuse(digest)
            for digest in await asyncio.to_thread(self._with_damaged_package):
                await self._tell_damaged(digest)
        except (DoorwardError, OSError):  # it mustn't keep the doorbell from starting
            log.exception("what the card spoilt is told later")

    async def _refuse(self, digest: str) -> None:
        """Nobody can say any more what it was, or who signed it: all owners hear of it."""
        await asyncio.to_thread(self._releasing.discard, digest)  # sealed, and never announced
        with self._promises.gather() as told:
            await self._answers.lost(digest)
        await asyncio.to_thread(
            lambda: self._store.move_statement(
                digest, from_state="confirmed", to="refused", promises=told
            )
        )
        await self._promises.keep()

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
