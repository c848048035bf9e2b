"""Tables of moderators' decisions and of appeals against them."""

from dataclasses import dataclass
from typing import Literal, cast

from sqlalchemy import Row, insert, or_, select, update

from relay.store.database import Transaction
from relay.store.requests import RequestRow, request_row_of
from relay.store.schema import accounts, appeals, moderation_decisions, requests

Verdict = Literal["passed", "refused", "upheld", "overturned"]
OPERATOR = "operator"
"""The moderator at the relay's own command line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """One moderator's decision. `since_ms` is when it began to wait for that.

    `moderator` is an account or OPERATOR, `category` a refusal's, `reason` for the officers only.
    """

    id: str
    request_id: str
    moderator: str
    verdict: Verdict
    category: str | None
    reason: str
    since_ms: int
    decided_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Appeal:
    """An officer's appeal against a refusal, for another moderator."""

    request_id: str
    account_id: str
    text: str
    appealed_ms: int
    decided_ms: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionLine:
    """A decision in the list of all of them, with its request and the moderator's name."""

    decision: Decision
    agency: str
    case_number: str
    moderator_name: str | None


async def add_decision(tx: Transaction, decision: Decision) -> None:
    """Store a decision."""
    await tx.execute(
        insert(moderation_decisions).values(
            id=decision.id,
            request_id=decision.request_id,
            moderator=decision.moderator,
            decision=decision.verdict,
            category=decision.category,
            reason=decision.reason,
            since_ms=decision.since_ms,
            decided_ms=decision.decided_ms,
        )
    )


async def list_decisions(tx: Transaction, request_id: str) -> list[Decision]:
    """Return the decisions on a request, oldest first."""
    query = (
        select(moderation_decisions)
        .where(moderation_decisions.c.request_id == request_id)
        .order_by(moderation_decisions.c.decided_ms, moderation_decisions.c.id)
    )
    return [_decision(row) for row in await tx.execute(query)]


async def list_all_decisions(tx: Transaction, *, limit: int, offset: int) -> list[DecisionLine]:
    """Return the newest decisions."""
    query = (
        select(moderation_decisions, accounts.c.name)
        .outerjoin(accounts, accounts.c.id == moderation_decisions.c.moderator)
        .order_by(moderation_decisions.c.decided_ms.desc(), moderation_decisions.c.id)
        .limit(limit)
        .offset(offset)
    )
    found = (await tx.execute(query)).all()
    rows = await _rows(tx, {row.request_id for row in found})
    return [
        DecisionLine(
            decision=_decision(row),
            agency=rows[row.request_id].agency,
            case_number=rows[row.request_id].request.case_number,
            moderator_name=row.name,
        )
        for row in found
    ]


async def list_times(tx: Transaction) -> list[Decision]:
    """Return all decisions ever, oldest first, for the public record's statistics."""
    query = select(moderation_decisions).order_by(moderation_decisions.c.decided_ms)
    return [_decision(row) for row in await tx.execute(query)]


async def appeal_times(tx: Transaction) -> list[int]:
    """Return the times of all appeals."""
    query = select(appeals.c.appealed_ms).order_by(appeals.c.appealed_ms)
    return list((await tx.execute(query)).scalars())


async def add_appeal(tx: Transaction, appeal: Appeal) -> None:
    """Store an appeal: one a request."""
    await tx.execute(
        insert(appeals).values(
            request_id=appeal.request_id,
            account_id=appeal.account_id,
            text=appeal.text,
            appealed_ms=appeal.appealed_ms,
        )
    )


async def find_appeal(tx: Transaction, request_id: str) -> Appeal | None:
    """Return the appeal about a request."""
    row = (await tx.execute(select(appeals).where(appeals.c.request_id == request_id))).first()
    return None if row is None else _appeal(row)


async def list_appeals(tx: Transaction, *, limit: int) -> list[tuple[Appeal, RequestRow]]:
    """Return the undecided appeals, the oldest first, each with its request."""
    query = (
        select(appeals)
        .where(appeals.c.decided_ms.is_(None))
        .order_by(appeals.c.appealed_ms, appeals.c.request_id)
        .limit(limit)
    )
    found = [_appeal(row) for row in await tx.execute(query)]
    rows = await _rows(tx, {one.request_id for one in found})
    return [(one, rows[one.request_id]) for one in found]


async def list_decided_appeals(
    tx: Transaction, account_id: str, *, since_ms: int
) -> list[tuple[Decision, RequestRow]]:
    """Return the decided appeals about this officer's requests since a time, newest first."""
    mine = or_(requests.c.account_id == account_id, requests.c.cosigner_id == account_id)
    query = (
        select(moderation_decisions)
        .join(requests, requests.c.id == moderation_decisions.c.request_id)
        .where(
            mine,
            moderation_decisions.c.decision.in_(("upheld", "overturned")),
            moderation_decisions.c.decided_ms >= since_ms,
        )
        .order_by(moderation_decisions.c.decided_ms.desc(), moderation_decisions.c.id)
    )
    found = [_decision(row) for row in await tx.execute(query)]
    rows = await _rows(tx, {one.request_id for one in found})
    return [(one, rows[one.request_id]) for one in found]


async def close_appeal(tx: Transaction, request_id: str, now_ms: int) -> None:
    """Store an appeal's decision."""
    await tx.execute(
        update(appeals).where(appeals.c.request_id == request_id).values(decided_ms=now_ms)
    )


async def moderator_names(tx: Transaction, ids: set[str]) -> dict[str, str]:
    """Return moderators' names by their accounts."""
    query = select(accounts.c.id, accounts.c.name).where(accounts.c.id.in_(ids))
    return {row.id: row.name for row in await tx.execute(query)}


async def _rows(tx: Transaction, ids: set[str]) -> dict[str, RequestRow]:
    query = select(requests).where(requests.c.id.in_(ids))
    return {row.id: request_row_of(row) for row in await tx.execute(query)}


def _decision(row: Row[tuple[object, ...]]) -> Decision:
    return Decision(
        id=row.id,
        request_id=row.request_id,
        moderator=row.moderator,
        verdict=cast("Verdict", row.decision),
        category=row.category,
        reason=row.reason,
        since_ms=row.since_ms,
        decided_ms=row.decided_ms,
    )


def _appeal(row: Row[tuple[object, ...]]) -> Appeal:
    return Appeal(
        request_id=row.request_id,
        account_id=row.account_id,
        text=row.text,
        appealed_ms=row.appealed_ms,
        decided_ms=row.decided_ms,
    )
