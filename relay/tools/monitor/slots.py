"""Rules for slots in the custody log: missing ones, and ones that came late.

A slot is due from when a quorum of witnesses first signed the charter, one after the other, whether
or not a doorbell was heard. A relay that was down logs up to 144 of them late and leaves the others
out, and one whose witnesses were away logs them late: neither breaks a rule, but in such a time no
doorbell could prove when it recorded, so it is said.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from relay.tools.monitor.time_texts import HOUR_MS, span_text, time_text

LATE_MS = HOUR_MS
"""An honest relay logs a slot within two minutes of its end; as long as this it may be waiting for
its witnesses, or as long as their word stays fresh, if that is longer."""
MOST_NAMED = 20


@dataclass(slots=True, kw_only=True)
class Run:
    """A run of consecutive slots, from the first to the last."""

    first: int
    last: int
    index: int = 0
    """The entry that showed it: the newest of late ones, or the one after a gap."""
    late_ms: int = 0
    """How long after its end the one that waited longest was logged."""

    @property
    def count(self) -> int:
        """The number of slots in the run."""
        return self.last - self.first + 1


@dataclass(slots=True, kw_only=True)
class Slots:
    """Checks the slots of a custody log in order."""

    slot_ms: int
    due_from: int
    """The first slot that has to be there."""
    late_after_ms: int = LATE_MS
    logged: int = 0
    last: int | None = None
    missing: list[Run] = field(default_factory=list)
    late: list[Run] = field(default_factory=list)

    def end_ms(self, slot: int) -> int:
        """Return the end of a slot."""
        return (slot + 1) * self.slot_ms

    def take(self, slot: int, seen_ms: int, *, index: int) -> None:
        """Record a slot that comes after the last, its entry, and its cosigned time."""
        self.missing += self._missing_up_to(slot - 1, index)
        late_ms = seen_ms - self.end_ms(slot)
        if slot >= self.due_from and late_ms > self.late_after_ms:
            self._note_late(slot, index, late_ms)
        self.logged += 1
        self.last = slot

    def told(self, *, new_from: int = 0) -> list[str]:
        """Return sentences for violations in the entries, or in those from `new_from` on."""
        missing = [run for run in self.missing if run.index >= new_from]
        late = [run for run in self.late if run.index >= new_from]
        return [
            *self._named([(run, self._is_missing(run)) for run in missing], "missing"),
            *self._named([(run, self._is_late(run)) for run in late], "late"),
        ]

    def missing_by(self, time_ms: int) -> Iterator[str]:
        """Yield sentences for slots that are overdue after the last entry."""
        for run in self._missing_up_to((time_ms - self.late_after_ms) // self.slot_ms - 1):
            last = "none was logged" if self.last is None else f"the last one is {self.last}"
            yield f"{self._is_missing(run)}: {last}, and witnesses signed at {time_text(time_ms)}"

    def _missing_up_to(self, slot: int, index: int = 0) -> list[Run]:
        first = self.due_from if self.last is None else max(self.due_from, self.last + 1)
        return [Run(first=first, last=slot, index=index)] if first <= slot else []

    def _note_late(self, slot: int, index: int, late_ms: int) -> None:
        if self.late and self.late[-1].last == slot - 1:
            run = self.late[-1]
            run.last, run.index, run.late_ms = slot, index, max(run.late_ms, late_ms)
        else:
            self.late.append(Run(first=slot, last=slot, index=index, late_ms=late_ms))

    def _named(self, runs: Sequence[tuple[Run, str]], what: str) -> Iterator[str]:
        yield from (text for _, text in runs[-MOST_NAMED:])
        more = sum(run.count for run, _ in runs[:-MOST_NAMED])
        if more:
            yield f"{more} more slots are {what}, in {len(runs) - MOST_NAMED} earlier runs"

    def _is_missing(self, run: Run) -> str:
        return f"{self._words(run)} missing"

    def _is_late(self, run: Run) -> str:
        up_to = "" if run.count == 1 else "up to "
        return f"{self._words(run)} late by {up_to}{span_text(run.late_ms)}"

    def _words(self, run: Run) -> str:
        begin, end = time_text(run.first * self.slot_ms), time_text(self.end_ms(run.last))
        if run.count == 1:
            return f"slot {run.first} ({begin} to {end}) is"
        return f"{run.count} slots, {run.first} to {run.last} ({begin} to {end}), are"
