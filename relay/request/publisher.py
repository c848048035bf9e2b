"""The publisher: puts approved requests into the register at the next batch boundary (R9).

The entry and the row's state are committed together, so a crash publishes nothing twice and
loses nothing. A request that breaks a rule of the register meanwhile, such as one too many of a
case, doesn't go in, and its officers read why. In a batch, what came onto the desk first goes
first: the counts don't depend on who was read first. From there doorbells read it by themselves.
"""

from typing import Protocol

from firmware.protocol.register.entries import RequestLeaf
from firmware.protocol.register.replay import Register
from firmware.protocol.register.rules import RuleBroken, check_area, check_limits
from relay.agency.register import RegisterRefused, RelayRegister
from relay.base.clock import Clock
from relay.base.signals import LOOK_S
from relay.request.agreed_text import require_agreed_text
from relay.request.batches import batch_ms_of, next_boundary_ms, seen_until_ms
from relay.request.rules import RequestRefused, require_agreement
from relay.store import outcomes, requests
from relay.store.database import Database, Transaction
from relay.store.requests import RequestRow

SHORTEST_WAIT_S = 0.2
FOREVER_MS = 2**62


class Notices(Protocol):
    """The hub's notice that the publisher sends."""

    def request_published(self, request_id: str) -> None:
        """Notify every listening app."""
        ...


class Publisher:
    """Puts requests into the register, batch by batch."""

    def __init__(
        self, database: Database, clock: Clock, register: RelayRegister, notices: Notices
    ) -> None:
        self._database = database
        self._clock = clock
        self._register = register
        self._notices = notices
        self._waiter = database.signals.waiter("requests")

    async def run(self) -> None:
        """Publish due requests until cancelled."""
        while True:
            await self.publish_due()
            await self._waiter.wait(await self._wait_s())

    async def publish_due(self) -> list[str]:
        """Publish the requests approved before the last boundary; return the published ids."""
        if not await self._has_passed():
            return []
        batch_ms = batch_ms_of(await self._register.view())
        until_ms = seen_until_ms(self._clock.wall_ms(), batch_ms)
        async with self._database.read() as tx:
            due = await requests.list_passed(tx, until_ms)
        return [row.id for row in due if await self._publish(row)]

    async def _publish(self, row: RequestRow) -> bool:
        now_ms = self._clock.wall_ms()
        try:
            signed = row.signed
            if signed is None or now_ms >= row.request.expires_ms:
                words = "the request had ended before it was published"
                raise RequestRefused("expired.publication", words)
            agency = require_agreement(await self._register.view(), row.agency)
            async with self._database.begin() as tx:
                now = await requests.find_request(tx, row.id)
                if now is None or now.state != "passed":
                    return False  # taken back, or another replica was first
                await require_agreed_text(tx, agency)
                await self._require_no_outcome(tx, row)
                await self._register.add(tx, RequestLeaf(signed=signed), key=f"request/{row.id}")
                await requests.set_state(tx, row.id, "logged", now_ms)
        except (RegisterRefused, RequestRefused) as error:
            async with self._database.begin() as tx:
                now = await requests.find_request(tx, row.id)
                if now is not None and now.state == "passed":
                    why = await self._why(tx, row, error)
                    await requests.set_state(tx, row.id, "void", now_ms, why=why)
            return False
        self._notices.request_published(row.id)
        return True

    async def _require_no_outcome(self, tx: Transaction, row: RequestRow) -> None:
        """Refuse a renewal of a request whose outcome is filed: a renewal's outcome is for both."""
        renewed_id = row.request.renewed_id
        if renewed_id is None:
            return
        renewed = (await self._register.replayed(tx)).request_by_id(renewed_id)
        if renewed and await outcomes.find_outcome(tx, renewed.signed.request_digest):
            words = "an outcome was filed of the request that it renews"
            raise RequestRefused("state.outcome", words)

    async def _why(
        self, tx: Transaction, row: RequestRow, error: RegisterRefused | RequestRefused
    ) -> str:
        """Return the broken rule's name, which pages have texts for, or the register's message."""
        if isinstance(error, RequestRefused):
            return error.name
        return _rule_of(row, await self._register.replayed(tx)) or str(error)

    async def _has_passed(self) -> bool:
        async with self._database.read() as tx:
            return bool(await requests.list_passed(tx, FOREVER_MS))

    async def _wait_s(self) -> float:
        """Return the time to the next boundary, or to the next look if nothing waits for one."""
        if not await self._has_passed():
            return LOOK_S
        now_ms = self._clock.wall_ms()
        batch_ms = batch_ms_of(await self._register.view())
        wait_s = (next_boundary_ms(now_ms, batch_ms) - now_ms) / 1000
        return max(wait_s, SHORTEST_WAIT_S)


def _rule_of(row: RequestRow, register: Register) -> str | None:
    """Return the register's rule that refuses a request, if it has a name."""
    newest, signed = register.newest_agreement(row.agency), row.signed
    if newest is None or signed is None:
        return None
    try:
        check_limits(row.request, register.limits[-1].limits)
        check_area(row.request.cells, newest.agreement)
        register.check_counts(row.request, limits_from=len(register.limits) - 1)
    except RuleBroken as broken:
        return broken.rule
    known = [register.officer_of(one) for one in (signed.officer, signed.cosigner)]
    is_revoked = any(one is not None and one.is_revoked for one in known)
    return "officer.revoked" if is_revoked else None
