"""The doorbell's own page about Wi-Fi: what it looks for, and what the button was held for."""

from dataclasses import replace
from typing import get_args

import pytest

from firmware.local_page.ports import WifiView
from firmware.local_page.texts import LANGUAGES
from firmware.wifi.trial import Reason
from firmware.wifi.window import Problem
from tests.fakes.local_page import door_page

STATES = ("closed", "open", "offered", "joining", "on_trial")


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("is_paired", [True, False])
async def test_each_state_is_said_in_words(language: str, state: str, is_paired: bool) -> None:
    async with door_page() as home:
        bell, web = home.bell, home.web
        bell.wifi = WifiView(state=state, is_paired=is_paired, name="<Home>")  # type: ignore[arg-type]
        page = (await web.get(f"/wifi?lang={language}")).text
    assert "wifi." not in page.partition("<main")[2]
    assert "<Home>" not in page


@pytest.mark.parametrize("language", LANGUAGES)
async def test_each_problem_and_each_end_is_said_in_words(language: str) -> None:
    async with door_page() as home:
        bell, web = home.bell, home.web
        for problem in get_args(Problem)[1:]:
            bell.wifi = WifiView(state="closed", is_paired=True, problem=problem)
            page = (await web.get(f"/wifi?lang={language}")).text
            assert 'role="alert"' in page
            assert "wifi.problem" not in page
        for reason in get_args(Reason):
            bell.wifi = WifiView(state="closed", is_paired=True, last_name="N", last_reason=reason)
            page = (await web.get(f"/wifi?lang={language}")).text
            assert "wifi.ended" not in page


async def test_the_offered_networks_name_is_shown_beside_what_to_do() -> None:
    async with door_page() as home:
        bell, web = home.bell, home.web
        bell.wifi = WifiView(state="offered", is_paired=False, name="Home")
        page = (await web.get("/wifi")).text
        told = (await web.get("/wifi", headers={"accept": "application/json"})).json()
    assert "“Home”" in page
    assert "Press the service button once" in page
    assert (told["state"], told["name"]) == ("offered", "Home")


async def test_pairing_is_chosen_only_where_the_button_was_held_for_it() -> None:
    async with door_page() as home:
        bell, web = home.bell, home.web
        assert "Pair a phone instead" not in (await web.get("/wifi")).text
        refused = await home.post("/wifi/pair-instead")
        assert refused.status_code == 409
        bell.wifi = replace(bell.wifi, state="open", may_pair=True)
        assert "Pair a phone instead" in (await web.get("/wifi")).text
        done = await home.post("/wifi/pair-instead")
    assert (done.status_code, done.headers["location"]) == (303, "/pair")
    assert bell.told == ["pair instead", "pair instead"]


async def test_another_sites_page_can_not_choose() -> None:
    async with door_page() as home:
        bell, web = home.bell, home.web
        bell.wifi = replace(bell.wifi, state="open", may_pair=True)
        refused = await web.post("/wifi/pair-instead", headers={"origin": "https://evil.example"})
    assert refused.status_code == 403
    assert bell.told == []
