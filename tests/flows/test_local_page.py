"""The doorbell's own page in Chromium: every kind of statement, and the ways through them.

The page is the real one, on a doorbell that says what the test wants.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace

import pytest
import pytest_asyncio
from playwright.async_api import Page, expect

from firmware.local_page.texts import LANGUAGES
from firmware.local_page.views import SettingsView
from tests.fakes.local_page import DIGEST, NUMBER, OTHERS, asking
from tests.fakes.waiting import eventually
from tests.flows.asking_doors import (
    GRANTS,
    KNOCKS,
    RELEASES,
    WAITING,
    AskingDoorbell,
    asking_door,
)
from tests.flows.browser import IN_ONE_BROWSER, chromium, sit_down
from tests.flows.camera import STYLED, TOO_SMALL, WIDER_THAN_SCREEN
from tests.flows.people import PLAYS

pytestmark = list(IN_ONE_BROWSER)

NARROW = {"width": 360, "height": 740}


@dataclass
class AtHome:
    """Somebody in the home with a telephone, and the doorbell whose page they open."""

    bell: AskingDoorbell
    page: Page
    address: str
    faults: list[str]

    async def unlock(self, path: str = "/confirm") -> None:
        await self.page.goto(self.address + path)
        await self.page.fill("[name=door_number]", NUMBER)
        await self.page.click("form button")
        await self.page.wait_for_selector("form[action$='/lock']")
        await self.page.evaluate(STYLED)

    async def is_in_good_shape(self) -> None:
        assert await self.page.evaluate(WIDER_THAN_SCREEN) == []
        assert await self.page.evaluate(TOO_SMALL) == []


@pytest_asyncio.fixture(loop_scope="module")
async def home() -> AsyncIterator[AtHome]:
    async with asking_door() as (bell, address), chromium() as browser:
        person = await sit_down(browser, viewport=NARROW)
        yield AtHome(bell, person.page, address, person.faults)


@pytest.mark.parametrize("language", LANGUAGES)
async def test_every_kind_of_statement_fits_a_telephone(home: AtHome, language: str) -> None:
    await home.unlock()
    for name, waits in WAITING.items():
        home.bell.waits = waits
        await home.page.goto(f"{home.address}/confirm?lang={language}")
        await expect(home.page.locator("h1")).to_have_count(max(1, len(waits)))
        await home.is_in_good_shape()
        shown = await home.page.inner_text("main")
        assert "{" not in shown, name
    assert home.faults == []


@pytest.mark.parametrize("language", LANGUAGES)
async def test_every_step_of_a_release_and_of_the_knock_fits_a_telephone(
    home: AtHome, language: str
) -> None:
    await home.unlock()
    for release in RELEASES.values():
        home.bell.releases = [release]
        await home.page.goto(f"{home.address}/releases/{DIGEST}?lang={language}")
        await home.is_in_good_shape()
    for knock in KNOCKS.values():
        home.bell.hand = knock
        await home.page.goto(f"{home.address}/knock?lang={language}")
        await home.is_in_good_shape()
    assert home.faults == []


async def test_what_would_leave_is_played_and_then_followed_until_it_is_sent(
    home: AtHome,
) -> None:
    home.bell.waits = WAITING["grant-full"]
    await home.unlock()
    videos = home.page.locator("video")
    await expect(videos).to_have_count(2)
    assert (await videos.nth(1).evaluate(PLAYS))["at"] >= 0.5
    home.bell.releases = [RELEASES["logging"]]
    home.bell.waits = []
    home.bell.waits = [asking(GRANTS["grant-full"])]
    await home.page.click(f"form[action='/confirm/{DIGEST}'] button")
    await expect(home.page.locator("h1")).to_have_text("Waiting for the public log")
    home.bell.releases = [RELEASES["sending"]]
    await expect(home.page.locator("h1")).to_contain_text("on its way")
    home.bell.releases = [RELEASES["sent"]]
    await expect(home.page.locator("h1")).to_have_text("Sent to Lakeland Police")
    assert home.bell.told == [f"confirm {DIGEST}"]


@pytest.mark.parametrize(("width", "height"), [(1280, 720), (720, 1280), (640, 480)])
async def test_masks_are_drawn_in_the_shape_of_the_shown_picture(
    home: AtHome, width: int, height: int
) -> None:
    (asked,) = (one for one in OTHERS if isinstance(one, SettingsView))
    home.bell.waits = [asking(replace(asked, picture_size=(width, height)))]
    await home.unlock()
    drawing = home.page.locator(".masks svg")
    box = await drawing.bounding_box()
    assert box is not None
    assert box["height"] / box["width"] == pytest.approx(height / width, rel=0.03)
    rows = 1600 * height / width
    points = await home.page.locator("polygon.removed").get_attribute("points")
    assert points is not None
    corners = [tuple(map(float, corner.split(","))) for corner in points.split()]
    assert corners[2] == pytest.approx((0.33 * 1600, rows), abs=1)
    await home.is_in_good_shape()


async def test_both_answers_weigh_the_same_and_neither_is_first_in_focus(home: AtHome) -> None:
    home.bell.waits = WAITING["grant"]
    await home.unlock()
    buttons = home.page.locator(".choice button")
    no, yes = [await buttons.nth(number).bounding_box() for number in (0, 1)]
    looks = [
        await buttons.nth(number).evaluate(
            "b => [getComputedStyle(b).backgroundColor, getComputedStyle(b).color, b.autofocus]"
        )
        for number in (0, 1)
    ]
    assert no is not None
    assert yes is not None
    assert (no["width"], no["height"]) == (yes["width"], yes["height"])
    assert looks[0] == looks[1]


async def test_what_cannot_be_given_offers_no_release(home: AtHome) -> None:
    home.bell.waits = WAITING["grant-impossible"]
    await home.unlock()
    await expect(home.page.locator("main")).to_contain_text("Choose again in the owner's app")
    await expect(home.page.locator("form[action^='/confirm/']")).to_have_count(0)
    await home.page.click(".choice button")
    await eventually(lambda: home.bell.told == [f"refuse {DIGEST}"])


async def test_a_refusal_says_why(home: AtHome) -> None:
    home.bell.waits = WAITING["grant"]
    home.bell.stays_as_it_is()
    await home.unlock()
    await home.page.click(f"form[action='/confirm/{DIGEST}'] button")
    await expect(home.page.locator("[role=alert]")).to_contain_text("the clock isn't trusted")


async def test_a_pattern_is_chosen_by_keyboard_and_switched_off(home: AtHome) -> None:
    await home.unlock("/knock")
    await expect(home.page.locator("h1")).to_have_text("The knock is off")
    for number, kind in enumerate(("short", "long", "short"), start=1):
        radio = home.page.locator(f"[name=press_{number}][value={kind}]")
        await radio.focus()
        await home.page.keyboard.press("Space")
    await home.page.keyboard.press("Enter")
    await expect(home.page.locator("[role=status]")).to_contain_text("counts from now on")
    await expect(home.page.locator("h1")).to_have_text("The knock is on")
    await home.page.click("form[action='/knock/off'] button")
    await expect(home.page.locator("h1")).to_have_text("The knock is off")
    assert home.bell.told == ["knock short long short", "knock off"]


async def test_presses_all_alike_are_refused_with_words(home: AtHome) -> None:
    await home.unlock("/knock")
    for number in (1, 2, 3):
        await home.page.check(f"[name=press_{number}][value=short]", force=True)
    await home.page.click("form[action='/knock/pattern'] button")
    await expect(home.page.locator("[role=alert]")).to_contain_text("impatient visitor")
    assert home.bell.told == []


async def test_how_a_knock_ended_is_told_only_to_who_knows_the_door_number(home: AtHome) -> None:
    home.bell.hand = replace(KNOCKS["locked"])
    await home.page.goto(f"{home.address}/knock")
    locked = await home.page.inner_text("main")
    await home.unlock("/knock")
    await expect(home.page.locator("main")).to_contain_text("wrong for the third time")
    assert "wrong" not in locked
    assert "The knock is" not in locked


async def test_the_page_stays_fresh_and_tells_a_screen_reader_only_what_is_new(
    home: AtHome,
) -> None:
    home.bell.waits = []
    await home.unlock()
    await home.page.goto(f"{home.address}/confirm")
    await home.page.evaluate("window.isTheSame = true")
    home.bell.waits = [asking(OTHERS[1])]
    await expect(home.page.locator("article")).to_have_count(1)
    heading = await home.page.inner_text("h1")
    await expect(home.page.locator("#fresh-told")).to_contain_text(heading)
    assert await home.page.evaluate("window.isTheSame") is True
    await expect(home.page.locator("[data-fresh-s]")).to_have_count(0)
    assert home.faults == []


async def test_the_page_says_when_the_doorbell_answers_no_more(home: AtHome) -> None:
    home.bell.releases = [RELEASES["logging"]]
    await home.unlock()
    await home.page.goto(f"{home.address}/releases/{DIGEST}")
    await home.page.context.set_offline(True)
    await expect(home.page.locator("#fresh-told")).to_contain_text("doesn't answer just now")
    await expect(home.page.locator("h1")).to_be_visible()
