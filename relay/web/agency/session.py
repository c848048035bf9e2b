"""Which officer it is: cookie `dw_agency`, and the CSRF token for everything that changes."""

import secrets
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from relay.agency.agencies import Agency, OfficerState, standing_of
from relay.store.people import Account
from relay.web.agency.services import AgencyServices
from relay.web.answers import PageError

COOKIE = "dw_agency"
COOKIE_PATH = "/agency"
CSRF_HEADER = "x-csrf"


@dataclass(frozen=True, slots=True, kw_only=True)
class Officer:
    """A signed-in officer and their agency."""

    account: Account
    agency: Agency
    csrf: str


def services_of(request: Request) -> AgencyServices:
    """Return what the face was built from."""
    services: AgencyServices = request.app.state.services
    return services


async def find_officer(request: Request) -> Officer | None:
    """Return who is signed in, or None."""
    services = services_of(request)
    token = request.cookies.get(COOKIE, "")
    session = await services.sessions.find(token, "officer") if token else None
    if session is None or session.account.agency is None:
        return None
    agency = await services.agencies.find(session.account.agency)
    if agency is None:
        return None
    return Officer(account=session.account, agency=agency, csrf=session.csrf)


async def require_officer(request: Request) -> Officer:
    """Return who is signed in and isn't revoked, or raise 401, 403."""
    officer = await require_known(request)
    await _check_standing(request, officer)
    return officer


async def require_known(request: Request) -> Officer:
    """Return who is signed in, revoked or not: for what tells them how they stand themselves."""
    officer = await _require_session(request)
    _check_first_day(officer)
    return officer


async def require_certified(request: Request, officer: Officer) -> None:
    """Raise 403 unless the officer's agency, not only this relay, says that they are one."""
    if await _standing(request, officer) not in ("valid", "waiting"):
        raise PageError(403, "uncertified", "your agency hasn't certified your passkey")


def is_before_first_day(agency: Agency) -> bool:
    """Tell whether an agency's first agreement doesn't count yet: nothing is open to it (R20)."""
    return agency.state == "waiting" and agency.agreement.version == 1


async def require_officer_post(request: Request) -> Officer:
    """As require_officer, for what changes something: also demands the session's CSRF token."""
    officer = await require_session_post(request)
    _check_first_day(officer)
    await _check_standing(request, officer)
    return officer


async def require_session_post(request: Request) -> Officer:
    """Return who is signed in, whatever is open to them: signing out always is."""
    check_origin(request)
    officer = await _require_session(request)
    token = request.headers.get(CSRF_HEADER, "")
    if not secrets.compare_digest(token.encode(), officer.csrf.encode()):
        raise PageError(403, "csrf", "the page is out of date; load it again")
    return officer


async def _require_session(request: Request) -> Officer:
    officer = await find_officer(request)
    if officer is None:
        raise PageError(401, "unauthenticated", "sign in first")
    return officer


def _check_first_day(officer: Officer) -> None:
    if is_before_first_day(officer.agency):
        raise PageError(403, "agreement", "the agreement isn't public for long enough yet")


async def _check_standing(request: Request, officer: Officer) -> None:
    if await _standing(request, officer) == "revoked":
        words = "your certificate was revoked, or your agency has another key: ask it for a new one"
        raise PageError(403, "officer", words)


async def _standing(request: Request, officer: Officer) -> OfficerState:
    view = await services_of(request).agencies.view()
    return standing_of(view, officer.agency.id, officer.account.id).state


def check_origin(request: Request) -> None:
    """Refuse what another site's page sent."""
    origin = request.headers.get("origin")
    if origin is not None and origin != services_of(request).site.origin:
        raise PageError(403, "origin", "sent by another site's page")


def set_session(request: Request, response: Response, token: str) -> None:
    """Give the browser its session."""
    response.set_cookie(
        COOKIE,
        token,
        path=COOKIE_PATH,
        httponly=True,
        samesite="strict",
        secure=services_of(request).site.origin.startswith("https://"),
    )


def clear_session(response: Response) -> None:
    """Take the session back."""
    response.delete_cookie(COOKIE, path=COOKIE_PATH, httponly=True, samesite="strict")
