"""Who may do what in the agency's face: every route, everybody, by the one table."""

from collections.abc import AsyncIterator

import pytest

from firmware.protocol.register.entries import OfficerRevoked
from relay.web.agency.access import RULES
from relay.web.agency.app import agency_routes
from relay.web.agency.session import GuardedRoute, get
from tests.relay.http_people import Officer, certified_officer
from tests.relay.http_world import World, open_world

CLOSED = {"role", "uncertified", "officer"}
SIGN_OUT = {"/agency/logout", "/agency/sessions/end"}
NAMES = (
    "request_id",
    "package_id",
    "officer_id",
    "draft_id",
    "agency_id",
    "session_id",
    "preset_id",
    "post_id",
)
IDS = dict.fromkeys(NAMES, "a" * 20)


@pytest.fixture
async def people(tmp_path) -> AsyncIterator[dict[str, Officer]]:
    """Everybody whom access.py names, signed in."""
    async with open_world(tmp_path) as world:
        officer = await certified_officer(world)
        assert officer.partner is not None
        found = {"officer": officer, "approver": officer.partner}
        for who in ("records", "admin", "newcomer", "revoked"):
            found[who] = await somebody(world, who)
        yield found


async def somebody(world: World, who: str) -> Officer:
    officer = Officer(world, f"Officer {who.title()}")
    await officer.register()
    if who in ("records", "admin"):
        await officer.get_certified(role=who)  # type: ignore[arg-type]
    if who == "revoked":
        await officer.get_certified()
        body = OfficerRevoked(agency="lakeland", officer_id=officer.officer_id)
        await world.town.change(body)
    await officer.take_csrf()
    return officer


async def ask(officer: Officer, route: GuardedRoute) -> str:
    """Return what closed a route to somebody, or an empty text."""
    (method,) = (route.methods or set()) - {"HEAD"}
    path = route.path.format(**IDS, sha256="a" * 64)
    answer = await officer.http.request(
        method, path, json={} if method == "POST" else None, headers={"Accept": "application/json"}
    )
    assert answer.status_code < 500, (path, answer.text)
    is_json = answer.headers.get("content-type", "").startswith("application/json")
    code = answer.json().get("error", {}).get("code", "") if is_json else ""
    return code if code in CLOSED else ""


async def test_every_route_opens_to_whom_the_table_says_and_to_nobody_else(people):
    """Seen to fail with the check of roles taken out of `_admit`: 78 times."""
    wrong = []
    for route in agency_routes():
        if RULES[route.rule].need != "session" or route.path in SIGN_OUT:
            continue
        for who, officer in people.items():
            closed = await ask(officer, route)
            if bool(closed) == (who in RULES[route.rule].roles):
                wrong.append((route.path, who, closed))
    assert wrong == []


async def test_an_administrator_reaches_no_request_and_no_evidence(people):
    for path in ("/agency/requests", "/agency/requests/new", "/agency/evidence"):
        assert (await people["admin"].http.get(path)).status_code == 403
    said = (await people["admin"].http.get("/agency/evidence")).text
    assert "another part of your agency" in said
    home = (await people["admin"].http.get("/agency")).text
    assert 'href="/agency/evidence"' not in home
    assert 'href="/agency/staff"' in home


async def test_a_route_without_a_rule_doesnt_start():
    async def endpoint(_request: object) -> None:
        pass

    with pytest.raises(KeyError):
        get("/agency/forgotten", endpoint, "no such rule")  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        get("/agency/forgotten", endpoint)  # type: ignore[call-arg, arg-type]
