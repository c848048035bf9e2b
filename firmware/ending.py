"""What of a grant may leave no more: known in memory first, and deleted whatever the card does.

What was judged over once stays so: what is told, or decided otherwise later, doesn't wake it up. A
package that is sealed and not announced yet is judged again before it is.
"""

import asyncio
import logging
from typing import Literal

from firmware.consent.facts import Refusal
from firmware.consent.sealed import keeps_back
from firmware.decisions.facts import Gathering
from firmware.decisions.package_sealer import Releasing
from firmware.protocol.grants import SignedStatement
from firmware.store.statements import FactsStore, StatementState

log = logging.getLogger(__name__)

TAKEN_BACK = Refusal(reason="revoked", detail="this grant was taken back")


class Ending:
    """What is over at one doorbell, by the digests of the statements."""

    def __init__(
        self, *, gathering: Gathering, facts_store: FactsStore, releasing: Releasing
    ) -> None:
        self._gathering = gathering
        self._store = facts_store
        self._releasing = releasing
        self._over: dict[str, Refusal] = {}
        """Whatever the card keeps of it, until a restart."""
        self._left: set[str] | None = None
        """Whose packages are still to be deleted; None: the card wasn't asked yet."""

    def of(self, digest: str) -> Refusal | None:
        """Return why it is over, as far as memory knows."""
        return self._over.get(digest)

    def stop(self, grant_digest: str) -> None:
        """Let nothing more of a grant leave until a restart: at once, and without the card."""
        self._over[grant_digest] = TAKEN_BACK
        self._releasing.end(grant_digest)

    async def take_back(self, grant_digest: str) -> None:
        """End what is under way of a grant, and ask back what left (R14).

        Raises OSError if the card doesn't delete everything; what left is asked back all the same.
        """
        self.stop(grant_digest)
        state = await asyncio.to_thread(self.state_of, grant_digest)
        if state is None:
            return
        try:
            if state == "done" or await asyncio.to_thread(self._releasing.is_there, grant_digest):
                await self._releasing.take_back(grant_digest)
        finally:
            await self.end(grant_digest, "waiting")
            await self.end(grant_digest)

    def state_of(self, grant_digest: str) -> StatementState | None:
        """Return a grant's state; what the card doesn't tell may have left."""
        try:
            return self._store.state_of(grant_digest)
        except OSError:
            log.exception("the memory card doesn't tell how far a grant has come")
            return "done"

    async def end(self, digest: str, state: Literal["waiting", "confirmed"] = "confirmed") -> None:
        """Keep that it is refused, if it is in that state."""
        await asyncio.to_thread(
            lambda: self._store.move_statement(digest, from_state=state, to="refused")
        )

    def refuse(self, digest: str, refusal: Refusal) -> None:
        """It was confirmed, and can't be: not later, either."""
        self._over.setdefault(digest, refusal)

    async def keeps_back(self, digest: str, signed: SignedStatement) -> Refusal | None:
        """Return what keeps back a package that was sealed and not announced yet.

        "clock" and "register" do so for now, all else for good.
        """
        facts = await asyncio.to_thread(self._gathering.facts)
        return self.of(digest) or keeps_back(signed, facts)

    async def delete(self, digest: str) -> None:
        """Delete what was sealed and never announced; what the card keeps, `go_on` deletes."""
        if self._left is not None:
            self._left.add(digest)
        await self.go_on()

    async def go_on(self) -> None:
        """Now and then, and at a start: delete what is still here of what was refused."""
        try:
            if self._left is None:
                self._left = await asyncio.to_thread(self._refused_and_here)
        except OSError:
            log.exception("the memory card doesn't tell what is to be deleted")
            return
        for digest in sorted(self._left):
            try:
                await asyncio.to_thread(self._releasing.discard, digest)
            except OSError:
                log.exception("what may not leave any more is deleted later")
            else:
                self._left.discard(digest)

    def _refused_and_here(self) -> set[str]:
        refused = self._store.statements_in("refused")
        return {one.digest for one in refused if self._releasing.is_there(one.digest)}
