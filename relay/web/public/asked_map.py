"""The public page /map: which map cells were asked about in the last year, in bands.

The picture is drawn here, so the page needs no script; where the browser has WebGL a module puts
the operator's streets under it. The table beside it says the same, and each row leads to the
requests of its cell.
"""

import asyncio

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from relay.map.cell_svg import CellGroup, draw_cells
from relay.record.asked_cells import (
    ASKED_BANDS,
    ASKED_FIELDS,
    AskedCell,
    asked_cells,
    asked_geojson,
    asked_rows,
)
from relay.record.exports import as_csv
from relay.record.public_record import RecordView
from relay.web.area_views import names_around
from relay.web.json_responses import not_found
from relay.web.public.file_responses import CSV_TYPE, file_answer
from relay.web.public.query_params import page_at, page_number_text, start_of
from relay.web.public.response_cache import Make, ResponseCache
from relay.web.public.services import PublicServices
from relay.web.security import page_policy

A_PAGE = 25
MOST_DRAWN = 1000
"""Cells in the picture, those asked about most first: with more the page would be heavy."""
DAY_S = 24 * 3600


class AskedMapPages:
    """The page, its files, and the streets under its map."""

    def __init__(self, services: PublicServices, answering: ResponseCache) -> None:
        self._services = services
        self._answering = answering
        self._version = ""
        self._cells: list[AskedCell] = []
        self._pictures: dict[str, Markup] = {}

    def routes(self) -> list[Route]:
        """Return these pages' routes."""
        return [
            Route("/map", self.show),
            Route("/map.geojson", self.geojson),
            Route("/map.csv", self.csv),
            Route("/map/streets.pmtiles", self.streets),
        ]

    async def show(self, request: Request) -> Response:
        """GET /map: the picture, the search, and the table."""
        view, texts = await self._services.record.view(), self._services.pages.texts(request)

        async def make() -> Response:
            found = self._found(view)
            params = request.query_params
            start = start_of(params, size=A_PAGE)
            rows = found[start : start + A_PAGE]
            paged = page_at(params, rows, size=A_PAGE, total=len(found))
            response = self._services.pages.render(
                request,
                "public/map.html",
                status=200 if paged.number else 404,
                picture=await self._picture(view, texts("asked.picture")),
                paged=paged,
                page_number_text=page_number_text(params),
                bands=ASKED_BANDS,
                drawn=min(len(found), MOST_DRAWN),
                has_names=len(self._services.maps.places) > 0,
                has_streets=self._services.maps.streets is not None,
                attribution=self._services.maps.attribution,
            )
            # MapLibre GL runs its own module as a worker.
            response.headers["Content-Security-Policy"] = page_policy(worker=True)
            return response

        return await self._answer(request, view, make, known=("page",))

    async def geojson(self, request: Request) -> Response:
        """GET /map.geojson: each cell as a polygon with its band."""
        view = await self._services.record.view()

        async def make() -> Response:
            body = await asyncio.to_thread(asked_geojson, self._found(view))
            return file_answer(body, "application/geo+json", name="map.geojson")

        return await self._answer(request, view, make)

    async def csv(self, request: Request) -> Response:
        """GET /map.csv: the table for spreadsheets."""
        view = await self._services.record.view()

        async def make() -> Response:
            body = as_csv(ASKED_FIELDS, asked_rows(self._found(view)))
            return file_answer(body, CSV_TYPE, name="map.csv")

        return await self._answer(request, view, make)

    async def streets(self, _request: Request) -> Response:
        """GET /map/streets.pmtiles: the operator's file, in the parts that the map asks for."""
        path = self._services.maps.streets
        if path is None or not path.is_file():
            raise not_found("map of streets")
        headers = {"Cache-Control": f"public, max-age={DAY_S}"}
        return FileResponse(path, media_type="application/vnd.pmtiles", headers=headers)

    def _found(self, view: RecordView) -> list[AskedCell]:
        """Return the cells, counted once for all pages of a version of the record."""
        if view.version != self._version:
            self._cells, self._pictures, self._version = asked_cells(view), {}, view.version
        return self._cells

    async def _picture(self, view: RecordView, label: str) -> Markup:
        found = self._found(view)
        pictures = self._pictures
        if label not in pictures:
            pictures[label] = await asyncio.to_thread(self._drawn, found, label)
        return pictures[label]

    def _drawn(self, found: list[AskedCell], label: str) -> Markup:
        drawn = found[:MOST_DRAWN]
        groups = [
            CellGroup(look=f"asked-{number}", cells=[one.cell for one in drawn if one.band == band])
            for number, band in enumerate(ASKED_BANDS, 1)
        ]
        cells = [one.cell for one in drawn]
        names = names_around(self._services.maps.places, cells) if cells else []
        svg = draw_cells(groups, label=label, names=names, around_km=0.4)
        return Markup(svg)  # noqa: S704 (draw_cells escapes what it is given)

    async def _answer(
        self, request: Request, view: RecordView, make: Make, *, known: tuple[str, ...] = ()
    ) -> Response:
        language = self._services.pages.texts(request).language
        return await self._answering.answer(
            request, version=view.version, language=language, make=make, known=known
        )
