"""The caller of a page: address and browser, for the session's row."""

from starlette.requests import Request

from relay.people.callers import Caller, caller_of


def caller_of_request(request: Request) -> Caller:
    """Return the address (of the socket, or as trusted proxies say) and the browser in short."""
    address = None if request.client is None else request.client.host
    return caller_of(address, request.headers.get("user-agent", ""))
