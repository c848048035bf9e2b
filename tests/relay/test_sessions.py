"""Sessions: listed, ended, limited, idle, from allowed networks; and the pages around them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx2
import pytest

from relay.people.callers import caller_of
from relay.store import agency_settings, people, sessions
from relay.store.agency_settings import AgencySettings
from relay.store.people import Account
from tests.fakes.waiting import PATIENCE_S, in_time
from tests.relay.http_people import (
    Officer,
    Owner,
    account_of,
    certified_officer,
    officer_elsewhere,
    paired_owner,
)
from tests.relay.http_world import API, World, open_world

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
INSIDE, OUTSIDE = "192.0.2.7", "198.51.100.7"


async def of_role(world: World, role: str, name: str = "Officer Admin") -> Officer:
    """Return somebody whom the agency certified for one part of its work."""
    officer = Officer(world, name)
    await officer.register()
    await officer.get_certified(role=role)  # type: ignore[arg-type]
    await officer.take_csrf()
    return officer


async def again(officer: Officer, address: str = INSIDE) -> httpx2.AsyncClient:
    """Sign the same person in from another browser, and return that browser."""
    before = officer.http
    officer.http = officer.world.browser("http://relay.test")
    officer.http.headers |= {"User-Agent": FIREFOX, "X-Forwarded-For": address}
    answer = await officer.log_in()
    officer.http, browser = before, officer.http
    assert answer.status_code in (200, 403), answer.text
    return browser


async def form(officer: Officer, path: str, **fields: str) -> httpx2.Response:
    """Send a page's own form, as a browser without JavaScript does."""
    csrf = officer.http.headers.pop("X-CSRF")
    try:
        return await officer.http.post(path, data={"csrf": csrf, **fields})
    finally:
        officer.http.headers["X-CSRF"] = csrf


async def set_limits(world: World, **limits: object) -> None:
    async with world.database.begin() as tx:
        settings = AgencySettings(agency="lakeland", **limits)  # type: ignore[arg-type]
        await agency_settings.put(tx, settings, 0)


async def test_ones_own_sessions_are_listed_and_ended(tmp_path):
    async with open_world(tmp_path) as world:
        officer = await certified_officer(world)
        other = await again(officer)
        page = (await officer.http.get("/agency/sessions")).text
        assert "Firefox, Linux" in page
        assert INSIDE in page
        session_id = page.split("Firefox, Linux")[1].split('name="session" value="')[1][:16]
        ended = await form(officer, "/agency/sessions/end", session=session_id)
        assert ended.headers["location"] == "/agency/sessions?done=ended"
        assert (await other.get("/agency/sessions")).status_code == 401
        assert (await officer.http.get("/agency/sessions")).status_code == 200
        assert (await form(officer, "/agency/sessions/end", session=session_id)).status_code == 404


async def test_everywhere_else_and_everywhere(tmp_path):
    async with open_world(tmp_path) as world:
        officer = await certified_officer(world)
        one, two = await again(officer), await again(officer)
        await form(officer, "/agency/sessions/end", session="others")
        for browser in (one, two):
            assert (await browser.get("/agency/sessions")).status_code == 401
        one = await again(officer)
        out = await form(officer, "/agency/sessions/end", session="all")
        assert out.headers["location"] == "/agency"
        assert 'dw_agency=""' in out.headers["set-cookie"]
        assert (await one.get("/agency/sessions")).status_code == 401


async def test_nobody_ends_anothers_session(tmp_path):
    async with open_world(tmp_path) as world:
        officer, crow = await certified_officer(world), await officer_elsewhere(world)
        page = (await officer.http.get("/agency/sessions")).text
        session_id = page.split('name="session" value="')[1][:16]
        for which in (session_id, "all", "others"):
            await form(crow, "/agency/sessions/end", session=which)
        assert (await officer.http.get("/agency/sessions")).status_code == 200
        without = await officer.http.post(
            "/agency/sessions/end", data={"session": "all"}, headers={"X-CSRF": ""}
        )
        assert without.status_code == 403


async def test_a_session_is_over_unused_and_in_any_case_after_twelve_hours(tmp_path):
    async with open_world(tmp_path) as world:
        officer = await certified_officer(world)
        for _ in range(6):
            world.clock.advance(119 * 60)
            assert (await officer.http.get("/agency/sessions")).status_code == 200
        world.clock.advance(6 * 60)
        assert (await officer.http.get("/agency/sessions")).status_code == 401
        await officer.log_in()
        world.clock.advance(2 * 3600)
        assert (await officer.http.get("/agency/sessions")).status_code == 401


@asynccontextmanager
async def without_commits(world: World) -> AsyncIterator[None]:
    """Have this process write nothing meanwhile, as while a commit waits for the standby."""
    is_over = asyncio.Event()

    async def hang() -> None:
        async with world.database.begin():
            hangs.set()
            await is_over.wait()

    hangs = asyncio.Event()
    hanging = asyncio.create_task(hang())
    await hangs.wait()
    try:
        yield
    finally:
        is_over.set()
        await hanging


