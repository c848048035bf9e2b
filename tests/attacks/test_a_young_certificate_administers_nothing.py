"""A certificate that an agency's stolen key made today shuts no colleague out, and sees nobody.

R17, as for evidence: an agency finds it in the register first. Whoever administers the agency
could otherwise be shut out by a certificate that nobody has had time to notice.
"""

from pathlib import Path

from msgspec.structs import replace

from relay.store import people
from tests.relay.http_people import Officer
from tests.relay.http_world import DAY_MS, World, open_world
from tests.relay.register_town import QUICK
from tests.relay.test_sessions import form, of_role

AGE_MS = 3 * DAY_MS


async def is_shut_out(world: World, officer: Officer) -> bool:
    async with world.database.read() as tx:
        account = await people.find_account(tx, officer.officer_id)
    assert account is not None
    return account.suspended_ms is not None


async def after_three_days(officer: Officer) -> None:
    officer.world.clock.advance(AGE_MS / 1000)
    await officer.log_in()
    await officer.take_csrf()


async def test_an_administrator_of_today_shuts_nobody_out(tmp_path: Path) -> None:
    """Seen to shut out the agency's real one with `is_counted` taken from the rule."""
    async with open_world(tmp_path, delays=replace(QUICK, key_age_ms=AGE_MS)) as world:
        chief = await of_role(world, "admin", "Officer Chief")
        await after_three_days(chief)
        mole = await of_role(world, "admin", "Officer Mole")
        staff = f"/agency/staff/{chief.officer_id}"
        tries = {
            f"{staff}/suspend": {"is_sure": "yes"},
            f"{staff}/restore": {},
            f"{staff}/sessions/end": {"session": "all"},
            "/agency/staff/invitations": {"email": "eve@lakeland.example"},
            "/agency/settings": {"networks": "203.0.113.0/24", "max_sessions": ""},
        }
        for path, fields in tries.items():
            refused = await form(mole, path, **fields)
            assert (refused.status_code, "It counts from" in refused.text) == (403, True), path
        for path in ("/agency/staff", staff, "/agency/settings"):
            assert (await mole.http.get(path)).status_code == 403, path
        assert not await is_shut_out(world, chief)
        assert (await chief.http.get("/agency/staff")).status_code == 200


async def test_the_first_administrator_of_all_waits_as_well_and_then_works(tmp_path: Path) -> None:
    async with open_world(tmp_path, delays=replace(QUICK, key_age_ms=AGE_MS)) as world:
        world.clock.advance(AGE_MS / 1000)
        first = await of_role(world, "admin")
        start = (await first.http.get("/agency")).text
        assert "It counts from" in start
        assert 'href="/agency/staff"' not in start
        other = Officer(world, "Officer Left")
        await other.register()
        await after_three_days(first)
        assert 'href="/agency/staff"' in (await first.http.get("/agency")).text
        done = await form(first, f"/agency/staff/{other.officer_id}/suspend", is_sure="yes")
        assert (done.status_code, await is_shut_out(world, other)) == (303, True)
