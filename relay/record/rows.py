"""Rows of the public record: one for each shown log entry, and their kinds.

Left out are what says nothing to a reader and would only invite counting: slots, and the
commitments of releases and of key changes, which hide whose they are.
"""

from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal, get_args

from relay.custody.log_entries import LogName

RegisterKind = Literal[
    "charter", "admins", "limits", "agreement", "suspended", "officer_revoked", "program",
    "officer", "request", "withdrawn", "refused", "void",
]  # fmt: skip
CustodyKind = Literal[
    "received", "download", "deletion_asked", "deletion_answered", "erased", "legal_process",
    "refusals", "outcome", "credits", "feed_danger", "feed_legal_process",
]  # fmt: skip
Kind = RegisterKind | CustodyKind
KINDS: tuple[Kind, ...] = (*get_args(RegisterKind), *get_args(CustodyKind))


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryRow:
    """One entry: its kind, its agency, and a word of detail."""

    log: LogName
    index: int
    kind: Kind
    agency: str | None = None
    detail: str = ""
    """refused: the category; received: the band; erased: why; deletion_answered, outcome: which.

    credits: the month, or the recipient list's name.
    """
    quarter: str | None = None
    subject: str | None = None
    """The digest of the request or file, or the commitment of the package, that it is about."""
    more_subjects: tuple[str, ...] = ()
    """deletion_answered: further packages that it is about."""
    seen_ms: int | None = None
    """By when witnesses had seen it."""
    answer_by_ms: int | None = None
    """deletion_asked: until when the agency has to answer."""
    counts: Mapping[str, int] = field(default_factory=dict)
    """refusals: how often doorbells refused a statement, by the check that failed (R11)."""
    is_resolved: bool = False
    """outcome: the request was closed early, because the case is solved."""
    yielded: tuple[str, ...] = ()
    """legal_process, feed_legal_process: what it can yield (R16)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryQuery:
    """A filter of rows; criteria that are None or empty aren't applied."""

    log: LogName | None = None
    kind: Kind | None = None
    agencies: Set[str] = frozenset()
    """Any of these, by id."""
    detail: str | None = None
    quarter: str | None = None
    subject: str | None = None
    year: int | None = None
    """In which witnesses had seen it (UTC)."""
    overdue_at_ms: int | None = None
    """Only wishes for deletion that were overdue then: the book knows."""

    def takes(self, row: EntryRow) -> bool:
        """Return whether a row matches, as far as a row tells."""
        if self.agencies and row.agency not in self.agencies:
            return False
        return (
            self._is_of_year(row.seen_ms)
            and all(
                asked is None or asked == found
                for asked, found in (
                    (self.log, row.log),
                    (self.kind, row.kind),
                    (self.detail, row.detail),
                    (self.quarter, row.quarter),
                )
            )
            and self._is_about(row)
        )

    def _is_about(self, row: EntryRow) -> bool:
        return self.subject in (None, row.subject, *row.more_subjects)

    def _is_of_year(self, seen_ms: int | None) -> bool:
        if self.year is None:
            return True
        return seen_ms is not None and datetime.fromtimestamp(seen_ms / 1000, UTC).year == self.year
