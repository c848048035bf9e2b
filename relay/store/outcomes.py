"""Table of requests' outcomes: the signed word is public, the text beside it only the agency's."""

from dataclasses import dataclass

from sqlalchemy import Row, select

from firmware.protocol.encoding import decode
from firmware.protocol.outcomes import SignedOutcome
from relay.store.database import Transaction
from relay.store.schema import outcomes
from relay.store.upserts import upsert


@dataclass(frozen=True, slots=True, kw_only=True)
class FiledOutcome:
    """One outcome. `private_text` is for the agency alone: no other face may show it."""

    request_digest: str
    agency: str
    account_id: str
    signed: SignedOutcome
    private_text: str
    filed_ms: int


async def add_outcome(tx: Transaction, filed: FiledOutcome) -> bool:
    """Store an outcome; False if the request has one."""
    adding = (
        upsert(tx, outcomes)
        .values(
            request_digest=filed.request_digest,
            agency=filed.agency,
            account_id=filed.account_id,
            signed=filed.signed.encode().decode(),
            private_text=filed.private_text,
            filed_ms=filed.filed_ms,
        )
        .on_conflict_do_nothing(index_elements=[outcomes.c.request_digest])
    )
    return (await tx.execute(adding)).rowcount == 1


async def find_outcome(tx: Transaction, request_digest: str) -> FiledOutcome | None:
    """Return a request's outcome."""
    query = select(outcomes).where(outcomes.c.request_digest == request_digest)
    row = (await tx.execute(query)).first()
    return None if row is None else _filed(row)


async def list_outcomes(tx: Transaction, agency: str) -> list[FiledOutcome]:
    """Return an agency's outcomes, the newest first."""
    query = (
        select(outcomes)
        .where(outcomes.c.agency == agency)
        .order_by(outcomes.c.filed_ms.desc(), outcomes.c.request_digest)
    )
    return [_filed(row) for row in await tx.execute(query)]


async def list_filed(tx: Transaction, agency: str) -> frozenset[str]:
    """Return the digests of an agency's requests that have an outcome."""
    query = select(outcomes.c.request_digest).where(outcomes.c.agency == agency)
    return frozenset((await tx.execute(query)).scalars())


def _filed(row: Row[tuple[object, ...]]) -> FiledOutcome:
    return FiledOutcome(
        request_digest=row.request_digest,
        agency=row.agency,
        account_id=row.account_id,
        signed=decode(SignedOutcome, row.signed.encode()),
        private_text=row.private_text,
        filed_ms=row.filed_ms,
    )
