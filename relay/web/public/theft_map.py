"""The public theft map at /theft-map: a picture, a table and files, the same for everybody.

The picture is drawn here; a browser with WebGL puts a map that moves in its place. The JSON is the
stored edition, byte for byte; CSV and GeoJSON are made of it alone.
"""

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from relay.base.months import is_month
from relay.heatmap.files import MapLayer, as_csv, as_geojson, layers_of
from relay.heatmap.imports import ImportedLayer
from relay.heatmap.picture import picture_of
from relay.heatmap.publication import Band, Edition
from relay.heatmap.published import MapOverview
from relay.map.cells import centre_of
from relay.map.places import Near, Places
from relay.web.i18n import Texts
from relay.web.json_responses import not_found
from relay.web.pagination import page_of
from relay.web.public.file_responses import CSV_TYPE, JSON_TYPE, file_answer
from relay.web.public.response_cache import CACHE_CONTROL, ResponseCache
from relay.web.public.services import PublicServices
from relay.web.security import page_policy

PATH = "/theft-map"
GEOJSON_TYPE = "application/geo+json"
A_PAGE = 15
NEAR_KM = 25.0
FROZEN = "public, max-age=86400, immutable"
DAY_S = 24 * 3600
KNOWN = frozenset(("layer", "page"))
STEPS = 3
"""Shades on the map: the last band has the strongest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownLayer:
    """A layer as the page shows it; `imported` is None for the relay's own."""

    layer: MapLayer
    imported: ImportedLayer | None
    files: str
    """The address of its files, without the ending."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownCell:
    """A row of the table."""

    cell: str
    latitude: float
    longitude: float
    near: Near | None
    band: Band


class TheftMapPages:
    """The page, and the files of each edition and imported layer."""

    def __init__(self, services: PublicServices, answering: ResponseCache) -> None:
        self._services = services
        self._answering = answering

    def routes(self) -> list[Route]:
        """Return these routes."""
        return [
            Route(PATH, self.show),
            *(Route(f"{PATH}.{form}", self.newest_file) for form in _FORMS),
            *(Route(f"{PATH}/{{month}}.{form}", self.month_file) for form in _FORMS),
            *(Route(f"{PATH}/imported/{{layer_id}}.{form}", self.imported_file) for form in _FORMS),
            Route(f"{PATH}/streets.pmtiles", self.streets),
        ]

    async def show(self, request: Request) -> Response:
        """GET /theft-map: one layer as a picture and a table."""
        overview = await self._services.theft_map.overview()
        view = await self._services.record.view()  # an invented town's page shows its clock
        texts = self._services.pages.texts(request)

        async def make() -> Response:
            return await self._page(request, texts, overview)

        return await self._answering.answer(
            request,
            version=f"{view.version}-{overview.version}",
            language=texts.language,
            make=make,
            known=KNOWN,
        )

    async def _page(self, request: Request, texts: Texts, overview: MapOverview) -> Response:
        layers = _layers_in(overview)
        asked = request.query_params.get("layer", "")
        shown = next((one for one in layers if one.layer.name == asked), None)
        shown = shown or (layers[0] if layers else None)
        bands = [] if shown is None else list(shown.layer.bands)
        paged = page_of(request, _cells_of(bands), size=A_PAGE)
        rows = await asyncio.to_thread(_rows_of, paged.rows, self._services.maps.places)
        maps = self._services.maps
        response = self._services.pages.render(
            request,
            "public/theft_map.html",
            layers=layers,
            shown=shown,
            bands=list(zip(_steps(bands), bands, strict=True)),
            picture=await asyncio.to_thread(picture_of, bands),
            span="" if shown is None else _span(texts, shown.layer),
            rows=rows,
            paged=paged,
            months=[(month, _month_text(texts, month)) for month in overview.months],
            owner_origin=self._services.owner_origin,
            has_address_counts=self._services.has_address_counts,
            drawing={
                "file": "" if shown is None else f"{shown.files}.json",
                "layer": "" if shown is None else shown.layer.name,
                "streets": f"{PATH}/streets.pmtiles" if maps.streets is not None else None,
                "attribution": maps.attribution,
            },
        )
        # MapLibre GL runs its own module as a worker.
        response.headers["Content-Security-Policy"] = page_policy(worker=True)
        return response

    async def newest_file(self, request: Request) -> Response:
        """GET /theft-map.json, .csv, .geojson: the newest edition."""
        found = await self._services.theft_map.find()
        if found is None:
            raise not_found("edition yet")
        return _file(request, found.edition, found.body, name="theft-map", kept=CACHE_CONTROL)

    async def month_file(self, request: Request) -> Response:
        """GET /theft-map/{month}.json, .csv, .geojson: the edition of a month, which is frozen."""
        month = request.path_params["month"]
        found = await self._services.theft_map.find(month) if is_month(month) else None
        if found is None:
            raise not_found("edition")
        name = f"theft-map-{month}"
        return _file(request, found.edition, found.body, name=name, kept=FROZEN)

    async def imported_file(self, request: Request) -> Response:
        """GET /theft-map/imported/{layer_id}.json, .csv, .geojson: an imported layer."""
        found = await self._services.theft_map.find_import(request.path_params["layer_id"])
        if found is None:
            raise not_found("imported layer")
        name = f"theft-map-{found.layer.id}"
        return _file(request, found.layer, found.body, name=name, kept=CACHE_CONTROL)

    async def streets(self, _request: Request) -> Response:
        """GET /theft-map/streets.pmtiles: the operator's file, by parts."""
        path = self._services.maps.streets
        if path is None or not path.is_file():
            raise not_found("map of streets")
        headers = {"Cache-Control": f"public, max-age={DAY_S}"}
        return FileResponse(path, media_type="application/vnd.pmtiles", headers=headers)


