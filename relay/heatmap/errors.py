"""Errors of the theft map.

ReportRefused    a report of a theft can't be taken, or not taken back
ImportRefused    a file of open data can't be imported
"""

from typing import Literal

from relay.errors import RelayError

RefusalReason = Literal["theft_cell", "theft_month", "theft_published", "theft_too_many"]


class ReportRefused(RelayError):
    """A report is refused; `reason` is the API's code, for which the app has words."""

    def __init__(self, reason: RefusalReason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


class ImportRefused(RelayError):
    """A file of open data is refused; `line` is the wrong one's number, 0 for the whole file."""

    def __init__(self, detail: str, *, line: int = 0) -> None:
        super().__init__(f"line {line}: {detail}" if line else detail)
        self.line = line
