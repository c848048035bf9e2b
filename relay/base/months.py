"""Calendar months in UTC, written as 2026-11. Pure."""

import re
from datetime import UTC, datetime
from typing import Annotated, Final

import msgspec

_MONTH: Final = "2[0-9]{3}-(?:0[1-9]|1[0-2])"
Month = Annotated[str, msgspec.Meta(pattern=rf"^{_MONTH}\Z")]
MONTH_PATTERN: Final = f"^{_MONTH}$"
"""For Pydantic, whose `$` is the end of the text and nothing before it."""


def is_month(text: str) -> bool:
    """Return whether a text is a month, as documents write it."""
    return re.fullmatch(_MONTH, text) is not None


def month_of(time_ms: int) -> str:
    """Return the month of a wall time (milliseconds since the epoch)."""
    return f"{datetime.fromtimestamp(time_ms / 1000, UTC):%Y-%m}"


def shifted(month: str, by: int) -> str:
    """Return the month so many months later; earlier if negative."""
    year, number = (int(part) for part in month.split("-"))
    index = year * 12 + number - 1 + by
    return f"{index // 12:04}-{index % 12 + 1:02}"


def month_begin_ms(month: str) -> int:
    """Return the wall time at which a month begins."""
    year, number = (int(part) for part in month.split("-"))
    return round(datetime(year, number, 1, tzinfo=UTC).timestamp() * 1000)


def months_through(first: str, last: str) -> list[str]:
    """Return the months from the first to the last, both included."""
    found = []
    while first <= last:
        found.append(first)
        first = shifted(first, 1)
    return found
