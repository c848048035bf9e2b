"""The doorbell's own page says in words how the doorbell is, in both languages."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import UTC
from typing import get_args

import httpx2
import pytest

from firmware.local_page.guard import own_origins
from firmware.local_page.texts import LANGUAGES, catalog
from firmware.local_page.web_app import door_app
from firmware.protocol.events import CameraState, TroubleCode
from tests.fakes.clock import ManualClock
from tests.fakes.local_page import URL, WELL, SickDoorbell


@dataclass
class Visitor:
    bell: SickDoorbell
    web: httpx2.AsyncClient

    async def page(self, language: str = "en") -> str:
        return (await self.web.get(f"/?lang={language}")).text


@pytest.fixture
async def visitor() -> AsyncIterator[Visitor]:
    bell = SickDoorbell()
    origins = own_origins(URL, listen_host="127.0.0.1", listen_port=8402)
    app = door_app(bell, origins=origins, clock=ManualClock(), zone=UTC)
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url=URL) as web:
        yield Visitor(bell, web)


async def test_says_how_camera_and_card_are(visitor: Visitor) -> None:
    english, swedish = await visitor.page(), await visitor.page("sv")

    assert "Gives pictures" in english
    assert "12 GB of 32 GB are free" in english
    assert "Ger bilder" in swedish
    assert "Your doorbell is at work" in english
    assert "What is wrong now" not in english


async def test_says_in_words_what_is_wrong(visitor: Visitor) -> None:
    visitor.bell.shown = replace(WELL, camera="missing", troubles=("camera", "card_failing"))

    page = await visitor.page()

    assert "Your doorbell needs a look" in page
    assert "its cable is loose" in page
    assert "There is no picture." in page
    assert "The memory card is failing: put in a new one." in page
    assert "Save what you need from it first." in page


async def test_leaves_out_what_is_not_known(visitor: Visitor) -> None:
    visitor.bell.shown = replace(WELL, camera=None, card_free_bytes=None)

    page = await visitor.page()

    assert "Camera" not in page
    assert "Memory card" not in page


async def test_tells_tools_the_codes(visitor: Visitor) -> None:
    visitor.bell.shown = replace(WELL, camera="busy", troubles=("camera",))

    told = (await visitor.web.get("/", headers={"Accept": "application/json"})).json()

    assert (told["camera"], told["troubles"]) == ("busy", ["camera"])
    assert told["card_free_bytes"] == 12_300_000_000


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_state_and_trouble_has_words(language: str) -> None:
    wanted = [f"camera.{state}" for state in get_args(CameraState)]
    wanted += [f"trouble.{code}" for code in get_args(TroubleCode)]
    wanted += [f"help.{code}" for code in get_args(TroubleCode)]

    assert [key for key in wanted if key not in catalog(language)] == []


@pytest.mark.parametrize("is_paired", [False, True])
async def test_an_unpaired_doorbell_shows_whom_pairing_ties_it_to(
    visitor: Visitor, is_paired: bool
) -> None:
    tied = ("https://relay.example", "relay.example/register", "5e" * 32)
    visitor.bell.shown = replace(
        WELL,
        is_paired=is_paired,
        relay_url=tied[0],
        register_origin=tied[1],
        policy_digest=tied[2],
    )

    page = await visitor.page()

    assert [f"<dd><code>{one}</code></dd>" in page for one in tied] == [not is_paired] * 3
