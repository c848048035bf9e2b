"""Pages to define a jurisdiction before signing: on a map, by corners, or from a file.

All three come in by one form, are read by one strict reader, and change nothing here: the answer is
a list of cells for doorward-agency. Whoever has the page's address and proved their own may; map
and places are the operator's, as officers have them. Works without JavaScript but for the drawing.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import (
    FileResponse,
    JSONResponse,
    PlainTextResponse,
    RedirectResponse,
    Response,
)
from starlette.routing import Route

from firmware.protocol.register.entries import Agreement
from relay.agency.agreement_size import FITTING_CELLS
from relay.agency.errors import OnboardingRefused
from relay.agency.jurisdiction import Extent, cells_of_area, extent_of
from relay.agency.onboarding_status import OnboardingStatus
from relay.map.cells import area_km2
from relay.record.areas import as_svg
from relay.store.onboardings import State
from relay.web.area_files import picture_of
from relay.web.forms import file_in, text_in
from relay.web.json_responses import not_found
from relay.web.public.onboarding import PATH, OnboardingServices, read_own_form, status_of
from relay.web.security import page_policy

AREA_PATH = PATH + "/{onboarding_id}/area"
OPEN: tuple[State, ...] = ("confirmed", "enrolled")
MAX_SEARCH_CHARS = 100
MAX_TYPED_CHARS = 20_000
"""So much of a list that was refused is shown again."""
DAY_S = 24 * 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownArea:
    """An area in the register's form."""

    cells: list[str]
    km2: float
    extent: Extent
    picture: str


class AreaPages:
    """The page on which an area is drawn or typed, and its map's data."""

    def __init__(self, services: OnboardingServices) -> None:
        self._services = services

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            Route(AREA_PATH, self.show, methods=["GET"]),
            Route(AREA_PATH, self.measure, methods=["POST"]),
            Route(AREA_PATH + "/places", self.search_places, methods=["GET"]),
            Route(AREA_PATH + "/streets.pmtiles", self.streets, methods=["GET"]),
        ]

    async def show(self, request: Request) -> Response:
        """GET …/area: the map, the list of corners and the file."""
        case = await self._case(request)
        if case.row.state not in OPEN:
            return RedirectResponse(f"{PATH}/{case.row.id}", status_code=303)
        return await self._page(request, case)

    async def measure(self, request: Request) -> Response:
        """POST …/area: the cells of an area, as a page or as a file for doorward-agency."""
        form = await read_own_form(request, self._services.origin, max_files=1)
        case = await self._case(request)
        typed = text_in(form, "area")
        try:
            if case.row.state not in OPEN:
                raise OnboardingRefused("state", "an area is drawn between code and signature")
            data = await file_in(form, "file") or typed.encode()
            cells = await asyncio.to_thread(cells_of_area, data)
        except OnboardingRefused as refusal:
            return await self._page(request, case, typed=typed, refusal=refusal)
        if _wants_to_look(form):
            shown = await asyncio.to_thread(_shown, cells)
            return await self._page(request, case, typed=typed, shown=shown)
        return PlainTextResponse(
            "\n".join(cells) + "\n",
            headers={"Content-Disposition": 'attachment; filename="cells.txt"'},
        )

    async def search_places(self, request: Request) -> Response:
        """GET …/area/places?q=…: names of places, the larger ones first."""
        await self._check_open(request)
        asked = request.query_params.get("q", "")[:MAX_SEARCH_CHARS]
        places = self._services.maps.places
        found = await asyncio.to_thread(places.search, asked, lambda _: False)
        told = [{"name": place.name, "lat": place.lat, "lon": place.lon} for place, _ in found]
        return JSONResponse({"places": told}, headers={"Cache-Control": "no-store"})

    async def streets(self, request: Request) -> Response:
        """GET …/area/streets.pmtiles: the operator's file, in the parts that the map asks for."""
        await self._check_open(request)
        path = self._services.maps.streets
        if path is None or not path.is_file():
            raise not_found("map of streets")
        headers = {"Cache-Control": f"private, max-age={DAY_S}"}
        return FileResponse(path, media_type="application/vnd.pmtiles", headers=headers)

    async def _case(self, request: Request) -> OnboardingStatus:
        case = await self._services.onboarding.find(request.path_params["onboarding_id"])
        if case is None:
            raise not_found("page")
        return case

    async def _check_open(self, request: Request) -> None:
        """Refuse callers who may not draw; reads one row only, since a map sends many requests."""
        row = await self._services.onboarding.find_row(request.path_params["onboarding_id"])
        if row is None or row.state not in OPEN:
            raise not_found("map")

    async def _page(
        self,
        request: Request,
        case: OnboardingStatus,
        *,
        typed: str = "",
        shown: ShownArea | None = None,
        refusal: OnboardingRefused | None = None,
    ) -> Response:
        before = await self._before(case)
        maps = self._services.maps
        is_drawn = _is_cells(typed)
        begin = before.cells if before else []
        if shown is not None:
            begin = shown.cells
        elif is_drawn:
            begin = typed.split()
        response = self._services.pages.render(
            request,
            "public/onboarding_area.html",
            status=status_of(refusal),
            case=case,
            refusal=refusal,
            shown=shown,
            typed="" if is_drawn else typed[:MAX_TYPED_CHARS],
            before=before if shown is None and not is_drawn else None,
            most=FITTING_CELLS,
            is_open=case.row.state in OPEN,
            drawing={
                "cells": begin[: 2 * FITTING_CELLS],
                "max_cells": FITTING_CELLS,
                "has_streets": maps.streets is not None,
                "attribution": maps.attribution,
                "has_places": len(maps.places) > 0,
                "base": f"{PATH}/{case.row.id}/area",
            },
        )
        # MapLibre GL runs its own module as a worker.
        response.headers["Content-Security-Policy"] = page_policy(worker=True)
        return response

    async def _before(self, case: OnboardingStatus) -> Agreement | None:
        """Return the agreement to start from: the handed-in one, or the register's newest."""
        if case.agreement is not None:
            return case.agreement
        view = await self._services.agencies.view()
        known = view.facts.agreements.get(case.row.agency, ())
        return known[-1].agreement if known else None


def _wants_to_look(form: FormData) -> bool:
    return text_in(form, "action") == "look"


def _is_cells(typed: str) -> bool:
    """Return whether a text is a list of cells from the map, and not of corners."""
    return bool(typed) and all(len(word) == 15 and word.isalnum() for word in typed.split())


def _shown(cells: Sequence[str]) -> ShownArea:
    return ShownArea(
        cells=list(cells),
        km2=round(area_km2(cells), 1),
        extent=extent_of(cells),
        picture=picture_of(as_svg(cells)),
    )
