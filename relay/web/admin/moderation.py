"""The moderators' pages: the queue, one request as owners will read it, and the decision."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from firmware.protocol.encoding import WireError
from relay.base.appeal_verdicts import NO_VERDICT, verdict_of
from relay.map.cells import centre_of
from relay.map.places import Near, Places
from relay.request.moderation import CATEGORIES, MAX_WORDS_CHARS, ModerationCase, parse_category
from relay.request.rules import RequestRefused
from relay.store.moderation import Verdict
from relay.store.requests import DeskState
from relay.web.admin.session import (
    Admin,
    done,
    find_admin,
    require_admin,
    require_admin_form,
    services_of,
)
from relay.web.admin.sign_in import sign_in_page
from relay.web.area_files import geojson_answer
from relay.web.forms import text_in
from relay.web.i18n import Texts
from relay.web.json_responses import not_found
from relay.web.owner_texts import owner_words

PAGE_ROWS = 50
MAX_PAGE = 9999
NEAR_KM = 10
"""A place that is farther away says nothing about a cell."""
NEVER_PUBLIC: tuple[DeskState, ...] = ("refused", "taken_back", "void")
"""Who opens one of these, or one that ended before, is written down; what else is here is public,
or is about to be."""
DONE: tuple[Verdict, ...] = ("passed", "refused", "upheld", "overturned")


@dataclass(frozen=True, slots=True, kw_only=True)
class CellShown:
    """A cell, its centre in degrees, and the nearest place that the operator's list has."""

    cell: str
    lat: float
    lon: float
    near: Near | None


async def home(request: Request) -> Response:
    """GET /admin and /admin/requests: the queue, or the sign-in page."""
    admin = await find_admin(request)
    if admin is None:
        return sign_in_page(request, status=200 if request.url.path == "/admin" else 401)
    services = services_of(request)
    waiting = await services.moderation.list()
    agencies = await services.agencies.all()
    page = page_of(request)
    what = request.query_params.get("done")
    return services.pages.render(
        request,
        "admin/queue.html",
        csrf=admin.csrf,
        admin=admin,
        rows=waiting[(page - 1) * PAGE_ROWS : page * PAGE_ROWS],
        count=len(waiting),
        appeals=await services.appeals.waiting(),
        agencies=agencies,
        now_ms=services.clock.wall_ms(),
        page=page,
        has_more=len(waiting) > page * PAGE_ROWS,
        done=what if what in DONE else None,
    )


async def decisions_page(request: Request) -> Response:
    """GET /admin/decisions: all moderators' decisions."""
    admin = await require_admin(request)
    services = services_of(request)
    page = page_of(request)
    lines = await services.moderation.decided(limit=PAGE_ROWS + 1, offset=(page - 1) * PAGE_ROWS)
    return services.pages.render(
        request,
        "admin/decisions.html",
        csrf=admin.csrf,
        lines=lines[:PAGE_ROWS],
        agencies=await services.agencies.all(),
        page=page,
        has_more=len(lines) > PAGE_ROWS,
    )


async def show_page(request: Request) -> Response:
    """GET /admin/requests/{request_id}: the request for a moderator's decision."""
    admin = await require_admin(request)
    return await _show(request, admin, await _case(request))


async def geojson(request: Request) -> Response:
    """GET /admin/requests/{request_id}/area.geojson: its cells, for a map of one's own."""
    admin = await require_admin(request)
    case = await _case(request)
    await _write_down(request, admin, case)
    return geojson_answer(case.row.request.cells)


async def decide(request: Request) -> Response:
    """POST /admin/requests/{request_id}/decision: `verdict`, and the reason of a refusal."""
    admin, form = await require_admin_form(request)
    moderation = services_of(request).moderation
    request_id = (await _case(request)).row.id
    moderator = admin.account.id
    verdict, reason = text_in(form, "verdict"), text_in(form, "reason")
    category = text_in(form, "category")
    try:
        if verdict == "passed":
            await moderation.pass_on(request_id, moderator=moderator)
        elif verdict == "refused":
            await moderation.refuse(
                request_id, parse_category(category), reason=reason, moderator=moderator
            )
        else:
            raise WireError("a moderator passes or refuses a request")
    except (RequestRefused, WireError) as error:
        typed = {"category": category, "reason": reason}
        return await _again(request, admin, error, typed)
    return done("/admin/requests", verdict)


