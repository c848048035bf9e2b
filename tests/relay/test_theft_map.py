"""The theft map: reports are counted by household, published once, identical, and erased."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import select

from firmware.protocol.encoding import decode
from relay.base.months import month_of, months_through, shifted
from relay.heatmap.calendar import due_ms
from relay.heatmap.files import as_csv, as_geojson, layers_of
from relay.heatmap.households import Report, count_households
from relay.heatmap.publication import Edition, bands_of, edition_of, shown_counts
from relay.map.address_counts import AddressCounts
from relay.store.schema import accounts, theft_counts, theft_editions, theft_months, theft_reports
from tests.relay.admin_people import signed_in_admin
from tests.relay.http_people import certified_officer
from tests.relay.http_world import API, DAY_MS, World, open_world
from tests.relay.theft_map import (
    CENTRE,
    ENOUGH,
    PLACES,
    households_report,
    now_month,
    owns,
    publish,
    publisher_of,
    report,
    signed_in,
)

LATER = PLACES[5]


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path) as world:
        yield world


async def rows(world: World, table: object) -> list[object]:
    async with world.database.read() as tx:
        return list((await tx.execute(select(table))).all())  # type: ignore[call-overload]


async def shown(world: World, layer: str = "two_months") -> dict[str, int]:
    """Return what the newest edition shows: a band's least by cell."""
    document = (await world.browser().get("/theft-map.json")).json()
    (found,) = [one for one in document["layers"] if one["name"] == layer]
    return {cell: band["least"] for band in found["bands"] for cell in band["cells"]}


# --- reports ---


async def test_a_report_is_listed_to_its_account_alone_and_taken_back(world):
    ada, eve = await signed_in(world, "Ada"), await signed_in(world, "Eve")
    month = now_month(world)
    assert (await report(ada, CENTRE, month)).status_code == 204
    own = (await ada.get("/theft-reports")).json()
    assert own["reports"] == [{"cell": CENTRE, "month": month}]
    assert (await eve.get("/theft-reports")).json()["reports"] == []
    await eve.delete(f"/theft-reports/{month}/{CENTRE}")  # not hers: nothing happens
    assert len(await rows(world, theft_reports)) == 1
    assert (await ada.delete(f"/theft-reports/{month}/{CENTRE}")).status_code == 204
    assert (await ada.get("/theft-reports")).json()["reports"] == []


async def test_a_second_report_of_the_same_is_answered_as_the_first(world):
    ada, month = await signed_in(world, "Ada"), now_month(world)
    first, second = [await report(ada, CENTRE, month) for _ in range(2)]
    assert (first.status_code, first.content) == (second.status_code, second.content)
    assert len(await rows(world, theft_reports)) == 1


async def test_nobody_signed_out_and_no_officer_reports(world):
    body = {"cell": CENTRE, "month": now_month(world)}
    officer = await certified_officer(world)
    for http in (world.browser(), officer.http):
        assert (await http.post(f"{API}/theft-reports", json=body)).status_code == 401
    assert await rows(world, theft_reports) == []


async def test_only_an_open_month_and_a_cell_of_the_right_size_are_taken(world):
    ada, month = await signed_in(world, "Ada"), now_month(world)
    wrong = {
        (CENTRE, shifted(month, 1)): "theft_month",
        (CENTRE, shifted(month, -3)): "theft_published",
        ("8908866025bffff", month): "theft_cell",  # resolution 9
        ("000000000000000", month): "theft_cell",
    }
    for (cell, when), code in wrong.items():
        answer = await report(ada, cell, when)
        assert (answer.status_code, answer.json()["error"]["code"]) == (409, code)
    for bad in ("2026-13", "2026-1", "../../x"):
        assert (await report(ada, CENTRE, bad)).status_code == 422
    assert await rows(world, theft_reports) == []


async def test_an_account_reports_five_places_a_month_at_most(world):
    ada, month = await signed_in(world, "Ada"), now_month(world)
    answers = [await report(ada, cell, month) for cell in PLACES[:6]]
    assert [one.status_code for one in answers] == [204] * 5 + [409]
    assert answers[-1].json()["error"]["code"] == "theft_too_many"
    assert (await report(ada, PLACES[0], month)).status_code == 204  # the same as before
    await ada.delete(f"/theft-reports/{month}/{PLACES[0]}")
    assert (await report(ada, PLACES[5], month)).status_code == 204


