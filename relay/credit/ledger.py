"""The double-entry ledger: accounts, and the check that each transaction passes. Integer cents.

Each transaction's lines sum to 0. Only `outside`, from where money comes, may be below 0. A closed
month takes no transaction.
"""

import re
from collections.abc import Sequence
from typing import Final

from relay.base.clock import Clock
from relay.base.months import month_of
from relay.credit.errors import CreditRefused
from relay.credit.lots import LOT
from relay.store import credit
from relay.store.credit import LedgerLine, TransactionKind
from relay.store.database import Transaction

SIGN_UP_CENTS: Final = 1_000
"""What a campaign pays for a sign-up: ten dollars."""
DOORBELL_CENTS: Final = LOT * SIGN_UP_CENTS
STARTING_DOORBELLS: Final = 15
"""What the operator endows the pot with."""
MAX_CENTS: Final = 10**12
"""Of one transaction."""

OUTSIDE: Final = "outside"
POT: Final = "pot"
CREDIT: Final = "credit"
DOORBELLS: Final = "doorbells"
_ACCOUNT = re.compile(
    r"(?:outside|pot|credit|doorbells|partner/[a-z0-9-]{1,60}|campaign/[A-Z0-9-]{4,24})"
)


def partner_account(partner_id: str) -> str:
    """Return the account of a partner's funds."""
    return f"partner/{partner_id}"


def campaign_account(code: str) -> str:
    """Return the account of a campaign's budget."""
    return f"campaign/{code}"


def move(cents: int, *, of: str, to: str) -> tuple[LedgerLine, LedgerLine]:
    """Return the two lines that move an amount from one account to another."""
    return LedgerLine(account=of, cents=-cents), LedgerLine(account=to, cents=cents)


def check_amount(cents: int) -> None:
    """Raise CreditRefused unless an amount is above 0 and in bounds."""
    if not 0 < cents <= MAX_CENTS:
        raise CreditRefused("balance", f"an amount is from 1 to {MAX_CENTS} cents, not {cents}")


def check_lines(lines: Sequence[LedgerLine]) -> None:
    """Raise CreditRefused unless the lines are of known, different accounts and sum to 0."""
    accounts = [line.account for line in lines]
    if not all(_ACCOUNT.fullmatch(account) for account in accounts):
        raise CreditRefused("unbalanced", f"there is no such account among {accounts}")
    if len(set(accounts)) < max(2, len(accounts)):
        raise CreditRefused("unbalanced", "each line of a transaction has an account of its own")
    if not all(0 < abs(line.cents) <= MAX_CENTS for line in lines):
        raise CreditRefused("unbalanced", "each line of a transaction moves cents")
    if total := sum(line.cents for line in lines):
        raise CreditRefused("unbalanced", f"the lines sum to {total} cents, and must to 0")


class Ledger:
    """Appends transactions, each in the caller's own database transaction."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    @property
    def month(self) -> str:
        """The current month."""
        return month_of(self._clock.wall_ms())

    async def post(
        self,
        tx: Transaction,
        kind: TransactionKind,
        lines: Sequence[LedgerLine],
        *,
        reference: str | None = None,
    ) -> int:
        """Append a transaction and return its number; CreditRefused if it can't be."""
        check_lines(lines)
        for line in lines:
            if line.account != OUTSIDE and line.cents < 0:
                held = await credit.balance(tx, line.account)
                if held + line.cents < 0:
                    words = f"{line.account} has {held} cents, and {-line.cents} are needed"
                    raise CreditRefused("balance", words)
        month = self.month
        if month <= max(await credit.closed_months(tx), default=""):
            raise CreditRefused("closed", f"{month} is closed: is this machine's clock right?")
        return await credit.add_transaction(
            tx, month=month, kind=kind, lines=lines, reference=reference
        )
