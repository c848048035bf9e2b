"""Pages of outcomes: the due ones of the agency, and one request's page to file it."""

from functools import partial
from typing import Annotated

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from firmware.protocol.encoding import TEXT_PATTERN, Document
from firmware.protocol.outcomes import SignedOutcome, parse_outcome
from firmware.protocol.requests import ASKING_ROLES
from relay.custody.entries import outcome_key
from relay.request.outcomes import MAX_PRIVATE_CHARS
from relay.web.agency.due_words import due_words
from relay.web.agency.requests import signing
from relay.web.agency.session import require_officer, require_officer_post, services_of
from relay.web.json_responses import not_found, read_json
from relay.web.pagination import page_of

REQUESTS_A_PAGE = 50


class OutcomeIn(Document, frozen=True, kw_only=True):
    """A signed outcome, with a text that only the agency will read."""

    signed: SignedOutcome
    private_text: Annotated[
        str, msgspec.Meta(max_length=MAX_PRIVATE_CHARS, pattern=TEXT_PATTERN)
    ] = ""


async def list_page(request: Request) -> Response:
    """GET /agency/outcomes: every request, the most urgent first."""
    officer = await require_officer(request)
    services = services_of(request)
    rows = await services.outcomes.list_due(officer.agency.id)
    return services.pages.render(
        request,
        "agency/outcomes.html",
        csrf=officer.csrf,
        officer=officer,
        paged=page_of(request, rows, size=REQUESTS_A_PAGE),
        in_words=partial(due_words, services.pages.texts(request), now_ms=services.clock.wall_ms()),
        overdue=sum(row.state == "overdue" for row in rows),
    )


async def show_page(request: Request) -> Response:
    """GET /agency/requests/{request_id}/outcome: file it, or read what was filed."""
    officer = await require_officer(request)
    services = services_of(request)
    found = await services.outcomes.find(officer.agency.id, request.path_params["request_id"])
    if found is None:
        raise not_found("request that an outcome is due of")
    due, filed = found
    view = await services.agencies.view()
    signer = signing(officer, view)
    return services.pages.render(
        request,
        "agency/outcome.html",
        csrf=officer.csrf,
        officer=officer,
        due=due,
        filed=filed,
        told=None if filed is None else parse_outcome(filed.signed),
        entry=await services.chains.find_entry(outcome_key(due.digest)),
        may_say_used=await services.outcomes.may_say_used(due.record),
        max_private_chars=MAX_PRIVATE_CHARS,
        may_withdraw=signer["standing"].role in ASKING_ROLES,
        to_sign={
            "id": due.record.request.id,
            "digest": due.digest,
            "is_open": due.state == "open",
            "is_withdrawn": due.record.is_withdrawn,
        },
        **signer,
    )


async def file(request: Request) -> Response:
    """POST /agency/requests/{request_id}/outcome: signed, logged, once."""
    officer = await require_officer_post(request)
    services = services_of(request)
    found = await services.outcomes.find(officer.agency.id, request.path_params["request_id"])
    if found is None:
        raise not_found("request that an outcome is due of")
    body = await read_json(request, OutcomeIn)
    if found[0].digest != parse_outcome(body.signed).request_digest:
        raise not_found("request that an outcome is due of")
    await services.outcomes.file(
        officer.account, body.signed, private_text=body.private_text.strip()
    )
    return JSONResponse({"ok": True}, status_code=201)
