"""What administrators see of people is written down first, and people read it; accounts end."""

from collections.abc import AsyncIterator

import pytest

from relay.people.reads import MAX_FOUND, MAX_FOUND_SHOWN, MAX_SHOWN
from relay.store import people
from relay.store.people import Account
from relay.store.reads import add_read
from relay.web.admin import agencies as agency_pages
from tests.relay.admin_people import Admin, signed_in_admin
from tests.relay.http_people import Officer, Owner, certified_officer, paired_owner
from tests.relay.http_world import World, open_world


@pytest.fixture
async def world(tmp_path) -> AsyncIterator[World]:
    async with open_world(tmp_path) as world:
        yield world


async def account_of(world: World, owner: Owner) -> str:
    async with world.database.read() as tx:
        known = await people.find_credential(tx, owner.passkey.key.credential_id)
    assert known is not None
    return known.account_id


async def reads_of(owner: Owner) -> list[tuple[str, str]]:
    answer = (await owner.get("/reads")).json()
    return [(one["admin"], one["what"]) for one in answer["reads"]]


async def test_a_search_finds_people_and_each_of_them_can_read_it(world: World) -> None:
    admin = await signed_in_admin(world)
    ada, bo = Owner(world, "Ada Lind"), Owner(world, "Bo Ek")
    await ada.register()
    await bo.register()
    asa = Owner(world, "Åsa Öberg")
    await asa.register()
    page = (await admin.get("/accounts?q=ada")).text
    assert "Ada Lind" in page
    assert "Bo Ek" not in page
    assert "Åsa Öberg" in (await admin.get("/accounts?q=Öberg")).text
    # Seen to fail with `_write_down` taken out of Reads.search.
    assert await reads_of(ada) == [("Mia Sund", "found")]
    assert await reads_of(bo) == []


async def test_no_number_of_searches_hides_a_look(world: World) -> None:
    """Seen to fail with one limit for both kinds."""
    admin, ada = await signed_in_admin(world), Owner(world, "Ada Lind")
    await ada.register()
    account_id = await account_of(world, ada)
    assert (await admin.get(f"/accounts/{account_id}")).status_code == 200
    world.clock.advance(1)
    async with world.database.begin() as tx:
        known = await people.find_credential(tx, admin.passkey.key.credential_id)
        assert known is not None
        for number in range(MAX_SHOWN + MAX_FOUND_SHOWN):
            await add_read(
                tx,
                f"{number:026}",
                admin_id=known.account_id,
                account_id=account_id,
                what="found",
                now_ms=world.clock.wall_ms() + number,
            )
    whats = [what for _, what in await reads_of(ada)]
    assert whats == ["found"] * MAX_FOUND_SHOWN + ["account"]


async def test_nobody_is_listed_without_being_searched_for(world: World) -> None:
    admin, ada = await signed_in_admin(world), Owner(world, "Ada Lind")
    await ada.register()
    for query in ("", "ad", "%", "%%%%", "___", "x" * 81):
        page = await admin.http.get("/admin/accounts", params={"q": query})
        assert page.status_code == 200
        # Seen to list her for "%%%%" with autoescape taken out of relay/store/reads.py.
        assert "Ada Lind" not in page.text, query
    assert await reads_of(ada) == []


async def test_an_accounts_page_is_written_down_before_it_is_shown(world: World) -> None:
    admin, device = await signed_in_admin(world), await world.enrol()
    ada = await paired_owner(world, device, "Ada Lind")
    page = (await admin.get(f"/accounts/{await account_of(world, ada)}")).text
    assert "Ada Lind" in page
    assert f'<dd id="doorbells">{device[-4:]}</dd>' in page
    assert device not in page
    assert await reads_of(ada) == [("Mia Sund", "account")]


