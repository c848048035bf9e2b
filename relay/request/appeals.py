"""Appeals against refusals: one a request, decided by another moderator than the first.

Overturned, a request goes on to publication as if it had passed: the rules and its own end apply
again there. Upheld, the refusal stands. That it was refused stays in the register either way.
"""

from firmware.protocol.encoding import new_id
from relay.base.appeal_verdicts import AppealVerdict
from relay.base.clock import Clock
from relay.request.moderation import parse_words
from relay.request.rules import RequestRefused
from relay.store import moderation, requests
from relay.store.database import Database, Transaction
from relay.store.moderation import OPERATOR, Appeal, Decision
from relay.store.people import Account
from relay.store.requests import RequestRow

APPEAL_WITHIN_MS = 7 * 24 * 3600 * 1000
MAX_LISTED = 200


class Appeals:
    """The appeals service: officers appeal, other moderators decide."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def appeal(self, officer: Account, request_id: str, text: str) -> None:
        """Appeal against the refusal of one's own request, once and within 7 days."""
        text = parse_words(text, "an appeal says why the request keeps the rules")
        now_ms = self._clock.wall_ms()
        async with self._database.begin() as tx:
            row = await requests.find_request(tx, request_id)
            if row is None or officer.id not in (row.account_id, row.cosigner_id):
                raise RequestRefused("form.not_yours", "no such request is yours")
            if await moderation.find_appeal(tx, request_id) is not None:
                raise RequestRefused("state.appealed", "this refusal was appealed already")
            if row.state != "refused":
                raise RequestRefused("state.not_refused", "only a refusal can be appealed")
            if now_ms >= row.changed_ms + APPEAL_WITHIN_MS:
                raise RequestRefused("state.appeal_late", "a refusal can be appealed within 7 days")
            appeal = Appeal(
                request_id=request_id,
                account_id=officer.id,
                text=text,
                appealed_ms=now_ms,
                decided_ms=None,
            )
            await moderation.add_appeal(tx, appeal)

    async def of_request(self, request_id: str) -> tuple[list[Decision], Appeal | None]:
        """Return moderators' decisions on a request, and its appeal."""
        async with self._database.read() as tx:
            decisions = await moderation.list_decisions(tx, request_id)
            return decisions, await moderation.find_appeal(tx, request_id)

    async def decided_of(
        self, officer: Account, *, since_ms: int
    ) -> list[tuple[Decision, RequestRow]]:
        """Return the decided appeals about an officer's requests since a time."""
        async with self._database.read() as tx:
            return await moderation.list_decided_appeals(tx, officer.id, since_ms=since_ms)

    async def waiting(self) -> list[tuple[Appeal, RequestRow]]:
        """Return the undecided appeals, the oldest first."""
        async with self._database.read() as tx:
            return await moderation.list_appeals(tx, limit=MAX_LISTED)

    async def decide(
        self, request_id: str, verdict: AppealVerdict, *, reason: str, moderator: str = OPERATOR
    ) -> None:
        """Decide an appeal, as another moderator than the one who refused. RequestRefused."""
        reason = parse_words(reason, "whoever decides an appeal says why, to the officers alone")
        now_ms = self._clock.wall_ms()
        async with self._database.begin() as tx:
            row, appeal = await self._appealed(tx, request_id)
            if moderator in await _refusers(tx, request_id):
                raise RequestRefused(
                    "moderator", "you refused it yourself: another moderator decides the appeal"
                )
            await moderation.close_appeal(tx, request_id, now_ms)
            await moderation.add_decision(
                tx,
                Decision(
                    id=new_id(),
                    request_id=request_id,
                    moderator=moderator,
                    verdict=verdict,
                    category=row.category if verdict == "upheld" else None,
                    reason=reason,
                    since_ms=appeal.appealed_ms,
                    decided_ms=now_ms,
                ),
            )
            if verdict == "overturned":
                await requests.set_state(tx, request_id, "passed", now_ms)

    async def _appealed(self, tx: Transaction, request_id: str) -> tuple[RequestRow, Appeal]:
        row = await requests.find_request(tx, request_id)
        appeal = await moderation.find_appeal(tx, request_id)
        if row is None or appeal is None:
            raise RequestRefused("form.unknown", f"no appeal about {request_id} waits")
        if appeal.decided_ms is not None or row.state != "refused":
            raise RequestRefused("state.appeal_decided", "the appeal was decided already")
        return row, appeal


def may_appeal(row: RequestRow, appeal: Appeal | None, officer: Account, now_ms: int) -> bool:
    """Return whether a page offers an appeal; `appeal` judges it again."""
    return (
        row.state == "refused"
        and appeal is None
        and officer.id in (row.account_id, row.cosigner_id)
        and now_ms < row.changed_ms + APPEAL_WITHIN_MS
    )


async def _refusers(tx: Transaction, request_id: str) -> set[str]:
    decisions = await moderation.list_decisions(tx, request_id)
    return {one.moderator for one in decisions if one.verdict == "refused"}
