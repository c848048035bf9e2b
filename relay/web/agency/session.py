"""Officers' sessions: cookie `dw_agency`, access rules, and the CSRF token for changes."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from firmware.protocol.passkeys import PasskeyKey
from relay.agency.agencies import Agency, Standing, standing_of
from relay.store.people import Account
from relay.web.agency.access import RULES, Rule, Who, has_counted, may, who_of
from relay.web.agency.services import AgencyServices
from relay.web.face import CSRF_HEADER, Face, check_origin
from relay.web.forms import CSRF_FIELD, FORM_TYPES, check_csrf, form_of, text_in
from relay.web.json_responses import PageError

MAX_FORM_PARTS = 300
"""A request's form without JavaScript has up to 200 boxes for cells: too many may be ticked."""
FACE = Face(
    name="agency",
    role="officer",
    welcome=lambda signed_in: officer_file(signed_in.account, signed_in.passkey),
)

Endpoint = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Officer:
    """A signed-in officer and their agency; `standing` is by the register."""

    account: Account
    agency: Agency
    csrf: str
    standing: Standing
    session_id: str

    @property
    def who(self) -> Who:
        """The officer's role by the register."""
        return who_of(self.standing)

    def may(self, rule: str) -> bool:
        """Return whether a rule of access.py admits the officer."""
        return may(self.standing, rule)


class GuardedRoute(Route):
    """A route with its access rule, which is enforced before the endpoint is called."""

    def __init__(self, path: str, endpoint: Endpoint, *, method: str, rule: str) -> None:
        self.rule = rule
        super().__init__(path, _guarded(endpoint, RULES[rule], method), methods=[method])


def get(path: str, endpoint: Endpoint, rule: str) -> GuardedRoute:
    """Return a route that reads."""
    return GuardedRoute(path, endpoint, method="GET", rule=rule)


def post(path: str, endpoint: Endpoint, rule: str) -> GuardedRoute:
    """Return a route that changes something: with a session, its CSRF token is demanded too."""
    return GuardedRoute(path, endpoint, method="POST", rule=rule)


def _guarded(endpoint: Endpoint, rule: Rule, method: str) -> Endpoint:
    async def guarded(request: Request) -> Response:
        if rule.need == "session":
            await _admit(request, rule, is_post=method == "POST")
        return await endpoint(request)

    return guarded


async def _admit(request: Request, rule: Rule, *, is_post: bool) -> None:
    """Raise 401 or 403 unless the rule admits the signed-in officer."""
    officer = await (require_session_post if is_post else require_session)(request)
    if not rule.is_always:
        _check_first_day(officer)
    if officer.who in rule.roles:
        _require_counted(officer, rule)
        return
    if officer.who == "revoked":
        _check_standing(officer)
    if officer.who == "newcomer":
        raise PageError(403, "uncertified", "your agency hasn't certified your passkey")
    raise PageError(403, "role", "your certificate is for another part of your agency's work")


def services_of(request: Request) -> AgencyServices:
    """Return the face's dependencies."""
    services: AgencyServices = request.app.state.services
    return services


async def find_officer(request: Request) -> Officer | None:
    """Return the signed-in officer, or None; looked up once a request."""
    if not hasattr(request.state, "officer"):
        request.state.officer = await _look_up(request)
    found: Officer | None = request.state.officer
    return found


async def _look_up(request: Request) -> Officer | None:
    session = await FACE.find_session(request)
    if session is None or session.account.agency is None:
        return None
    services = services_of(request)
    agency = await services.agencies.find(session.account.agency)
    if agency is None:
        return None
    standing = standing_of(await services.agencies.view(), agency.id, session.account.id)
    return Officer(
        account=session.account,
        agency=agency,
        csrf=session.csrf,
        standing=standing,
        session_id=session.id,
    )


async def require_officer(request: Request) -> Officer:
    """Return the signed-in, unrevoked officer, or raise 401, 403."""
    officer = await require_known(request)
    _check_standing(officer)
    return officer


async def require_known(request: Request) -> Officer:
    """Return the signed-in officer, revoked or not, for pages of their own standing."""
    officer = await require_session(request)
    _check_first_day(officer)
    return officer


def _require_counted(officer: Officer, rule: Rule) -> None:
    """Raise 403 if a rule requires a certificate that counts, and this one doesn't yet."""
    if has_counted(officer.standing, rule):
        return
    words = "your certificate isn't in the register for long enough yet; "
    counts_from_ms = officer.standing.counts_from_ms
    if counts_from_ms is None:
        raise PageError(403, "not_yet", words + "no outside witness has seen it")
    begins = datetime.fromtimestamp(counts_from_ms / 1000, UTC)
    raise PageError(403, "not_yet", f"{words}it counts from {begins:%Y-%m-%d %H:%M} UTC")


async def require_certified(_request: Request, officer: Officer) -> None:
    """Raise 403 unless the officer is certified by their agency."""
    if officer.who in ("newcomer", "revoked"):
        raise PageError(403, "uncertified", "your agency hasn't certified your passkey")


def is_before_first_day(agency: Agency) -> bool:
    """Return whether an agency's first agreement doesn't count yet: nothing is open to it (R20)."""
    return agency.state == "waiting" and agency.agreement.version == 1


async def require_officer_post(request: Request) -> Officer:
    """Return the officer of a changing request: also demands the session's CSRF token."""
    officer = await require_session_post(request)
    _check_first_day(officer)
    _check_standing(officer)
    return officer


async def require_session_post(request: Request) -> Officer:
    """Return the session's officer whatever their rights; demands the CSRF token."""
    check_origin(request)
    officer = await require_session(request)
    token = request.headers.get(CSRF_HEADER) or await _form_token(request)
    check_csrf(token, officer.csrf)
    return officer


async def _form_token(request: Request) -> str:
    """Return the field `csrf` of a form without JavaScript."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type not in FORM_TYPES:
        return ""
    form = await form_of(request, max_files=MAX_FORM_PARTS, max_fields=MAX_FORM_PARTS)
    return text_in(form, CSRF_FIELD)


async def require_session(request: Request) -> Officer:
    """Return the session's officer whatever their rights, or raise 401."""
    officer = await find_officer(request)
    if officer is None:
        raise PageError(401, "unauthenticated", "sign in first")
    return officer


def _check_first_day(officer: Officer) -> None:
    if is_before_first_day(officer.agency):
        raise PageError(403, "agreement", "the agreement isn't public for long enough yet")


def _check_standing(officer: Officer) -> None:
    if officer.who == "revoked":
        words = "your certificate was revoked, or your agency has another key: ask it for a new one"
        raise PageError(403, "officer", words)


def officer_file(account: Account, key: PasskeyKey) -> dict[str, Any]:  # Any: JSON
    """Return officer.json, which the officer hands to the holder of the agency's key."""
    return {
        "officer": {
            "officer_id": account.id,
            "name": account.name,
            "passkey": {
                "credential_id": key.credential_id,
                "public_key": key.public_key,
                "rp_id": key.rp_id,
                "origin": key.origin,
            },
        }
    }
