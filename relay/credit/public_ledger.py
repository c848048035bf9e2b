"""What everybody may read of the credits: balances, months, the ledger, and recipient lists."""

from dataclasses import dataclass

from relay.base.clock import Clock
from relay.credit.distribution import drawn
from relay.credit.ledger import (
    CREDIT,
    DOORBELL_CENTS,
    DOORBELLS,
    POT,
    campaign_account,
    partner_account,
)
from relay.credit.months import NONE_BEFORE, month_file
from relay.credit.recipients import RecipientList, parse_list
from relay.store import credit
from relay.store.credit import LedgerTransaction, ListRow
from relay.store.database import Database


@dataclass(frozen=True, slots=True, kw_only=True)
class Balance:
    """A named balance in cents: a partner's funds or a campaign's budget."""

    id: str
    name: str
    kind: str
    cents: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerMonth:
    """A month with its number of transactions; `sha256` of a closed one's file."""

    month: str
    transactions: int
    sha256: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedList:
    """A recipient list with its draw: `drawn` numbers, and the transactions that issued them."""

    listed: RecipientList
    row: ListRow
    drawn: tuple[int, ...]
    issued: dict[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """The page's figures."""

    version: str
    """Another one whenever anything that is shown has changed."""
    pot_cents: int
    credit_cents: int
    issued: int
    partners: list[Balance]
    campaigns: list[Balance]
    months: list[LedgerMonth]
    lists: list[PublishedList]
    transactions: int


class PublicLedger:
    """Reads of the public pages."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def overview(self) -> Overview:
        """Return balances, months and lists; months and lists newest first."""
        async with self._database.read() as tx:
            held = await credit.balances(tx)
            partners = await credit.list_partners(tx)
            campaigns = await credit.list_campaigns(tx)
            closed = await credit.closed_months(tx)
            counts = await credit.months_with_transactions(tx)
            lists = [
                PublishedList(
                    listed=parse_list(row.document.encode()),
                    row=row,
                    drawn=tuple(drawn(row)),
                    issued=await credit.issued_of(tx, row.name),
                )
                for row in await credit.all_lists(tx)
            ]
            count = await credit.count_transactions(tx)
        names = {one.id: one.name for one in partners}
        drawn_count = sum(bool(one.drawn) for one in lists)
        return Overview(
            version=f"{count}-{len(partners)}-{len(closed)}-{len(lists)}-{drawn_count}",
            pot_cents=held.get(POT, 0),
            credit_cents=held.get(CREDIT, 0),
            issued=held.get(DOORBELLS, 0) // DOORBELL_CENTS,
            partners=[
                Balance(
                    id=one.id,
                    name=one.name,
                    kind=one.kind,
                    cents=held.get(partner_account(one.id), 0),
                )
                for one in partners
            ],
            campaigns=[
                Balance(
                    id=one.code,
                    name=names[one.partner],
                    kind="campaign",
                    cents=held.get(campaign_account(one.code), 0),
                )
                for one in campaigns
            ],
            months=[
                LedgerMonth(month=one, transactions=counts.get(one, 0), sha256=closed.get(one))
                for one in sorted({*counts, *closed}, reverse=True)
            ],
            lists=lists,
            transactions=count,
        )

    async def page(self, *, start: int, limit: int) -> tuple[list[LedgerTransaction], int]:
        """Return some transactions, newest first, and the number of all."""
        async with self._database.read() as tx:
            count = await credit.count_transactions(tx)
            last = count - start
            return await credit.list_transactions(tx, first=last - limit + 1, last=last), count

    async def month_text(self, month: str) -> bytes | None:
        """Return a closed month's file, by whose digest the log names it; None without one."""
        async with self._database.read() as tx:
            closed = await credit.closed_months(tx)
            if month not in closed:
                return None
            earlier = [one for one in closed if one < month]
            before = closed[max(earlier)] if earlier else NONE_BEFORE
            return month_file(month, before, await credit.transactions_of(tx, month)).encode()

    async def find_list(self, name: str) -> ListRow | None:
        """Return a recipient list."""
        async with self._database.read() as tx:
            return await credit.find_list(tx, name)
