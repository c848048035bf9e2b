"""The first boot's own page: one page to read, at port 80, for a phone on the same network.

It takes no input of any kind. It renews itself without a script, and ends when the doorbell's own
page is there.
"""

import html
import logging
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from provisioning.first_boot.settings import PORT
from provisioning.first_boot.status import Status
from provisioning.first_boot.texts import LANGUAGES, Language, advice_for, step_name

PAGE_PORT = 80
RENEW_S = 5
REQUEST_S = 10.0
MAX_REQUESTS = 8
STYLE = (
    "body{font:1.1rem/1.5 system-ui,sans-serif;margin:0 auto;max-width:34rem;padding:1.5rem;"
    "color:#1c1c1a;background:#fbfaf7}h1{font-size:1.5rem}dt{font-size:.85rem;color:#5c5a55}"
    "dd{margin:0 0 .6rem;overflow-wrap:anywhere}.now{border-left:.3rem solid #28666e;"
    "padding-left:1rem}@media(prefers-color-scheme:dark){body{color:#eceae4;background:#1b1b1a}"
    "dt{color:#a9a69d}}"
)
HEADINGS = {"en": "Your new doorbell", "sv": "Din nya dörrklocka"}
LABELS = {
    "en": ("Step", "Relay", "Register", "Policy (SHA-256)", "Board", "Version", "Address"),
    "sv": ("Steg", "Relä", "Register", "Policy (SHA-256)", "Kortdator", "Version", "Adress"),
}
OWN_PAGE = {"en": "Open the doorbell's own page", "sv": "Öppna dörrklockans egen sida"}

log = logging.getLogger(__name__)


class Page:
    """A display that is a small HTTP server in threads of its own."""

    def __init__(self, port: int = PAGE_PORT, host: str = "") -> None:
        self._status: Status | None = None
        self._port = port
        self._host = host
        self._server: _Server | None = None

    @property
    def port(self) -> int | None:
        """The port that it listens on, while it does."""
        return self._server.server_address[1] if self._server is not None else None

    def show(self, status: Status) -> None:
        """Show it from now on; begin to serve if nobody else has the port."""
        self._status = status
        if self._server is None:
            try:
                self._server = _Server((self._host, self._port), self)
            except OSError as error:
                log.info("the page can't be served: %s", error.strerror)
                return
            threading.Thread(
                target=self._server.serve_forever, name="first boot's page", daemon=True
            ).start()

    def render(self) -> bytes:
        """Return the page as it is now."""
        return b"" if self._status is None else page_of(self._status)

    def close(self) -> None:
        """End; the port is free then."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = MAX_REQUESTS

    def __init__(self, address: tuple[str, int], page: Page) -> None:
        self.page = page
        self._free = threading.BoundedSemaphore(MAX_REQUESTS)
        super().__init__(address, _Handler)

    def process_request(
        self, request: "socket.socket | tuple[bytes, socket.socket]", client_address: object
    ) -> None:
        """Refuse a connection above the limit, rather than make a thread for it."""
        if self._free.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(
        self, request: "socket.socket | tuple[bytes, socket.socket]", client_address: object
    ) -> None:
        """Answer, and leave room for the next."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: a broken connection is no news, and whose it was is nobody's business."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = REQUEST_S
    server_version, sys_version = "Doorward", ""

    def do_GET(self) -> None:
        """Answer with the one page there is."""
        if self.path.partition("?")[0] != "/":
            self.send_error(404)
            return
        body = self.server.page.render()
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header(
            "Content-Security-Policy",
            "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
        )
        self.send_header("X-Content-Type-Options", "nosniff")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # its name
        """Log nothing: who reads the page is nobody's business."""


def page_of(status: Status) -> bytes:
    """Return the page of a status, in both languages."""
    sections = "".join(_section(status, language) for language in LANGUAGES)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta http-equiv="refresh" content="{RENEW_S}"><title>Doorward</title>'
        f"<style>{STYLE}</style></head><body>{sections}</body></html>\n"
    ).encode()


def _section(status: Status, language: Language) -> str:
    advice = advice_for(status.code, language)
    notices = "".join(
        f"<p>{_text(told.text)} {_text(told.advice)} {_text(notice.detail)}</p>"
        for notice in status.notices
        for told in (advice_for(notice.code, language),)
    )
    values = (
        step_name(status.step, language) if status.state != "done" else "",
        status.anchors.relay,
        status.anchors.register_origin,
        status.anchors.policy_digest,
        status.board,
        status.version,
        f"http://{status.name}.local, http://{status.address}" if status.address else "",
    )
    facts = "".join(
        f"<dt>{label}</dt><dd>{_text(value)}</dd>"
        for label, value in zip(LABELS[language], values, strict=True)
        if value
    )
    own = (
        f'<p><a href="http://{_text(status.name)}.local:{PORT}/">{OWN_PAGE[language]}</a></p>'
        if status.state == "done"
        else ""
    )
    return (
        f'<main lang="{language}"><h1>{HEADINGS[language]}</h1><div class="now">'
        f"<p><strong>{_text(advice.text)}</strong></p><p>{_text(advice.advice)}</p>"
        f"<p>{_text(status.detail)}</p></div>{own}{notices}<dl>{facts}</dl></main>"
    )


def _text(value: str) -> str:
    return html.escape(value)
