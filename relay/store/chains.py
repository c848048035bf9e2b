"""Queries for the chain of custody: a package's downloads, and their log entries."""

from dataclasses import dataclass

from sqlalchemy import func, select

from relay.store.database import Transaction
from relay.store.schema import accounts, downloads, log_entries, packages

_GIVEN_MS = func.coalesce(downloads.c.given_ms, downloads.c.at_ms).label("at_ms")


@dataclass(frozen=True, slots=True, kw_only=True)
class DownloadRow:
    """One download: its officer, and when its URL was given, or until then requested."""

    id: str
    officer: str
    at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedEntry:
    """An entry's index in its log, and the time from which it could get one."""

    index: int
    not_before_ms: int


async def list_downloads(tx: Transaction, package_id: str) -> list[DownloadRow]:
    """Return a package's downloads, in order."""
    query = (
        select(downloads.c.id, accounts.c.name, _GIVEN_MS)
        .join(accounts, accounts.c.id == downloads.c.account_id)
        .where(downloads.c.package_id == package_id)
        .order_by(_GIVEN_MS, downloads.c.id)
    )
    return [
        DownloadRow(id=row.id, officer=row.name, at_ms=row.at_ms) for row in await tx.execute(query)
    ]


async def list_downloaded(tx: Transaction, agency: str) -> dict[str, int]:
    """Return an agency's packages that its officers have fetched, with the first time."""
    query = (
        select(packages.c.package_id, func.min(_GIVEN_MS).label("first_ms"))
        .join(downloads, downloads.c.package_id == packages.c.package_id)
        .where(packages.c.agency == agency)
        .group_by(packages.c.package_id)
    )
    return {row.package_id: row.first_ms for row in await tx.execute(query)}


async def find_placed(tx: Transaction, log: str, key: str) -> PlacedEntry | None:
    """Return the index of a key's entry; None if it has none yet."""
    query = select(log_entries.c.leaf_index, log_entries.c.not_before_ms).where(
        log_entries.c.log == log, log_entries.c.key == key
    )
    row = (await tx.execute(query)).first()
    if row is None or row.leaf_index is None:
        return None
    return PlacedEntry(index=row.leaf_index, not_before_ms=row.not_before_ms)
