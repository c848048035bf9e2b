"""Administrators' accounts for the pages: listed and ended only at the command line.

Their pages can't reach them, so that nobody who took one over can shut the others out.
"""

from relay.store import reads
from relay.store.database import Database
from relay.store.reads import AdminAccount


async def list_admins(database: Database) -> list[AdminAccount]:
    """Return all administrators' accounts, the oldest first."""
    async with database.read() as tx:
        return await reads.list_admins(tx)


async def end_admin(database: Database, account_id: str, now_ms: int) -> bool:
    """End an administrator's account and sign it out; False if there is none such."""
    async with database.begin() as tx:
        if account_id not in {one.id for one in await reads.list_admins(tx)}:
            return False
        await reads.suspend_account(tx, account_id, now_ms)
    return True
