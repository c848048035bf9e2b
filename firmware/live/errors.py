"""Errors of live view.

LiveError   what a viewer, or the relay for it, wanted and doesn't get
"""

from firmware.errors import DoorwardError


class LiveError(DoorwardError):
    """A request of live view was refused; `reason` is a short name and `detail` says what to do."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail
