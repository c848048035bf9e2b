"""Every kind of statement at the own page: its words in both languages, its answer, its JSON."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Literal, get_args

import pytest

from firmware.local_page.confirm_pages import DONE, DONE_OF
from firmware.local_page.texts import LANGUAGES, catalog
from firmware.local_page.views import Asked, GrantView, RightView, Stage
from firmware.protocol.grants import Terms
from firmware.protocol.requests import INCIDENT_TYPES
from tests.fakes.local_page import ASKED_GRANT, CLIP, DIGEST, OTHERS, Home, asking, door_page
from tests.flows.asking_doors import GRANTS, RELEASES

EVERY = (*GRANTS.values(), *OTHERS)


@pytest.fixture
async def home() -> AsyncIterator[Home]:
    async with door_page() as home:
        await home.unlock()
        yield home


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("asked", EVERY, ids=lambda asked: asked.kind)
async def test_each_kind_is_asked_in_both_languages_with_two_answers(
    home: Home, asked: Asked, language: str
) -> None:
    home.bell.waits = [asking(asked)]
    page = (await home.web.get(f"/confirm?lang={language}")).text

    assert f'action="/refuse/{DIGEST}"' in page
    is_possible = not isinstance(asked, GrantView) or not any(c.problem for c in asked.clips)
    assert (f'action="/confirm/{DIGEST}"' in page) is is_possible
    assert "{" not in page
    assert catalog(language)["until.lapses"] in page


@pytest.mark.parametrize("asked", OTHERS, ids=lambda asked: asked.kind)
async def test_each_answer_says_what_came_of_it(home: Home, asked: Asked) -> None:
    home.bell.waits = [asking(asked)]
    yes = await home.post(f"/confirm/{DIGEST}")
    no = await home.post(f"/refuse/{DIGEST}")

    assert yes.headers["location"] == f"/confirm?done={DONE_OF[asked.kind]}"
    assert no.headers["location"] == "/confirm?done=refused"
    for answer in (yes, no):
        assert 'role="status"' in (await home.web.get(answer.headers["location"])).text


def test_each_kind_that_widens_is_shown_and_has_words() -> None:
    shown = {asked.kind for asked in get_args(Asked)}
    waits = {"grant", "add_owner", "remove_owner", "give_right", "refuse_agency", "settings"}
    assert shown == waits | {"recovery", "add_approver"}
    assert shown - {"grant"} == set(DONE_OF)
    assert shown <= {terms.__struct_config__.tag for terms in get_args(Terms)}
    for language in LANGUAGES:
        assert all(f"confirm.done.{done}" in catalog(language) for done in DONE)
        assert all(f"incident.{kind}" in catalog(language) for kind in INCIDENT_TYPES)


async def test_a_grant_says_how_much_in_all_and_what_of_it_is_only_a_part(home: Home) -> None:
    home.bell.waits = [asking(GRANTS["grant-full"])]
    page = (await home.web.get("/confirm")).text

    for part in (
        "2 recordings, 1 min 24 s in all.", "the rest stays here", "It has no sound.",
        "With sound.", "this is the corrected time", "any of these 3 keys", "77aa55cc33ee11bb",
        "Maria Lind", "14 Elm Street", "maria@home.example", "Why more than two hours:",
        "invented town", f"/clips/{DIGEST}/2.mp4",
    ):  # fmt: skip
        assert part in page, part


async def test_the_film_comes_first_then_who_asks_and_the_answers_last(home: Home) -> None:
    home.bell.waits = [asking(GRANTS["grant-full"])]
    page = (await home.web.get("/confirm")).text

    order = ("<video", "Who asks", "What they promise", "Who can open it", 'action="/refuse/')
    places = [page.index(words) for words in order]
    assert places == sorted(places)


async def test_times_are_those_of_the_zone_from_which_the_app_led_here(home: Home) -> None:
    """Whatever else stands in the address is no zone: the doorbell's own is used."""
    hostile = ("../../etc/passwd", "/etc/localtime", "Nowhere/Land", "posixrules%00", "A" * 4096)
    for zone in (*hostile, "America/New_York", "nothing"):
        page = (await home.web.get(f"/confirm?zone={zone}")).text
        is_told = zone in ("America/New_York", "nothing")  # then the cookie still says it
        assert ("EST, UTC-05:00" in page) is is_told, zone
        assert ("CET, UTC+01:00" in page) is not is_told, zone


