"""Tables of the credits: the ledger, its partners and campaigns, and sign-ups that wait.

The ledger is append-only: nothing here changes or deletes a transaction or a line. Whether a
transaction may be added is decided in relay.credit; the database refuses an uncovered balance.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import ColumnElement, delete, func, insert, select, update

from relay.store.database import Transaction, signal
from relay.store.schema import (
    accounts,
    agency_settings,
    credit_balances,
    credit_campaigns,
    credit_due,
    credit_issues,
    credit_lines,
    credit_months,
    credit_partners,
    credit_recipient_lists,
    credit_transactions,
    credit_used,
    onboardings,
)
from relay.store.upserts import upsert

TransactionKind = Literal["endowment", "funds", "budget", "match", "booking", "issue"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PartnerRow:
    """A partner; contact and e-mail address aren't public."""

    id: str
    name: str
    kind: str
    contact: str
    email: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignRow:
    """A campaign; `head_start` (0 to 12) counts towards its first lot."""

    code: str
    partner: str
    head_start: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerLine:
    """A change of one account's balance, in cents."""

    account: str
    cents: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerTransaction:
    """A transaction of the ledger: its lines sum to 0. `reference` is the SHA-256 of a receipt."""

    number: int
    month: str
    kind: TransactionKind
    reference: str | None
    lines: tuple[LedgerLine, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ListRow:
    """A published recipient list; `checkpoint_root` is None until the draw."""

    name: str
    document: str
    sha256: str
    entry: int
    checkpoint_size: int | None = None
    checkpoint_root: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PortalPeople:
    """Everybody with a login to the portal, and the official mail domains of agencies."""

    names: frozenset[str]
    emails: frozenset[str]
    domains: frozenset[str]


# --- partners and campaigns -------------------------------------------------------------------


async def add_partner(tx: Transaction, row: PartnerRow) -> bool:
    """Insert a partner; False if its id is taken."""
    values = {
        "id": row.id, "name": row.name, "kind": row.kind,
        "contact": row.contact, "email": row.email,
    }  # fmt: skip
    added = upsert(tx, credit_partners).values(**values).on_conflict_do_nothing()
    return (await tx.execute(added)).rowcount == 1


async def find_partner(tx: Transaction, partner_id: str) -> PartnerRow | None:
    """Return one partner."""
    query = select(credit_partners).where(credit_partners.c.id == partner_id)
    row = (await tx.execute(query)).first()
    return None if row is None else PartnerRow(**row._mapping)


async def list_partners(tx: Transaction) -> list[PartnerRow]:
    """Return all partners, by name."""
    query = select(credit_partners).order_by(credit_partners.c.name, credit_partners.c.id)
    return [PartnerRow(**row._mapping) for row in await tx.execute(query)]


async def add_campaign(tx: Transaction, row: CampaignRow) -> bool:
    """Insert a campaign; False if its code is taken."""
    values = {"code": row.code, "partner": row.partner, "head_start": row.head_start}
    added = upsert(tx, credit_campaigns).values(**values).on_conflict_do_nothing()
    return (await tx.execute(added)).rowcount == 1


async def find_campaign(tx: Transaction, code: str) -> CampaignRow | None:
    """Return one campaign."""
    query = select(credit_campaigns).where(credit_campaigns.c.code == code)
    row = (await tx.execute(query)).first()
    return None if row is None else CampaignRow(**row._mapping)


async def list_campaigns(tx: Transaction) -> list[CampaignRow]:
    """Return all campaigns, by code."""
    query = select(credit_campaigns).order_by(credit_campaigns.c.code)
    return [CampaignRow(**row._mapping) for row in await tx.execute(query)]


async def portal_people(tx: Transaction) -> PortalPeople:
    """Return who has a login to the portal: officers and administrators, suspended ones too."""
    query = select(accounts.c.name, accounts.c.email).where(accounts.c.role != "owner")
    staff = (await tx.execute(query)).all()
    query = select(onboardings.c.email).where(onboardings.c.confirmed_ms.is_not(None))
    official = list((await tx.execute(query)).scalars())
    query = select(agency_settings.c.email_domain).where(
        agency_settings.c.email_domain.is_not(None)
    )
    domains = {one.casefold() for one in (await tx.execute(query)).scalars()}
    return PortalPeople(
        names=frozenset(row.name for row in staff),
        emails=frozenset(row.email for row in staff if row.email is not None),
        domains=frozenset(domains | {one.rpartition("@")[2].casefold() for one in official}),
    )


async def email_of(tx: Transaction, account_id: str) -> str | None:
    """Return the e-mail address of an account, if it has one."""
    query = select(accounts.c.email).where(accounts.c.id == account_id)
    found: str | None = (await tx.execute(query)).scalar_one_or_none()
    return found


# --- the ledger -------------------------------------------------------------------------------


async def add_transaction(
    tx: Transaction,
    *,
    month: str,
    kind: TransactionKind,
    lines: Sequence[LedgerLine],
    reference: str | None = None,
) -> int:
    """Append a transaction and return its number, from 1 on without gaps.

    There is one writer at a time in all relays of a database, so no two get the same number.
    """
    query = select(func.coalesce(func.max(credit_transactions.c.number), 0) + 1)
    number = int((await tx.execute(query)).scalar_one())
    await tx.execute(
        insert(credit_transactions).values(
            number=number, month=month, kind=kind, reference=reference
        )
    )
    for line in lines:
        values = {"account": line.account, "cents": line.cents}
        await tx.execute(insert(credit_lines).values(number=number, **values))
        sum_ = credit_balances.c.cents + line.cents
        of = credit_balances.c.account == line.account
        if (await tx.execute(update(credit_balances).where(of).values(cents=sum_))).rowcount == 0:
            await tx.execute(insert(credit_balances).values(**values))
    if kind in ("budget", "match"):
        signal(tx, "credits")
    return number


async def balance(tx: Transaction, account: str) -> int:
    """Return the balance of an account, in cents."""
    query = select(credit_balances.c.cents).where(credit_balances.c.account == account)
    return int((await tx.execute(query)).scalar_one_or_none() or 0)


async def balances(tx: Transaction) -> dict[str, int]:
    """Return the balances of all accounts that ever had a line, in cents."""
    query = select(credit_balances).order_by(credit_balances.c.account)
    return {row.account: row.cents for row in await tx.execute(query)}


async def summed_balances(tx: Transaction) -> dict[str, int]:
    """Return the same balances, counted anew from all lines."""
    lines = credit_lines.c
    query = select(lines.account, func.sum(lines.cents).label("cents")).group_by(lines.account)
    return {row.account: int(row.cents) for row in await tx.execute(query)}


async def count_transactions(tx: Transaction) -> int:
    """Return the number of transactions, which is the newest one's."""
    query = select(func.max(credit_transactions.c.number))
    return int((await tx.execute(query)).scalar_one_or_none() or 0)


async def list_transactions(tx: Transaction, *, first: int, last: int) -> list[LedgerTransaction]:
    """Return the transactions of a range of numbers, newest first."""
    numbers = credit_transactions.c.number
    return await _transactions(tx, (numbers >= first) & (numbers <= last))


async def transactions_of(tx: Transaction, month: str) -> list[LedgerTransaction]:
    """Return the transactions of a month, newest first."""
    return await _transactions(tx, credit_transactions.c.month == month)


async def _transactions(tx: Transaction, which: ColumnElement[bool]) -> list[LedgerTransaction]:
    own, lines = credit_transactions, credit_lines
    query = (
        select(own, lines.c.account, lines.c.cents)
        .join(lines, lines.c.number == own.c.number)
        .where(which)
        .order_by(own.c.number.desc(), lines.c.cents, lines.c.account)
    )
    found: dict[int, LedgerTransaction] = {}
    for row in await tx.execute(query):
        line = LedgerLine(account=row.account, cents=row.cents)
        before = found[row.number].lines if row.number in found else ()
        found[row.number] = LedgerTransaction(
            number=row.number,
            month=row.month,
            kind=row.kind,
            reference=row.reference,
            lines=(*before, line),
        )
    return list(found.values())


async def months_with_transactions(tx: Transaction) -> dict[str, int]:
    """Return how many transactions each month has, by month; months with none are left out."""
    own = credit_transactions.c
    query = (
        select(own.month, func.count().label("transactions"))
        .group_by(own.month)
        .order_by(own.month)
    )
    return {row.month: row.transactions for row in await tx.execute(query)}


# --- closed months ----------------------------------------------------------------------------


async def closed_months(tx: Transaction) -> dict[str, str]:
    """Return the digests of the closed months' files, by month, in order."""
    query = select(credit_months).order_by(credit_months.c.month)
    return {row.month: row.sha256 for row in await tx.execute(query)}


async def close_month(tx: Transaction, month: str, sha256: str) -> None:
    """Store a month's digest."""
    await tx.execute(insert(credit_months).values(month=month, sha256=sha256))


# --- sign-ups ---------------------------------------------------------------------------------


async def mark_used(tx: Transaction, device: str) -> bool:
    """Mark a doorbell that has earned; False if it is marked already."""
    added = upsert(tx, credit_used).values(device=device).on_conflict_do_nothing()
    return (await tx.execute(added)).rowcount == 1


async def used_among(tx: Transaction, devices: Sequence[str]) -> set[str]:
    """Return those doorbells that have earned."""
    query = select(credit_used.c.device).where(credit_used.c.device.in_(devices))
    return set((await tx.execute(query)).scalars())


async def add_due(tx: Transaction, code: str, month: str) -> None:
    """Count one more sign-up of a campaign that is due from a month on."""
    one = upsert(tx, credit_due).values(code=code, month=month, sign_ups=1)
    more = credit_due.c.sign_ups + 1
    await tx.execute(
        one.on_conflict_do_update(index_elements=["code", "month"], set_={"sign_ups": more})
    )


async def list_due(tx: Transaction, *, until: str) -> dict[str, dict[str, int]]:
    """Return the sign-ups that are due up to a month, by campaign and month."""
    query = (
        select(credit_due)
        .where(credit_due.c.month <= until)
        .order_by(credit_due.c.code, credit_due.c.month)
    )
    found: dict[str, dict[str, int]] = {}
    for row in await tx.execute(query):
        found.setdefault(row.code, {})[row.month] = row.sign_ups
    return found


async def put_due(tx: Transaction, code: str, due: Mapping[str, int], *, head_start: int) -> None:
    """Store what is left of a campaign's due sign-ups and head start after a booking."""
    for month, count in due.items():
        row = (credit_due.c.code == code) & (credit_due.c.month == month)
        if count:
            await tx.execute(update(credit_due).where(row).values(sign_ups=count))
        else:
            await tx.execute(delete(credit_due).where(row))
    campaign = credit_campaigns.c.code == code
    await tx.execute(update(credit_campaigns).where(campaign).values(head_start=head_start))


# --- recipients -------------------------------------------------------------------------------


async def add_list(tx: Transaction, row: ListRow) -> bool:
    """Insert a recipient list; False if its name is taken."""
    values = {"name": row.name, "document": row.document, "sha256": row.sha256, "entry": row.entry}
    added = upsert(tx, credit_recipient_lists).values(**values).on_conflict_do_nothing()
    return (await tx.execute(added)).rowcount == 1


async def find_list(tx: Transaction, name: str) -> ListRow | None:
    """Return one recipient list."""
    query = select(credit_recipient_lists).where(credit_recipient_lists.c.name == name)
    row = (await tx.execute(query)).first()
    return None if row is None else ListRow(**row._mapping)


async def all_lists(tx: Transaction) -> list[ListRow]:
    """Return all recipient lists, the newest first."""
    own = credit_recipient_lists
    query = select(own).order_by(own.c.entry.desc())
    return [ListRow(**row._mapping) for row in await tx.execute(query)]


async def set_draw(tx: Transaction, name: str, *, size: int, root: str) -> None:
    """Store the checkpoint by which a list was drawn; it is never changed."""
    own = credit_recipient_lists
    undrawn = (own.c.name == name) & own.c.checkpoint_size.is_(None)
    await tx.execute(update(own).where(undrawn).values(checkpoint_size=size, checkpoint_root=root))


async def add_issue(tx: Transaction, name: str, recipient: int, number: int) -> bool:
    """Store that a recipient's doorbell was issued; False if it was before."""
    added = upsert(tx, credit_issues).values(list=name, recipient=recipient, number=number)
    return (await tx.execute(added.on_conflict_do_nothing())).rowcount == 1


async def issued_of(tx: Transaction, name: str) -> dict[int, int]:
    """Return the numbers of the issuing transactions, by recipient."""
    own = credit_issues
    query = select(own).where(own.c.list == name).order_by(own.c.recipient)
    return {row.recipient: row.number for row in await tx.execute(query)}