async def test_last_month_is_open_until_its_day(world):
    ada, month = await signed_in(world, "Ada"), now_month(world)
    await report(ada, CENTRE, month)  # opens the month
    world.clock.set_wall_ms(due_ms(month) - 1)
    months = [one["month"] for one in (await ada.get("/theft-reports")).json()["months"]]
    assert months == [shifted(month, 1), month]
    assert (await report(ada, LATER, month)).status_code == 204
    world.clock.set_wall_ms(due_ms(month))
    refused = await report(ada, PLACES[6], month)
    assert refused.json()["error"]["code"] == "theft_published"
    assert (await ada.delete(f"/theft-reports/{month}/{CENTRE}")).status_code == 409


async def test_no_row_names_an_account_or_a_doorbell(tmp_path):
    async with open_world(tmp_path) as world:
        device = await world.enrol()
        ada = await signed_in(world, "Ada")
        await owns(world, ada, device)
        await report(ada, CENTRE, now_month(world))
        (row,) = await rows(world, theft_reports)
        accounts_there = [one.id for one in await rows(world, accounts)]
        assert accounts_there
        assert [name for name in (*accounts_there, device) if name in repr(row)] == []


async def test_who_deletes_the_account_takes_the_reports_along(world):
    ada = await signed_in(world, "Ada")
    await report(ada, CENTRE, now_month(world))
    begun = (await ada.post("/account/deletion/options", {})).json()
    preview = (await ada.get("/account/deletion")).json()
    assert preview["deleted"]["theft_reports"] == 1
    body = {"session": begun["session"], "credential": ada.passkey.log_in(begun["options"])}
    receipt = await ada.post("/account/deletion", body)
    assert receipt.json()["deleted"]["theft_reports"] == 1
    assert await rows(world, theft_reports) == []


# --- households ---


def of(account: str, *doorbells: str, cell: str = CENTRE) -> Report:
    return Report(cell=cell, account=account, doorbells=doorbells)


def test_accounts_that_share_a_doorbell_are_one_household():
    reports = [of("a", "x"), of("b", "x", "y"), of("c", "y"), of("d"), of("e", cell=LATER)]
    assert count_households(reports) == {CENTRE: 2, LATER: 1}
    assert count_households(reports[::-1]) == {CENTRE: 2, LATER: 1}


async def test_a_family_of_five_is_not_shown_and_a_fifth_household_is(world):
    device = await world.enrol()
    for number in range(5):
        owner = await signed_in(world, f"Family {number}")
        await owns(world, owner, device)
        await report(owner, CENTRE, now_month(world))
        await report(owner, LATER, now_month(world))
    await households_report(world, LATER, 4)
    await publish(world)
    assert await shown(world) == {LATER: 5}


# --- publication ---


async def test_a_month_is_published_on_the_eighth_and_its_reports_are_erased(tmp_path):
    async with open_world(tmp_path) as world:
        await households_report(world, CENTRE, 5)
        await households_report(world, LATER, 4)
        secret = (await rows(world, theft_months))[0].secret
        publisher, month = publisher_of(world), now_month(world)
        world.clock.set_wall_ms(due_ms(month) - 1000)
        assert 0 < await publisher.publish_due() <= 1
        assert (await world.browser().get("/theft-map.json")).status_code == 404
        world.clock.advance(1)
        await publisher.publish_due()
        assert await shown(world) == await shown(world, "twelve_months") == {CENTRE: 5}
        assert await rows(world, theft_reports) == []
        assert [row.households for row in await rows(world, theft_counts)] == [5]
        assert secret is not None
        assert [row.secret for row in await rows(world, theft_months) if row.month == month] == [
            None
        ]


async def test_without_addresses_or_with_seven_a_cell_is_blank(world):
    await households_report(world, CENTRE, 20)
    await publish(world, AddressCounts({CENTRE: 7}))
    assert await shown(world) == {}
    assert await rows(world, theft_counts) == []
    await households_report(world, LATER, 20)
    await publish(world, None)
    assert await shown(world) == {}


async def test_two_relays_publish_once_and_a_missed_day_is_made_up_for(world):
    await households_report(world, CENTRE, 6)
    first = now_month(world)
    world.clock.set_wall_ms(due_ms(shifted(first, 3)) + DAY_MS)  # both were off for months
    await asyncio.gather(*[publisher_of(world).publish_due() for _ in range(2)])
    editions = [row.month for row in await rows(world, theft_editions)]
    assert sorted(editions) == months_through(first, shifted(first, 3))
    document = (await world.browser().get(f"/theft-map/{first}.json")).json()
    assert document["layers"][0]["bands"][0]["cells"] == [CENTRE]
    assert await shown(world) == {}  # the last two months had none
    assert await shown(world, "twelve_months") == {CENTRE: 5}


