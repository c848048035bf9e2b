"""The officers' side of a refused request: the moderator's reason, and one appeal."""

from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from relay.request.appeals import APPEAL_WITHIN_MS, may_appeal
from relay.request.moderation import MAX_WORDS_CHARS
from relay.store.requests import RequestRow
from relay.web.agency.session import Officer, require_officer_post, services_of
from relay.web.agency.visibility import require_row
from relay.web.forms import form_of, text_in


async def appeal(request: Request) -> Response:
    """POST /agency/requests/{request_id}/appeal: a plain form with `text`."""
    officer = await require_officer_post(request)
    row = await require_row(request, officer)
    text = text_in(await form_of(request), "text")
    await services_of(request).appeals.appeal(officer.account, row.id, text)
    return RedirectResponse(f"/agency/requests/{row.id}", status_code=303)


async def judged(
    request: Request, officer: Officer, row: RequestRow
) -> dict[str, Any]:  # Any: what the page shows
    """Return moderators' decisions for a request's own page, without the moderators' names.

    Nothing of that to somebody whom the agency hasn't certified, unless the request is theirs.
    """
    services = services_of(request)
    is_theirs = officer.account.id in (row.account_id, row.cosigner_id)
    if not (is_theirs or officer.may("requests.unpublished")):
        return {"refusal": None, "appeal": None, "may_appeal": False}
    decisions, appealed = await services.appeals.of_request(row.id)
    until_ms, ends_ms = row.changed_ms + APPEAL_WITHIN_MS, row.request.expires_ms
    return {
        "refusal": next((one for one in decisions if one.verdict == "refused"), None),
        "appeal": appealed,
        "appeal_decision": next(
            (one for one in decisions if one.verdict in ("upheld", "overturned")), None
        ),
        "may_appeal": may_appeal(row, appealed, officer.account, services.clock.wall_ms()),
        "appeal_until_ms": until_ms,
        "ends_before_ms": ends_ms if ends_ms < until_ms else None,
        "max_words": MAX_WORDS_CHARS,
    }
