"""The knock's switch at the doorbell's own page."""

from collections.abc import AsyncIterator
from typing import get_args

import pytest

from firmware.knock.service import KnockEnd
from firmware.local_page.ports import Outcome
from firmware.local_page.texts import LANGUAGES, catalog
from tests.fakes.local_page import NUMBER, Home, door_page
from tests.flows.asking_doors import KNOCKS

PAGE = "/knock"
NONE = ("none",) * 6


@pytest.fixture
async def home() -> AsyncIterator[Home]:
    async with door_page() as home:
        yield home


async def unlock(home: Home) -> None:
    assert (await home.post(f"{PAGE}/unlock", door_number=NUMBER)).headers["location"] == PAGE


async def choose(home: Home, *kinds: str):
    fields = {f"press_{n}": kind for n, kind in enumerate((*kinds, *NONE)[:6], start=1)}
    return await home.post(f"{PAGE}/pattern", **fields)


async def test_a_pattern_switches_it_on_and_it_is_switched_off_again(home: Home) -> None:
    await unlock(home)
    assert "The knock is off" in (await home.web.get(PAGE)).text
    done = await choose(home, "short", "long", "short")
    page = (await home.web.get(done.headers["location"])).text
    off = await home.post(f"{PAGE}/off")

    assert "The pattern counts from now on." in page
    assert "The knock is on" in page
    assert "The pattern is forgotten." in (await home.web.get(off.headers["location"])).text
    assert home.bell.told == ["knock short long short", "knock off"]


async def test_the_longest_pattern_is_taken_whole(home: Home) -> None:
    await unlock(home)
    await choose(home, "short", "long", "long", "short", "long", "long")

    assert home.bell.told == ["knock short long long short long long"]


@pytest.mark.parametrize(
    ("kinds", "word"),
    [
        ((), "at least three"),
        (("short", "long"), "at least three"),
        (("short", "short", "short"), "impatient visitor"),
        (("long",) * 6, "impatient visitor"),
        (("short", "long", "none", "short"), "missing in the middle"),
        (("none", "long", "short", "short"), "missing in the middle"),
    ],
)
async def test_a_weak_pattern_is_refused_with_words(
    home: Home, kinds: tuple[str, ...], word: str
) -> None:
    await unlock(home)
    reply = await choose(home, *kinds)

    assert reply.status_code == 409
    assert word in reply.text
    assert home.bell.told == []


@pytest.mark.parametrize("kind", ["", "SHORT", "1", "neither"])
async def test_refuses_another_press(home: Home, kind: str) -> None:
    await unlock(home)

    assert (await choose(home, "short", "long", kind)).status_code == 400
    assert home.bell.told == []


async def test_it_says_its_limits_and_how_to_try_it(home: Home) -> None:
    await unlock(home)
    page = (await home.web.get(PAGE)).text

    for part in ("street may hear", "times, not pictures", "112 patterns", "it only rings"):
        assert part in page, part


async def test_it_says_that_it_is_locked_and_how_the_last_knock_ended(home: Home) -> None:
    await unlock(home)
    home.bell.hand = KNOCKS["locked"]
    page = (await home.web.get(PAGE)).text

    assert "no knock counts for another 23 hours" in page
    assert "wrong for the third time" in page
    assert "18 November 2026" in page


async def test_without_a_speaker_it_says_why_nobody_can_knock(home: Home) -> None:
    await unlock(home)
    home.bell.hand = KNOCKS["mute"]

    assert "has no loudspeaker" in (await home.web.get(PAGE)).text


async def test_a_pattern_that_the_card_does_not_take_says_why(home: Home) -> None:
    await unlock(home)
    home.bell.outcome = Outcome(is_done=False, detail="The memory card doesn't take it.")
    reply = await choose(home, "short", "long", "short")

    assert reply.status_code == 409
    assert "memory card doesn&#39;t take it" in reply.text


async def test_tools_are_told_how_it_is_but_never_the_pattern(home: Home) -> None:
    json = {"Accept": "application/json"}
    assert (await home.web.get(PAGE, headers=json)).json() == {"is_unlocked": False}
    await unlock(home)

    assert (await home.web.get(PAGE, headers=json)).json() == {
        "is_unlocked": True,
        "is_on": False,
        "has_speaker": True,
        "tries_left": 3,
        "locked_for_s": 0,
        "last": None,
        "last_ms": None,
    }


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_end_of_a_knock_has_words(language: str) -> None:
    assert [
        end for end in get_args(KnockEnd) if f"knock.ended.{end}" not in catalog(language)
    ] == []
