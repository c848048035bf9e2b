"""A new identity for a doorbell whose card was copied, at the doorbell's own page."""

from collections.abc import AsyncIterator

import pytest

from firmware.local_page.ports import Outcome, PairingView
from tests.fakes.local_page import NUMBER, Home, door_page

PAGE = "/identity"
LINK = "https://relay.test/doorbell#e30"


@pytest.fixture
async def home() -> AsyncIterator[Home]:
    async with door_page() as home:
        home.bell.view = PairingView(state="paired")
        yield home


async def unlock(home: Home) -> None:
    assert (await home.post(f"{PAGE}/unlock", door_number=NUMBER)).headers["location"] == PAGE


async def test_a_doorbell_that_nobody_copied_is_given_none(home: Home) -> None:
    home.bell.is_cloned = False
    page = (await home.web.get(PAGE)).text
    assert "needs no new identity" in page
    assert "<form" not in page.partition("<main")[2]


async def test_the_door_number_and_then_the_link_give_it(home: Home) -> None:
    assert 'name="link"' not in (await home.web.get(PAGE)).text
    await unlock(home)
    page = (await home.web.get(PAGE)).text
    assert 'name="link"' in page
    assert "3 are on the card" in page
    assert "begins anew" in (await home.post(PAGE, link=f" {LINK}\n")).text
    assert home.bell.told == [f"identity {LINK}"]


async def test_without_the_door_number_none_is_given(home: Home) -> None:
    assert (await home.post(PAGE, link=LINK)).status_code == 403
    assert home.bell.told == []


async def test_a_link_that_is_refused_says_why(home: Home) -> None:
    await unlock(home)
    home.bell.outcome = Outcome(is_done=False, detail="the claim is too old; get a new one")
    reply = await home.post(PAGE, link=LINK)
    assert reply.status_code == 409
    assert "the claim is too old" in reply.text


async def test_a_program_gets_facts_and_answers(home: Home) -> None:
    facts = (await home.web.get(PAGE, headers={"Accept": "application/json"})).json()
    assert facts == {"is_cloned": True, "relay_url": "https://relay.test", "is_unlocked": False}
    await unlock(home)
    assert (await home.post(PAGE, json_wanted=True, link=LINK)).json() == {"ok": True}
