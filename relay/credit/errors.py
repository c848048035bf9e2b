"""Errors of the credits.

CreditRefused   what was asked of the ledger, or of a sign-up, can't be
"""

from typing import Literal

from relay.errors import RelayError

CreditReason = Literal[
    "balance",
    "closed",
    "code",
    "code_unknown",
    "doorbell_missing",
    "doorbell_used",
    "list",
    "name",
    "not_drawn",
    "partner",
    "portal_login",
    "recipient",
    "too_early",
    "unbalanced",
]


class CreditRefused(RelayError):
    """Something is refused; `reason` is a word for apps, the text says why and what to do."""

    def __init__(self, reason: CreditReason, detail: str) -> None:
        super().__init__(detail)
        self.reason: CreditReason = reason
