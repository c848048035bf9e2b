"""Errors of live view.

LiveError   an offer that can't be answered
"""

from firmware.errors import DoorwardError


class LiveError(DoorwardError):
    """An offer can't be answered; `reason` is a short name and `detail` says what to do."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail
