"""Pages of an officer's own drafts: save, list, delete. Nobody else sees them."""

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from firmware.protocol.encoding import Document, Id
from relay.request.drafts import DRAFT_LIFE_MS, MAX_DRAFTS, DraftForm
from relay.web.agency.session import require_officer, require_officer_post, services_of
from relay.web.json_responses import read_json, wants_json


class SaveIn(Document, frozen=True, kw_only=True):
    """The form's current fields. The page makes the id, so that saving twice is one draft."""

    id: Id
    form: DraftForm


async def list_page(request: Request) -> Response:
    """GET /agency/drafts."""
    officer = await require_officer(request)
    services = services_of(request)
    return services.pages.render(
        request,
        "agency/drafts.html",
        csrf=officer.csrf,
        drafts=await services.drafts.list(officer.account.id),
        most=MAX_DRAFTS,
        life_ms=DRAFT_LIFE_MS,
    )


async def save(request: Request) -> Response:
    """POST /agency/drafts."""
    officer = await require_officer_post(request)
    body = await read_json(request, SaveIn)
    services = services_of(request)
    await services.drafts.save(officer.account.id, body.id, body.form)
    return JSONResponse({"id": body.id, "saved_ms": services.clock.wall_ms()})


async def delete(request: Request) -> Response:
    """POST /agency/drafts/{draft_id}/delete, by the page or by a plain form."""
    officer = await require_officer_post(request)
    await services_of(request).drafts.delete(officer.account.id, request.path_params["draft_id"])
    if wants_json(request):
        return JSONResponse({})
    return RedirectResponse("/agency/drafts", status_code=303)
