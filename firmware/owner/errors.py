"""All errors of the owner's program.

    OwnerError
    ├── KeyRefused      an approver's key that isn't there, isn't right, or won't sign
    ├── LineFailed      the doorbell can't be reached, or said something that it mustn't
    ├── NotTaken        the doorbell refused a confirmation: which check, and why
    ├── PageFailed      the doorbell's own page, or what should be it, can't be used
    ├── AccountFailed   the relay can't be reached, or refused: its word for it, and why
    ├── PairingFailed   pairing came to nothing, or somebody may be in between
    └── BundleRefused   the owner's app on this machine isn't one that the register knows

Each text is one sentence for people that says what to do.
"""


class OwnerError(Exception):
    """Base of all."""


class KeyRefused(OwnerError):
    """A key that confirms can't be used."""


class LineFailed(OwnerError):
    """There is no line to the doorbell, or it broke."""


class NotTaken(OwnerError):
    """The doorbell refused; `reason` names the check."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"the doorbell didn't take it ({reason}): {detail}")
        self.reason = reason


class PageFailed(OwnerError):
    """The doorbell's own page can't be used."""


class AccountFailed(OwnerError):
    """The relay didn't do what an account asked; `code` is its word for it, or empty.

    `is_away`: it can't be reached just now, so that asking again may help.
    """

    def __init__(self, detail: str, *, code: str = "", is_away: bool = False) -> None:
        super().__init__(detail)
        self.code = code
        self.is_away = is_away


class PairingFailed(OwnerError):
    """The doorbell isn't paired with this owner, as far as this program can tell."""


class BundleRefused(OwnerError):
    """The app isn't what the register says."""
