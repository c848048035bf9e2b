"""Request ids: in each HTTP response, on error pages, and in every line logged for the request.

Whoever reports an error quotes the number, and the operator finds the lines. It is random and says
nothing; a trusted proxy may bring its own, so that one number goes through all logs. What is logged
stays what it was: never keys, tokens, presigned addresses, or who asked from where. For programs
(`--log-format json`) each answer has a line of its own: the route's template, and nothing that was
filled into it.
"""

import json
import logging
import re
import secrets
import sys
import time
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Final, Literal

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from relay.base.networks import is_inside

HEADER: Final = "x-request-id"
FACE_SCOPES: Final = "doorward.face"
"""In a scope: what a face was called with, in which it leaves the route that it found."""
LogFormat = Literal["text", "json"]
Done = Callable[[Scope, int, float], None]
"""Is called with the scope, the status and how many seconds it took to begin the answer."""

METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"})
_WELL_FORMED = re.compile(r"[A-Za-z0-9_-]{8,64}\Z")
_NUMBER: ContextVar[str] = ContextVar("request_id", default="")

log = logging.getLogger(__name__)
answers_log = logging.getLogger("relay.answers")


def current() -> str:
    """Return the id of the current request; empty outside of one."""
    return _NUMBER.get()


class RequestIds:
    """ASGI middleware that gives each request an id, and calls `done` when its response begins.

    The outermost of all.
    """

    def __init__(self, app: ASGIApp, *, trusted: Sequence[str], done: Done) -> None:
        """`trusted` are the networks of proxies whose request ids are used."""
        self._app = app
        self._trusted = tuple(trusted)
        self._done = done

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Call the app, with a request id."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        number = self._number_of(scope)
        _NUMBER.set(number)  # for as long as the task lives, so also for what the server logs of it
        scope = {**scope, FACE_SCOPES: []}
        begun_s = time.perf_counter()
        is_begun = False

        async def send_with_number(message: Message) -> None:
            nonlocal is_begun
            if message["type"] == "http.response.start" and not is_begun:
                is_begun = True
                MutableHeaders(scope=message)[HEADER] = number
                status = message["status"]
                self._answered(scope, status, time.perf_counter() - begun_s)
                if status >= 500:
                    log.warning("internal error: answered with status %d", status)
            await send(message)

        try:
            await self._app(scope, receive, send_with_number)
        except Exception:
            if not is_begun:
                self._answered(scope, 500, time.perf_counter() - begun_s)
            raise

    def _answered(self, scope: Scope, status: int, seconds: float) -> None:
        self._done(scope, status, seconds)
        told = {"method": method_of(scope), "route": template_of(scope), "status": status}
        ms = round(seconds * 1000)
        words = "%(method)s %(route)s %(status)d %(ms)d ms"
        answers_log.info(words, {**told, "ms": ms}, extra={"answer": {**told, "ms": ms}})

    def _number_of(self, scope: Scope) -> str:
        client = scope.get("client")
        brought = Headers(scope=scope).get(HEADER, "")
        is_trusted = client is not None and is_inside(client[0], self._trusted)
        if is_trusted and _WELL_FORMED.match(brought):
            return brought
        return secrets.token_hex(8)


def method_of(scope: Scope) -> str:
    """Return the method, or a fixed word for one that HTTP doesn't know."""
    return str(scope["method"]) if scope["method"] in METHODS else "other"


def template_of(scope: Scope) -> str:
    """Return the path template of the matched route, without its parameters' values."""
    faces: list[Scope] = scope.get(FACE_SCOPES, [])
    found = faces[-1] if faces else {}
    path = getattr(found.get("route"), "path", None)
    if not isinstance(path, str):
        return "none"
    mounted = str(found.get("root_path", ""))
    return path if path == mounted else mounted + path


def configure_logging(log_format: LogFormat) -> None:
    """Log to standard error, one line an event."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if log_format == "json" else TextLines())
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    if log_format == "text":  # people read what happens, not each question
        answers_log.setLevel(logging.WARNING)
    for name in ("httpx2", "httpcore2"):  # they log each address, and an endpoint is a secret
        logging.getLogger(name).setLevel(logging.WARNING)


class TextLines(logging.Formatter):
    """Log formatter for people: time, level, message, and the request's id where there is one."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 (logging's own name)
        """Return the line, without a traceback."""
        number = current()
        text = super().formatMessage(record)
        return f"{text} [{number}]" if number else text


class JsonLines(logging.Formatter):
    """Log formatter for programs: one JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        when = datetime.fromtimestamp(record.created, UTC)
        line: dict[str, object] = {
            "time": when.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "part": record.name,
            "message": record.getMessage(),
        }
        if number := current():
            line["request"] = number
        line |= getattr(record, "answer", {})
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)
