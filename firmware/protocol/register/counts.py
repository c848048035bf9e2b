"""The rate limits of an agency, an officer or a case (R4, R13, R15), counted during replay.

Times are the requests' own. What one request may ask for by itself is in rules.py.
"""

from bisect import bisect_right, insort
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from firmware.protocol.register.ended import Ended
from firmware.protocol.register.entries import Limits
from firmware.protocol.register.records import LimitsRecord, RequestRecord
from firmware.protocol.register.rules import RuleBroken
from firmware.protocol.requests import EvidenceRequest

MAX_LIMITS_BACK = 16
"""A request isn't tried by limits that were changed more often since: it waits for younger ones."""


@dataclass(slots=True)
class Counts:
    """The published requests in order, indexed for replay in nearly linear time.

    `by_officer` and `emergencies` go by when a request expires, `by_cell` by when it was made.
    """

    by_case: Counter[tuple[str, str]] = field(default_factory=Counter)
    by_officer: dict[tuple[str, str], list[RequestRecord]] = field(
        default_factory=lambda: defaultdict(list)
    )
    by_cell: dict[tuple[str, str], list[RequestRecord]] = field(
        default_factory=lambda: defaultdict(list)
    )
    emergencies: dict[str, list[RequestRecord]] = field(default_factory=lambda: defaultdict(list))
    ended: Ended = field(default_factory=Ended)
    """Those that were forgotten, but for this."""

    def check(
        self,
        request: EvidenceRequest,
        limits: Limits,
        *,
        renewed: RequestRecord | None,
        pending: Sequence[EvidenceRequest] = (),
    ) -> None:
        """Raise RuleBroken if it is one too many; `renewed` is what it renews.

        `pending` are others of its agency that aren't published, and count as if they were.
        """
        agency, now_ms = request.agency, request.created_ms
        mine = _standing(self.by_officer.get((agency, request.officer_id), []), now_ms)
        is_open = [record for record in mine if record is not renewed]
        waiting = [one for one in pending if one.expires_ms > now_ms]
        if renewed is None:
            self._check_case(request, limits, pending)
        elif request.renewed_id in {one.renewed_id for one in waiting}:
            raise RuleBroken("renewal.once", "a request can be renewed once")
        my_waiting = [one for one in waiting if one.officer_id == request.officer_id]
        # A colleague's renewal that isn't published takes nothing off this officer's count yet.
        is_renewed = {one.renewed_id for one in my_waiting}
        count = sum(record.request.id not in is_renewed for record in is_open) + len(my_waiting)
        if count >= limits.max_open_per_officer:
            raise RuleBroken(
                "open_limit",
                f"an officer may have {limits.max_open_per_officer} open requests at most",
            )
        if renewed is None:
            self._check_quiet(request, limits, pending)
            emergencies = _standing(self.emergencies.get(agency, []), now_ms)
            if request.is_emergency and (emergencies or any(one.is_emergency for one in waiting)):
                raise RuleBroken("emergency.open", "an agency may have one open emergency at most")

    def _check_case(
        self, request: EvidenceRequest, limits: Limits, pending: Sequence[EvidenceRequest]
    ) -> None:
        case = request.case_number
        count = self.by_case[request.agency, case] + self.ended.cases.count(request.agency, case)
        count += sum(one.case_number == case and one.renewed_id is None for one in pending)
        if count >= limits.max_per_case:
            raise RuleBroken(
                "case_limit", f"a case may have {limits.max_per_case} requests at most"
            )

    def _check_quiet(
        self, request: EvidenceRequest, limits: Limits, pending: Sequence[EvidenceRequest]
    ) -> None:
        now_ms, quiet_ms = request.created_ms, limits.area_quiet_ms
        near = [one for one in pending if abs(one.created_ms - now_ms) < quiet_ms]
        asked = {cell for one in near for cell in one.cells}
        for cell in request.cells:
            known = self.by_cell.get((request.agency, cell), [])
            ended_ms = self.ended.places.get((request.agency, cell))
            is_near = ended_ms is not None and abs(ended_ms - now_ms) < quiet_ms
            if is_near or cell in asked or _is_any_near(known, now_ms, quiet_ms):
                raise RuleBroken(
                    "area_quiet",
                    f"the same place may be asked about once in {quiet_ms // 3_600_000} hours",
                )

    def keeps_from(
        self,
        request: EvidenceRequest,
        limits: Sequence[LimitsRecord],
        *,
        renewed: RequestRecord | None,
    ) -> int:
        """Return the place of the oldest limits that it keeps, with all that came after them.

        The newest it keeps: `check` is done. Which of them are old enough to count, the witnesses'
        clocks say later (facts.py), and nobody who replays. A renewal isn't counted, so it keeps
        no more than what it renews.
        """
        place = len(limits) - 1
        last = max(0, place - MAX_LIMITS_BACK, 0 if renewed is None else renewed.keeps_from)
        while place > last and self._keeps(request, limits[place - 1].limits, renewed=renewed):
            place -= 1
        return place

    def _keeps(
        self, request: EvidenceRequest, limits: Limits, *, renewed: RequestRecord | None
    ) -> bool:
        try:
            self.check(request, limits, renewed=renewed)
        except RuleBroken:
            return False
        return True

    def end(self, request: EvidenceRequest) -> None:
        """Count a request that is published, of which nothing else is kept."""
        self.ended.ids.add(request.id)
        if request.renewed_id is None:
            self.ended.cases.add(request.agency, request.case_number)
        places = self.ended.places
        for cell in request.cells:
            place = (request.agency, cell)
            places[place] = max(request.created_ms, places.get(place, 0))

    def add(self, record: RequestRecord) -> None:
        """Count a request that is published."""
        request = record.request
        if request.renewed_id is None:
            self.by_case[request.agency, request.case_number] += 1
        insort(self.by_officer[request.agency, request.officer_id], record, key=_expires_ms)
        for cell in request.cells:
            insort(self.by_cell[request.agency, cell], record, key=_created_ms)
        if request.is_emergency:
            insort(self.emergencies[request.agency], record, key=_expires_ms)


def _standing(records: list[RequestRecord], now_ms: int) -> list[RequestRecord]:
    """Return which of these, in order of their expiry, still stand.

    One that was renewed isn't counted besides its renewal, which outlasts it: it ends no earlier
    (`check_renewal`), and takes it along when it is withdrawn.
    """
    unexpired = records[bisect_right(records, now_ms, key=_expires_ms) :]
    return [one for one in unexpired if not one.is_withdrawn and one.renewed_by is None]


def _is_any_near(records: list[RequestRecord], now_ms: int, quiet_ms: int) -> bool:
    """Return whether one of these, in order of their making, was made so close to that time."""
    at = bisect_right(records, now_ms - quiet_ms, key=_created_ms)
    return at < len(records) and _created_ms(records[at]) < now_ms + quiet_ms


def _expires_ms(record: RequestRecord) -> int:
    return record.request.expires_ms


def _created_ms(record: RequestRecord) -> int:
    return record.request.created_ms