_FORMS = ("json", "csv", "geojson")


def _file(
    request: Request, document: Edition | ImportedLayer, stored: bytes, *, name: str, kept: str
) -> Response:
    """Return a published document in the form that the address asks for, or 304."""
    form = request.url.path.rpartition(".")[2]
    if form == "csv":
        answer = file_answer(as_csv(layers_of(document)), CSV_TYPE, name=f"{name}.csv")
    elif form == "geojson":
        body = as_geojson(layers_of(document))
        answer = file_answer(body, GEOJSON_TYPE, name=f"{name}.geojson")
    else:
        answer = file_answer(stored, JSON_TYPE)
    etag = f'"{hashlib.sha256(bytes(answer.body)).hexdigest()[:32]}"'
    answer.headers["etag"] = etag
    answer.headers["cache-control"] = kept
    if etag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers={"etag": etag, "cache-control": kept})
    return answer


def _layers_in(overview: MapOverview) -> list[ShownLayer]:
    """Return the relay's own layers, then the imported ones."""
    own = [] if overview.newest is None else layers_of(overview.newest.edition)
    return [
        *(ShownLayer(layer=layer, imported=None, files=PATH) for layer in own),
        *(
            ShownLayer(
                layer=layers_of(one.layer)[0],
                imported=one.layer,
                files=f"{PATH}/imported/{one.layer.id}",
            )
            for one in overview.imports
        ),
    ]


def _steps(bands: Sequence[Band]) -> range:
    """Return each band's shade, from 1 to `STEPS`."""
    return range(STEPS + 1 - len(bands), STEPS + 1)


def _cells_of(bands: Sequence[Band]) -> list[tuple[str, Band]]:
    """Return the shown cells, the highest band first."""
    return [(cell, band) for band in reversed(bands) for cell in band.cells]


def _rows_of(cells: Sequence[tuple[str, Band]], places: Places) -> list[ShownCell]:
    points = [centre_of(cell) for cell, _ in cells]
    return [
        ShownCell(cell=cell, latitude=lat, longitude=lon, near=near, band=band)
        for (cell, band), (lat, lon), near in zip(
            cells, points, places.nearest(points, NEAR_KM), strict=True
        )
    ]


def _span(texts: Texts, layer: MapLayer) -> str:
    first, last = (_month_text(texts, one) for one in (layer.first_month, layer.last_month))
    return first if first == last else f"{first} – {last}"


def _month_text(texts: Texts, month: str) -> str:
    year, number = month.split("-")
    return texts("theft.month", name=texts("theft.months").split(",")[int(number) - 1], year=year)