async def seen_ms(world: World, account_id: str) -> list[int]:
    async with world.database.read() as tx:
        found = await sessions.list_of(tx, account_id, world.clock.wall_ms())
    return [one.seen_ms for one in found]


async def test_pages_are_read_while_nothing_can_be_committed(tmp_path):
    """Seen to time out while a request stored itself when its session was last seen."""
    async with open_world(tmp_path) as world:
        owner = await paired_owner(world, await world.enrol())
        officer = await certified_officer(world)
        world.clock.advance(61)
        async with without_commits(world):
            for _ in range(3):
                for asked in (
                    *(owner.get("/events"), owner.get("/doorbells")),
                    officer.http.get("/agency/sessions"),
                ):
                    assert (await in_time(asked, 10)).status_code == 200
                world.clock.advance(61)
            last_ms = world.clock.wall_ms() - 61_000
            assert await seen_ms(world, officer.officer_id) < [last_ms]
        async with asyncio.timeout(PATIENCE_S):
            while await seen_ms(world, officer.officer_id) != [last_ms]:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        assert await seen_ms(world, await account_of(world, owner)) == [last_ms]


async def test_a_session_is_over_unused_as_soon_while_nothing_can_be_committed(tmp_path):
    """Seen to end at the second request while what isn't stored yet wasn't taken into account."""
    async with open_world(tmp_path) as world:
        officer = await certified_officer(world)
        async with without_commits(world):
            for _ in range(3):
                world.clock.advance(119 * 60)
                asked = in_time(officer.http.get("/agency/sessions"), 10)
                assert (await asked).status_code == 200
            world.clock.advance(120 * 60)
            assert (await officer.http.get("/agency/sessions")).status_code == 401


async def test_of_two_relays_that_saw_a_session_the_later_time_stays(tmp_path):
    """Seen to go back with the comparison taken out of store/sessions.py."""
    async with open_world(tmp_path) as world:
        officer = await certified_officer(world)
        earlier_ms = world.clock.wall_ms() + 1
        world.clock.advance(61)
        async with world.database.begin() as tx:
            hashes = (await tx.exec_driver_sql("SELECT token_hash FROM sessions")).scalars().all()
            for time_ms in (world.clock.wall_ms(), earlier_ms):
                await sessions.touch(tx, dict.fromkeys(hashes, time_ms))
        assert await seen_ms(world, officer.officer_id) == [world.clock.wall_ms()]


async def test_one_session_too_many_ends_the_one_unused_for_longest(tmp_path):
    async with open_world(tmp_path) as world:
        officer = await certified_officer(world)
        await set_limits(world, max_sessions=2)
        world.clock.advance(70)
        second = await again(officer)
        world.clock.advance(70)
        await officer.http.get("/agency/sessions")  # the oldest, but used last
        await asyncio.gather(again(officer), again(officer))
        assert (await second.get("/agency/sessions")).status_code == 401
        assert len(await world_sessions(world, officer)) == 2


async def world_sessions(world: World, officer: Officer) -> list[str]:

    async with world.database.read() as tx:
        found = await sessions.list_of(tx, officer.officer_id, world.clock.wall_ms())
    return [one.id for one in found]


async def test_officers_come_from_their_agencys_networks_only(tmp_path):
    """Seen to let them in with `_is_from_inside` answering True."""
    async with open_world(tmp_path) as world:
        officer = await certified_officer(world)
        stolen = await again(officer, OUTSIDE)
        assert (await stolen.get("/agency/sessions")).status_code == 200
        await set_limits(world, networks=("192.0.2.0/24", "2001:db8::/32"))
        assert (await stolen.get("/agency/sessions")).status_code == 401
        inside, v6 = await again(officer), await again(officer, "2001:db8::1")
        for browser in (inside, v6):
            assert (await browser.get("/agency/sessions")).status_code == 200
        outside = await again(officer, OUTSIDE)
        assert "dw_agency" not in outside.cookies
        mapped = await again(officer, "::ffff:192.0.2.9")  # IPv4 in IPv6's clothes
        assert (await mapped.get("/agency/sessions")).status_code == 200


async def test_an_administrator_sees_colleagues_and_signs_them_out(tmp_path):
    async with open_world(tmp_path) as world:
        officer, admin = await certified_officer(world), await of_role(world, "admin")
        crow = await officer_elsewhere(world)
        page = (await admin.http.get("/agency/staff")).text
        assert officer.name in page
        assert "Officer Crow" not in page
        theirs = f"/agency/staff/{officer.officer_id}"
        assert "127.0.0.1" in (await admin.http.get(theirs)).text
        session_id = (await world_sessions(world, officer))[0]
        assert (await form(admin, f"{theirs}/sessions/end", session="x")).status_code == 404
        ended = await form(admin, f"{theirs}/sessions/end", session=session_id)
        assert ended.status_code == 303
        assert (await officer.http.get("/agency/sessions")).status_code == 401
        elsewhere = f"/agency/staff/{crow.officer_id}"
        assert (await admin.http.get(elsewhere)).status_code == 404
        assert (await form(admin, f"{elsewhere}/sessions/end", session="all")).status_code == 404
        assert (await crow.http.get("/agency/sessions")).status_code == 200
        assert (await crow.http.get("/agency/staff")).status_code == 403


