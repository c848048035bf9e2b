"""The way to an agency's own sign-in and back (OpenID Connect).

The cookie of a login under way is its own, short, and seen by the way back only: it ties the
answer to this browser, or somebody could be signed in as another without noticing.
"""

from typing import Final

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from relay.web.agency.session import services_of, set_session
from relay.web.callers import calling

CALLBACK_PATH: Final = "/agency/oidc/callback"
COOKIE: Final = "dw_oidc"
COOKIE_PATH: Final = "/agency/oidc"
COOKIE_LIFE_S: Final = 600
MAX_ANSWER_CHARS: Final = 4096
WANTED: Final = ("state", "code", "iss", "error")


async def start(request: Request) -> Response:
    """GET /agency/oidc/start?agency=…: to the agency's provider."""
    services = services_of(request)
    started = await services.oidc.start(request.query_params.get("agency", ""))
    response = RedirectResponse(started.url, status_code=303)
    response.set_cookie(
        COOKIE,
        started.binding,
        path=COOKIE_PATH,
        max_age=COOKIE_LIFE_S,
        httponly=True,
        samesite="lax",  # the way back comes from the provider's site
        secure=services.site.origin.startswith("https://"),
    )
    return response


async def callback(request: Request) -> Response:
    """GET /agency/oidc/callback: sets the session's cookie.

    That cookie is for our own pages only (SameSite=Strict), and a redirect from here would still
    be the provider's doing: so a page of ours leads on.
    """
    services = services_of(request)
    answer = {
        name: value[:MAX_ANSWER_CHARS]
        for name, value in request.query_params.items()
        if name in WANTED
    }
    binding = request.cookies.get(COOKIE, "")
    signed_in = await services.oidc.finish(answer, binding, calling(request))
    response = services.pages.render(request, "agency/signed_in.html", name=signed_in.account.name)
    set_session(request, response, signed_in.token)
    response.delete_cookie(COOKIE, path=COOKIE_PATH, httponly=True, samesite="lax")
    return response
