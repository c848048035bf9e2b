"""The API's errors as JSON: {"error": {"code", "message"}} and a status, never a stack trace."""

import logging

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from firmware.protocol.encoding import WireError
from relay.base.allowances import RateExceeded
from relay.base.log_lines import current
from relay.credit.errors import CreditRefused
from relay.errors import (
    PARTS_AWAY,
    CommandUnanswered,
    NotCloned,
    RelayError,
    UnknownDoorbell,
    public_text,
    said,
)
from relay.feed.rules import FeedRefused, RefusalName
from relay.feed.text_rules import TextRefused
from relay.heatmap.errors import ReportRefused
from relay.live.signalling import LiveRefused
from relay.notify.push_endpoints import EndpointRefused, EndpointUnresolved
from relay.people.errors import SignInRefused
from relay.people.event_retention import TooManyDays
from relay.people.pairing import DoorbellBusy, PairingRefused

log = logging.getLogger(__name__)

FEED_STATUSES: dict[RefusalName, int] = {
    **dict.fromkeys(("not_found", "no_district"), 404),
    **dict.fromkeys(("no_districts", "not_a_member", "too_many_posts", "too_many_pictures"), 409),
    **dict.fromkeys(("state", "appealed", "appeal_late"), 409),
}
"""Of other refusals it is 422."""


class ApiError(Exception):
    """An HTTP error with a status, a code and a message."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message


def not_found(what: str) -> ApiError:
    """Return the 404 for a resource that doesn't exist, or isn't the caller's."""
    return ApiError(404, "not_found", f"no such {what}")


def add_error_handlers(app: FastAPI) -> None:
    """Register handlers on `app` that answer every known error as JSON."""
    app.add_exception_handler(Exception, _on_unknown)
    app.add_exception_handler(HTTPException, _on_http)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    for kind in (ApiError, RelayError, WireError):
        app.add_exception_handler(kind, answer_known)


async def answer_known(_request: Request, error: Exception) -> JSONResponse:
    """Answer an error of the relay's own; what only its keeper may read goes to the log."""
    status, code = _classify(error)
    if isinstance(error, PARTS_AWAY):
        log.warning("a request fails: %s", said(error))
    answer = _answer(status, code, public_text(error))
    if isinstance(error, RateExceeded):
        answer.headers["Retry-After"] = str(error.retry_after_s)
    return answer


def _classify(error: Exception) -> tuple[int, str]:
    match error:
        case ApiError():
            return error.status, error.code
        case SignInRefused():
            return 403 if error.reason == "demo_passkey" else 400, error.reason
        case DoorbellBusy():
            return 409, "pairing_busy"
        case TooManyDays():
            return 409, "too_many_days"
        case PairingRefused():
            return 409, "pairing"
        case ReportRefused():
            return 409, error.reason
        case CreditRefused():
            return 403 if error.reason == "portal_login" else 409, f"credit_{error.reason}"
        case LiveRefused():
            return 409, error.reason
        case RateExceeded():
            return 429, "too_often"
        case EndpointRefused() | EndpointUnresolved():
            return 422, "push_endpoint"
        case TextRefused():
            return 422, f"text_{error.problem.rule}"
        case FeedRefused():
            return FEED_STATUSES.get(error.name, 422), error.name
        case CommandUnanswered():
            return 504, "unanswered"
        case NotCloned():
            return 409, "not_cloned"
        case UnknownDoorbell():
            return 404, "not_found"
        case _ if isinstance(error, PARTS_AWAY):
            return 503, "unavailable"
        case _:
            return 422, "invalid"


async def _on_invalid(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for it
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"] if part != "body")
    return _answer(422, "invalid", f"{where or 'body'}: {first['msg']}")


async def _on_http(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for it
    return _answer(error.status_code, "http", error.detail)


async def _on_unknown(_request: Request, _error: Exception) -> JSONResponse:
    return _answer(500, "internal", "the relay made a mistake; it is in its log")


def _answer(status: int, code: str, message: str) -> JSONResponse:
    error = {"code": code, "message": message}
    if status >= 500 and current():
        error["request"] = current()
    return JSONResponse({"error": error}, status_code=status)
