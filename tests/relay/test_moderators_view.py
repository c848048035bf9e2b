"""What a moderator is shown beside a request: where it is, what came before, how long it has."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from relay.map.map_data import MapData
from relay.map.places import Place, Places
from tests.relay.admin_people import signed_in_admin, waiting_request
from tests.relay.http_people import Officer, certified_officer
from tests.relay.http_world import CELLS, RELAY_URL, World, open_world

MOSQUE = Place(name="Al-Noor <b>Mosque</b>", lat=37.7765, lon=-122.4183, population=0, keys="")
FAR = Place(name="Faraway", lat=39.0, lon=-122.4, population=90_000, keys="")
WHY = "It asks who prayed."


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path, maps=MapData(places=Places([FAR, MOSQUE]))) as world:
        yield world


async def test_where_it_is_is_drawn_named_and_saved(world: World) -> None:
    admin = await signed_in_admin(world)
    _, request_id = await waiting_request(world, cells=CELLS)
    page = (await admin.get(f"/requests/{request_id}")).text
    assert page.count('<svg class="cell-map"') == 1
    for cell in CELLS:  # the numbers fold behind the names
        assert all("<summary>" in part for part in page.split(f"<code>{cell}</code>")[:-1])
    assert "Al-Noor &lt;b&gt;Mosque&lt;/b&gt;, 30 m" in page
    assert "Faraway" not in page
    saved = await admin.get(f"/requests/{request_id}/area.geojson")
    assert saved.headers["content-type"] == "application/geo+json"
    assert [one["id"] for one in json.loads(saved.text)["features"]] == CELLS
    assert (await admin.get(f"/requests/{'a' * 26}/area.geojson")).status_code == 404
    stranger = world.browser(RELAY_URL)
    path = f"/admin/requests/{request_id}/area.geojson"
    assert (await stranger.get(path)).status_code == 401


def test_the_nearest_place_is_found_within_reach() -> None:
    places = Places([FAR, MOSQUE])
    near, none = places.nearest([(37.7775, -122.4183), (0.0, 0.0)], 10)
    assert near is not None
    assert near.name == MOSQUE.name
    assert 0.10 < near.km < 0.12
    assert none is None
    assert Places().nearest([(0.0, 0.0)], 10) == [None]


async def test_what_was_asked_before_in_the_case_is_told(world: World) -> None:
    ann, bob = await signed_in_admin(world), await signed_in_admin(world, "Bob Ek")
    officer, first = await waiting_request(world, case_number="J/1", text="Who prayed?")
    refusal = {"verdict": "refused", "category": "worship", "reason": WHY}
    await ann.send(f"/requests/{first}/decision", **refusal)
    _, taken_back = await waiting_request(world, officer, case_number="J/1")
    await officer.take_back(taken_back)
    _, other_case = await waiting_request(world, officer, case_number="J/10")
    unsigned = await officer.hand_in(officer.sign(officer.write(case_number="J/1")))
    _, now = await waiting_request(
        world, officer, case_number="J/1", text='"case_number":"J/10" is nothing'
    )
    pages = [(await one.get(f"/requests/{now}")).text for one in (ann, bob)]
    earlier = [page.split('id="earlier"')[1].split("</section>")[0] for page in pages]
    for part in earlier:
        assert f'href="/admin/requests/{first}"' in part
        assert "Refused: Worship, by Mia Sund" in " ".join(part.split())
        assert f'href="/admin/requests/{taken_back}"' in part
        for none in (other_case, unsigned.json()["id"], now):
            assert none not in part
    # A reason of one's own is shown again; another's is read on its page, which is written down.
    assert WHY in earlier[0]
    assert WHY not in earlier[1]
    assert "Nobody has looked" in (await officer.http.get("/agency/reads")).text
    assert 'id="earlier"' not in (await bob.get(f"/requests/{other_case}")).text


async def test_another_agencys_case_of_the_same_number_is_not_told(world: World) -> None:
    admin = await signed_in_admin(world)
    _, first = await waiting_request(world)
    await world.town.agree("polk", "Polk", cells=CELLS, begins_ms=world.clock.wall_ms())
    other, second = Officer(world, "Officer P", agency="polk"), Officer(world, "Q", agency="polk")
    for one in (other, second):
        await one.register()
        await one.get_certified()
        await one.take_csrf()
    other.partner = second
    _, request_id = await waiting_request(world, other)
    assert first not in (await admin.get(f"/requests/{request_id}")).text


async def test_what_ended_is_neither_passed_nor_refused(world: World) -> None:
    """Seen to be 303 with has_ended taken out of Moderation._waiting."""
    admin = await signed_in_admin(world)
    officer = await certified_officer(world)
    ends_ms = world.clock.wall_ms() + 3600 * 1000
    _, request_id = await waiting_request(world, officer, expires_ms=ends_ms)
    page = (await admin.get(f"/requests/{request_id}")).text
    assert "(1 h left)" in page.split('id="left"')[1].split("</p>")[0]
    assert 'data-label="Left">1 h<' in (await admin.get("/requests")).text
    world.clock.advance(3600)
    assert 'id="empty"' in (await admin.get("/requests")).text
    page = (await admin.get(f"/requests/{request_id}")).text
    assert 'id="ended"' in page
    assert 'id="pass"' not in page
    size = (await world.register.view()).register.size
    for form in (
        {"verdict": "passed"},
        {"verdict": "refused", "category": "other", "reason": "Too late."},
    ):
        answer = await admin.send(f"/requests/{request_id}/decision", **form)
        assert answer.status_code == 422
        assert 'data-code="expired"' in answer.text
        assert "there is nothing to decide" in answer.text
    assert (await world.register.view()).register.size == size
    reads = (await officer.http.get("/agency/reads")).text
    assert "Mia Sund" in reads  # it never becomes public: who opened it is told
