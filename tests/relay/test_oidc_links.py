"""One account by passkey and by the agency's own sign-in; attacks on it are in tests/attacks/."""

import asyncio

import msgspec

from firmware.protocol.encoding import new_id
from relay.request.drafts import DraftForm
from relay.store import people
from tests.relay.http_people import Officer
from tests.relay.oidc_people import Linker, linker, open_oidc_world, owner_of, somebody
from tests.relay.test_sessions import form, of_role

PAGE = "/agency/oidc/link"


async def test_both_ways_open_one_account_until_they_are_taken_apart(tmp_path):
    async with open_oidc_world(tmp_path) as frost:
        one = await linker(frost)
        http = one.officer.http
        assert PAGE in (await http.get("/agency/sessions")).text
        assert "Not linked with" in (await http.get(PAGE)).text
        led = await one.frost.come_back(await one.answer())
        assert f'content="0; url={PAGE}"' in led.text
        asked = (await http.get(PAGE)).text
        assert "frost@lakeland.example" in asked
        assert await owner_of(frost) is None  # a page's yes is still to come
        done = await one.confirm()
        assert (done.status_code, done.headers["location"]) == (303, f"{PAGE}?done=linked")
        shown = (await http.get(done.headers["location"])).text
        assert "Is this you?" not in shown
        assert "sign-in was linked" in shown
        assert (await frost.sign_in()).status_code == 200
        assert one.officer.officer_id in (await frost.http.get("/agency")).text
        ended = await http.post(f"{PAGE}/end", data={"csrf": http.headers["X-CSRF"]})
        assert ended.status_code == 303
        assert "sign-in was unlinked" in (await http.get(PAGE)).text
        assert (await frost.http.get("/agency/sessions")).status_code == 401
        assert (await http.post(f"{PAGE}/end")).status_code == 400
        anew = somebody(frost.world, frost.provider)
        assert (await anew.sign_in()).status_code == 200
        assert one.officer.officer_id not in (await anew.http.get("/agency")).text


async def test_who_came_by_the_agency_first_makes_one_account_of_two(tmp_path):
    async with open_oidc_world(tmp_path) as frost:
        await frost.sign_in()
        one = await linker(frost)
        known = await one.frost.come_back(await one.answer())
        assert (known.status_code, "Already linked" in known.text) == (400, True)
        came = Officer(frost.world, "Officer Frost")
        came.http = frost.http
        await came.take_csrf()
        assert "another account with a passkey" in (await came.http.get(PAGE)).text
        draft = {"id": new_id(), "form": msgspec.to_builtins(DraftForm(case_number="K-1"))}
        assert (await came.http.post("/agency/drafts", json=draft)).status_code == 200
        link, own_http = Linker(came, frost), one.officer.http
        proved = await link.prove("merge", passkey=one.officer.passkey)
        assert proved.json() == {"url": PAGE}
        asked = (await came.http.get(PAGE)).text
        assert "opens the account of Officer Frost" in asked
        assert f"<code>{one.officer.officer_id}</code>" in asked
        assert await owner_of(frost) != one.officer.officer_id  # a page's yes is still to come
        done = await link.confirm("merge")
        assert (done.status_code, done.headers["location"]) == (303, f"{PAGE}?done=merged")
        assert await owner_of(frost) == one.officer.officer_id
        assert one.officer.officer_id in (await came.http.get("/agency")).text
        assert "became part of this one" in (await own_http.get(PAGE)).text
        assert "K-1" in (await own_http.get("/agency/drafts")).text
        async with frost.world.database.read() as tx:
            assert len(await people.list_staff(tx, "lakeland", limit=9, offset=0)) == 1


async def test_two_who_say_yes_at_once_link_it_once(tmp_path):
    async with open_oidc_world(tmp_path) as frost:
        one, other = await linker(frost), await linker(frost, "Officer Dahl")
        for each in (one, other):
            assert (await each.frost.come_back(await each.answer())).status_code == 200
        done = await asyncio.gather(one.confirm(), one.confirm(), other.confirm())
        assert sorted(each.status_code for each in done) == [303, 400, 400]
        assert await owner_of(frost) in (one.officer.officer_id, other.officer.officer_id)


async def test_a_suspended_duplicate_that_became_part_of_its_administrator_breaks_no_page(tmp_path):
    async with open_oidc_world(tmp_path) as frost:
        await frost.sign_in()
        whose = await owner_of(frost)
        admin = await of_role(frost.world, "admin", "Officer Frost")
        path = f"/agency/staff/{whose}"
        assert (await form(admin, f"{path}/suspend", is_sure="yes")).status_code == 303
        assert 'id="at-provider"' in (await admin.http.get(path)).text
        assert (await form(admin, f"{path}/restore")).status_code == 303
        again = somebody(frost.world, frost.provider)
        assert (await again.sign_in()).status_code == 200
        came = Officer(frost.world, "Officer Frost")
        came.http = again.http
        await came.take_csrf()
        assert (await Linker(came, again).merge(admin.passkey)).status_code == 303
        assert "became part of this one" in (await admin.http.get(PAGE)).text
        assert "Suspended your account" in (await admin.http.get("/agency/reads")).text


async def test_two_presses_make_one_account_of_two_once(tmp_path):
    async with open_oidc_world(tmp_path) as frost:
        await frost.sign_in()
        one = await linker(frost)
        came = Officer(frost.world, "Officer Frost")
        came.http = frost.http
        await came.take_csrf()
        link = Linker(came, frost)
        assert (await link.prove("merge", passkey=one.officer.passkey)).status_code == 200
        done = await asyncio.gather(link.confirm("merge"), link.confirm("merge"))
        assert sorted(each.status_code for each in done)[0] == 303
        assert sorted(each.status_code for each in done)[1] in (400, 401)
        assert await owner_of(frost) == one.officer.officer_id


async def test_without_a_provider_there_is_nothing_to_link(tmp_path):
    async with open_oidc_world(tmp_path, agency="elsewhere") as frost:
        one = await linker(frost)
        assert (await one.officer.http.get(PAGE)).status_code == 404
        assert PAGE not in (await one.officer.http.get("/agency/sessions")).text
        assert (await one.prove()).json()["error"]["code"] == "oidc"
