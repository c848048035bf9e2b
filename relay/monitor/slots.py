"""Which slots have their entry, which are missing, and which came long after they were over.

A slot is due from the charter on, one after the other, whether or not a doorbell was heard. A relay
that was down for more than a day leaves some out, and one whose witnesses were away logs them late:
neither breaks a rule, but in such a time no doorbell could prove when it recorded, so it is said.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from relay.monitor.times import HOUR_MS, span_text, time_text

LATE_MS = HOUR_MS
"""An honest relay logs a slot within two minutes of its end; as long as this it may be waiting for
its witnesses, and no longer than their word stays fresh."""
MOST_NAMED = 20


@dataclass(slots=True, kw_only=True)
class Run:
    """Slots that follow each other, from the first to the last."""

    first: int
    last: int
    late_ms: int = 0
    """How long after its end the one that waited longest was logged."""

    @property
    def count(self) -> int:
        """How many they are."""
        return self.last - self.first + 1


@dataclass(slots=True, kw_only=True)
class Slots:
    """The slots of a custody log, taken in order."""

    slot_ms: int
    due_from: int
    """The first slot that has to be there."""
    logged: int = 0
    last: int | None = None
    missing: list[Run] = field(default_factory=list)
    late: list[Run] = field(default_factory=list)

    def end_ms(self, slot: int) -> int:
        """Return when a slot is over."""
        return (slot + 1) * self.slot_ms

    def take(self, slot: int, seen_ms: int) -> None:
        """Note a slot that comes after the last, and by when witnesses had seen it."""
        self.missing += self._missing_up_to(slot - 1)
        late_ms = seen_ms - self.end_ms(slot)
        if late_ms > LATE_MS:
            self._note_late(slot, late_ms)
        self.logged += 1
        self.last = slot

    def told(self) -> list[str]:
        """Return what the entries show, in words: the same for everybody who has them."""
        return [
            *self._named([(run, self._is_missing(run)) for run in self.missing], "missing"),
            *self._named([(run, self._is_late(run)) for run in self.late], "late"),
        ]

    def told_by(self, time_ms: int) -> Iterator[str]:
        """Yield, in words, what should have come after the last entry by then."""
        for run in self._missing_up_to((time_ms - LATE_MS) // self.slot_ms - 1):
            last = "none was logged" if self.last is None else f"the last one is {self.last}"
            yield f"{self._is_missing(run)}: {last}, and witnesses signed at {time_text(time_ms)}"

    def _missing_up_to(self, slot: int) -> list[Run]:
        first = self.due_from if self.last is None else max(self.due_from, self.last + 1)
        return [Run(first=first, last=slot)] if first <= slot else []

    def _note_late(self, slot: int, late_ms: int) -> None:
        if self.late and self.late[-1].last == slot - 1:
            run = self.late[-1]
            run.last, run.late_ms = slot, max(run.late_ms, late_ms)
        else:
            self.late.append(Run(first=slot, last=slot, late_ms=late_ms))

    def _named(self, runs: Sequence[tuple[Run, str]], what: str) -> Iterator[str]:
        yield from (text for _, text in runs[:MOST_NAMED])
        more = sum(run.count for run, _ in runs[MOST_NAMED:])
        if more:
            yield f"{more} more slots are {what}, in {len(runs) - MOST_NAMED} more runs"

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
