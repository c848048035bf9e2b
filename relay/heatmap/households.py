"""Counting of reports by household: accounts that share a doorbell are one household. Pure."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """One account's report of a month; account and doorbells are pseudonyms of that month."""

    cell: str
    account: str
    doorbells: Collection[str]


def count_households(reports: Sequence[Report]) -> dict[str, int]:
    """Return the number of households that reported, by cell.

    Two accounts belong to one household if a doorbell, or a chain of reporters' doorbells, joins
    them; an account without a doorbell is a household of its own.
    """
    by_cell = defaultdict[str, list[Report]](list)
    for one in reports:
        by_cell[one.cell].append(one)
    return {cell: _groups(found) for cell, found in by_cell.items()}


def _groups(reports: Sequence[Report]) -> int:
    parents: dict[str, str] = {}
    for one in reports:
        account = _root(parents, f"account {one.account}")
        for doorbell in one.doorbells:
            parents[_root(parents, f"doorbell {doorbell}")] = account
    return len({_root(parents, f"account {one.account}") for one in reports})


def _root(parents: Mapping[str, str], name: str) -> str:
    while parents.get(name, name) != name:
        name = parents[name]
    return name
