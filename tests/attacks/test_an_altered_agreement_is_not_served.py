"""Somebody at the relay's database alters an agreement's text by one byte, or drops it.

The register names the SHA-256 of what the agency signed, so the altered text is shown to nobody,
everybody is told, and the agency can't ask until the signed text is back.
"""

import html
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from sqlalchemy import text as sql

from firmware.protocol.encoding import sha256_hex
from relay.store import requests
from tests.relay.http_people import Officer, certified_officer, id_of
from tests.relay.http_world import CELLS, RELAY_URL, World, open_world
from tests.relay.register_town import TEXT

SHA256 = sha256_hex(TEXT.encode())
ALTERED = TEXT.replace("other", "0ther")
WHY = "the agreement's text isn't the one that was signed"
Tamper = Callable[[World], Awaitable[None]]


async def alter(world: World) -> None:
    async with world.database.begin() as tx:
        await tx.execute(sql("UPDATE agreement_texts SET text = :text"), {"text": ALTERED})


async def drop(world: World) -> None:
    async with world.database.begin() as tx:
        await tx.execute(sql("DELETE FROM agreement_texts"))


async def put_back(world: World) -> None:
    async with world.database.begin() as tx:
        await requests.put_agreement_text(tx, SHA256, TEXT)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path) as world:
        yield world


@pytest.fixture(params=[alter, drop])
def tamper(request: pytest.FixtureRequest) -> Tamper:
    tamper: Tamper = request.param
    return tamper


async def test_nobody_is_shown_an_altered_text(world: World, tamper: Tamper) -> None:
    # Seen to fail (200 with the altered text) with the comparison out of read_agreed_text.
    browser = world.browser(RELAY_URL)
    assert (await browser.get(f"/agreements/{SHA256}")).text == TEXT
    await tamper(world)
    answer = await browser.get(f"/agreements/{SHA256}")
    assert answer.status_code == 503
    assert answer.headers["cache-control"] == "no-store"
    assert "isn't the one that the agency signed" in html.unescape(answer.text)
    assert SHA256 in answer.text
    assert ALTERED not in answer.text
    assert (
        "inte den som myndigheten undertecknade"
        in (await browser.get(f"/agreements/{SHA256}?lang=sv")).text
    )


async def test_a_program_is_told_as_well(world: World) -> None:
    await alter(world)
    answer = await world.browser(RELAY_URL).get(
        f"/agreements/{SHA256}", headers={"Accept": "application/json"}
    )
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (503, "agreement_text")
    assert error["message"].startswith(WHY)
    assert sha256_hex(ALTERED.encode()) in error["message"]


async def test_the_agencys_page_says_why_there_is_no_text(world: World, tamper: Tamper) -> None:
    await tamper(world)
    page = (await world.browser(RELAY_URL).get("/agencies/lakeland")).text
    assert 'id="text-unfit"' in page
    assert ALTERED not in page


async def test_two_versions_are_not_compared_by_an_altered_text(world: World) -> None:
    await world.town.agree("lakeland", "Lakeland", cells=CELLS, begins_ms=world.clock.wall_ms())
    browser = world.browser(RELAY_URL)
    assert (await browser.get("/agreements/compare?agency=lakeland")).status_code == 200
    world.clock.advance(120)
    await alter(world)
    assert (await browser.get("/agreements/compare?agency=lakeland")).status_code == 503


async def test_the_agency_cannot_ask_meanwhile(world: World, tamper: Tamper) -> None:
    # Seen to fail (201) with require_agreed_text out of RequestService.draft.
    officer = await certified_officer(world)
    await tamper(world)
    refused = await officer.hand_in(officer.sign(officer.write()))
    assert (refused.status_code, refused.json()["error"]["code"]) == (422, "agreement")
    assert "the text of its agreement" in refused.json()["error"]["message"]
    assert await problems_of(officer) == ["agreement.text"]
    await put_back(world)
    assert (await officer.hand_in(officer.sign(officer.write()))).status_code == 201
    assert await problems_of(officer) == []


@pytest.mark.parametrize("path", ["/agency", "/agency/requests/new"])
async def test_the_agency_is_told_before_it_writes_anything(
    world: World, tamper: Tamper, path: str
) -> None:
    # Seen to say nothing until the form was checked.
    officer = await certified_officer(world)
    assert 'id="text-unfit"' not in (await officer.http.get(path)).text
    await tamper(world)
    page = html.unescape((await officer.http.get(path)).text)
    assert 'id="text-unfit"' in page
    assert "Your agency can't ask now" in page


async def test_what_was_drafted_before_is_neither_co_signed_nor_published(world: World) -> None:
    # Seen to fail with require_agreed_text out of RequestService.cosign, and out of Publisher.
    officer = await certified_officer(world)
    partner = officer.partner
    assert partner is not None
    first, second = officer.sign(officer.write()), officer.sign(officer.write(case_number="K-2"))
    for draft in (first, second):
        assert (await officer.hand_in(draft)).status_code == 201
    assert (await partner.cosign(first)).status_code == 200
    await world.moderation.pass_on(id_of(first))
    await alter(world)
    refused = await partner.cosign(second)
    assert "the text of its agreement" in refused.json()["error"]["message"]
    world.clock.advance(1)
    assert await world.publishing.publish_due() == []
    row = await world.request_service.find_row("lakeland", id_of(first))
    assert row is not None
    assert (row.state, row.why) == ("void", "agreement.text")


async def test_the_operator_is_told_in_the_metrics(world: World, tamper: Tamper) -> None:
    assert await world.agencies.list_unfit_texts() == []
    await tamper(world)
    (unfit,) = await world.agencies.list_unfit_texts()
    assert unfit.sha256 == SHA256


async def test_a_text_that_no_agreement_names_is_no_agreement(world: World) -> None:
    another = "An agreement that nobody signed."
    async with world.database.begin() as tx:
        await requests.put_agreement_text(tx, sha256_hex(another.encode()), another)
    answer = await world.browser(RELAY_URL).get(f"/agreements/{sha256_hex(another.encode())}")
    assert answer.status_code == 404


async def problems_of(officer: Officer) -> list[str]:
    """Return what the form's check has against the officer's agency."""
    checked = await officer.http.post("/agency/requests/check", json={"form": {}})
    return [one["reason"] for one in checked.json()["problems"] if one["field"] == "form"]
