"""Months of the ledger, in UTC, and the published file of a closed one. Pure.

The file's SHA-256 is in the public log. Each file names the one before it by its digest, so none
can be left out, and none changed later.
"""

from collections.abc import Iterable, Mapping
from typing import Literal

from firmware.protocol.encoding import Digest, Document
from relay.base.months import Month, shifted
from relay.store.credit import LedgerTransaction, TransactionKind

NONE_BEFORE = "0" * 64
"""`MonthFile.before` of the first month."""


class MonthLine(Document, frozen=True, kw_only=True):
    """A change of one account's balance, in cents."""

    account: str
    cents: int


class MonthTransaction(Document, frozen=True, kw_only=True):
    """One transaction; `reference` is the SHA-256 of an issued doorbell's receipt."""

    number: int
    kind: TransactionKind
    reference: Digest | None
    lines: list[MonthLine]


class MonthFile(Document, frozen=True, kw_only=True):
    """All transactions of one month, in their order; `before` is the digest of the month before."""

    v: Literal[1] = 1
    domain: Literal["doorward/credits-month/v1"] = "doorward/credits-month/v1"
    month: Month
    before: Digest
    transactions: list[MonthTransaction]


def months_to_close(used: Iterable[str], closed: Mapping[str, str], *, current: str) -> list[str]:
    """Return the months that are over and open, in order, those without transactions too."""
    first = shifted(max(closed), 1) if closed else min(used, default=current)
    found = []
    while first < current:
        found.append(first)
        first = shifted(first, 1)
    return found


def month_file(month: str, before: str, transactions: Iterable[LedgerTransaction]) -> MonthFile:
    """Return the published file of a month."""
    return MonthFile(
        month=month,
        before=before,
        transactions=[
            MonthTransaction(
                number=one.number,
                kind=one.kind,
                reference=one.reference,
                lines=[MonthLine(account=line.account, cents=line.cents) for line in one.lines],
            )
            for one in sorted(transactions, key=lambda one: one.number)
        ],
    )
