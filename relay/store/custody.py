"""Tables behind the custody log: deletion requests, and counts of packages and refusals."""

import json
from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import Row, delete, insert, or_, select, update

from firmware.protocol.custody import SignedDeletionAnswer
from firmware.protocol.encoding import decode
from relay.store.database import Transaction
from relay.store.schema import deletions, received_counts, refusal_counts


@dataclass(frozen=True, slots=True, kw_only=True)
class Deletion:
    """An owner's request that an agency deletes a package, and its answer."""

    package_id: str
    agency: str
    asked_ms: int
    answer_by_ms: int
    answer: SignedDeletionAnswer | None


async def put_deletion(tx: Transaction, deletion: Deletion) -> None:
    """Store a deletion request."""
    await tx.execute(
        insert(deletions).values(
            package_id=deletion.package_id,
            agency=deletion.agency,
            asked_ms=deletion.asked_ms,
            answer_by_ms=deletion.answer_by_ms,
        )
    )


async def find_deletion(tx: Transaction, package_id: str) -> Deletion | None:
    """Return the deletion request about a package."""
    query = select(deletions).where(deletions.c.package_id == package_id)
    row = (await tx.execute(query)).first()
    return None if row is None else _deletion(row)


async def list_deletions(tx: Transaction, agency: str, *, asked_until_ms: int) -> list[Deletion]:
    """Return the deletion requests to an agency up to a time, the oldest first."""
    query = (
        select(deletions)
        .where(deletions.c.agency == agency, deletions.c.asked_ms <= asked_until_ms)
        .order_by(deletions.c.answer_by_ms, deletions.c.package_id)
    )
    return [_deletion(row) for row in await tx.execute(query)]


async def answer_deletion(tx: Transaction, package_id: str, answer: SignedDeletionAnswer) -> bool:
    """Store the agency's answer; False if there is another one."""
    text = answer.encode().decode()
    change = (
        update(deletions)
        .where(
            deletions.c.package_id == package_id,
            or_(deletions.c.answer.is_(None), deletions.c.answer == text),
        )
        .values(answer=text)
    )
    return (await tx.execute(change)).rowcount == 1


# --- what is counted ---------------------------------------------------------------------------


async def count_received(tx: Transaction, agency: str, quarter: str) -> int:
    """Count one more package for an agency; return the quarter's count."""
    row = (received_counts.c.agency == agency) & (received_counts.c.quarter == quarter)
    known = (await tx.execute(select(received_counts.c.count).where(row))).scalar_one_or_none()
    if known is None:
        await tx.execute(insert(received_counts).values(agency=agency, quarter=quarter, count=1))
        return 1
    await tx.execute(update(received_counts).where(row).values(count=known + 1))
    return int(known) + 1


async def put_refusals(
    tx: Transaction, *, quarter: str, device: str, counts: dict[str, int]
) -> None:
    """Store a doorbell's refusals in a quarter; its first report counts."""
    row = (refusal_counts.c.quarter == quarter) & (refusal_counts.c.device == device)
    if (await tx.execute(select(refusal_counts.c.device).where(row))).first() is None:
        await tx.execute(
            insert(refusal_counts).values(quarter=quarter, device=device, counts=json.dumps(counts))
        )


async def refusals(tx: Transaction) -> dict[str, list[dict[str, int]]]:
    """Return the reports on quarters that aren't logged yet, one mapping a doorbell."""
    told: dict[str, list[dict[str, int]]] = {}
    for row in await tx.execute(select(refusal_counts)):
        told.setdefault(row.quarter, []).append(json.loads(row.counts))
    return told


async def forget_refusals(tx: Transaction, quarters: Iterable[str]) -> None:
    """Delete the refusals of quarters whose sums are logged."""
    await tx.execute(delete(refusal_counts).where(refusal_counts.c.quarter.in_(list(quarters))))


def _deletion(row: Row[tuple[object, ...]]) -> Deletion:
    text = row.answer
    return Deletion(
        package_id=row.package_id,
        agency=row.agency,
        asked_ms=row.asked_ms,
        answer_by_ms=row.answer_by_ms,
        answer=None if text is None else decode(SignedDeletionAnswer, text.encode()),
    )
