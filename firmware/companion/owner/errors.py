"""All errors of the owner's program, but those of keys and accounts
(`firmware.companion.authenticator.errors`).

    PersonError
    └── OwnerError
        ├── LineFailed      the doorbell can't be reached, or said something that it mustn't
        ├── NotTaken        the doorbell refused a confirmation: which check, and why
        ├── PageFailed      the doorbell's own page, or what should be it, can't be used
        ├── PairingFailed   pairing came to nothing, or somebody may be in between
        └── BundleRefused   the owner's app on this machine isn't one that the register knows

Each text is one sentence for people that says what to do.
"""

from firmware.companion.authenticator.errors import PersonError


class OwnerError(PersonError):
    """Base of all here."""


class LineFailed(OwnerError):
    """The connection to the doorbell failed, or broke."""


class NotTaken(OwnerError):
    """A request was refused by the doorbell; `reason` names the check."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"the doorbell didn't take it ({reason}): {detail}")
        self.reason = reason


class PageFailed(OwnerError):
    """The doorbell's own page can't be used."""


class PairingFailed(OwnerError):
    """The doorbell isn't paired with this owner, as far as this program can tell."""


class BundleRefused(OwnerError):
    """The app doesn't match its release in the register."""
