"""Calendar months in UTC, written as 2026-11. Pure.

A month is published on the 8th of the next one, at 00:00 UTC; until then it is open for reports.
"""

import re
from datetime import UTC, datetime
from typing import Final

MONTH_PATTERN: Final = r"^[0-9]{4}-(0[1-9]|1[0-2])$"
PUBLISHED_ON_DAY: Final = 8
_MONTH = re.compile(r"[0-9]{4}-(?:0[1-9]|1[0-2])")


def is_month(text: str) -> bool:
    """Return whether a text is a month, as documents write it."""
    return _MONTH.fullmatch(text) is not None


def month_of(time_ms: int) -> str:
    """Return the month of a time (milliseconds since the epoch)."""
    return datetime.fromtimestamp(time_ms / 1000, UTC).strftime("%Y-%m")


def shifted(month: str, by: int) -> str:
    """Return the month so many months later; earlier if negative."""
    year, number = (int(part) for part in month.split("-"))
    index = year * 12 + number - 1 + by
    return f"{index // 12:04}-{index % 12 + 1:02}"


def due_ms(month: str) -> int:
    """Return when a month is published, in milliseconds since the epoch."""
    year, number = (int(part) for part in shifted(month, 1).split("-"))
    return round(datetime(year, number, PUBLISHED_ON_DAY, tzinfo=UTC).timestamp() * 1000)


def months_through(first: str, last: str) -> list[str]:
    """Return the months from the first to the last, both included."""
    found = []
    while first <= last:
        found.append(first)
        first = shifted(first, 1)
    return found
