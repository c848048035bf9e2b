"""Sign-in at a face of the relay's pages: its cookie, its origin, and the passkey steps.

The same for officers and administrators. Who may do what afterwards is each face's own.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from relay.base.allowances import charge
from relay.people.ceremonies import Ceremonies, SignedIn
from relay.people.passkeys import Site
from relay.people.sessions import Sessions
from relay.store.sessions import Session
from relay.web.callers import caller_of_request
from relay.web.ceremony_forms import (
    CredentialIn,
    LoginOptionsIn,
    RegisterOptionsIn,
    started_json,
)
from relay.web.forms import form_of, text_in
from relay.web.json_responses import PageError, not_found, read_json
from relay.web.pages import Pages

CSRF_HEADER = "x-csrf"


class FaceServices(Protocol):
    """The dependencies of sign-in at a face."""

    @property
    def site(self) -> Site:
        """The relying party of the face's passkeys."""
        ...

    @property
    def pages(self) -> Pages:
        """The templates."""
        ...

    @property
    def ceremonies(self) -> Ceremonies:
        """The ceremonies of the face's own role."""
        ...

    @property
    def sessions(self) -> Sessions:
        """The sessions of all roles."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Face:
    """A face: pages under /`name`, with the cookie `dw_name`, for accounts of `role`.

    `welcome` is what the module that signed somebody in is told of them.
    """

    name: Literal["agency", "admin"]
    role: Literal["officer", "admin"]
    welcome: Callable[[SignedIn], dict[str, Any]]  # Any: JSON

    @property
    def cookie(self) -> str:
        """The name of the session's cookie."""
        return f"dw_{self.name}"

    @property
    def path(self) -> str:
        """The path prefix of the face's pages, to which its cookie is restricted."""
        return f"/{self.name}"

    async def find_session(self, request: Request) -> Session | None:
        """Return the request's session, and count the request for its account; None without one."""
        token = request.cookies.get(self.cookie, "")
        if not token:
            return None
        session = await _services(request).sessions.find(
            token, self.role, caller_of_request(request)
        )
        if session is not None:
            charge(request.state, session.account.id)
        return session

    def set_session(self, request: Request, response: Response, token: str) -> None:
        """Set the session's cookie."""
        response.set_cookie(
            self.cookie,
            token,
            path=self.path,
            httponly=True,
            samesite="strict",
            secure=_services(request).site.origin.startswith("https://"),
        )

    def clear_session(self, response: Response) -> None:
        """Delete the session's cookie."""
        response.delete_cookie(self.cookie, path=self.path, httponly=True, samesite="strict")

    async def join(self, request: Request) -> Response:
        """GET …/join?invitation=…: the page on which somebody adds their passkey."""
        services = _services(request)
        return services.pages.render(
            request,
            f"{self.name}/join.html",
            invitation=request.query_params.get("invitation", ""),
            has_demo_passkeys=services.site.has_demo_passkeys,
        )

    async def register_options(self, request: Request) -> Response:
        """POST …/register/options."""
        check_origin(request)
        body = await read_json(request, RegisterOptionsIn)
        ceremonies = _services(request).ceremonies
        return started_json(await ceremonies.start_registration(body.invitation, body.name))

    async def register_verify(self, request: Request) -> Response:
        """POST …/register/verify: sets the cookie."""
        check_origin(request)
        body = await read_json(request, CredentialIn)
        ceremonies, caller = _services(request).ceremonies, caller_of_request(request)
        done = await ceremonies.finish_registration(body.session, body.credential, caller)
        return self.signed_in(request, done)

    async def login_options(self, request: Request) -> Response:
        """POST …/login/options."""
        check_origin(request)
        await read_json(request, LoginOptionsIn)
        return started_json(await _services(request).ceremonies.start_login())

    async def login_verify(self, request: Request) -> Response:
        """POST …/login/verify: sets the cookie."""
        check_origin(request)
        body = await read_json(request, CredentialIn)
        ceremonies, caller = _services(request).ceremonies, caller_of_request(request)
        done = await ceremonies.finish_login(body.session, body.credential, caller)
        return self.signed_in(request, done)

    def signed_in(self, request: Request, signed_in: SignedIn) -> Response:
        """Return the answer that signs somebody in."""
        response = JSONResponse(self.welcome(signed_in))
        self.set_session(request, response, signed_in.token)
        return response

    async def sign_out(self, request: Request) -> Response:
        """End the request's session; the face has checked the request."""
        await _services(request).sessions.end(request.cookies[self.cookie])
        response = JSONResponse({"ok": True})
        self.clear_session(response)
        return response

    async def end_sessions(self, request: Request, account_id: str, own_id: str) -> Response:
        """End the caller's own sessions that a form's `session` names: one, `others` or `all`.

        Who sent the form, and with which token, the face has checked.
        """
        sessions = _services(request).sessions
        which = text_in(await form_of(request), "session")
        if which == "others":
            await sessions.end_all(account_id, but=own_id)
        elif which == "all":
            await sessions.end_all(account_id)
        elif not await sessions.end_one(account_id, which):
            raise not_found("session of yours")
        if which not in ("all", own_id):
            return RedirectResponse(f"{self.path}/sessions?done=ended", status_code=303)
        response = RedirectResponse(self.path, status_code=303)
        self.clear_session(response)
        return response


def check_origin(request: Request) -> None:
    """Refuse a request from another site's page."""
    origin = request.headers.get("origin")
    if origin is not None and origin != _services(request).site.origin:
        raise PageError(403, "origin", "sent by another site's page")


def _services(request: Request) -> FaceServices:
    services: FaceServices = request.app.state.services
    return services
