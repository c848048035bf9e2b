"""An agency's templates and areas: no case is in them, and nobody else reads or changes them."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.relay.http_people import Officer, certified_officer, officer_elsewhere
from tests.relay.http_world import CELLS, World, open_world

PATH = "/agency/presets"
TEXT = "A bicycle was taken from a yard."


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path) as world:
        yield world


@pytest.fixture
async def officer(world: World) -> Officer:
    return await certified_officer(world)


async def keep(officer: Officer, *, name: str = "Bicycle", **fields: Any) -> httpx2.Response:
    content = {"kind": "template", "text": TEXT} | fields
    return await officer.http.post(PATH, json={"name": name, "content": content})


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("In case K-2026/17 a bicycle was taken.", "preset_case"),
        ("A bicycle was taken on 2026-11-30.", "preset_case"),
        ("A bicycle was taken at 14:30.", "preset_time"),
        ("A bicycle was taken, says Officer Berg.", "preset_person"),
    ],
)
async def test_a_case_number_a_time_or_an_officers_name_is_not_repeated(
    officer: Officer, words: str, code: str
) -> None:
    """Seen to be kept (201) without check_preset in relay/request/presets.py."""
    assert officer.partner is not None
    words = words.replace("Officer Berg", officer.partner.name)
    for fields in ({"text": words}, {"name": words}):
        refused = await keep(officer, **fields)
        assert (refused.status_code, refused.json()["error"]["code"]) == (422, code)


@pytest.mark.parametrize("field", ["case_number", "from_ms", "contact", "cosigner_id", "danger"])
async def test_a_template_has_no_field_for_what_belongs_to_a_case(
    officer: Officer, field: str
) -> None:
    assert (await keep(officer, **{field: "x"})).status_code == 422


async def test_another_agency_neither_reads_nor_changes_it(world: World, officer: Officer) -> None:
    """Seen to be read with the agency left out of relay/store/presets.py."""
    preset_id = (await keep(officer)).json()["id"]
    crow = await officer_elsewhere(world)
    csrf = crow.http.headers["X-CSRF"]
    place = f"{PATH}/{preset_id}"
    form = {"csrf": csrf, "name": "Mine", "is_sure": "yes"}
    assert (await crow.http.get(place)).status_code == 404
    assert (await crow.http.get(f"/agency/requests/new?preset={preset_id}")).status_code == 404
    for what in ("rename", "remove"):
        assert (await crow.http.post(f"{place}/{what}", data=form)).status_code == 404
    assert preset_id not in (await crow.http.get(PATH)).text
    assert (await officer.http.get(place)).json()["name"] == "Bicycle"


async def test_who_is_not_certified_reads_and_changes_none(world: World, officer: Officer) -> None:
    """Seen to read it with `newcomer` in the rule of relay/web/agency/access.py."""
    preset_id = (await keep(officer)).json()["id"]
    newcomer = Officer(world, "Officer New")
    await newcomer.register()
    await newcomer.take_csrf()
    assert (await newcomer.http.get(PATH)).status_code == 403
    assert (await newcomer.http.get(f"{PATH}/{preset_id}")).status_code == 403
    assert (await keep(newcomer, name="Mine")).status_code == 403
    shown = await newcomer.http.get(f"/agency/requests/new?preset={preset_id}")
    assert shown.status_code == 200
    assert TEXT not in shown.text
    assert f'<option value="{preset_id}"' not in shown.text


async def test_an_area_lies_in_the_jurisdiction(officer: Officer) -> None:
    """Seen to be kept without the jurisdiction in check_preset."""
    for cells, status in ((CELLS, 201), ([*CELLS, "8908866025bffff"], 422), ([], 422)):
        body = {"name": f"Lake {status}", "content": {"kind": "area", "cells": cells}}
        assert (await officer.http.post(PATH, json=body)).status_code == status
