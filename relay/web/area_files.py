"""A jurisdiction that isn't in the register yet, for the eye and for a map of one's own."""

from collections.abc import Sequence

from starlette.responses import Response

from relay.record.areas import as_geojson, as_svg

NO_STORE = {"Cache-Control": "no-store"}
NOTHING_ELSE = {"Content-Security-Policy": "default-src 'none'"}


def outline_answer(cells: Sequence[str]) -> Response:
    """Return the area's shape as a picture."""
    headers = {**NO_STORE, **NOTHING_ELSE}
    return Response(as_svg(cells), media_type="image/svg+xml", headers=headers)


def geojson_answer(cells: Sequence[str]) -> Response:
    """Return the cells as a file that maps read."""
    headers = {**NO_STORE, "Content-Disposition": 'attachment; filename="area.geojson"'}
    return Response(as_geojson(cells), media_type="application/geo+json", headers=headers)
