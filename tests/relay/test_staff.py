"""An agency's own administrator shuts a leaver out, and lets them in again; nobody else does."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from relay.people.staff import Staff, StaffRefused
from relay.store import people
from relay.store.people import Account
from tests.relay.admin_people import signed_in_admin
from tests.relay.http_people import Officer, officer_elsewhere
from tests.relay.http_world import World, open_world
from tests.relay.test_sessions import form, of_role


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path) as world:
        yield world


@pytest.fixture
async def admin(world: World) -> Officer:
    return await of_role(world, "admin")


async def newcomer(world: World) -> Officer:
    officer = Officer(world, "Officer Left")
    await officer.register()
    await officer.take_csrf()
    return officer


async def account_of(world: World, officer: Officer) -> Account:
    async with world.database.read() as tx:
        found = await people.find_account(tx, officer.officer_id)
    assert found is not None
    return found


async def test_a_leaver_without_a_certificate_is_out_at_once_and_can_read_why(
    world: World, admin: Officer
) -> None:
    left = await newcomer(world)
    path = f"/agency/staff/{left.officer_id}"
    unsure = await form(admin, f"{path}/suspend")
    assert (unsure.status_code, 'data-reason="unsure"' in unsure.text) == (422, True)
    assert (await left.http.get("/agency/requests")).status_code == 200
    done = await form(admin, f"{path}/suspend", is_sure="yes")
    assert done.headers["location"] == f"{path}?done=suspended"
    assert (await left.http.get("/agency/requests")).status_code == 401
    assert (await left.log_in()).json()["error"]["code"] == "suspended_by_agency"
    assert 'data-by="agency"' in (await admin.http.get(path)).text
    assert "suspended by your agency" in (await admin.http.get("/agency/staff")).text
    assert (await form(admin, f"{path}/suspend", is_sure="yes")).status_code == 303  # said once
    assert (await form(admin, f"{path}/restore")).status_code == 303
    await left.log_in()
    page = (await left.http.get("/agency/reads")).text
    for what in ("Suspended your account, for your agency", "Restored your account, for your"):
        assert page.count(what) == 1
    assert "Officer Admin" in page


async def test_an_agency_cannot_undo_what_the_operator_did(world: World, admin: Officer) -> None:
    """Seen to let them in with `suspended_by` out of `Staff.restore`."""
    operator, left = await signed_in_admin(world), await newcomer(world)
    path = f"/agency/staff/{left.officer_id}"
    await form(admin, f"{path}/suspend", is_sure="yes")
    await operator.send(f"/accounts/{left.officer_id}/suspend", is_sure="yes")
    refused = await form(admin, f"{path}/restore")
    assert (refused.status_code, 'data-reason="operator"' in refused.text) == (403, True)
    await form(admin, f"{path}/suspend", is_sure="yes")  # doesn't make it the agency's
    assert (await form(admin, f"{path}/restore")).status_code == 403
    assert (await left.log_in()).json()["error"]["code"] == "suspended"


async def test_nobody_shuts_out_themselves_or_anothers_officers(
    world: World, admin: Officer
) -> None:
    """Seen to be done with the comparisons out of `_colleague` in relay/people/staff.py."""
    crow, left = await officer_elsewhere(world), await newcomer(world)
    own = await form(admin, f"/agency/staff/{admin.officer_id}/suspend", is_sure="yes")
    assert (own.status_code, 'data-reason="own"' in own.text) == (403, True)
    for officer_id in (crow.officer_id, "a" * 26):
        for step in ("suspend", "restore"):
            answer = await form(admin, f"/agency/staff/{officer_id}/{step}", is_sure="yes")
            assert answer.status_code == 404
    theirs = f"/agency/staff/{left.officer_id}/suspend"
    for somebody in (crow, left):
        assert (await form(somebody, theirs, is_sure="yes")).status_code == 403
    without = await admin.http.post(theirs, data={"is_sure": "yes"}, headers={"X-CSRF": ""})
    assert without.status_code == 403
    for one in (admin, crow, left):
        assert (await account_of(world, one)).suspended_ms is None


async def test_of_two_who_shut_each_other_out_one_stays_in(world: World, admin: Officer) -> None:
    """Seen to shut out both with `acting.suspended_ms` out of `_colleague`."""
    other = await of_role(world, "admin", "Officer Other")
    both = [await account_of(world, one) for one in (admin, other)]
    staff = Staff(world.database, world.clock)
    told = await asyncio.gather(
        staff.suspend(both[0], both[1].id),
        staff.suspend(both[1], both[0].id),
        return_exceptions=True,
    )
    assert [isinstance(one, StaffRefused) for one in told].count(True) == 1
    after = [(await account_of(world, one)).suspended_ms for one in (admin, other)]
    assert after.count(None) == 1