async def test_what_cannot_be_written_down_is_not_shown(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    admin, ada = await signed_in_admin(world), Owner(world, "Ada Lind")
    await ada.register()
    account_id = await account_of(world, ada)
    async with world.database.begin() as tx:
        await tx.exec_driver_sql("DROP TABLE admin_reads")
    for path in ("/accounts?q=ada", f"/accounts/{account_id}"):
        with pytest.raises(Exception, match="admin_reads"):
            await admin.get(path)


async def test_an_officer_reads_who_looked_on_a_page_of_the_portal(world: World) -> None:
    admin, officer = await signed_in_admin(world), await certified_officer(world)
    assert "Nobody has looked" in (await officer.http.get("/agency/reads")).text
    assert (await admin.get(f"/accounts/{officer.officer_id}")).status_code == 200
    page = (await officer.http.get("/agency/reads")).text
    assert "Mia Sund" in page
    assert officer.partner is not None
    assert "Nobody has looked" in (await officer.partner.http.get("/agency/reads")).text


async def test_a_newcomer_reads_it_too(world: World) -> None:
    officer = Officer(world)
    await officer.register()
    assert (await officer.http.get("/agency/reads")).status_code == 200


async def test_administrators_look_up_no_administrators(world: World) -> None:
    ann, bob = await signed_in_admin(world), await signed_in_admin(world, "Bob Ek")
    assert 'id="nobody"' in (await ann.get("/accounts?q=bob")).text
    async with world.database.read() as tx:
        known = await people.find_credential(tx, bob.passkey.key.credential_id)
    assert known is not None
    for answer in (
        await ann.get(f"/accounts/{known.account_id}"),
        await ann.send(f"/accounts/{known.account_id}/suspend", is_sure="yes"),
        await ann.send(f"/accounts/{known.account_id}/restore"),
        await ann.get(f"/accounts/{'a' * 26}"),
    ):
        assert answer.status_code == 404
    assert (await bob.get("/requests")).status_code == 200


async def test_a_suspended_owner_is_out_everywhere_and_comes_back_when_restored(
    world: World,
) -> None:
    admin, ada = await signed_in_admin(world), Owner(world, "Ada Lind")
    await ada.register()
    path = f"/accounts/{await account_of(world, ada)}"
    assert (await admin.send(f"{path}/suspend")).status_code == 422
    assert (await admin.send(f"{path}/suspend", is_sure="yes")).status_code == 303
    assert (await ada.get("/doorbells")).status_code == 401
    # Seen to be 200 with suspended_ms' check taken out of relay/people/sessions.py.
    assert (await ada.log_in()).json()["error"]["code"] == "suspended"
    assert 'data-state="suspended"' in (await admin.get(path)).text
    assert (await admin.send(f"{path}/restore")).status_code == 303
    assert (await ada.log_in()).status_code == 200
    whats = [what for _, what in await reads_of(ada)]
    assert sorted(whats) == ["account", "restored", "suspended"]


async def test_a_suspended_officer_signs_nothing_more(world: World) -> None:
    admin, officer = await signed_in_admin(world), await certified_officer(world)
    await admin.send(f"/accounts/{officer.officer_id}/suspend", is_sure="yes")
    assert (await officer.hand_in(officer.sign(officer.write()))).status_code == 401
    assert (await officer.log_in()).json()["error"]["code"] == "suspended"


async def test_many_that_are_found_are_cut_short_and_it_says_so(world: World) -> None:
    admin = await signed_in_admin(world)
    async with world.database.begin() as tx:
        for number in range(MAX_FOUND + 5):
            account = Account(id=f"{number:026}", role="owner", agency=None, name=f"Eva {number}")
            await people.add_account(tx, account, 1)
    page = (await admin.get("/accounts?q=eva")).text
    assert 'id="more"' in page
    assert page.count("<tr><td") == MAX_FOUND


async def test_agencies_and_their_officers_stand_as_in_the_register(world: World) -> None:
    admin, officer = await signed_in_admin(world), await certified_officer(world)
    newcomer = Officer(world, "Officer Nil")
    await newcomer.register()
    assert "Lakeland Police" in (await admin.get("/agencies")).text
    page = (await admin.get("/agencies/lakeland")).text
    assert officer.officer_id in page
    assert "Officer Nil" not in page  # an account alone is personal: it is searched for, and logged
    assert (await admin.get("/agencies/nowhere")).status_code == 404


async def test_agencies_and_officers_come_in_pages(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agency_pages, "PAGE_ROWS", 1)
    admin, officer = await signed_in_admin(world), await certified_officer(world)
    await world.town.agree(
        "alder", "Alder Police", cells=world.agency.cells, begins_ms=world.clock.wall_ms()
    )
    await world.register.view()
    both = ("Alder Police", "Lakeland Police")
    pages = [(await admin.get(f"/agencies?page={number}")).text for number in (1, 2)]
    assert [[name in page for name in both] for page in pages] == [[True, False], [False, True]]
    assert officer.partner is not None
    ids = {officer.officer_id, officer.partner.officer_id}
    found = []
    for number in (1, 2):
        page = (await admin.get(f"/agencies/lakeland?page={number}")).text
        table = page.split('id="officers"')[1].split("</table>")[0]
        found += [one for one in ids if one in table]
    assert (len(found), set(found)) == (2, ids)


async def test_the_commands_that_are_shown_are_ones_that_there_are(world: World) -> None:
    from html import unescape

    from relay.__main__ import _parser

    admin: Admin = await signed_in_admin(world)
    await certified_officer(world)
    page = (await admin.get("/agencies/lakeland")).text
    commands = [part.split("</pre>")[0] for part in page.split('class="command">')[1:]]
    assert len(commands) == 5
    for command in commands:
        program, *arguments = unescape(command).split()
        assert program == "doorward-relay"
        _parser().parse_args(arguments)
