"""Visibility of requests: an officer sees their agency's, but unpublished ones only partly.

Whom the agency hasn't certified sees what is public and their own.
"""

from starlette.requests import Request

from relay.store.requests import RequestRow
from relay.web.agency.session import Officer, services_of
from relay.web.json_responses import not_found


async def require_row(request: Request, officer: Officer) -> RequestRow:
    """Return a request of the officer's own agency that they may see, or raise 404."""
    request_id: str = request.path_params["request_id"]
    row = await services_of(request).request_service.find_row(
        officer.agency.id, request_id, seen_by=seen_by_of(officer)
    )
    if row is None:
        raise not_found("request")
    return row


def seen_by_of(officer: Officer) -> str | None:
    """Return the officer to whom colleagues' unpublished requests are hidden; None if none are."""
    return None if officer.may("requests.unpublished") else officer.account.id
