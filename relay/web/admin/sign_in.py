"""Sign in, join by invitation, sign out."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from relay.people.ceremonies import SignedIn
from relay.web.admin.session import (
    COOKIE,
    check_origin,
    clear_session,
    require_admin_post,
    services_of,
    set_session,
)
from relay.web.answers import read_json
from relay.web.callers import calling
from relay.web.ceremony_forms import (
    CredentialIn,
    LoginOptionsIn,
    RegisterOptionsIn,
    started_json,
)


def sign_in_page(request: Request, *, status: int = 200) -> Response:
    """Return the page for whoever isn't signed in."""
    services = services_of(request)
    return services.pages.render(
        request,
        "admin/sign_in.html",
        status=status,
        has_demo_passkeys=services.site.has_demo_passkeys,
    )


async def join(request: Request) -> Response:
    """GET /admin/join?invitation=…: the page on which an administrator adds their passkey."""
    services = services_of(request)
    return services.pages.render(
        request,
        "admin/join.html",
        invitation=request.query_params.get("invitation", ""),
        has_demo_passkeys=services.site.has_demo_passkeys,
    )


async def register_options(request: Request) -> Response:
    """POST /admin/register/options."""
    check_origin(request)
    body = await read_json(request, RegisterOptionsIn)
    ceremonies = services_of(request).ceremonies
    return started_json(await ceremonies.start_registration(body.invitation, body.name))


async def register_verify(request: Request) -> Response:
    """POST /admin/register/verify: sets the cookie."""
    check_origin(request)
    body = await read_json(request, CredentialIn)
    signed_in = await services_of(request).ceremonies.finish_registration(
        body.session, body.credential, calling(request)
    )
    return _signed_in(request, signed_in)


async def login_options(request: Request) -> Response:
    """POST /admin/login/options."""
    check_origin(request)
    await read_json(request, LoginOptionsIn)
    return started_json(await services_of(request).ceremonies.start_login())


async def login_verify(request: Request) -> Response:
    """POST /admin/login/verify: sets the cookie."""
    check_origin(request)
    body = await read_json(request, CredentialIn)
    signed_in = await services_of(request).ceremonies.finish_login(
        body.session, body.credential, calling(request)
    )
    return _signed_in(request, signed_in)


async def logout(request: Request) -> Response:
    """POST /admin/logout."""
    await require_admin_post(request)
    await services_of(request).sessions.end(request.cookies[COOKIE])
    response = JSONResponse({"ok": True})
    clear_session(response)
    return response


def _signed_in(request: Request, signed_in: SignedIn) -> JSONResponse:
    response = JSONResponse({"admin": {"name": signed_in.account.name}})
    set_session(request, response, signed_in.token)
    return response
