"""/town: the clock of an invented town, which anybody at the page may wind ahead.

There is no such page (404) where the logs aren't an example's, or their clock isn't a file's. It
shows what waits for which time, from the public register alone.
"""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from relay.agency.agencies import Agencies, agency_of, standing_of
from relay.agency.register import RegisterView
from relay.clock import WoundClock
from relay.errors import ClockRefused
from relay.request.batches import batch_ms_of, next_boundary_ms
from relay.request.published import list_published
from relay.web.answers import PageError, not_found
from relay.web.forms import form_of, text_in
from relay.web.pages import Pages

MINUTE_MS: Final = 60_000
DAY_MS: Final = 24 * 60 * MINUTE_MS
STEPS: Final = {"minutes": 15 * MINUTE_MS, "day": DAY_MS, "week": 7 * DAY_MS}
"""How far a button winds; "batch" is the one that isn't always as far."""
MOST_WAITING: Final = 50
AFTER_MS: Final = 1_000
"""So long after a batch's end its page has what came with it."""

Kind = Literal["agreement", "agreement_ends", "officer", "request", "batch"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """Something that happens by itself when the town's clock says so."""

    kind: Kind
    at_ms: int
    name: str
    href: str = ""


class TownPage:
    """The page, and what its buttons do. `origin` is the relay's own."""

    def __init__(
        self, *, clock: WoundClock | None, pages: Pages, agencies: Agencies, origin: str
    ) -> None:
        self._clock = clock
        self._pages = pages
        self._agencies = agencies
        self._origin = origin

    def routes(self) -> list[Route]:
        """Return the page's routes."""
        return [
            Route("/town", self.show),
            Route("/town", self.wind, methods=["POST"]),
        ]

    async def show(self, request: Request) -> Response:
        """GET /town: the town's time, and what waits for which."""
        return await self._render(request, self._of_town())

    async def wind(self, request: Request) -> Response:
        """POST /town: wind on by a button's step, from the time that its page showed."""
        clock = self._of_town()
        if request.headers.get("origin") != self._origin:
            raise PageError(403, "origin", "only this town's own page winds its clock")
        fields = await form_of(request)
        view = await self._agencies.view()
        try:
            seen_ms = int(text_in(fields, "ahead_ms"))
            by_ms = _step_ms(text_in(fields, "step"), view)
        except (ValueError, KeyError) as error:
            raise PageError(422, "invalid", "a button of this page says how far") from error
        try:
            await asyncio.to_thread(clock.wind, by_ms, seen_ms=seen_ms)
        except ClockRefused as refused:
            return await self._render(request, clock, trouble=refused.reason, status=409)
        return RedirectResponse("/town", status_code=303)

    def _of_town(self) -> WoundClock:
        if self._clock is None:
            raise not_found("page")
        return self._clock

    async def _render(
        self, request: Request, clock: WoundClock, *, trouble: str = "", status: int = 200
    ) -> Response:
        view = await self._agencies.view()
        page = self._pages.render(
            request,
            "public/town.html",
            status=status,
            now_ms=view.now_ms,
            ahead_ms=clock.offset_ms(),
            ahead_days=clock.offset_ms() // DAY_MS,
            ahead_minutes=clock.offset_ms() % DAY_MS // MINUTE_MS,
            steps=("minutes", "batch", "day", "week"),
            waiting=what_waits(view),
            trouble=trouble,
        )
        page.headers["referrer-policy"] = "same-origin"  # else the form's Origin would be null
        return page


def what_waits(view: RegisterView) -> list[Waiting]:
    """Return what the public register says that will happen, soonest first."""
    found = [one for one in _waiting(view) if one.at_ms > view.now_ms]
    return sorted(found, key=lambda one: (one.at_ms, one.name))[:MOST_WAITING]


def _waiting(view: RegisterView) -> Iterator[Waiting]:
    yield Waiting(
        kind="batch", at_ms=next_boundary_ms(view.now_ms, batch_ms_of(view)), name="", href=""
    )
    for agency_id in view.register.agreements:
        agency = agency_of(view, agency_id)
        if agency is None:
            continue
        name, href = agency.agreement.name, f"/agencies/{agency_id}"
        if agency.counts_from_ms is not None:
            yield Waiting(kind="agreement", at_ms=agency.counts_from_ms, name=name, href=href)
        if agency.state == "in_force":
            yield Waiting(
                kind="agreement_ends", at_ms=agency.agreement.ends_ms, name=name, href=href
            )
    for agency_id, officer_id in view.register.officers:
        officer = standing_of(view, agency_id, officer_id)
        if officer.counts_from_ms is not None:
            yield Waiting(kind="officer", at_ms=officer.counts_from_ms, name=officer.name)
    for row in list_published(view):
        if row.state in ("logging", "open", "suspended"):
            yield Waiting(
                kind="request",
                at_ms=row.request.expires_ms,
                name=row.request.case_number,
                href=f"/requests/{row.id}",
            )


def _step_ms(step: str, view: RegisterView) -> int:
    if step != "batch":
        return STEPS[step]
    return next_boundary_ms(view.now_ms, batch_ms_of(view)) - view.now_ms + AFTER_MS
