"""Rules for outcomes in the custody log, and the missing ones. Pure.

When a request was over follows from the register alone: by its own words, or when witnesses saw its
withdrawal. From then on its agency has 30 days to say what became of it, once, signed by somebody
whom it certified for that.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from firmware.protocol.encoding import WireError, unb64u
from firmware.protocol.outcomes import (
    FILE_WITHIN_MS,
    Outcome,
    SignedOutcome,
    check_outcome,
    parse_outcome,
)
from firmware.protocol.register.records import RequestRecord
from relay.tools.monitor.register_rules import Replayed
from relay.tools.monitor.time_texts import MINUTE_MS, time_text

SLACK_MS = 15 * MINUTE_MS
"""Between the two logs, and between what is done and what witnesses sign."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Filed:
    """One valid outcome; `is_late`: it came after its 30 days."""

    told: Outcome
    is_late: bool


class OutcomeRules:
    """Checks outcomes in the order of the log; `filed` are the valid ones, by request digest."""

    def __init__(self, register: Replayed) -> None:
        self.filed: dict[str, Filed] = {}
        self._register = register

    def take(self, signed: SignedOutcome, *, seen_ms: int, has_downloaded: bool) -> Iterator[str]:
        """Check one outcome; yield a sentence for the rule that it breaks."""
        told = parse_outcome(signed)
        record = self._register.register.requests.get(told.request_digest)
        if record is None or record.request.agency != told.agency:
            yield f"an outcome of a request that {told.agency} never published"
        elif told.request_digest in self.filed:
            yield "an outcome that was filed before"
        elif record.renewed_by is not None:
            yield "an outcome of a request that was renewed: its renewal's counts for both"
        elif not self._is_signed(signed):
            yield f"an outcome that nobody whom {told.agency} certified for it signed"
        else:
            closed_ms = self._closed_ms(record)
            is_late = seen_ms > closed_ms + FILE_WITHIN_MS + SLACK_MS
            self.filed[told.request_digest] = Filed(told=told, is_late=is_late)
            if seen_ms < closed_ms - SLACK_MS:
                yield "an outcome of a request that wasn't over yet"
            if told.is_resolved and not self._is_withdrawn_early(record):
                yield "a request is said to be resolved that its agency never withdrew"
            if told.outcome == "used" and not has_downloaded:
                yield f"{told.agency} says that it used something, and it downloaded nothing"

    def due(self) -> dict[str, list[int]]:
        """Return, by agency, the due times of missing outcomes."""
        due: dict[str, list[int]] = defaultdict(list)
        for digest, record in self._register.register.requests.items():
            if record.renewed_by is None and digest not in self.filed:
                due[record.request.agency].append(self._closed_ms(record) + FILE_WITHIN_MS)
        return due

    def owed(self, *, by_ms: int) -> Iterator[str]:
        """Yield a sentence for each agency with overdue outcomes."""
        for agency, due_ms in sorted(self.due().items()):
            times_ms = [one for one in due_ms if by_ms > one + SLACK_MS]
            if not times_ms:
                continue
            count = len(times_ms)
            what = "the outcome of a request" if count == 1 else f"outcomes of {count} requests"
            yield (
                f"{agency} owes {what}, since {time_text(min(times_ms))}: witnesses signed at "
                f"{time_text(by_ms)}"
            )

    def _is_withdrawn_early(self, record: RequestRecord) -> bool:
        if record.withdrawn_index is None:
            return False
        seen_ms = self._register.log.seen_ms(record.withdrawn_index)
        return seen_ms <= record.request.expires_ms + SLACK_MS

    def _closed_ms(self, record: RequestRecord) -> int:
        """Return a request's end, past or future."""
        expires_ms = record.request.expires_ms
        if record.withdrawn_index is None:
            return expires_ms
        return min(expires_ms, self._register.log.seen_ms(record.withdrawn_index))

    def _is_signed(self, signed: SignedOutcome) -> bool:
        officer = self._register.register.officer_of(signed.officer)
        if officer is None:
            return False
        try:
            check_outcome(signed, unb64u(officer.signing_key))
        except WireError:
            return False
        return True
