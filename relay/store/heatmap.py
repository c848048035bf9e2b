"""Tables of the theft map: open months with their reports, counts, editions and imported layers.

A report names its account and doorbells by HMAC-SHA256 under the month's secret. With it an account
finds its own reports; publication deletes both, and keeps the counts that are shown.
"""

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import delete, insert, select, update

from firmware.protocol.encoding import unb64u
from relay.store.database import Transaction
from relay.store.schema import (
    account_doorbells,
    guests,
    theft_counts,
    theft_editions,
    theft_imports,
    theft_months,
    theft_reports,
)
from relay.store.upserts import upsert


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenMonth:
    """A month that isn't published, with the secret of its pseudonyms (base64url)."""

    month: str
    secret: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportRow:
    """One report, by the pseudonyms of its month."""

    cell: str
    account_tag: str
    doorbell_tags: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportRow:
    """One imported layer as it is published."""

    id: str
    body: str
    imported_ms: int


def account_tag_of(month: OpenMonth, account_id: str) -> str:
    """Return an account's pseudonym of a month."""
    return _tag(month, "account", account_id)


def _tag(month: OpenMonth, kind: str, name: str) -> str:
    said = f"doorward/theft-report/v1/{month.month}/{kind}/{name}".encode()
    return hmac.new(unb64u(month.secret), said, hashlib.sha256).hexdigest()


# --- months ----------------------------------------------------------------------------------


async def newest_month(tx: Transaction) -> str | None:
    """Return the last month that there is, open or published."""
    query = select(theft_months.c.month).order_by(theft_months.c.month.desc()).limit(1)
    month: str | None = (await tx.execute(query)).scalar()
    return month


async def open_months(tx: Transaction) -> list[OpenMonth]:
    """Return the months that aren't published, the oldest first."""
    query = select(theft_months).where(theft_months.c.published_ms.is_(None))
    rows = await tx.execute(query.order_by(theft_months.c.month))
    return [OpenMonth(month=row.month, secret=row.secret) for row in rows]


async def add_month(tx: Transaction, month: OpenMonth) -> None:
    """Open a month."""
    await tx.execute(insert(theft_months).values(month=month.month, secret=month.secret))


async def close_month(
    tx: Transaction, month: str, counts: Mapping[str, int], body: str, *, published_ms: int
) -> bool:
    """Publish a month: keep the shown counts and its edition, erase reports and secret.

    Return False, and change nothing, if it was published already.
    """
    closed = await tx.execute(
        update(theft_months)
        .where(theft_months.c.month == month, theft_months.c.published_ms.is_(None))
        .values(published_ms=published_ms, secret=None)
    )
    if closed.rowcount == 0:
        return False
    await tx.execute(delete(theft_reports).where(theft_reports.c.month == month))
    rows = [{"month": month, "cell": cell, "households": count} for cell, count in counts.items()]
    if rows:
        await tx.execute(insert(theft_counts), rows)
    await tx.execute(insert(theft_editions).values(month=month, body=body))
    return True


# --- reports ---------------------------------------------------------------------------------


async def add_report(tx: Transaction, month: OpenMonth, cell: str, account_id: str) -> None:
    """Add an account's report; a second one of the same cell and month changes nothing."""
    await tx.execute(
        upsert(tx, theft_reports)
        .values(
            month=month.month,
            cell=cell,
            account_tag=account_tag_of(month, account_id),
            doorbell_tags=" ".join(await _doorbell_tags(tx, month, account_id)),
        )
        .on_conflict_do_nothing()
    )


async def delete_report(tx: Transaction, month: OpenMonth, cell: str, account_id: str) -> None:
    """Delete an account's report, if there is one."""
    await tx.execute(
        delete(theft_reports).where(
            theft_reports.c.month == month.month,
            theft_reports.c.cell == cell,
            theft_reports.c.account_tag == account_tag_of(month, account_id),
        )
    )


