"""Table of failed logins, by address and account."""

from dataclasses import dataclass

from sqlalchemy import delete, select

from relay.store.database import Transaction
from relay.store.schema import sign_in_failures
from relay.store.upserts import upsert

LIFE_MS = 24 * 3600 * 1000


@dataclass(frozen=True, slots=True)
class Failures:
    """How many logins failed in a row, and when the last did."""

    count: int
    last_ms: int


async def find(tx: Transaction, pair: str) -> Failures | None:
    """Return the failures of a pair of address and account, which is a hash."""
    query = select(sign_in_failures).where(sign_in_failures.c.pair_hash == pair)
    row = (await tx.execute(query)).mappings().one_or_none()
    return None if row is None else Failures(row["failures"], row["last_ms"])


async def put(tx: Transaction, pair: str, failures: Failures) -> None:
    """Keep the failures of a pair."""
    values = {"failures": failures.count, "last_ms": failures.last_ms}
    change = upsert(tx, sign_in_failures).values(pair_hash=pair, **values)
    await tx.execute(
        change.on_conflict_do_update(index_elements=[sign_in_failures.c.pair_hash], set_=values)
    )


async def forget(tx: Transaction, pair: str) -> None:
    """Delete the failures of a pair."""
    await tx.execute(delete(sign_in_failures).where(sign_in_failures.c.pair_hash == pair))


async def forget_old(tx: Transaction, *, before_ms: int) -> None:
    """Delete those whose last failure was before a time."""
    await tx.execute(delete(sign_in_failures).where(sign_in_failures.c.last_ms < before_ms))
