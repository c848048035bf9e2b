"""Responses of the page: HTML for people, JSON for tools that ask for it."""

from collections.abc import Mapping
from datetime import tzinfo
from http import HTTPStatus
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from firmware.local_page.forms import FormRefused
from firmware.local_page.texts import COOKIE, ZONE_COOKIE, Texts, language_of, zone_of

READER_COOKIE_S = 365 * 24 * 3600


POSTED_TO: Mapping[str, str] = {
    "recover": "/pair",
    **dict.fromkeys(("unlock", "lock", "refuse"), "/confirm"),
}
"""Where a page is whose form goes to another address, by that one's first part."""


def _shown_at(request: Request) -> str:
    """Return the address at which a browser sees this page again: a form's own is no page."""
    if request.method != "POST":
        return request.url.path
    first = request.url.path.split("/")[1]
    return POSTED_TO.get(first, f"/{first}")


def wants_json(request: Request) -> bool:
    """Return whether the caller is a tool."""
    return request.headers.get("accept", "").startswith("application/json")


class Responses:
    """Templates and texts; holds no state of any visitor."""

    def __init__(self, *, zone: tzinfo | None, example_town: str = "") -> None:
        self._zone = zone
        self._example_town = example_town
        self._templates = Environment(
            loader=PackageLoader("firmware.local_page"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )

    def texts(self, request: Request) -> Texts:
        """Return the texts in the caller's language, with times of the caller's zone if known."""
        return Texts(language=language_of(request), zone=zone_of(request) or self._zone)

    def page(
        self, request: Request, template: str, *, status: int = 200, **facts: object
    ) -> Response:
        """Render a page; its template sees `t` (the texts) and `facts`."""
        texts = self.texts(request)
        html = self._templates.get_template(template).render(
            t=texts, path=_shown_at(request), example_town=self._example_town, **facts
        )
        response = HTMLResponse(html, status)
        chosen = {"lang": (COOKIE, texts.language), "zone": (ZONE_COOKIE, str(texts.zone))}
        for parameter, (cookie, value) in chosen.items():
            if request.query_params.get(parameter) == value:
                response.set_cookie(
                    cookie, value, READER_COOKIE_S, httponly=True, samesite="strict"
                )
        return response

    def done(self, request: Request, location: str) -> Response:
        """Answer a post that was done: a redirect for people, {"ok": true} for tools."""
        if wants_json(request):
            return JSONResponse({"ok": True})
        return RedirectResponse(location, HTTPStatus.SEE_OTHER)

    def refused(
        self,
        request: Request,
        status: int,
        error: str,
        **facts: Any,  # Any: whatever JSON can hold
    ) -> Response:
        """Answer a post that was not done, with the reason."""
        if wants_json(request):
            return JSONResponse({"ok": False, "error": error, **facts}, status)
        return self.page(request, "message.html", status=status, message=error)

    async def form_refused(self, request: Request, error: Exception) -> Response:
        """Answer a form that isn't one of the page's own."""
        status = error.status if isinstance(error, FormRefused) else HTTPStatus.BAD_REQUEST
        return self.refused(request, status, str(error))

    async def http_error(self, request: Request, error: Exception) -> Response:
        """Answer an unknown path or method."""
        status, headers = HTTPStatus.NOT_FOUND.value, None
        if isinstance(error, HTTPException):
            status, headers = error.status_code, error.headers
        key = "error.not_found" if status == HTTPStatus.NOT_FOUND else "error.other"
        return _with(self.refused(request, status, self.texts(request)(key)), headers)

    async def fault(self, request: Request, error: Exception) -> Response:  # noqa: ARG002
        """Answer a fault of ours; Starlette raises it again for the log."""
        return self.refused(request, 500, self.texts(request)("error.fault"))


def _with(response: Response, headers: Mapping[str, str] | None) -> Response:
    response.headers.update(headers or {})
    return response
