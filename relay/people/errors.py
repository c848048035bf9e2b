"""Errors of signing in.

RelayError
└── SignInRefused     a registration or login doesn't hold; `reason` names the check
"""

from typing import Literal

from relay.errors import RelayError

SignInReason = Literal[
    "invitation",
    "ceremony",
    "name",
    "passkey",
    "passkey_known",
    "demo_passkey",
    "suspended",
    "suspended_by_agency",
    "network",
    "oidc",
    "oidc_known",
    "oidc_stale",
]


class SignInRefused(RelayError):
    """A registration or login is refused; the text says what to do."""

    def __init__(self, reason: SignInReason, detail: str) -> None:
        super().__init__(detail)
        self.reason: SignInReason = reason
