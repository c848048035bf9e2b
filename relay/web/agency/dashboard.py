"""An officer's start page: their and their agency's standing, and their open tasks."""

from functools import partial

from starlette.requests import Request
from starlette.responses import Response

from relay.agency.agencies import certified_until_ms, standing_of
from relay.agency.register import RegisterView
from relay.agency.reminders import CERTIFICATE_DAYS, DAY_MS, days_left
from relay.request.published_requests import count_open
from relay.web.agency.arrived_evidence import list_arrived
from relay.web.agency.due_words import due_words
from relay.web.agency.open_tasks import open_tasks_of
from relay.web.agency.session import Officer, find_officer, is_before_first_day, services_of
from relay.web.agency.sign_in import sign_in_page


async def home(request: Request) -> Response:
    """GET /agency: the dashboard, or the sign-in page."""
    services = services_of(request)
    officer = await find_officer(request)
    if officer is None:
        return await sign_in_page(request)
    view = await services.agencies.view()
    standing = standing_of(view, officer.agency.id, officer.account.id)
    is_open = not is_before_first_day(officer.agency) and standing.state != "revoked"
    may_read = officer.may("requests.read")
    now_ms = services.clock.wall_ms()
    return services.pages.render(
        request,
        "agency/dashboard.html",
        csrf=officer.csrf,
        officer=officer,
        is_open=is_open,
        standing=standing,
        is_text_fit=await services.agencies.has_fit_text(officer.agency),
        certificate_ends_ms=_ends_soon_ms(view, officer),
        days_left=days_left(view, officer.agency.id),
        has_passkey=await services.staff.has_passkey(officer.account),
        now_ms=now_ms,
        due=partial(due_words, services.pages.texts(request), now_ms=now_ms),
        duties=await open_tasks_of(services, officer) if is_open else None,
        open_count=count_open(view, officer.agency.id) if may_read else 0,
        to_cosign=await services.request_service.list_to_cosign(officer.account),
        package_count=len(await list_arrived(services, officer.agency.id, view)),
    )


def _ends_soon_ms(view: RegisterView, officer: Officer) -> int | None:
    """Return when an officer's certificate ends, if that is soon and no later one waits."""
    ends_ms = certified_until_ms(view, officer.agency.id, officer.account.id)
    is_soon = ends_ms is not None and ends_ms - view.now_ms <= CERTIFICATE_DAYS * DAY_MS
    return ends_ms if is_soon else None
