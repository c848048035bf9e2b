"""The redirects to an agency's own sign-in and back (OpenID Connect).

The cookie of a login under way is its own, short, and seen by the way back only: it ties the
answer to this browser, or somebody could be signed in as another without noticing.
"""

from typing import Final

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from relay.people.oidc import OidcFound
from relay.web.agency.session import FACE, services_of
from relay.web.callers import caller_of_request

CALLBACK_PATH: Final = "/agency/oidc/callback"
COOKIE: Final = "dw_oidc"
COOKIE_PATH: Final = "/agency/oidc"
COOKIE_LIFE_S: Final = 600
MAX_ANSWER_CHARS: Final = 4096
WANTED: Final = ("state", "code", "iss", "error")


async def start(request: Request) -> Response:
    """GET /agency/oidc/start?agency=…: redirect to the agency's provider."""
    services = services_of(request)
    started = await services.oidc.start(request.query_params.get("agency", ""))
    response = RedirectResponse(started.url, status_code=303)
    set_binding(request, response, started.binding)
    return response


async def callback(request: Request) -> Response:
    """GET /agency/oidc/callback: sets the session's cookie, or redirects to confirm a link.

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
    done = await services.oidc.finish(answer, binding, caller_of_request(request))
    if isinstance(done, OidcFound):
        response = services.pages.render(request, "agency/found.html")
        set_binding(request, response, done.binding)
        return response
    response = services.pages.render(request, "agency/signed_in.html", name=done.account.name)
    FACE.set_session(request, response, done.token)
    clear_binding(response)
    return response


def set_binding(request: Request, response: Response, binding: str) -> None:
    """Set the cookie that binds the sign-in under way to this browser."""
    response.set_cookie(
        COOKIE,
        binding,
        path=COOKIE_PATH,
        max_age=COOKIE_LIFE_S,
        httponly=True,
        samesite="lax",  # the way back comes from the provider's site
        secure=services_of(request).site.origin.startswith("https://"),
    )


def clear_binding(response: Response) -> None:
    """Delete the binding cookie."""
    response.delete_cookie(COOKIE, path=COOKIE_PATH, httponly=True, samesite="lax")
