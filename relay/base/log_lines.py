"""Lines of the relay's log, for people or for programs, on standard error.

Each line carries the number of the HTTP request that it belongs to, if any;
`relay.base.request_ids`
sets that number. Every command logs through here, so this module imports no web framework.
"""

import json
import logging
import sys
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Final, Literal

LogFormat = Literal["text", "json"]

REQUEST_NUMBER: Final[ContextVar[str]] = ContextVar("request_id", default="")

answers_log = logging.getLogger("relay.answers")


def current() -> str:
    """Return the id of the current request; empty outside of one."""
    return REQUEST_NUMBER.get()


def configure_logging(log_format: LogFormat) -> None:
    """Log to standard error, one line an event."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if log_format == "json" else TextLines())
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    if log_format == "text":  # people read what happens, not each question
        answers_log.setLevel(logging.WARNING)
    for name in ("httpx2", "httpcore2"):  # they log each address, and an endpoint is a secret
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger("asyncio").addFilter(_is_of_use)


def _is_of_use(record: logging.LogRecord) -> bool:
    """Leave out what asyncio says of each TLS connection that a broker closes; it means nothing."""
    return not str(record.msg).startswith("returning true from eof_received()")


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