async def test_an_emergency_says_whose_danger_and_that_silence_is_no(home: Home) -> None:
    home.bell.waits = [asking(GRANTS["grant-emergency"])]
    page = (await home.web.get("/confirm")).text

    assert "They say that somebody is in danger" in page
    assert "in a red jacket" in page
    assert "no answer means no" in page
    home.bell.waits = [asking(ASKED_GRANT)]
    assert "danger" not in (await home.web.get("/confirm")).text


@pytest.mark.parametrize(
    ("holder", "words"), [("player", "copy each to another machine"), ("guest", "Play recordings")]
)
async def test_a_player_that_may_fetch_recordings_may_copy_them_all_and_the_page_says_so(
    home: Home, holder: Literal["guest", "player"], words: str
) -> None:
    right = next(asked for asked in OTHERS if isinstance(asked, RightView))
    home.bell.waits = [asking(replace(right, holder=holder, what=["history", "live"]))]

    assert words in (await home.web.get("/confirm")).text


async def test_a_time_that_may_be_wrong_says_so(home: Home) -> None:
    home.bell.waits = [asking(replace(ASKED_GRANT, clips=(replace(CLIP, time="unknown"),)))]

    assert "this time may be wrong" in (await home.web.get("/confirm")).text


async def test_what_strangers_wrote_stays_text(home: Home) -> None:
    evil = '"><img src=x onerror=alert(1)>{{ 7 * 7 }}{agency}'
    letter = replace(
        ASKED_GRANT, agency=evil, text=evil, contact=evil, danger=evil, reason=evil, given_name=evil
    )
    home.bell.waits = [asking(letter)]
    page = (await home.web.get("/confirm")).text

    assert "<img" not in page
    assert "49" not in page.replace("493817", "")
    assert page.count("&lt;img src=x") >= 6


async def test_after_a_yes_the_release_is_followed_and_reloads_only_while_it_moves(
    home: Home,
) -> None:
    yes = await home.post(f"/confirm/{DIGEST}")
    assert yes.headers["location"] == f"/releases/{DIGEST}"
    for name, release in RELEASES.items():
        home.bell.releases = [release]
        page = (await home.web.get(f"/releases/{DIGEST}")).text
        is_moving = release.stage in ("held", "logging", "sealing", "sending")
        assert ('data-fresh-s="2"' in page) is is_moving, name
        assert catalog("en")[f"release.heading.{release.stage}"].split("{")[0] in page


async def test_what_is_on_its_way_is_found_again_from_the_confirm_page(home: Home) -> None:
    home.bell.waits, home.bell.releases = [], [RELEASES["logging"]]

    assert f'href="/releases/{DIGEST}"' in (await home.web.get("/confirm")).text


async def test_tools_are_told_how_far_it_is(home: Home) -> None:
    home.bell.releases = [RELEASES["sealing"]]
    json = {"Accept": "application/json"}
    told = (await home.web.get(f"/releases/{DIGEST}", headers=json)).json()

    assert (told["stage"], told["agency"]) == ("sealing", "Lakeland Police")
    assert (await home.web.get(f"/releases/{'b' * 64}", headers=json)).status_code == 404


def test_each_stage_has_words() -> None:
    for language in LANGUAGES:
        for stage in get_args(Stage):
            assert f"release.heading.{stage}" in catalog(language)
            assert f"release.lead.{stage}" in catalog(language)
