"""Administrators' pages of onboardings: refuse with a reason, or prepare and sign the change.

What is prepared is signed by two administrators with their own keys, on their own machines; here
only the signed file comes back. Being signed in to this page is no signature.
"""

import asyncio
from collections.abc import Awaitable

from starlette.requests import Request
from starlette.responses import Response

from relay.agency.errors import OnboardingRefused
from relay.agency.keys import fingerprint_of
from relay.agency.onboarding import DONE, NEEDED_SIGNATURES, WAITING
from relay.map.cells import area_km2, centre_of
from relay.web.admin.session import (
    Admin,
    AdminRoute,
    done,
    get,
    post,
    require_admin,
    require_admin_form,
    services_of,
)
from relay.web.area_files import geojson_answer, outline_answer, shown_changes
from relay.web.forms import file_in, text_in
from relay.web.json_responses import not_found

PATH = "/admin/onboardings"
PAGE_ROWS = 50
SHOWN_CELLS = 100


async def list_page(request: Request) -> Response:
    """GET /admin/onboardings?state=waiting|done&page=…: the list of onboardings."""
    admin = await require_admin(request)
    services = services_of(request)
    is_done = request.query_params.get("state") == "done"
    states = DONE if is_done else WAITING
    total = await services.onboarding.count(states)
    pages = max(1, -(-total // PAGE_ROWS))
    page = min(pages, _page_number(request))
    return services.pages.render(
        request,
        "admin/onboardings.html",
        csrf=admin.csrf,
        rows=await services.onboarding.list(states, offset=(page - 1) * PAGE_ROWS, limit=PAGE_ROWS),
        is_done=is_done,
        total=total,
        page=page,
        pages=pages,
    )


async def show_page(request: Request) -> Response:
    """GET /admin/onboardings/{onboarding_id}: one onboarding, with its possible actions."""
    return await _show(request, await require_admin(request))


async def make_code(request: Request) -> Response:
    """POST …/code: a code to hand over by letter or telephone, shown this once."""
    admin, _ = await require_admin_form(request)
    try:
        code = await services_of(request).onboarding.make_code(_id(request))
    except OnboardingRefused as refusal:
        return await _show(request, admin, refusal=refusal)
    return await _show(request, admin, code=code)


async def refuse(request: Request) -> Response:
    """POST …/refuse: the agency reads the reason."""
    admin, form = await require_admin_form(request)
    reason = text_in(form, "reason")
    onboarding = services_of(request).onboarding
    return await _step(request, admin, "refused", onboarding.refuse(_id(request), reason))


async def prepare(request: Request) -> Response:
    """POST …/prepare: make the change that two administrators sign, from the displayed file."""
    admin, form = await require_admin_form(request)
    digest = text_in(form, "enrolment_sha256")
    onboarding = services_of(request).onboarding
    return await _step(request, admin, "prepared", onboarding.prepare(_id(request), digest))


async def download(request: Request) -> Response:
    """GET …/change.json: the change to sign, with its signatures so far."""
    await require_admin(request)
    try:
        proposed = await services_of(request).onboarding.prepared(_id(request))
    except OnboardingRefused as refusal:
        raise not_found("prepared change") from refusal
    return Response(
        proposed.encode(),
        media_type="application/json",
        headers={
            "Content-Disposition": 'attachment; filename="change.json"',
            "Cache-Control": "no-store",
        },
    )


async def outline(request: Request) -> Response:
    """GET …/outline.svg: the shape of the handed-in area."""
    return await asyncio.to_thread(outline_answer, await _cells(request))


async def geojson(request: Request) -> Response:
    """GET …/area.geojson: the area's cells, for other map programs."""
    return await asyncio.to_thread(geojson_answer, await _cells(request))


async def _cells(request: Request) -> list[str]:
    await require_admin(request)
    case = await services_of(request).onboarding.find(_id(request))
    if case is None or case.agreement is None:
        raise not_found("area")
    return case.agreement.cells


async def take_signed(request: Request) -> Response:
    """POST …/signed: upload of the change that an administrator signed on their own machine."""
    admin, form = await require_admin_form(request, max_files=1)
    data = await file_in(form, "file")
    onboarding = services_of(request).onboarding
    return await _step(request, admin, "signed", onboarding.take_signed(_id(request), data))


ROUTES: list[AdminRoute] = [
    get(PATH, list_page),
    get(PATH + "/{onboarding_id}", show_page),
    get(PATH + "/{onboarding_id}/change.json", download),
    get(PATH + "/{onboarding_id}/outline.svg", outline),
    get(PATH + "/{onboarding_id}/area.geojson", geojson),
    post(PATH + "/{onboarding_id}/code", make_code),
    post(PATH + "/{onboarding_id}/refuse", refuse),
    post(PATH + "/{onboarding_id}/prepare", prepare),
    post(PATH + "/{onboarding_id}/signed", take_signed),
]


async def _step(request: Request, admin: Admin, what: str, step: Awaitable[object]) -> Response:
    try:
        await step
    except OnboardingRefused as refusal:
        return await _show(request, admin, refusal=refusal)
    return done(f"{PATH}/{_id(request)}", what)


async def _show(
    request: Request,
    admin: Admin,
    *,
    refusal: OnboardingRefused | None = None,
    code: str = "",
) -> Response:
    services = services_of(request)
    case = await services.onboarding.find(_id(request))
    if case is None:
        raise not_found("page")
    view = await services.agencies.view()
    cells = case.agreement.cells if case.agreement else []
    status = 200
    if refusal is not None:
        status = 409 if refusal.reason == "state" else 422
    return services.pages.render(
        request,
        "admin/onboarding.html",
        status=status,
        csrf=admin.csrf,
        case=case,
        refusal=refusal,
        code=code,
        done=request.query_params.get("done", ""),
        has_mail=services.onboarding.has_mail,
        needed=NEEDED_SIGNATURES,
        admins=list(view.register.admins.values()),
        now_ms=view.now_ms,
        base=f"{PATH}/{case.row.id}",
        area_km2=round(area_km2(cells), 1),
        places=[(cell, *centre_of(cell)) for cell in cells[:SHOWN_CELLS]],
        fingerprint=fingerprint_of,
        find_merge_conflicts=await services.onboarding.find_merge_conflicts(case),
        changes=await asyncio.to_thread(shown_changes, case.difference),
    )


def _id(request: Request) -> str:
    return str(request.path_params["onboarding_id"])


def _page_number(request: Request) -> int:
    text = request.query_params.get("page", "1")
    return max(1, int(text)) if text.isascii() and text.isdigit() and len(text) < 6 else 1
