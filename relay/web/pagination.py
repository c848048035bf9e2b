"""Pagination of long lists: `?page=2`. What isn't a page's number is the first or the last."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from starlette.requests import Request

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Paged(Generic[T]):
    """One page of a list; numbers begin with 1."""

    rows: Sequence[T]
    number: int
    count: int
    total: int


def page_of(request: Request, rows: Sequence[T], *, size: int) -> Paged[T]:
    """Return the page of the rows that the address asks for."""
    number, count = number_in(request, len(rows), size=size)
    start = (number - 1) * size
    return Paged(rows=rows[start : start + size], number=number, count=count, total=len(rows))


def number_in(request: Request, total: int, *, size: int) -> tuple[int, int]:
    """Return the page number in the address, and the number of pages."""
    count = max(1, -(-total // size))
    asked = request.query_params.get("page", "1")
    number = int(asked) if asked.isascii() and asked.isdecimal() and len(asked) < 8 else 1
    return min(max(number, 1), count), count
