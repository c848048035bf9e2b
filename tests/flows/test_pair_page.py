"""Pairing in the app, at a relay that says what it likes: the owner says what is the same."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Page, Route, expect

from firmware.enrolment.keys import DeviceKeys, load_or_make_keys
from tests.flows.browser import sit_down
from tests.flows.camera import TOO_SMALL, WIDER_THAN_SCREEN
from tests.flows.household import PHONE, app_browser
from tests.relay.http_world import OWNER_ORIGIN, open_world

pytestmark = pytest.mark.browser

REMEMBERED = "(device) => localStorage.getItem(`doorward.doorbell.${device}`)"


@dataclass
class Pairing:
    """An owner at the page, and a relay that says "paired" at the very first poll."""

    page: Page
    keys: DeviceKeys

    async def remembered(self) -> str | None:
        """Return what the browser remembers as compared."""
        found: str | None = await self.page.evaluate(REMEMBERED, self.keys.device)
        return found


@asynccontextmanager
async def hasty_relay(folder: Path) -> AsyncIterator[Pairing]:
    keys = load_or_make_keys(folder / "keys")

    async def answer(route: Route) -> None:
        path = urlsplit(route.request.url).path
        if route.request.method != "GET" or path.endswith("/pairings"):
            await route.continue_()
            return
        told = {"device": keys.device, "identity_key": keys.identity_key}
        named = {"state": "paired", "sealing_key": keys.sealing_key, **told}
        await route.fulfill(json=named, headers={"Access-Control-Allow-Origin": OWNER_ORIGIN})

    async with open_world(folder) as world, app_browser(world) as browser:
        person = await sit_down(browser, viewport=PHONE)
        page = person.page
        await page.goto(f"{OWNER_ORIGIN}/#/join?invitation={await world.invite_owner()}")
        await page.fill("#name", "Ada")
        await page.click("#add-passkey")
        await page.wait_for_url(lambda url: "#/join" not in url)
        await page.route("**/api/v1/pairings/*", answer)
        await page.goto(f"{OWNER_ORIGIN}/#/pair")
        await expect(page.locator("#words li")).to_have_count(6)
        yield Pairing(page, keys)


async def test_a_relay_that_says_paired_takes_no_word_off_the_screen(tmp_path: Path) -> None:
    async with hasty_relay(tmp_path) as at:
        words = await at.page.locator("#words li").all_inner_texts()
        await at.page.wait_for_timeout(2500)  # two more polls, if there were any
        assert await at.page.locator("#words li").all_inner_texts() == words
        assert await at.page.locator("#paired").count() == 0
        assert await at.remembered() is None
        assert await at.page.evaluate(WIDER_THAN_SCREEN) == []
        assert await at.page.evaluate(TOO_SMALL) == []


async def test_keys_count_as_compared_once_the_owner_has_said_so(tmp_path: Path) -> None:
    async with hasty_relay(tmp_path) as at:
        await at.page.click("#same-words")
        await at.page.wait_for_selector("#paired")
        remembered = await at.remembered()
        assert remembered is not None
        assert at.keys.sealing_key in remembered


async def test_who_finds_a_word_different_is_told_what_to_do_and_nothing_counts(
    tmp_path: Path,
) -> None:
    async with hasty_relay(tmp_path) as at:
        await at.page.click("#other-words")
        await expect(at.page.locator("#words-differ")).to_contain_text("choose no door number")
        await at.page.wait_for_timeout(1500)
        assert await at.page.locator("#paired").count() == 0
        assert await at.remembered() is None