async def test_an_administrator_invites_at_the_agencys_domain_only(tmp_path):
    async with open_world(tmp_path) as world:
        admin = await of_role(world, "admin")
        path = "/agency/staff/invitations"
        assert (await form(admin, path, email="a@lakeland.example")).status_code == 422
        await set_limits(world, email_domain="lakeland.example")
        assert (await form(admin, path, email="a@elsewhere.example")).status_code == 422
        assert (await form(admin, path, email="no address")).status_code == 422
        page = (await form(admin, path, email="new@lakeland.example")).text
        invitation = page.split("/agency/join?invitation=")[1].split("<")[0]
        new = Officer(world, "Officer New")
        assert (await new.register(invitation)).status_code == 200
        assert "Officer New" in (await admin.http.get("/agency/staff")).text


async def test_settings_are_kept_and_an_administrator_cant_lock_themselves_out(tmp_path):
    async with open_world(tmp_path) as world:
        admin = await of_role(world, "admin")
        path = "/agency/settings"
        for networks, limit in (
            ("192.0.2.0/24", ""),
            ("127.0.0.1/8", ""),
            ("here", ""),
            ("127.0.0.0/8\n" * 51, ""),
            ("", "0"),
            ("", "51"),
            ("", "²"),
        ):
            refused = await form(admin, path, networks=networks, max_sessions=limit)
            assert (refused.status_code, 'id="problem"' in refused.text) == (422, True), networks
        kept = await form(admin, path, networks="127.0.0.0/8\n192.0.2.0/24", max_sessions="3")
        assert kept.headers["location"] == "/agency/settings?done=saved"
        page = (await admin.http.get(path)).text
        assert "192.0.2.0/24" in page
        assert 'value="3"' in page


async def test_a_thousand_officers_come_in_pages(tmp_path):
    async with open_world(tmp_path) as world:
        admin = await of_role(world, "admin")
        async with world.database.begin() as tx:
            for number in range(1000):
                name = f"Officer {number:04}"
                account = Account(id=f"a{number}", role="officer", agency="lakeland", name=name)
                await people.add_account(tx, account, 1)
        first = (await admin.http.get("/agency/staff")).text
        assert first.count("/agency/staff/a") == 50
        assert "?page=2" in first
        last = (await admin.http.get("/agency/staff?page=21")).text
        assert "Officer Admin" in last
        assert "?page=22" not in last
        assert (await admin.http.get("/agency/staff?page=99")).status_code == 200
        assert (await admin.http.get("/agency/staff?page=x")).status_code == 200


async def test_owners_list_and_end_their_sessions(tmp_path):
    async with open_world(tmp_path) as world:
        ada, eve = Owner(world, "Ada"), Owner(world, "Eve")
        await ada.register()
        await eve.register()
        first, ada.http = ada.http, world.browser()
        await ada.log_in()
        listed = (await ada.get("/sessions")).json()["sessions"]
        assert [one["is_this"] for one in listed].count(True) == 1
        (other,) = [one["id"] for one in listed if not one["is_this"]]
        assert (await eve.delete(f"/sessions/{other}")).status_code == 404
        assert (await ada.delete(f"/sessions/{other}")).status_code == 204
        assert (await first.get(f"{API}/sessions")).status_code == 401
        await ada.log_in()
        assert (await ada.delete("/sessions?keep_this=true")).status_code == 204
        assert len((await ada.get("/sessions")).json()["sessions"]) == 1
        assert (await ada.delete("/sessions")).status_code == 204
        assert (await ada.get("/sessions")).status_code == 401
        assert (await eve.get("/sessions")).status_code == 200


async def test_a_suspended_account_has_no_session_and_gets_none(tmp_path):
    """Seen to go on with the check taken out of relay/people/sessions.py."""
    async with open_world(tmp_path) as world:
        ada = Owner(world)
        await ada.register()
        async with world.database.begin() as tx:
            await tx.exec_driver_sql("UPDATE accounts SET suspended_ms = 1")
        assert (await ada.get("/doorbells")).status_code == 401
        answer = await ada.log_in()
        assert answer.json()["error"]["code"] == "suspended"


@pytest.mark.parametrize(
    ("user_agent", "short"),
    [
        (FIREFOX, "Firefox, Linux"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Safari/604.1", "Safari, iPhone"),
        ("curl/8.1\n<b>", "curl/8.1<b>"),
        ("", ""),
        ("x" * 500, "x" * 60),
    ],
)
def test_a_browser_in_short(user_agent, short):
    assert caller_of("192.0.2.1", user_agent).browser == short
