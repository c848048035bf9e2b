"""The page /town: an example town's simulated clock, which any visitor may move ahead.

There is no such page (404) where the logs aren't an example's, or their clock isn't a file's. It
shows what waits for which time, from the public record alone: what an agency got is on no page, so
when it has to be deleted at the latest is reckoned from the request.
"""

import asyncio
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from relay.agency.agencies import agency_of, standing_of
from relay.agency.onboarding_status import counts_from
from relay.agency.register import RegisterView
from relay.base.clock import MOST_AT_ONCE_MS, SimulatedClock
from relay.errors import ClockRefused
from relay.record.public_record import PublicRecord, RecordView
from relay.request.batches import batch_ms_of, next_boundary_ms
from relay.request.outcomes import due_of
from relay.request.published_requests import States
from relay.web.forms import form_of, text_in
from relay.web.json_responses import PageError, not_found
from relay.web.pages import Pages

MINUTE_MS: Final = 60_000
DAY_MS: Final = 24 * 60 * MINUTE_MS
STEPS: Final = {"minutes": 15 * MINUTE_MS, "day": DAY_MS, "week": 7 * DAY_MS}
"""How far a button winds; "batch" is the one that isn't always as far."""
MOST_OF_A_KIND: Final = 6
MAX_DIGITS: Final = 15
AFTER_MS: Final = 1_000
"""So long after its time something has happened: a batch's page has what came with it."""

Kind = Literal[
    "agreement", "agreement_next", "agreement_ends", "officer", "request", "outcome", "retention",
    "deletion", "batch",
]  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduledChange:
    """A future event that happens by itself at a time of the town's clock."""

    kind: Kind
    at_ms: int
    name: str
    href: str = ""


class TownPage:
    """The page and its buttons' actions. `origin` is the relay's own."""

    def __init__(
        self, *, clock: SimulatedClock | None, pages: Pages, record: PublicRecord, origin: str
    ) -> None:
        self._clock = clock
        self._pages = pages
        self._record = record
        self._origin = origin

    def routes(self) -> list[Route]:
        """Return the page's routes."""
        return [
            Route("/town", self.show),
            Route("/town", self.wind, methods=["POST"]),
        ]

    async def show(self, request: Request) -> Response:
        """GET /town: the town's time, and its future events."""
        return await self._render(request, self._of_town())

    async def wind(self, request: Request) -> Response:
        """POST /town: move ahead by a button's `step`, or to its time, `until_ms`.

        From the time that its page showed (`ahead_ms`); a month at most.
        """
        clock = self._of_town()
        if request.headers.get("origin") != self._origin:
            raise PageError(403, "origin", "only this town's own page winds its clock")
        fields = await form_of(request)
        view = (await self._record.view()).register
        try:
            seen_ms = _number(text_in(fields, "ahead_ms"))
            until, step = text_in(fields, "until_ms"), text_in(fields, "step")
            by_ms = _until_ms(_number(until), view) if until else _step_ms(step, view)
        except (ValueError, KeyError) as error:
            raise PageError(422, "invalid", "a button of this page says how far") from error
        try:
            await asyncio.to_thread(clock.wind, by_ms, seen_ms=seen_ms)
        except ClockRefused as refused:
            return await self._render(request, clock, trouble=refused.reason, status=409)
        return RedirectResponse("/town", status_code=303)

    def _of_town(self) -> SimulatedClock:
        if self._clock is None:
            raise not_found("page")
        return self._clock

    async def _render(
        self, request: Request, clock: SimulatedClock, *, trouble: str = "", status: int = 200
    ) -> Response:
        view = await self._record.view()
        waiting = scheduled_changes(view)
        shown = soonest_of_each(waiting)
        page = self._pages.render(
            request,
            "public/town.html",
            status=status,
            now_ms=view.now_ms,
            ahead_ms=clock.offset_ms(),
            ahead_days=clock.offset_ms() // DAY_MS,
            ahead_minutes=clock.offset_ms() % DAY_MS // MINUTE_MS,
            steps=("minutes", "batch", "day", "week"),
            waiting=shown,
            more=len(waiting) - len(shown),
            within_ms=view.now_ms + MOST_AT_ONCE_MS,
            trouble=trouble,
        )
        page.headers["referrer-policy"] = "same-origin"  # else the form's Origin would be null
        return page


