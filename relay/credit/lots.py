"""Lots of 13 sign-ups: what a booking takes, and what it carries over. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

LOT: Final = 13
"""Sign-ups that pay for one doorbell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lots:
    """A campaign's booking: its number of lots, and what is left of each month's sign-ups."""

    count: int
    left: dict[str, int]


def take_lots(due: Mapping[str, int], *, head_start: int, affordable: int) -> Lots:
    """Return the booking of sign-ups that are due, by month; the head start is taken first.

    `affordable` is how many lots the budget pays for.
    """
    count = min((head_start + sum(due.values())) // LOT, affordable)
    left, taken = dict(due), max(0, count * LOT - head_start)
    for month in sorted(left):
        part = min(left[month], taken)
        left[month], taken = left[month] - part, taken - part
    return Lots(count=count, left=left)
