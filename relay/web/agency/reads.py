"""The page of administrators' accesses to an officer's account, for that officer."""

from collections.abc import Sequence
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from relay.store.reads import AdminRead, What
from relay.web.agency.session import require_session, services_of

ONE_VISIT_MS = 6 * 3600 * 1000
"""The same look again within an afternoon is told once, with how often."""
LOOKS: frozenset[What] = frozenset({"account", "found", "request"})
"""What changes an account is told each time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadVisit:
    """Repeated accesses of one administrator, from the first to the last of a visit."""

    admin: str
    what: What
    about: str | None
    first_ms: int
    last_ms: int
    count: int


async def list_page(request: Request) -> Response:
    """GET /agency/reads."""
    officer = await require_session(request)
    services = services_of(request)
    return services.pages.render(
        request,
        "agency/reads.html",
        csrf=officer.csrf,
        officer=officer,
        looks=group_visits(await services.reads.of_account(officer.account.id)),
    )


def group_visits(reads: Sequence[AdminRead]) -> list[ReadVisit]:
    """Return accesses, newest first, with the repeated ones of a visit merged."""
    visits: dict[tuple[str, What, str | None], list[list[AdminRead]]] = {}
    for one in sorted(reads, key=lambda read: -read.read_ms):
        known = visits.setdefault((one.admin, one.what, one.about), [])
        is_again = bool(known) and known[-1][0].read_ms - one.read_ms < ONE_VISIT_MS
        if is_again and one.what in LOOKS:
            known[-1].append(one)
        else:
            known.append([one])
    found = [_looks(visit) for known in visits.values() for visit in known]
    return sorted(found, key=lambda looks: -looks.last_ms)


def _looks(visit: Sequence[AdminRead]) -> ReadVisit:
    newest, oldest = visit[0], visit[-1]
    return ReadVisit(
        admin=newest.admin,
        what=newest.what,
        about=newest.about,
        first_ms=oldest.read_ms,
        last_ms=newest.read_ms,
        count=len(visit),
    )
