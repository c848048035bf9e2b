"""Errors of live view.

LiveError
"""


class LiveError(Exception):
    """An offer can't be answered; `reason` is a short name and `detail` says what to do."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail
