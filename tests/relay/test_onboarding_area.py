"""An agency's area before it is signed: drawn, typed, from a file; and what a newer one changes."""

import html
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path

import h3
import pytest

from relay.map.cells import centre_of
from relay.map.map_data import MapData
from relay.map.places import Place, Places, load_places
from relay.record.areas import as_changed_svg
from relay.store import onboardings
from relay.web.area_files import SHOWN_CHANGES
from tests.flows.streets import write_streets
from tests.relay.admin_people import signed_in_admin
from tests.relay.http_world import CELLS, World, open_world
from tests.relay.onboarding_people import Applicant, reason_of
from tests.vectors.make_areas import polygon, square


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path) as world:
        yield world


async def test_geojson_becomes_a_file_of_cells_or_a_clear_message(world: World) -> None:
    applicant = Applicant(world)
    await applicant.ask()
    area = json.dumps(polygon(square(18.0, 59.3, 0.02))).encode()
    assert reason_of(await applicant.upload(area, "area")) == "state"
    await applicant.confirm()
    answer = await applicant.upload(area, "area")
    assert answer.headers["content-type"].startswith("text/plain")
    assert "attachment" in answer.headers["content-disposition"]
    assert len(answer.text.split()) > 20
    bow = polygon([[18, 59], [18.1, 59.1], [18.1, 59], [18, 59.1], [18, 59]])
    crossed = await applicant.upload(json.dumps(bow).encode(), "area")
    assert reason_of(crossed) == "area_crosses_itself"
    assert "latitude 59.0000" in crossed.text


async def test_typed_corners_are_looked_at_and_then_taken_as_a_file(world: World) -> None:
    applicant = Applicant(world)
    await applicant.ask()
    page = await applicant.http.get(applicant.path + "/area")
    assert (page.status_code, page.headers["location"]) == (303, applicant.path)
    await applicant.confirm()
    page = await applicant.http.get(applicant.path + "/area")
    assert "worker-src 'self'" in page.headers["content-security-policy"]
    typed = "59.31, 18.00\n59.31, 18.06\n59.34, 18.03"
    looked = await applicant.measure(typed, action="look")
    assert looked.status_code == 200
    assert "latitude 59.31" in looked.text
    assert "data:image/svg+xml;base64," in looked.text
    assert typed in looked.text  # to be changed
    cells = html.unescape(re.findall(r'name="area" value="([^"]+)"', looked.text)[0])
    drawn = json.loads(re.findall(r'id="drawing">(.+?)</script>', looked.text)[0])
    assert drawn["cells"] == cells.split()
    for area in (typed, cells):
        answer = await applicant.measure(area, action="file")
        assert "attachment" in answer.headers["content-disposition"]
        assert answer.text.split() == cells.split()
    crossed = await applicant.measure("59, 18\n59.1, 18.1\n59, 18.1\n59.1, <b>18", action="look")
    assert (crossed.status_code, reason_of(crossed)) == (422, "area_corner")
    assert "&lt;b&gt;18" in crossed.text
    for area, reason in [
        ("", "area_nothing"),
        ("59, 18\n59.1, 18.1\n59, 18.1\n59.1, 18", "area_crosses_itself"),
        ("50, 10\n60, 10\n60, 20", "area_too_large"),
    ]:
        assert reason_of(await applicant.measure(area)) == reason
    evil = {"Origin": "https://evil.example"}
    refused = await applicant.http.post(
        applicant.path + "/area", data={"area": typed}, headers=evil
    )
    assert refused.status_code == 403
    assert await applicant.state() == "confirmed"  # nothing was handed in by any of it


async def test_a_new_version_is_drawn_from_the_area_before(world: World) -> None:
    applicant = Applicant(world, agency="lakeland", domain="lakeland.gov")
    await applicant.ask()
    await applicant.confirm()
    page = (await applicant.http.get(applicant.path + "/area")).text
    assert 'id="begins-with"' in page
    drawn = json.loads(re.findall(r'id="drawing">(.+?)</script>', page)[0])
    assert drawn["cells"] == world.agency.cells


async def test_map_and_places_are_for_those_who_proved_their_address(tmp_path: Path) -> None:
    streets = write_streets(tmp_path / "streets.pmtiles")
    named = "\t".join(["1", "Mapleton", "Mapleton", "", "59.33", "18.06", *[""] * 8, "9000"])
    (tmp_path / "places.txt").write_text(named)
    maps = MapData(streets=streets, places=load_places(tmp_path / "places.txt"))
    async with open_world(tmp_path, maps=maps) as world:
        applicant = Applicant(world)
        await applicant.ask()
        paths = [f"{applicant.path}/area/{one}" for one in ("places?q=maple", "streets.pmtiles")]
        for path in [*paths, paths[1].replace(applicant.id, "a" * 26)]:
            assert (await applicant.http.get(path)).status_code == 404
        await applicant.confirm()
        places, part = [
            await applicant.http.get(path, headers={"Range": "bytes=0-6"}) for path in paths
        ]
        assert places.json() == {"places": [{"name": "Mapleton", "lat": 59.33, "lon": 18.06}]}
        assert (part.status_code, part.content) == (206, b"PMTiles")
        async with world.database.begin() as tx:  # not read for a piece of a map
            await onboardings.change(tx, applicant.id, 0, enrolment="{}")
        for path in paths:
            assert (await applicant.http.get(path)).status_code == 200
        assert (await applicant.upload(applicant.enrolment())).status_code == 303
        assert (await applicant.http.get(paths[0])).status_code == 200
        admin = await signed_in_admin(world)
        await admin.send(f"/onboardings/{applicant.id}/refuse", reason="Not yours.")
        assert (await applicant.http.get(paths[0])).status_code == 404


async def test_a_newer_version_shows_which_cells_came_and_went(world: World) -> None:
    grown = sorted({CELLS[0], *h3.grid_ring(CELLS[0], 9)})
    now_ms = world.clock.wall_ms()
    await world.town.agree("lakeland", "Lakeland Police", cells=grown, begins_ms=now_ms)
    page = (await world.browser().get("/agreements/compare?agency=lakeland")).text
    assert page.count('<tr data-kind="added"') == 54
    assert page.count('<tr data-kind="removed"') == 1
    assert f"<code>{CELLS[1]}</code>" in page  # what is signed, behind the table
    assert '<th scope="row"><code>' not in page
    assert "data:image/svg+xml;base64," in page
    assert "New: 54 cells, 5." in page

    huge = sorted(h3.grid_disk(CELLS[0], 12))
    await world.town.agree("lakeland", "Lakeland Police", cells=huge, begins_ms=now_ms)
    page = (await world.browser().get("/agreements/compare?agency=lakeland")).text
    assert page.count("<tr data-kind=") == SHOWN_CHANGES
    assert f"The first {SHOWN_CHANGES} of 414 cells" in page
    path = "/agreements/compare?agency=lakeland&from=3&to=3"
    same = await world.browser().get(path)
    assert "changed-area" not in same.text
    again = await world.browser().get(path, headers={"If-None-Match": same.headers["etag"]})
    assert again.status_code == 304  # made once for everybody
    assert (await world.browser().get(path + "&a=1")).headers["location"] == path
    assert (await world.browser().get(path.replace("to=3", "to=03"))).status_code == 404


async def test_changed_cells_are_told_by_the_nearest_place(tmp_path: Path) -> None:
    latitude, longitude = centre_of(CELLS[1])
    mill = Place(name="Mill Yard", lat=latitude, lon=longitude, population=0, keys="|mill yard")
    async with open_world(tmp_path, maps=MapData(places=Places([mill]))) as world:
        now_ms = world.clock.wall_ms()
        await world.town.agree("lakeland", "Lakeland Police", cells=CELLS[:1], begins_ms=now_ms)
        page = (await world.browser().get("/agreements/compare?agency=lakeland")).text
    assert 'data-kind="removed"><th scope="row">Mill Yard</th>' in page
    assert f"Mill Yard: <code>{CELLS[1]}</code>" in page


def test_a_picture_of_two_areas_tells_three_kinds_apart() -> None:
    old, new = h3.grid_disk(CELLS[0], 2), h3.grid_disk(CELLS[1], 2)
    picture = as_changed_svg(old, new).decode()
    assert picture.count("<path d=") == 5  # the hatching, three kinds, the new edge
    assert as_changed_svg(old, old).decode().count("<path d=") == 3
    assert as_changed_svg(old, h3.grid_ring(CELLS[0], 5)).startswith(b"<svg ")
