"""An agency's templates and saved areas: kept by name, so many of them, used, renamed, removed."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from relay.request.presets import MAX_PRESETS, PresetRefused, Presets, RequestTemplate, SavedArea
from tests.relay.http_people import Officer, certified_officer
from tests.relay.http_world import CELLS, World, open_world

PATH = "/agency/presets"
TEMPLATE = RequestTemplate(text="A bicycle was taken.", incident_type="burglary", retention_days=90)
AREA = SavedArea(cells=CELLS[:1])


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path) as world:
        yield world


@pytest.fixture
async def officer(world: World) -> Officer:
    return await certified_officer(world)


async def keep(world: World, name: str, content: RequestTemplate | SavedArea = TEMPLATE) -> str:
    presets = Presets(world.database, world.clock)
    return await presets.save("lakeland", name, content, officers=[], jurisdiction=CELLS)


async def test_a_form_is_filled_in_with_one_of_each(world: World, officer: Officer) -> None:
    template, area = await keep(world, "Bicycle"), await keep(world, "By the lake", AREA)
    page = (await officer.http.get(f"/agency/requests/new?preset={template}")).text
    assert ">A bicycle was taken.</textarea>" in page
    assert '<option value="burglary" selected>' in page
    assert 'value="90"' in page
    page = (await officer.http.get(f"/agency/requests/new?preset={area}")).text
    assert f'id="chosen">["{CELLS[0]}"]' in page
    shown = (await officer.http.get(f"{PATH}/{area}")).json()
    assert shown == {"name": "By the lake", "content": {"kind": "area", "cells": CELLS[:1]}}


async def test_a_name_is_one_of_its_kind(world: World, officer: Officer) -> None:
    await keep(world, "Lake")
    other = await keep(world, "Lake", AREA)
    with pytest.raises(PresetRefused, match="of this name"):
        await keep(world, "Lake")
    third = await keep(world, "Yard", AREA)
    form = {"csrf": officer.http.headers["X-CSRF"], "name": "Lake"}
    assert (await officer.http.post(f"{PATH}/{third}/rename", data=form)).status_code == 409
    assert (await officer.http.post(f"{PATH}/{other}/rename", data=form)).status_code == 303
    form["name"] = "x" * 61
    assert (await officer.http.post(f"{PATH}/{other}/rename", data=form)).status_code == 422


async def test_so_many_of_each_kind_are_kept(world: World, officer: Officer) -> None:
    for number in range(MAX_PRESETS):
        await keep(world, f"Words {number}")
    with pytest.raises(PresetRefused, match="50 of these"):
        await keep(world, "One more")
    first = await keep(world, "Lake", AREA)
    form = {"csrf": officer.http.headers["X-CSRF"]}
    assert (await officer.http.post(f"{PATH}/{first}/remove", data=form)).status_code == 422
    form["is_sure"] = "yes"
    assert (await officer.http.post(f"{PATH}/{first}/remove", data=form)).status_code == 303
    assert (await officer.http.post(f"{PATH}/{first}/remove", data=form)).status_code == 404


@pytest.mark.parametrize("text", ["A red bicycle, 26 inches.", "Two men on 24 June street", "7-9"])
async def test_ordinary_words_are_kept(world: World, text: str) -> None:
    assert await keep(world, text, RequestTemplate(text=text))


@pytest.mark.parametrize("language", ["en", "sv"])
async def test_each_refusal_says_what_to_do(officer: Officer, language: str) -> None:
    body = {"name": "At 14:30", "content": {"kind": "template", "text": "A bicycle."}}
    answer = await officer.http.post(PATH, json=body, headers={"Accept-Language": language})
    expected = {"en": "Leave it out and keep it again.", "sv": "Utelämna det och spara igen."}
    assert expected[language] in answer.json()["error"]["message"]
