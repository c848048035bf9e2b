"""JSON requests and responses of the pages' own endpoints, with their errors."""

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from firmware.protocol.encoding import D, decode
from relay.base.allowances import RateExceeded
from relay.base.log_lines import current
from relay.web.security import MAX_BODY_BYTES

JSON_FILES = (".json", ".geojson")
TEXT_FILES = (".csv", ".atom", ".svg")


class PageError(Exception):
    """An HTTP error with a status, a code and a message."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message


def not_found(what: str) -> PageError:
    """Return the 404 for a resource that doesn't exist, or isn't the caller's."""
    return PageError(404, "not_found", f"no such {what}")


def error_json(status: int, code: str, message: str, *, is_told: bool = False) -> JSONResponse:
    """Return an error as JSON; an internal error has the request id under which it was logged.

    `is_told`: the message is in the reader's language already, and says all there is to say.
    """
    error: dict[str, str | bool] = {"code": code, "message": message}
    if is_told:
        error["is_told"] = True
    if status >= 500 and current():
        error["request"] = current()
    return JSONResponse({"error": error}, status_code=status)


async def read_json(request: Request, kind: type[D]) -> D:
    """Parse the body as one document, or raise WireError. Only application/json is read."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise PageError(415, "media_type", "send application/json")
    return decode(kind, await request.body(), max_bytes=MAX_BODY_BYTES)


def wants_json(request: Request) -> bool:
    """Return whether the caller is a program rather than a reader."""
    is_json_body = request.headers.get("content-type", "").startswith("application/json")
    return is_json_body or "application/json" in request.headers.get("accept", "")


def with_retry_after(response: Response, error: Exception) -> Response:
    """Add Retry-After to the response to RateExceeded."""
    if isinstance(error, RateExceeded):
        response.headers["Retry-After"] = str(error.retry_after_s)
    return response


def is_file(request: Request) -> bool:
    """Return whether the address is a file's: then an error's response is no page."""
    return request.url.path.endswith((*JSON_FILES, *TEXT_FILES))


def error_file(request: Request, status: int, code: str, message: str) -> Response:
    """Return the error response for a file: JSON, or one line of text."""
    if request.url.path.endswith(JSON_FILES):
        return error_json(status, code, message)
    return PlainTextResponse(f"{message}\n", status_code=status)


def is_form(request: Request) -> bool:
    """Return whether a page's own form was sent, so that the response is a page."""
    media_type = request.headers.get("content-type", "")
    return media_type.startswith(("application/x-www-form-urlencoded", "multipart/form-data"))