async def decide_appeal(request: Request) -> Response:
    """POST /admin/requests/{request_id}/appeal: `verdict` and reason, by another moderator."""
    admin, form = await require_admin_form(request)
    request_id = (await _case(request)).row.id
    told, reason = text_in(form, "verdict"), text_in(form, "reason")
    try:
        verdict = verdict_of(told)
        if verdict is None:
            raise WireError(NO_VERDICT)
        await services_of(request).appeals.decide(
            request_id, verdict, reason=reason, moderator=admin.account.id
        )
    except (RequestRefused, WireError) as error:
        return await _again(request, admin, error, {"category": "", "reason": reason})
    return done("/admin/requests", verdict)


def page_of(request: Request) -> int:
    """Return the page number that the address asks for, from 1 on."""
    text = request.query_params.get("page", "1")
    is_number = text.isascii() and text.isdigit() and len(text) < 6
    return min(max(int(text), 1), MAX_PAGE) if is_number else 1


async def _case(request: Request) -> ModerationCase:
    case = await services_of(request).moderation.find(request.path_params["request_id"])
    if case is None:
        raise not_found("request")
    return case


async def _again(
    request: Request, admin: Admin, error: RequestRefused | WireError, typed: dict[str, str]
) -> Response:
    """Show the request's current state again, with the typed text and the refusal."""
    reason = error.reason if isinstance(error, RequestRefused) else "form"
    status = {"state": 409, "moderator": 403}.get(reason, 422)
    problem = {"code": reason, "message": str(error)}
    return await _show(
        request, admin, await _case(request), status=status, problem=problem, typed=typed
    )


async def _show(
    request: Request,
    admin: Admin,
    case: ModerationCase,
    *,
    status: int = 200,
    **more: Any,  # Any: what the template shows
) -> Response:
    services = services_of(request)
    await _write_down(request, admin, case)
    agency = await services.agencies.find(case.row.agency)
    asked = case.row.request
    now_ms = services.clock.wall_ms()
    language = services.pages.texts(request).language
    context = {"problem": None, "typed": {"category": "", "reason": ""}} | more
    return services.pages.render(
        request,
        "admin/request.html",
        status=status,
        csrf=admin.csrf,
        admin=admin,
        case=case,
        asked=asked,
        agency_name=case.row.agency if agency is None else agency.name,
        places=await _places(services.places, asked.cells),
        has_places=len(services.places) > 0,
        near_km=NEAR_KM,
        owner_words=Texts(language, owner_words(language)),
        categories=CATEGORIES,
        max_words=MAX_WORDS_CHARS,
        now_ms=now_ms,
        has_ended=case.row.has_ended(now_ms),
        is_own_refusal=any(
            one.verdict == "refused" and one.moderator == admin.account.id for one in case.decisions
        ),
        **context,
    )


async def _write_down(request: Request, admin: Admin, case: ModerationCase) -> None:
    """Record the access for the officers of a request that isn't public."""
    services, row = services_of(request), case.row
    if row.state in NEVER_PUBLIC or row.has_ended(services.clock.wall_ms()):
        await services.reads.open_request(
            admin.account,
            (row.account_id, row.cosigner_id),
            case_number=row.request.case_number,
        )


async def _places(places: Places, cells: Sequence[str]) -> list[CellShown]:
    """Return each cell's centre and nearest place; computed in a thread, as lists may be long."""
    centres = [centre_of(cell) for cell in cells]
    nearest = await asyncio.to_thread(places.nearest, centres, NEAR_KM)
    return [
        CellShown(cell=cell, lat=lat, lon=lon, near=near)
        for cell, (lat, lon), near in zip(cells, centres, nearest, strict=True)
    ]
