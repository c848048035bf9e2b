"""The projection of both logs: rows and sums, updated with each entry. Pure.

Rows come in the order of their log. Everything here is public the moment that it is here: whoever
fetches the logs' files counts the same.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Literal

from relay.record.rows import EntryQuery, EntryRow, Kind

Band = Literal["0", "1-4", "5+"]


@dataclass(slots=True, kw_only=True)
class Deletion:
    """One deletion request, with its agency's answer."""

    asked: EntryRow
    answered: EntryRow | None = None

    def is_overdue(self, now_ms: int) -> bool:
        """Return whether the agency's answer is overdue."""
        return self.answered is None and now_ms > (self.asked.answer_by_ms or 0)

    @property
    def is_late(self) -> bool:
        """Whether it was answered after its deadline."""
        seen_ms = None if self.answered is None else self.answered.seen_ms
        return seen_ms is not None and seen_ms > (self.asked.answer_by_ms or 0)


@dataclass(slots=True)
class Projection:
    """All rows, and their sums for pages."""

    rows: list[EntryRow] = field(default_factory=list)
    counts: Counter[tuple[Kind, str | None, str]] = field(default_factory=Counter)
    """By kind, agency and detail."""
    bands: dict[tuple[str, str], EntryRow] = field(default_factory=dict)
    """The newest `received` by agency and quarter."""
    deletions: dict[str, Deletion] = field(default_factory=dict)
    """By the package's commitment."""
    requests: dict[str, EntryRow] = field(default_factory=dict)
    withdrawals: dict[str, EntryRow] = field(default_factory=dict)
    outcomes: dict[str, EntryRow] = field(default_factory=dict)
    """These three by the request's digest."""
    begun_ms: int | None = None
    """When witnesses had seen the first entry: since when is counted."""

    def take(self, row: EntryRow) -> None:
        """Add the next row of its log."""
        self.rows.append(row)
        self.counts[row.kind, row.agency, row.detail] += 1
        subject = row.subject or ""
        match row.kind:
            case "charter":
                self.begun_ms = row.seen_ms if self.begun_ms is None else self.begun_ms
            case "received" if row.agency is not None and row.quarter is not None:
                self.bands[row.agency, row.quarter] = row
            case "deletion_asked":
                self.deletions.setdefault(subject, Deletion(asked=row))
            case "deletion_answered":
                for one in {subject, *row.more_subjects} & self.deletions.keys():
                    deletion = self.deletions[one]
                    deletion.answered = deletion.answered or row
            case "request":
                self.requests.setdefault(subject, row)
            case "withdrawn":
                self.withdrawals.setdefault(subject, row)
            case "outcome":
                self.outcomes.setdefault(subject, row)

    def count(self, kind: Kind, *, agency: str | None = None, detail: str | None = None) -> int:
        """Return the number of entries of a kind, of one agency or of all."""
        return sum(
            count
            for (of_kind, of_agency, of_detail), count in self.counts.items()
            if of_kind == kind and agency in (None, of_agency) and detail in (None, of_detail)
        )

    def details(self, kind: Kind, *, agency: str | None = None) -> dict[str, int]:
        """Return the counts of a kind by detail, those above zero."""
        found: Counter[str] = Counter()
        for (of_kind, of_agency, of_detail), count in self.counts.items():
            if of_kind == kind and agency in (None, of_agency):
                found[of_detail] += count
        return dict(sorted(found.items()))

    def band(self, agency: str, quarter: str) -> Band:
        """Return the band of an agency's received recordings in a quarter."""
        row = self.bands.get((agency, quarter))
        return "0" if row is None else "5+" if row.detail == "5+" else "1-4"

    def deletions_of(self, agency: str | None = None) -> list[Deletion]:
        """Return the deletion requests, to one agency or to all, oldest first."""
        return [one for one in self.deletions.values() if agency in (None, one.asked.agency)]

    def find(self, query: EntryQuery, *, start: int, limit: int) -> tuple[list[EntryRow], int]:
        """Return a page of the matching rows, newest first, and their number."""
        total = sum(1 for _ in self._matching(query))
        return list(islice(self._matching(query), start, start + limit)), total

    def _matching(self, query: EntryQuery) -> Iterator[EntryRow]:
        rows = (row for row in reversed(self.rows) if query.takes(row))
        if (at_ms := query.overdue_at_ms) is None:
            return rows
        return (row for row in rows if self._is_overdue(row, at_ms))

    def _is_overdue(self, row: EntryRow, at_ms: int) -> bool:
        deletion = self.deletions.get(row.subject or "")
        return deletion is not None and deletion.asked is row and deletion.is_overdue(at_ms)
