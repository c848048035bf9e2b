"""Administrators' page of the fleet: how doorbells are, and which need a look. No picture."""

import re

from starlette.requests import Request
from starlette.responses import Response

from relay.fleet.overview import FleetPage
from relay.store.fleet_overview import FLEET_VIEWS, FleetView
from relay.web.admin.session import require_admin, services_of

MAX_QUERY_CHARS = 64
_AFTER = re.compile(r"^(\d{1,15}):([A-Za-z0-9_-]{1,64})\Z", re.ASCII)
_ID_START = re.compile(r"^[A-Za-z0-9_-]{1,64}\Z", re.ASCII)


async def fleet_page(request: Request) -> Response:
    """GET /admin/doorbells: a `view`, a page at a time (`after`), or by an id's start (`q`)."""
    admin = await require_admin(request)
    services = services_of(request)
    query = request.query_params.get("q", "").strip()[:MAX_QUERY_CHARS]
    view = _view(request)
    if not query:
        found = await services.fleet.page(view, _after(request))
    elif _ID_START.match(query):
        found = await services.fleet.find(query)
    else:
        found = FleetPage(doorbells=[])
    return services.pages.render(
        request,
        "admin/doorbells.html",
        csrf=admin.csrf,
        query=query,
        max_chars=MAX_QUERY_CHARS,
        views=FLEET_VIEWS,
        view=view,
        is_first="after" not in request.query_params,
        found=found,
        now_ms=services.clock.wall_ms(),
    )


def _view(request: Request) -> FleetView:
    """Return the view that was asked for; whatever else is asked shows all."""
    asked = request.query_params.get("view")
    return next((view for view in FLEET_VIEWS if view == asked), "all")


def _after(request: Request) -> tuple[int, str] | None:
    """Return where to go on; what isn't a place begins anew."""
    found = _AFTER.match(request.query_params.get("after", ""))
    return None if found is None else (int(found[1]), found[2])
