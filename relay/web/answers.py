"""JSON in and out of the pages' own endpoints, with errors as everywhere."""

from starlette.requests import Request
from starlette.responses import JSONResponse

from firmware.protocol.encoding import D, decode
from relay.web.security import MAX_BODY_BYTES


class PageError(Exception):
    """An answer that isn't the one that was asked for."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message


def not_found(what: str) -> PageError:
    """Return the error for something that isn't there, or isn't the caller's."""
    return PageError(404, "not_found", f"no such {what}")


def error_json(status: int, code: str, message: str) -> JSONResponse:
    """Return an error as JSON."""
    return JSONResponse({"error": {"code": code, "message": message}}, status_code=status)


async def read_json(request: Request, kind: type[D]) -> D:
    """Parse the body as one document, or raise WireError. Only application/json is read."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise PageError(415, "media_type", "send application/json")
    return decode(kind, await request.body(), max_bytes=MAX_BODY_BYTES)


def wants_json(request: Request) -> bool:
    """Tell whether the caller is a program rather than a reader."""
    is_json_body = request.headers.get("content-type", "").startswith("application/json")
    return is_json_body or "application/json" in request.headers.get("accept", "")