async def cells_of(tx: Transaction, month: OpenMonth, account_id: str) -> list[str]:
    """Return the cells of an account's reports of a month."""
    query = select(theft_reports.c.cell).where(
        theft_reports.c.month == month.month,
        theft_reports.c.account_tag == account_tag_of(month, account_id),
    )
    return list((await tx.execute(query.order_by(theft_reports.c.cell))).scalars())


async def reports_of(tx: Transaction, month: str) -> list[ReportRow]:
    """Return all reports of a month."""
    rows = await tx.execute(select(theft_reports).where(theft_reports.c.month == month))
    return [
        ReportRow(
            cell=row.cell,
            account_tag=row.account_tag,
            doorbell_tags=tuple(row.doorbell_tags.split()),
        )
        for row in rows
    ]


async def delete_account_reports(tx: Transaction, account_id: str) -> int:
    """Delete an account's reports of the open months; return how many there were."""
    count = 0
    for month in await open_months(tx):
        result = await tx.execute(
            delete(theft_reports).where(
                theft_reports.c.month == month.month,
                theft_reports.c.account_tag == account_tag_of(month, account_id),
            )
        )
        count += int(result.rowcount)
    return count


async def count_account_reports(tx: Transaction, account_id: str) -> int:
    """Return the number of an account's reports in the open months."""
    months = await open_months(tx)
    return sum([len(await cells_of(tx, month, account_id)) for month in months])


async def _doorbell_tags(tx: Transaction, month: OpenMonth, account_id: str) -> list[str]:
    """Return the pseudonyms of the doorbells that an account owns or is a guest of."""
    devices: set[str] = set()
    for table in (account_doorbells, guests):
        query = select(table.c.device).where(table.c.account_id == account_id)
        devices |= set((await tx.execute(query)).scalars())
    return sorted(_tag(month, "doorbell", device) for device in devices)


# --- what was published ------------------------------------------------------------------------


async def shown_counts(tx: Transaction, *, since: str) -> dict[str, dict[str, int]]:
    """Return the kept counts by month and cell, of the published months from one on."""
    published = select(theft_months.c.month).where(
        theft_months.c.month >= since, theft_months.c.published_ms.is_not(None)
    )
    found: dict[str, dict[str, int]] = {
        month: {} for month in (await tx.execute(published)).scalars()
    }
    counts = select(theft_counts).where(theft_counts.c.month >= since)
    for row in await tx.execute(counts):
        found[row.month][row.cell] = row.households
    return found


async def find_edition(tx: Transaction, month: str | None = None) -> str | None:
    """Return the edition of a month as it was published, or the newest one."""
    query = select(theft_editions.c.body).order_by(theft_editions.c.month.desc()).limit(1)
    if month is not None:
        query = query.where(theft_editions.c.month == month)
    body: str | None = (await tx.execute(query)).scalar()
    return body


async def edition_months(tx: Transaction) -> list[str]:
    """Return the months of all editions, the newest first."""
    query = select(theft_editions.c.month).order_by(theft_editions.c.month.desc())
    return list((await tx.execute(query)).scalars())


# --- imported layers ---------------------------------------------------------------------------


async def put_import(tx: Transaction, row: ImportRow) -> None:
    """Store a layer in place of the one of its id."""
    values = {"body": row.body, "imported_ms": row.imported_ms}
    await tx.execute(
        upsert(tx, theft_imports)
        .values(id=row.id, **values)
        .on_conflict_do_update(index_elements=["id"], set_=values)
    )


async def delete_import(tx: Transaction, layer_id: str) -> bool:
    """Delete a layer; return whether there was one."""
    result = await tx.execute(delete(theft_imports).where(theft_imports.c.id == layer_id))
    return bool(result.rowcount)


async def list_imports(tx: Transaction) -> Sequence[ImportRow]:
    """Return all layers, by their ids."""
    rows = await tx.execute(select(theft_imports).order_by(theft_imports.c.id))
    return [ImportRow(id=row.id, body=row.body, imported_ms=row.imported_ms) for row in rows]
