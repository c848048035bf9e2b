"""The choice of a door number: a random proposal, and the refusal of numbers that people guess."""

import secrets
from collections.abc import Callable
from datetime import date
from itertools import pairwise
from typing import Literal

Weakness = Literal["run", "repeat", "date"]

DIGITS = 6


def weakness_of(number: str) -> Weakness | None:
    """Return why six digits are among the first that somebody would try; None: they aren't."""
    digits = [int(char) for char in number]
    steps = {(after - before) % 10 for before, after in pairwise(digits)}
    if len(steps) == 1:  # 123456, 987654, 135791, 111111
        return "run"
    if len(set(digits)) < 3 or digits == digits[::-1] or _is_made_of_copies(number):
        return "repeat"
    return "date" if _is_date(number) else None


def propose(choose: Callable[[int], int] = secrets.randbelow) -> str:
    """Return a random door number; `choose` returns a number below its argument."""
    while True:
        number = f"{choose(10**DIGITS):0{DIGITS}}"
        if weakness_of(number) is None:
            return number


def _is_made_of_copies(number: str) -> bool:
    """Return whether it is one part again and again (123123), or doubled digits (112233)."""
    halves = number[:3] == number[3:]
    pairs = number[:2] == number[2:4] == number[4:]
    doubled = number[0::2] == number[1::2]
    return halves or pairs or doubled


def _is_date(number: str) -> bool:
    """Return whether it reads as a day with a year of two digits, or a month with one of four."""
    first, second, third = number[:2], number[2:4], number[4:]
    days = ((first, second, third), (second, first, third), (third, second, first))
    if any(_is_day(day, month, year) for day, month, year in days):
        return True
    return (first in ("19", "20") and "01" <= third <= "12") or (
        second in ("19", "20") and "01" <= first <= "12"
    )


def _is_day(day: str, month: str, year: str) -> bool:
    for century in (1900, 2000):
        try:
            date(century + int(year), int(month), int(day))
        except ValueError:
            continue
        return True
    return False
