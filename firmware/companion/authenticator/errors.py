"""Errors of passkeys and accounts; each text is one sentence that says what to do.

PersonError
├── KeyRefused      a key that isn't there, isn't right, or won't sign
└── AccountFailed   the relay can't be reached, or refused: its word for it, and why
"""


class PersonError(Exception):
    """Base of all."""


class KeyRefused(PersonError):
    """A person's key can't be used, or failed."""


class AccountFailed(PersonError):
    """The relay refused or failed an account's call; `code` is its error code, or empty.

    `is_away`: it can't be reached just now, so that asking again may help.
    """

    def __init__(self, detail: str, *, code: str = "", is_away: bool = False) -> None:
        super().__init__(detail)
        self.code = code
        self.is_away = is_away
