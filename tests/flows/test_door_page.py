"""The first page as an owner looks at it: the last picture, today, and what it never does."""

from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Request, expect

from firmware.enrolment.keys import load_or_make_keys
from firmware.protocol.events import Motion, Pressed
from tests.flows.asked_home import home_in_browser, set_time
from tests.flows.camera import STYLED, TOO_SMALL, WIDER_THAN_SCREEN
from tests.flows.household import PHONE, pair_another
from tests.flows.pushed_home import jpeg
from tests.relay.http_world import OWNER_ORIGIN, open_world

pytestmark = pytest.mark.browser

IS_AS_CALM_AS_THE_REST = """() => {
  const colour = (one) => getComputedStyle(document.querySelector(one)).color;
  return colour("[data-testid=police-ask]") === colour(".muted");
}"""
LIT = "() => document.querySelector('.places [aria-current]')?.textContent ?? null"
PLACES: dict[str, str | None] = {
    "": "Door",
    "history": "History",
    "requests": "Requests",
    "settings": "Settings",
    "settings/notifications": "Settings",
    "replies": "Settings",
    "nowhere": None,
    "settings/nowhere": None,
}
BOXES = """(selector) => [...document.querySelectorAll(selector)].map((node) => {
  const { x, y, width, height } = node.getBoundingClientRect();
  return { x, y, width, bottom: y + height };
})"""
"""All at once: the page is redrawn at every change."""


async def test_the_last_picture_lies_across_the_page_with_its_age(tmp_path: Path) -> None:
    async with (
        open_world(tmp_path) as world,
        home_in_browser(world, service_workers="allow") as home,
    ):
        page = home.page
        await page.goto(f"{OWNER_ORIGIN}/#/")
        await expect(page.locator(".frame-age")).to_have_text("No picture yet. Open live view")
        await home.ring_with_picture(jpeg())
        world.clock.advance(20 * 60)
        now_ms = world.clock.wall_ms()
        for seconds in (5, 20):  # in one minute
            await world.tell(
                home.device, Pressed(), time_ms=now_ms - now_ms % 60_000 - seconds * 1000
            )
        await set_time(page, world)
        await page.reload()
        picture = page.locator(".frame img")
        await expect(picture).to_be_visible()
        await expect(page.locator(".frame-age")).to_have_text("20 minutes ago")
        await page.evaluate(STYLED)
        (frame,) = await page.evaluate(BOXES, ".frame")
        assert (frame["x"], frame["width"]) == (0, 360)
        await expect(page.locator("[data-testid=event-pressed] time")).to_have_count(3)
        times = await page.locator("[data-testid=event-pressed] time").all_inner_texts()
        assert [len(text) for text in times] == [len("14:33:55")] * 2 + [len("14:13")]
        assert await page.evaluate(WIDER_THAN_SCREEN) == []
        assert await page.evaluate(TOO_SMALL) == []
        await page.click(".frame")
        await page.wait_for_url(lambda url: url.endswith(f"#/live/{home.device}"))
        home.person.faults.clear()  # nobody answers this call


async def test_a_request_is_one_quiet_line_that_the_relay_sees_nothing_of(tmp_path: Path) -> None:
    async with (
        open_world(tmp_path) as world,
        home_in_browser(world, service_workers="allow") as home,
    ):
        page, seen = home.page, []
        await page.goto(f"{OWNER_ORIGIN}/#/")
        await world.tell(home.device, Motion())
        await page.wait_for_selector("[data-testid=event-motion]")
        await expect(page.locator("[data-testid=police-ask]")).to_have_count(0)
        asked = await home.ask()

        def note(request: Request) -> None:
            seen.append(urlsplit(request.url).path)

        page.on("request", note)
        await home.hear(asked)
        line = page.locator("[data-testid=police-ask]")
        await expect(line).to_contain_text("The police ask for recordings from here.")
        assert await page.evaluate(IS_AS_CALM_AS_THE_REST)  # asked at once: a row may be drawn anew
        assert (
            await page.locator(".places").inner_text()
            == "Door\nHistory\nNeighbours\nRequests\nSettings"
        )
        assert [path for path in seen if "request" in path or "release" in path] == []


async def test_nothing_is_online_while_the_relay_is_away(tmp_path: Path) -> None:
    async with (
        open_world(tmp_path) as world,
        home_in_browser(world, service_workers="allow") as home,
    ):
        page = home.page
        await page.goto(f"{OWNER_ORIGIN}/#/")
        state = page.locator("[data-testid=doorbell-state]")
        await expect(state).to_have_text("Online")
        await home.person.context.set_offline(True)
        await world.tell(home.device, Motion())
        await expect(state).to_contain_text("No contact since today")
        await expect(page.locator(".state.on")).to_have_count(0)
        await home.person.context.set_offline(False)
        await expect(state).to_have_text("Online")
        home.person.faults.clear()  # what couldn't be fetched


async def test_three_doorbells_and_the_place_where_one_is(tmp_path: Path) -> None:
    async with (
        open_world(tmp_path) as world,
        home_in_browser(world, service_workers="allow") as home,
    ):
        page = home.page
        for name in ("back", "garage"):
            await pair_another(world, page, load_or_make_keys(tmp_path / name))
        await page.goto(f"{OWNER_ORIGIN}/#/")
        await page.reload()
        doors = page.locator(".door")
        await expect(doors).to_have_count(3)
        assert await page.evaluate(WIDER_THAN_SCREEN) == []
        assert len({door["y"] for door in await page.evaluate(BOXES, ".door")}) == 1  # to be swiped
        (places,) = await page.evaluate(BOXES, ".places")
        assert places["bottom"] == PHONE["height"]
        await page.set_viewport_size({"width": 1440, "height": 900})
        lefts = {door["x"] for door in await page.evaluate(BOXES, ".door")}
        assert len(lefts) == 3
        (places,) = await page.evaluate(BOXES, ".places")
        assert places["x"] + places["width"] < min(lefts)
        for address, lit in PLACES.items():
            await page.goto(f"{OWNER_ORIGIN}/#/{address}")
            await page.wait_for_function(f"(lit) => ({LIT})() === lit", arg=lit)
        await expect(page.locator("#nowhere")).to_be_visible()
        home.person.faults.clear()  # doorbells that aren't there were asked
