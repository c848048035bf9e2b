"""The response to an internal error: names the request id; the traceback is logged."""

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response

from relay.web.json_responses import error_file, error_json, is_file, is_form, wants_json
from relay.web.pages import Pages

WORDS = "the relay made a mistake; it is in its log"


def on_unexpected_error(pages: Pages) -> Callable[[Request, Exception], Awaitable[Response]]:
    """Return the handler of unexpected exceptions."""

    async def handler(request: Request, _error: Exception) -> Response:
        is_page = request.method in ("GET", "HEAD") or is_form(request)
        if not is_page or wants_json(request):
            return error_json(500, "internal", WORDS)
        if is_file(request):
            return error_file(request, 500, "internal", WORDS)
        return pages.render(request, "error.html", status=500, code="internal", is_refused=False)

    return handler