def scheduled_changes(view: RecordView) -> list[ScheduledChange]:
    """Return the future events that the public record implies, soonest first."""
    found = [one for one in _waiting(view) if one.at_ms > view.now_ms]
    return sorted(found, key=lambda one: (one.at_ms, one.kind, one.name))


def soonest_of_each(waiting: list[ScheduledChange]) -> list[ScheduledChange]:
    """Return a few of each kind: a hundred requests that end shouldn't hide all else."""
    counts: Counter[Kind] = Counter()
    shown = []
    for one in waiting:
        counts[one.kind] += 1
        shown += [one] if counts[one.kind] <= MOST_OF_A_KIND else []
    return shown


def _waiting(view: RecordView) -> Iterator[ScheduledChange]:
    register = view.register
    batch_ms = batch_ms_of(register)
    yield ScheduledChange(
        kind="batch", at_ms=next_boundary_ms(view.now_ms, batch_ms), name="", href=""
    )
    for agency_id in register.register.agreements:
        yield from _of_agency(register, agency_id)
    for agency_id, officer_id in register.register.officers:
        officer = standing_of(register, agency_id, officer_id)
        if officer.counts_from_ms is not None:
            yield ScheduledChange(kind="officer", at_ms=officer.counts_from_ms, name=officer.name)
    yield from _of_requests(view)
    yield from _of_deletions(view)


def _of_agency(view: RegisterView, agency_id: str) -> Iterator[ScheduledChange]:
    agency = agency_of(view, agency_id)
    if agency is None:
        return
    name, href = agency.agreement.name, f"/agencies/{agency_id}"
    if agency.counts_from_ms is not None:
        yield ScheduledChange(kind="agreement", at_ms=agency.counts_from_ms, name=name, href=href)
    if agency.state == "in_force":
        yield ScheduledChange(
            kind="agreement_ends", at_ms=agency.agreement.ends_ms, name=name, href=href
        )
        newest = view.facts.agreements[agency_id][-1].agreement
        counts_ms = counts_from(view, newest)
        if newest != agency.agreement and counts_ms is not None:
            yield ScheduledChange(kind="agreement_next", at_ms=counts_ms, name=name, href=href)


def _of_requests(view: RecordView) -> Iterator[ScheduledChange]:
    register, filed = view.register, frozenset(view.book.outcomes)
    states = States(register)
    for record in register.register.requests.values():
        request = record.request
        name, href = request.case_number, f"/requests/{request.id}"
        state = states.of(record)
        if state == "logging":  # nobody reads it yet: it has no page
            continue
        if state in ("open", "suspended"):
            yield ScheduledChange(kind="request", at_ms=request.expires_ms, name=name, href=href)
            continue
        due = due_of(register, record, filed)
        if due.state == "due" and due.due_ms is not None and record.renewed_by is None:
            yield ScheduledChange(kind="outcome", at_ms=due.due_ms, name=name, href=href)
        if due.closed_ms is not None:
            kept_ms = due.closed_ms + request.retention_days * DAY_MS
            yield ScheduledChange(kind="retention", at_ms=kept_ms, name=name, href=href)


def _of_deletions(view: RecordView) -> Iterator[ScheduledChange]:
    for one in view.book.deletions_of():
        if one.answered is None and one.asked.answer_by_ms is not None:
            agency = agency_of(view.register, one.asked.agency or "")
            name = one.asked.agency or "" if agency is None else agency.name
            href = f"/entries/{one.asked.log}/{one.asked.index}"
            yield ScheduledChange(
                kind="deletion", at_ms=one.asked.answer_by_ms, name=name, href=href
            )


def _until_ms(until_ms: int, view: RegisterView) -> int:
    """Return how far to move the clock in milliseconds: at most a month."""
    return min(until_ms + AFTER_MS - view.now_ms, MOST_AT_ONCE_MS)


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS):
        raise ValueError(text)
    return int(text)


def _step_ms(step: str, view: RegisterView) -> int:
    if step != "batch":
        return STEPS[step]
    return next_boundary_ms(view.now_ms, batch_ms_of(view)) - view.now_ms + AFTER_MS
