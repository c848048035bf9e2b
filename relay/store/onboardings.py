"""Tables of agencies' onboardings, and of the reminders of agreements' ends that were sent.

What a state means and who may move it on is decided in relay.agency.onboarding.
"""

from dataclasses import dataclass
from typing import Any, Literal, cast

from sqlalchemy import Row, and_, delete, func, insert, or_, select, update

from relay.store.database import Transaction
from relay.store.schema import onboardings, reminders
from relay.store.upserts import upsert

State = Literal["asked", "confirmed", "enrolled", "prepared", "submitted", "refused"]


@dataclass(frozen=True, slots=True, kw_only=True)
class OnboardingRow:
    """One onboarding; `enrolment` and `proposed` are JSON."""

    id: str
    agency: str
    name: str
    email: str
    code_hash: str | None
    code_expires_ms: int | None
    code_tries: int
    confirmed_ms: int | None
    enrolment: str | None
    proposed: str | None
    state: State
    reason: str | None
    asked_ms: int
    changed_ms: int


async def add(
    tx: Transaction, onboarding_id: str, *, agency: str, name: str, email: str, now_ms: int
) -> None:
    """Store a new onboarding in the state `asked`."""
    await tx.execute(
        insert(onboardings).values(
            id=onboarding_id,
            agency=agency,
            name=name,
            email=email,
            code_tries=0,
            state="asked",
            asked_ms=now_ms,
            changed_ms=now_ms,
        )
    )


async def change(tx: Transaction, onboarding_id: str, now_ms: int, **values: Any) -> None:
    """Set columns of an onboarding; `values` are named as in OnboardingRow."""
    await tx.execute(
        update(onboardings)
        .where(onboardings.c.id == onboarding_id)
        .values(**values, changed_ms=now_ms)
    )


async def find(tx: Transaction, onboarding_id: str) -> OnboardingRow | None:
    """Return one onboarding."""
    query = select(onboardings).where(onboardings.c.id == onboarding_id)
    row = (await tx.execute(query)).first()
    return None if row is None else _row(row)


async def list_newest(
    tx: Transaction, states: tuple[State, ...], *, offset: int = 0, limit: int = 50
) -> list[OnboardingRow]:
    """Return the onboardings in one of these states, last changed first."""
    query = (
        select(onboardings)
        .where(onboardings.c.state.in_(states))
        .order_by(onboardings.c.changed_ms.desc(), onboardings.c.id)
        .offset(offset)
        .limit(limit)
    )
    return [_row(row) for row in await tx.execute(query)]


async def count(tx: Transaction, states: tuple[State, ...]) -> int:
    """Return the number of onboardings in these states."""
    query = select(func.count()).where(onboardings.c.state.in_(states))
    return int((await tx.execute(query)).scalar_one())


async def find_address(tx: Transaction, agency: str) -> str | None:
    """Return the newest confirmed address of an admitted agency."""
    query = (
        select(onboardings.c.email)
        .where(onboardings.c.agency == agency, onboardings.c.state == "submitted")
        .order_by(onboardings.c.changed_ms.desc())
        .limit(1)
    )
    address: str | None = (await tx.execute(query)).scalar_one_or_none()
    return address


async def forget(tx: Transaction, *, asked_before_ms: int, left_before_ms: int) -> None:
    """Delete expired onboardings: unconfirmed, abandoned or refused."""
    column = onboardings.c
    asked = and_(column.state == "asked", column.changed_ms < asked_before_ms)
    left = and_(
        column.state.in_(("confirmed", "enrolled", "refused")), column.changed_ms < left_before_ms
    )
    await tx.execute(delete(onboardings).where(or_(asked, left)))


async def take_reminder(
    tx: Transaction, agency: str, subject: str, days_before: int, now_ms: int
) -> bool:
    """Store that a reminder is being sent; False if it was sent before."""
    statement = (
        upsert(tx, reminders)
        .values(agency=agency, subject=subject, days_before=days_before, sent_ms=now_ms)
        .on_conflict_do_nothing(index_elements=["agency", "subject", "days_before"])
    )
    return (await tx.execute(statement)).rowcount == 1


async def give_reminder_back(tx: Transaction, agency: str, subject: str, days_before: int) -> None:
    """Delete the note of a reminder that couldn't be sent."""
    await tx.execute(
        delete(reminders).where(
            reminders.c.agency == agency,
            reminders.c.subject == subject,
            reminders.c.days_before == days_before,
        )
    )


def _row(row: Row[tuple[object, ...]]) -> OnboardingRow:
    return OnboardingRow(
        id=row.id,
        agency=row.agency,
        name=row.name,
        email=row.email,
        code_hash=row.code_hash,
        code_expires_ms=row.code_expires_ms,
        code_tries=row.code_tries,
        confirmed_ms=row.confirmed_ms,
        enrolment=row.enrolment,
        proposed=row.proposed,
        state=cast("State", row.state),
        reason=row.reason,
        asked_ms=row.asked_ms,
        changed_ms=row.changed_ms,
    )
