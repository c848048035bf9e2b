"""The doorbell's own page while a recovery code lets somebody in: what it asks, and never shows."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from firmware.local_page.ports import Locked, Outcome, PairingView, WrongNumber
from tests.fakes.local_page import NUMBER, WORDS, Home, door_page

CODE = "acid " * 17 + "zebra"
FORM = {"recovery": CODE, "door_number": NUMBER}


@pytest.fixture
async def home() -> AsyncIterator[Home]:
    async with door_page() as found:
        found.bell.view = PairingView(
            state="pressed", words=WORDS, owner_name="Maria", is_recovery=True, may_recover=True
        )
        yield found


@pytest.mark.parametrize("language", ["en", "sv"])
async def test_the_page_asks_for_the_words_and_for_a_new_number(home: Home, language: str) -> None:
    page = (await home.web.get(f"/pair?lang={language}")).text
    assert 'action="/recover"' in page
    assert 'name="recovery"' in page
    assert 'autocomplete="off"' in page


async def test_before_the_second_press_it_shows_the_words_alone(home: Home) -> None:
    home.bell.view = replace(home.bell.view, state="words")
    page = (await home.web.get("/pair")).text
    assert all(word in page for word in WORDS)
    assert 'name="recovery"' not in page
    assert "the new passkey isn&#39;t let in" in page
    assert "nobody owns" not in page  # seen to say so, below "This doorbell has an owner"
    assert (await home.post("/recover", **FORM)).status_code == 409
    assert home.bell.told == []


async def test_ordinary_pairing_asks_for_no_recovery_code(home: Home) -> None:
    home.bell.view = replace(home.bell.view, is_recovery=False)
    page = (await home.web.get("/pair")).text
    assert 'name="recovery"' not in page
    assert 'action="/pair"' in page
    reply = await home.post("/recover", **FORM)
    assert reply.status_code == 409
    assert home.bell.told == []


async def test_ordinary_pairing_is_refused_while_somebody_recovers(home: Home) -> None:
    reply = await home.post("/pair", door_number=NUMBER)
    assert reply.status_code == 409
    assert home.bell.told == []


async def test_the_right_code_is_handed_on_and_leads_back(home: Home) -> None:
    reply = await home.post("/recover", **FORM)
    assert (reply.status_code, reply.headers["location"]) == (303, "/pair")
    assert home.bell.told == [f"recover 18 {NUMBER}"]


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (WrongNumber(tries_left=3), "Tries left: 3"),
        (Locked(wait_s=3600), "60 minutes"),
        (Outcome(is_done=False, detail="The ten minutes are over."), "ten minutes are over"),
    ],
)
async def test_a_refusal_says_why_and_never_repeats_the_code(
    home: Home, answer: Outcome | WrongNumber | Locked, says: str
) -> None:
    home.bell.recovered = answer
    for is_json in (False, True):
        reply = await home.post("/recover", is_json, **FORM)
        assert reply.status_code == 409
        assert says in reply.text
        assert "zebra" not in reply.text


@pytest.mark.parametrize(
    "change",
    [{"door_number": "12345"}, {"door_number": "010190"}],
)
async def test_a_number_that_is_wrong_in_itself_hands_nothing_on(home: Home, change: dict) -> None:
    assert (await home.post("/recover", **{**FORM, **change})).status_code == 409
    assert home.bell.told == []


async def test_only_the_doorbells_own_page_may_send_it(home: Home) -> None:
    for headers in ({}, {"Origin": "http://evil.example"}, {"Origin": "null"}):
        reply = await home.web.post("/recover", data=FORM, headers=headers)
        assert reply.status_code == 403
    assert home.bell.told == []


async def test_a_paired_page_says_how_to_recover(home: Home) -> None:
    home.bell.view = PairingView(state="paired", may_recover=True)
    assert "service button" in (await home.web.get("/pair")).text
    home.bell.view = PairingView(state="paired")
    assert "doorward recovery" in (await home.web.get("/pair")).text


async def test_tools_are_told_the_messages_that_the_words_are_made_of(home: Home) -> None:
    home.bell.view = replace(home.bell.view, device="e" * 20, code="DW2:x", answer="{}")
    told = (await home.web.get("/pair", headers={"Accept": "application/json"})).json()
    assert (told["device"], told["code"], told["answer"]) == ("e" * 20, "DW2:x", "{}")
    assert told["is_recovery"] is True
