"""Table of links between accounts and subjects at agencies' identity providers."""

from sqlalchemy import delete, select, update

from relay.store.database import Transaction
from relay.store.schema import (
    accounts,
    admin_reads,
    appeals,
    downloads,
    oidc_identities,
    outcomes,
    request_drafts,
    sessions,
)
from relay.store.upserts import upsert


async def find_account_id(tx: Transaction, issuer: str, subject: str) -> str | None:
    """Return the account that a subject is linked with."""
    query = select(oidc_identities.c.account_id).where(
        oidc_identities.c.issuer == issuer, oidc_identities.c.subject == subject
    )
    found: str | None = (await tx.execute(query)).scalar_one_or_none()
    return found


async def linked_ms(tx: Transaction, issuer: str, account_id: str) -> int | None:
    """Return when an account was linked at this issuer; None if it wasn't."""
    query = select(oidc_identities.c.linked_ms).where(
        oidc_identities.c.issuer == issuer, oidc_identities.c.account_id == account_id
    )
    found: int | None = (await tx.execute(query)).scalar_one_or_none()
    return found


async def link(tx: Transaction, issuer: str, subject: str, account_id: str, now_ms: int) -> bool:
    """Link a subject to an account; False if either is linked at that issuer."""
    insert = upsert(tx, oidc_identities).values(
        issuer=issuer, subject=subject, account_id=account_id, linked_ms=now_ms
    )
    return (await tx.execute(insert.on_conflict_do_nothing())).rowcount == 1


async def unlink(tx: Transaction, issuer: str, account_id: str) -> bool:
    """Delete an account's link at this issuer; False if it has none."""
    query = delete(oidc_identities).where(
        oidc_identities.c.issuer == issuer, oidc_identities.c.account_id == account_id
    )
    return (await tx.execute(query)).rowcount == 1


async def merge(tx: Transaction, issuer: str, *, lost_id: str, kept_id: str, now_ms: int) -> bool:
    """Merge one account into another: move its subject and dependent rows, then delete it.

    The lost one never had a passkey, so nothing that was signed can be its own. False if it has
    no subject of this issuer.
    """
    moved = (
        update(oidc_identities)
        .where(oidc_identities.c.issuer == issuer, oidc_identities.c.account_id == lost_id)
        .values(account_id=kept_id, linked_ms=now_ms)
    )
    if (await tx.execute(moved)).rowcount != 1:
        return False
    for table in (request_drafts, appeals, downloads, outcomes, admin_reads):
        await tx.execute(
            update(table).where(table.c.account_id == lost_id).values(account_id=kept_id)
        )
    for table in (oidc_identities, sessions):  # those of issuers that the agency had before
        await tx.execute(delete(table).where(table.c.account_id == lost_id))
    await tx.execute(delete(accounts).where(accounts.c.id == lost_id))
    return True
