"""The microphone's switch at the doorbell's own page."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from firmware.local_page.ports import Outcome
from tests.fakes.local_page import NUMBER, URL, Home, door_page

PAGE = "/microphone"


@pytest.fixture
async def home() -> AsyncIterator[Home]:
    async with door_page() as home:
        yield home


async def unlock(home: Home) -> None:
    assert (await home.post(f"{PAGE}/unlock", door_number=NUMBER)).headers["location"] == PAGE


async def test_says_that_it_is_off_to_anybody_at_home(home: Home) -> None:
    page = (await home.web.get(PAGE)).text

    assert "The microphone is off" in page
    assert "Turn the microphone on" not in page
    assert 'name="door_number"' in page


@pytest.mark.parametrize("wish", ["on", "off"])
@pytest.mark.parametrize("is_tool", [True, False])
async def test_without_the_door_number_nothing_is_switched(
    home: Home, wish: str, is_tool: bool
) -> None:
    reply = await home.post(PAGE, json_wanted=is_tool, wish=wish)

    assert reply.status_code == 403
    assert home.bell.told == []


async def test_the_door_number_switches_it_on_and_off(home: Home) -> None:
    await unlock(home)
    assert "Turn the microphone on" in (await home.web.get(PAGE)).text
    await home.post(PAGE, wish="on")
    page = (await home.web.get(PAGE)).text
    await home.post(PAGE, wish="off")

    assert "The microphone is on" in page
    assert "Turn the microphone off" in page
    assert home.bell.told == ["microphone on", "microphone off"]


async def test_a_foreign_page_switches_nothing_though_the_browser_is_let_in(home: Home) -> None:
    await unlock(home)
    reply = await home.web.post(
        PAGE, data={"wish": "on"}, headers={"Origin": "http://evil.example"}
    )

    assert reply.status_code == 403
    assert home.bell.told == []


async def test_ten_minutes_later_the_number_is_wanted_again(home: Home) -> None:
    await unlock(home)
    home.clock.advance(601)

    assert (await home.post(PAGE, wish="on")).status_code == 403
    assert home.bell.told == []


@pytest.mark.parametrize("wish", ["", "ON", "true", "1"])
async def test_refuses_another_wish(home: Home, wish: str) -> None:
    await unlock(home)

    assert (await home.post(PAGE, wish=wish)).status_code == 400
    assert home.bell.told == []


async def test_wrong_numbers_count_as_everywhere(home: Home) -> None:
    for _ in range(3):
        await home.post(f"{PAGE}/unlock", door_number="000000")
    reply = await home.post("/unlock", door_number="000000", json_wanted=True)

    assert reply.json()["tries_left"] == 1


async def test_a_switch_that_fails_says_why(home: Home) -> None:
    await unlock(home)
    home.bell.outcome = Outcome(is_done=False, detail="The memory card doesn't take it.")
    reply = await home.post(PAGE, wish="on")

    assert reply.status_code == 409
    assert "memory card doesn&#39;t take it" in reply.text


async def test_without_a_sound_card_there_is_nothing_to_switch(home: Home) -> None:
    home.bell.ear = replace(home.bell.ear, has_card=False, state="none")
    await unlock(home)
    page = (await home.web.get(PAGE)).text

    assert "no microphone" in page
    assert 'action="/microphone"' not in page


async def test_a_microphone_that_gives_no_sound_says_so(home: Home) -> None:
    home.bell.ear = replace(home.bell.ear, state="none", is_on=True, trouble="it is unplugged")

    assert "it is unplugged" in (await home.web.get(PAGE)).text


async def test_tools_are_told_the_state(home: Home) -> None:
    reply = await home.web.get(PAGE, headers={"Accept": "application/json", "Origin": URL})

    assert reply.json() == {
        "state": "off",
        "has_card": True,
        "is_on": False,
        "trouble": "",
        "is_in_live_view": True,
        "is_in_clips": False,
        "is_unlocked": False,
    }


async def test_lock_forgets_the_browser(home: Home) -> None:
    await unlock(home)
    await home.post(f"{PAGE}/lock")

    assert (await home.post(PAGE, wish="on")).status_code == 403
