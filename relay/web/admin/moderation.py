"""The moderators' queue: what waits, one request as its owner will read it, and the decision."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from firmware.protocol.encoding import WireError
from relay.map.cells import centre_of
from relay.request.appeals import AppealVerdict
from relay.request.moderation import CATEGORIES, MAX_WORDS_CHARS, Case, parse_category
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
from relay.web.answers import not_found
from relay.web.forms import text_in
from relay.web.i18n import Texts
from relay.web.owner_words import owner_words

PAGE_ROWS = 50
MAX_PAGE = 9999
NEVER_PUBLIC: tuple[DeskState, ...] = ("refused", "taken_back", "void")
"""Who opens one of these is written down; what else is here is public, or is about to be."""
DONE: tuple[Verdict, ...] = ("passed", "refused", "upheld", "overturned")


async def home(request: Request) -> Response:
    """GET /admin and /admin/requests: what waits, or sign in."""
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
    """GET /admin/decisions: what all moderators decided."""
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
    """GET /admin/requests/{request_id}: all that a moderator has to judge."""
    admin = await require_admin(request)
    return await _show(request, admin, await _case(request))


async def decide(request: Request) -> Response:
    """POST /admin/requests/{request_id}/decision: `verdict`, and for a refusal why."""
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
    """POST /admin/requests/{request_id}/appeal: `verdict` and why, by another moderator."""
    admin, form = await require_admin_form(request)
    request_id = (await _case(request)).row.id
    told, reason = text_in(form, "verdict"), text_in(form, "reason")
    try:
        verdict = _appeal_verdict(told)
        await services_of(request).appeals.decide(
            request_id, verdict, reason=reason, moderator=admin.account.id
        )
    except (RequestRefused, WireError) as error:
        return await _again(request, admin, error, {"category": "", "reason": reason})
    return done("/admin/requests", verdict)


def page_of(request: Request) -> int:
    """Return which page of a long list is asked for, from 1 on."""
    text = request.query_params.get("page", "1")
    is_number = text.isascii() and text.isdigit() and len(text) < 6
    return min(max(int(text), 1), MAX_PAGE) if is_number else 1


async def _case(request: Request) -> Case:
    case = await services_of(request).moderation.find(request.path_params["request_id"])
    if case is None:
        raise not_found("request")
    return case


def _appeal_verdict(text: str) -> AppealVerdict:
    if text == "upheld":
        return "upheld"
    if text == "overturned":
        return "overturned"
    raise WireError("an appeal is upheld or overturned")


async def _again(
    request: Request, admin: Admin, error: RequestRefused | WireError, typed: dict[str, str]
) -> Response:
    """Show the request as it stands now, with what was typed and why it wasn't taken."""
    reason = error.reason if isinstance(error, RequestRefused) else "form"
    status = {"state": 409, "moderator": 403}.get(reason, 422)
    problem = {"code": reason, "message": str(error)}
    return await _show(
        request, admin, await _case(request), status=status, problem=problem, typed=typed
    )


async def _show(
    request: Request,
    admin: Admin,
    case: Case,
    *,
    status: int = 200,
    **more: Any,  # Any: what the template shows
) -> Response:
    services = services_of(request)
    if case.row.state in NEVER_PUBLIC:
        officers = (case.row.account_id, case.row.cosigner_id)
        await services.reads.open_request(admin.account, officers)
    agency = await services.agencies.find(case.row.agency)
    asked = case.row.request
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
        places=[(cell, *centre_of(cell)) for cell in asked.cells],
        owner_words=Texts(language, owner_words(language)),
        categories=CATEGORIES,
        max_words=MAX_WORDS_CHARS,
        now_ms=services.clock.wall_ms(),
        is_own_refusal=any(
            one.verdict == "refused" and one.moderator == admin.account.id for one in case.decisions
        ),
        **context,
    )
