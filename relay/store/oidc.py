"""Whose account at an agency's own identity provider is whose here."""

from sqlalchemy import select

from relay.store.database import Transaction
from relay.store.schema import oidc_identities
from relay.store.upserts import upsert


async def find_account_id(tx: Transaction, issuer: str, subject: str) -> str | None:
    """Return whose this subject is."""
    query = select(oidc_identities.c.account_id).where(
        oidc_identities.c.issuer == issuer, oidc_identities.c.subject == subject
    )
    found: str | None = (await tx.execute(query)).scalar_one_or_none()
    return found


async def link(tx: Transaction, issuer: str, subject: str, account_id: str, now_ms: int) -> bool:
    """Say whose a subject is; False if somebody was quicker."""
    insert = upsert(tx, oidc_identities).values(
        issuer=issuer, subject=subject, account_id=account_id, linked_ms=now_ms
    )
    return (await tx.execute(insert.on_conflict_do_nothing())).rowcount == 1
