"""Errors of the knock.

KnockError
├── KnockRefused    there can be no knock now, or not for this; `reason` is a short name for it
└── PatternWeak     a pattern that others would press, too
"""

from typing import Literal

from firmware.errors import DoorwardError

KnockReason = Literal[
    "off", "locked", "busy", "unknown", "late", "too_many", "name", "case_number", "words",
]  # fmt: skip


class KnockError(DoorwardError):
    """A failure of the knock; the doorbell's own page does the same without it."""


class KnockRefused(KnockError):
    """A knock session was refused before it began; `detail` says what to do."""

    def __init__(self, reason: KnockReason, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class PatternWeak(KnockError):
    """A new pattern was refused as too weak."""
