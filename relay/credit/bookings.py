"""Bookings of sign-ups that are due, in lots of 13, and the closing of months that are over.

A campaign's rest is carried over. Its secret head start, 0 to 12, counts towards its first lot: so
the month of a booking doesn't tell who has 12 sign-ups of their own when a 13th person's came. On
average the head start equals the rest that is never booked, so a campaign pays ten dollars each.
"""

from relay.base.clock import Clock
from relay.base.months import month_begin_ms, shifted
from relay.base.signals import LOOK_S
from relay.credit.ledger import CREDIT, DOORBELL_CENTS, Ledger, campaign_account, move
from relay.credit.lots import take_lots
from relay.credit.months import NONE_BEFORE, month_file, months_to_close
from relay.custody.entries import CustodyEntries
from relay.custody.log_entries import LogEntries
from relay.store import credit
from relay.store.credit import CampaignRow
from relay.store.database import Database, Transaction


class Bookings:
    """Books what is due, and closes months; any number of relays may do so at once."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._ledger = Ledger(clock)
        self._entries = CustodyEntries(LogEntries())
        self._waiter = database.signals.waiter("credits")

    async def run(self) -> None:
        """Book at the beginning of each month and when a budget grew, until cancelled."""
        while True:
            await self.post_due()
            next_ms = month_begin_ms(shifted(self._ledger.month, 1))
            while (left_ms := next_ms - self._clock.wall_ms()) > 0:
                if await self._waiter.wait(min(left_ms / 1000, LOOK_S)):
                    break

    async def post_due(self) -> int:
        """Close the months that are over, then book what is due; return the number of lots."""
        async with self._database.begin() as tx:
            await self._close(tx)
            due = await credit.list_due(tx, until=self._ledger.month)
            campaigns = [one for one in await credit.list_campaigns(tx) if one.code in due]
            return sum([await self._book(tx, one, due[one.code]) for one in campaigns])

    async def _book(self, tx: Transaction, campaign: CampaignRow, due: dict[str, int]) -> int:
        account = campaign_account(campaign.code)
        affordable = await credit.balance(tx, account) // DOORBELL_CENTS
        lots = take_lots(due, head_start=campaign.head_start, affordable=affordable)
        for _ in range(lots.count):
            await self._ledger.post(tx, "booking", move(DOORBELL_CENTS, of=account, to=CREDIT))
        if lots.count:
            await credit.put_due(tx, campaign.code, lots.left, head_start=0)
        return lots.count

    async def _close(self, tx: Transaction) -> None:
        closed = await credit.closed_months(tx)
        used = await credit.months_with_transactions(tx)
        before = closed[max(closed)] if closed else NONE_BEFORE
        for month in months_to_close(used, closed, current=self._ledger.month):
            file = month_file(month, before, await credit.transactions_of(tx, month))
            before = file.digest()
            await credit.close_month(tx, month, before)
            await self._entries.credits_published(tx, subject="month", name=month, sha256=before)