async def test_a_published_edition_never_changes(world):
    await households_report(world, CENTRE, 5)
    month = await publish(world)
    http = world.browser()
    before = [(await http.get(f"/theft-map/{month}.{one}")).content for one in FORMS]
    await households_report(world, LATER, 30)
    await publish(world)
    await publisher_of(world).publish_due()
    after = [(await http.get(f"/theft-map/{month}.{one}")).content for one in FORMS]
    assert before == after
    assert (await http.get("/theft-map.json")).content != before[0]


FORMS = ("json", "csv", "geojson")


async def test_the_files_are_the_same_bytes_for_every_role(world):
    """Nor do language, cookies or a token change a byte, or the ETag."""
    await households_report(world, CENTRE, 12)
    month = await publish(world)
    officer, admin = await certified_officer(world), await signed_in_admin(world)
    owner = await signed_in(world, "Ada")
    for form in FORMS:
        for path in (f"/theft-map.{form}", f"/theft-map/{month}.{form}"):
            answers = [
                await http.get(path, headers={"Accept-Language": language})
                for http in (world.browser(), officer.http, admin.http, owner.http)
                for language in ("en", "sv")
            ]
            assert {one.status_code for one in answers} == {200}
            assert len({(one.content, one.headers["etag"]) for one in answers}) == 1
            again = {"If-None-Match": answers[0].headers["etag"]}
            assert (await world.browser().get(path, headers=again)).status_code == 304


async def test_csv_and_geojson_say_what_the_json_says(world):
    await households_report(world, CENTRE, 12)
    await publish(world)
    http = world.browser()
    lines = (await http.get("/theft-map.csv")).text.splitlines()
    assert [line.split(",")[0] for line in lines] == ["layer", "two_months", "twelve_months"]
    assert re.fullmatch(rf".*,{CENTRE},[\d.-]+,[\d.-]+,10,19", lines[1])
    features = (await http.get("/theft-map.geojson")).json()["features"]
    assert [one["properties"]["cell"] for one in features] == [CENTRE, CENTRE]
    ring = features[0]["geometry"]["coordinates"][0]
    assert len(ring) == 7
    assert ring[0] == ring[-1]


async def test_the_page_works_without_javascript_in_both_languages(world):
    http = world.browser("")
    assert "Nothing is published yet" in (await http.get("/theft-map")).text
    await publish(world)
    assert "Every cell is blank" in (await http.get("/theft-map")).text
    await households_report(world, CENTRE, 20)
    await publish(world)
    page = (await http.get("/theft-map?layer=twelve_months")).text
    assert "not where theft is" in page
    assert "20 or more" in page
    assert page.count('<path id="theft-cells-') == 3
    swedish = await http.get("/theft-map", headers={"Accept-Language": "sv"})
    assert "inte var det stjäls" in swedish.text


def test_bands_begin_at_the_threshold():
    counts = {"a": 4, "b": 5, "c": 9, "d": 10, "e": 19, "f": 20}
    found = [(one.least, one.most, one.cells) for one in bands_of(counts, least=5)]
    assert found == [(5, 9, ["b", "c"]), (10, 19, ["d", "e"]), (20, None, ["f"])]
    assert [one.least for one in bands_of(counts, least=10)] == [10, 20]
    assert [one.least for one in bands_of(counts, least=30)] == [30]


def test_a_layer_sums_the_months_that_are_shown_alone():
    """Four households in each of eleven months, and five in the last: five, not 49."""
    months = months_through("2026-01", "2026-12")
    kept = {
        month: shown_counts({CENTRE: 5 if month == "2026-12" else 4}, ENOUGH) for month in months
    }
    edition = edition_of("2026-12", kept, published_ms=0, is_example=True)
    assert [layer.bands[0].cells for layer in edition.layers] == [[CENTRE], [CENTRE]]


def test_an_edition_is_read_as_it_was_written():
    kept = {"2026-11": {CENTRE: 7}}
    edition = edition_of("2026-11", kept, published_ms=1, is_example=False)
    again = json.loads(edition.encode())
    assert again["layers"][1]["months"] == ["2026-11"]
    for make in (as_csv, as_geojson):
        assert make(layers_of(edition)) == make(layers_of(decode(Edition, edition.encode())))


def test_a_month_is_published_on_the_8th_of_the_next_one():
    assert month_of(due_ms("2026-12")) == "2027-01"
    assert due_ms("2026-12") == 1_799_366_400_000
