"""Public pages of agency onboarding: ask, prove the address, hand in the agreement, and wait.

No account stands behind it. The page's own address (130 random bits) is the key to it; what is
handed in there is public and signed, and changes nothing before two administrators signed it too.
Plain forms: it works without JavaScript.
"""

import asyncio
import shlex
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from relay.agency.agencies import Agencies
from relay.agency.errors import OnboardingRefused
from relay.agency.keys import fingerprint_of
from relay.agency.onboarding import Onboarding
from relay.base.clock import Clock
from relay.mail import MailUnavailable
from relay.map.cells import area_km2, centre_of
from relay.map.map_data import MapData
from relay.web.area_files import geojson_answer, outline_answer, shown_changes
from relay.web.forms import file_in, read_form, text_in
from relay.web.json_responses import PageError, not_found
from relay.web.pages import Pages

PATH = "/for-agencies"
MAX_UPLOAD_BYTES = 640 * 1024
"""An enrolment or an area, and the form around it."""
SHOWN_CELLS = 100
DAY_MS = 24 * 3600 * 1000
TIME_TO_JOIN_MS = 14 * DAY_MS


@dataclass(frozen=True, slots=True, kw_only=True)
class OnboardingServices:
    """The pages' dependencies. `origin` is the relay's own."""

    pages: Pages
    onboarding: Onboarding
    agencies: Agencies
    clock: Clock
    origin: str
    maps: MapData


async def read_own_form(request: Request, origin: str, *, max_files: int = 0) -> FormData:
    """Return a form of a caller without a session; another site's page is refused."""
    sender = request.headers.get("origin")
    if sender is not None and sender != origin:
        raise PageError(403, "origin", "sent by another site's page")
    return await read_form(request, csrf="", max_files=max_files)


def status_of(refusal: OnboardingRefused | None) -> int:
    """Return the HTTP status of a refusal."""
    if refusal is None:
        return 200
    return {"state": 409, "often": 429, "unknown": 404, "mail": 503}.get(refusal.reason, 422)


class OnboardingPages:
    """The onboarding pages."""

    def __init__(self, services: OnboardingServices) -> None:
        self._services = services

    def routes(self) -> list[Route]:
        """Return the routes."""
        case = PATH + "/{onboarding_id}"
        return [
            Route(PATH, self.start, methods=["GET"]),
            Route(PATH, self.ask, methods=["POST"]),
            Route(case, self.show, methods=["GET"]),
            Route(case + "/code", self.confirm, methods=["POST"]),
            Route(case + "/code/again", self.send_again, methods=["POST"]),
            Route(case + "/enrolment", self.enrol, methods=["POST"]),
            Route(case + "/outline.svg", self.outline, methods=["GET"]),
            Route(case + "/area.geojson", self.geojson, methods=["GET"]),
        ]

    async def start(self, request: Request) -> Response:
        """GET /for-agencies: an introduction, and the form that starts an onboarding."""
        return await self._start(request)

    async def ask(self, request: Request) -> Response:
        """POST /for-agencies: start an onboarding; a code is mailed to the address."""
        form = await self._form(request)
        try:
            onboarding_id = await self._services.onboarding.ask(
                text_in(form, "agency"), text_in(form, "name"), text_in(form, "email")
            )
        except OnboardingRefused as refusal:
            return await self._start(request, form=form, refusal=refusal)
        return RedirectResponse(f"{PATH}/{onboarding_id}", status_code=303)

    async def show(self, request: Request) -> Response:
        """GET /for-agencies/{onboarding_id}: the onboarding's state and its next step."""
        return await self._show(request)

    async def confirm(self, request: Request) -> Response:
        """POST …/code: check the code that came by mail, or was handed over."""
        form = await self._form(request)
        code = text_in(form, "code")
        return await self._step(request, lambda one: self._services.onboarding.confirm(one, code))

    async def send_again(self, request: Request) -> Response:
        """POST …/code/again: mail another code."""
        await self._form(request)
        return await self._step(request, self._services.onboarding.send_code)

    async def enrol(self, request: Request) -> Response:
        """POST …/enrolment: upload of the file that doorward-agency enrol wrote."""
        form = await self._form(request, max_files=1)
        data = await file_in(form, "file")
        return await self._step(
            request, lambda one: self._services.onboarding.take_enrolment(one, data)
        )

    async def outline(self, request: Request) -> Response:
        """GET …/outline.svg: the shape of the handed-in area."""
        return await asyncio.to_thread(outline_answer, await self._cells(request))

    async def geojson(self, request: Request) -> Response:
        """GET …/area.geojson: the area's cells, for other map programs."""
        return await asyncio.to_thread(geojson_answer, await self._cells(request))

    async def _cells(self, request: Request) -> list[str]:
        case = await self._services.onboarding.find(request.path_params["onboarding_id"])
        if case is None or case.agreement is None:
            raise not_found("area")
        return case.agreement.cells

    async def _step(self, request: Request, step: Callable[[str], Awaitable[None]]) -> Response:
        onboarding_id = request.path_params["onboarding_id"]
        try:
            await step(onboarding_id)
        except OnboardingRefused as refusal:
            return await self._show(request, refusal=refusal)
        except MailUnavailable:
            unsent = OnboardingRefused("mail", "the letter couldn't be sent; try again later")
            return await self._show(request, refusal=unsent)
        return RedirectResponse(f"{PATH}/{onboarding_id}", status_code=303)

    async def _form(self, request: Request, *, max_files: int = 0) -> FormData:
        return await read_own_form(request, self._services.origin, max_files=max_files)

    async def _start(
        self,
        request: Request,
        *,
        form: FormData | None = None,
        refusal: OnboardingRefused | None = None,
    ) -> Response:
        given = FormData() if form is None else form
        view = await self._services.agencies.view()
        return self._services.pages.render(
            request,
            "public/onboarding_start.html",
            status=status_of(refusal),
            refusal=refusal,
            given={name: text_in(given, name) for name in ("agency", "name", "email")},
            origin=view.register.origin,
            days=-(-view.facts.delays.agreement_age_ms // DAY_MS),
            has_mail=self._services.onboarding.has_mail,
        )

    async def _show(
        self, request: Request, *, refusal: OnboardingRefused | None = None
    ) -> Response:
        case = await self._services.onboarding.find(request.path_params["onboarding_id"])
        if case is None:
            raise not_found("page")
        view = await self._services.agencies.view()
        cells = case.agreement.cells if case.agreement else []
        code_expires_ms = case.row.code_expires_ms or 0
        return self._services.pages.render(
            request,
            "public/onboarding.html",
            status=status_of(refusal),
            refusal=refusal,
            case=case,
            has_code=case.row.code_hash is not None
            and code_expires_ms > self._services.clock.wall_ms(),
            origin=view.register.origin,
            version=len(view.facts.agreements.get(case.row.agency, ())) + 1,
            has_mail=self._services.onboarding.has_mail,
            now_ms=view.now_ms,
            quoted_name=shlex.quote(case.row.name),
            begins=datetime.fromtimestamp((view.now_ms + TIME_TO_JOIN_MS) / 1000, UTC).date(),
            address=f"{self._services.origin}{PATH}/{case.row.id}",
            base=f"{PATH}/{case.row.id}",
            fingerprint=fingerprint_of,
            area_km2=round(area_km2(cells), 1),
            places=[(cell, *centre_of(cell)) for cell in cells[:SHOWN_CELLS]],
            changes=await asyncio.to_thread(shown_changes, case.difference),
        )
