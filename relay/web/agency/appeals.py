"""A refused request: the moderator's reason, and the officers' one appeal."""

from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from relay.request.appeals import APPEAL_WITHIN_MS, may_appeal
from relay.request.moderation import MAX_WORDS_CHARS
from relay.store.requests import DeskRow
from relay.web.agency.session import Officer, require_officer_post, services_of
from relay.web.answers import not_found
from relay.web.forms import form_of, text_in


async def appeal(request: Request) -> Response:
    """POST /agency/requests/{request_id}/appeal: a plain form with `text`."""
    officer = await require_officer_post(request)
    services = services_of(request)
    request_id: str = request.path_params["request_id"]
    if await services.desk.find_row(officer.agency.id, request_id) is None:
        raise not_found("request")
    text = text_in(await form_of(request), "text")
    await services.appeals.appeal(officer.account, request_id, text)
    return RedirectResponse(f"/agency/requests/{request_id}", status_code=303)


async def judged(
    request: Request, officer: Officer, row: DeskRow
) -> dict[str, Any]:  # Any: what the page shows
    """Return what a request's own page says of moderators' decisions; never who they were."""
    services = services_of(request)
    decisions, appealed = await services.appeals.of_request(row.id)
    return {
        "refusal": next((one for one in decisions if one.verdict == "refused"), None),
        "appeal": appealed,
        "appeal_decision": next(
            (one for one in decisions if one.verdict in ("upheld", "overturned")), None
        ),
        "may_appeal": may_appeal(row, appealed, officer.account, services.clock.wall_ms()),
        "appeal_until_ms": row.changed_ms + APPEAL_WITHIN_MS,
        "max_words": MAX_WORDS_CHARS,
    }
