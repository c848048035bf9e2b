"""A relay that dates a recording otherwise: the owner watches one part, and another one is signed.

`clip_ready` comes by way of the relay, and nobody signed it. The release screen plays the checked
file by times within it and signs absolute ones: both must come from one beginning, the doorbell's.
Seen to succeed with the told beginning in the place of `checkedSpan` in requested_clip.js, and with
corrections of a set clock taken in event_groups.js: watched was the first half second, and signed
the next.
"""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from msgspec.structs import replace
from playwright.async_api import Route, expect

from firmware.consent.facts import Grant
from firmware.protocol.events import ClipReady
from tests.flows.asked_home import Home, home_in_browser
from tests.flows.browser import IN_ONE_BROWSER
from tests.flows.filmed import GROUPS_MS, filmed
from tests.relay.http_world import OWNER_ORIGIN, World, open_world

pytestmark = list(IN_ONE_BROWSER)

SHIFT_MS = GROUPS_MS[1]
WRONG_MS = 90_000
Bend = Callable[[ClipReady], ClipReady]
WHERE_IT_PLAYS_FROM = """() => {
  document.querySelector("[data-testid=play-part]").click();
  return document.querySelector("[data-testid=asked-clip] video").currentTime;
}"""


@pytest_asyncio.fixture(loop_scope="module")
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path) as world:
        yield world


def later(told: ClipReady) -> ClipReady:
    """It begins later, and is shorter: both ends are times that the doorbell has."""
    return replace(
        told, started_ms=told.started_ms + SHIFT_MS, duration_ms=told.duration_ms - SHIFT_MS
    )


def shorter(told: ClipReady) -> ClipReady:
    """It ends earlier."""
    return replace(told, duration_ms=SHIFT_MS)


async def watch(home: Home) -> None:
    if await home.page.get_attribute("[data-testid=watch-clip]", "aria-expanded") == "false":
        await home.page.click("[data-testid=watch-clip]")
    await expect(home.page.locator("[data-testid=verify-ok]")).to_be_visible()


async def choose_the_first_part(home: Home) -> None:
    """Play the first group of pictures alone, and see that it is the one that plays."""
    last = home.page.locator("[data-testid=cut-to]")
    await last.focus()
    await home.page.keyboard.press("Home")
    await home.page.wait_for_selector("[data-testid=play-part]")
    assert await home.page.evaluate(WHERE_IT_PLAYS_FROM) < GROUPS_MS[1] / 1000
    await home.page.check("[data-testid=choose-clip]")


async def given(home: Home) -> tuple[int, int]:
    """Sign, and return the times that the doorbell would give."""
    await home.give()
    grant = await home.judged(await home.sent())
    assert isinstance(grant, Grant), grant
    (clip,) = grant.terms.clips
    return clip.from_ms, clip.to_ms


async def corrects(home: Home) -> None:
    """Let the relay say of every recording that its time was corrected."""

    async def bent(route: Route) -> None:
        token = await route.request.header_value("authorization") or ""
        async with home.world.browser() as http:
            answer = await http.get(route.request.url, headers={"Authorization": token})
        body = answer.json()
        for told in body["events"]:
            if told["event"]["body"]["type"] == "clip_ready":
                told["corrected_ms"] = told["event"]["time_ms"] + SHIFT_MS
        headers = {"Access-Control-Allow-Origin": OWNER_ORIGIN}
        await route.fulfill(status=answer.status_code, headers=headers, json=body)

    await home.page.route("**/api/v1/events?*", bent)


async def asked_for(home: Home, **how: Any) -> ClipReady:
    """Let police ask, and this page show what the relay says that there is."""
    asked = await home.ask()
    await home.hear(asked)
    clip = await filmed(home, **how)
    await home.open_choice(asked)
    return clip


@pytest.mark.parametrize("bend", [later, shorter])
async def test_what_is_signed_is_the_part_that_was_watched(world: World, bend: Bend) -> None:
    async with home_in_browser(world) as home:
        clip = await asked_for(home, carried=bend)
        await home.page.check("[data-testid=choose-clip]")
        await watch(home)
        await expect(home.page.locator("[data-testid=other-time]")).to_be_visible()
        await expect(home.page.locator("[data-testid=choose-clip]")).not_to_be_checked()
        await choose_the_first_part(home)
        assert await given(home) == (clip.started_ms, clip.started_ms + GROUPS_MS[1])


async def test_a_correction_that_the_relay_makes_up_shifts_nothing(world: World) -> None:
    """The clock was right, so there is nothing to correct, watched or not."""
    async with home_in_browser(world) as home:
        await corrects(home)
        clip = await asked_for(home)
        await expect(home.page.locator("[data-testid=asked-clip]")).not_to_contain_text("corrected")
        await watch(home)
        assert await home.page.locator("[data-testid=other-time]").count() == 0
        await choose_the_first_part(home)
        assert await given(home) == (clip.started_ms, clip.started_ms + GROUPS_MS[1])


@pytest.mark.parametrize(
    ("dating", "words"),
    [("dated", "time corrected"), ("latest", "not later than"), ("unknown", "may be wrong")],
)
async def test_of_a_clock_that_was_set_late_the_doorbells_library_alone_says_when(
    world: World, dating: str, words: str
) -> None:
    async with home_in_browser(world) as home:
        unset = {"started_ms": WRONG_MS, "is_clock_trusted": False}
        clip = await asked_for(home, carried=later, dating=dating, **unset)
        await watch(home)
        row = home.page.locator("[data-testid=asked-clip] label.sentence")
        await expect(row).to_contain_text(words)
        await choose_the_first_part(home)
        assert await given(home) == (clip.started_ms, clip.started_ms + GROUPS_MS[1])


async def test_what_no_doorbell_says_the_time_of_can_not_be_given(world: World) -> None:
    """An older program's word on it is missing: the relay's isn't taken in its place."""
    async with home_in_browser(world) as home:
        unset = {"started_ms": WRONG_MS, "is_clock_trusted": False}
        await asked_for(home, carried=later, says_begun=False, **unset)
        await home.page.check("[data-testid=choose-clip]")
        await watch(home)
        box = home.page.locator("[data-testid=choose-clip]")
        await expect(box).to_be_disabled()
        await expect(box).not_to_be_checked()
        assert await home.page.locator("[data-testid=cut-to]").count() == 0


async def test_a_recording_of_another_time_is_not_given_as_one_of_the_asked(world: World) -> None:
    async with home_in_browser(world) as home:
        before_ms = world.clock.wall_ms() - 5 * 3_600_000

        def moved(told: ClipReady) -> ClipReady:
            return replace(told, started_ms=world.clock.wall_ms() - 90 * 60_000)

        await asked_for(home, begun_ms=before_ms, carried=moved)
        await watch(home)
        await expect(home.page.locator("[data-testid=choose-clip]")).to_be_disabled()


async def test_what_a_recording_is_stands_there_as_the_doorbell_signed_it(world: World) -> None:
    async with home_in_browser(world) as home:
        await asked_for(home, carried=lambda told: replace(told, duration_ms=900_000))
        row = home.page.locator("[data-testid=asked-clip] label.sentence")
        await expect(row).to_contain_text("15 min")
        await watch(home)
        await expect(row).to_contain_text("1 s")
