"""Every page in Chromium: WCAG 2.2 AA, phone to desktop, light and dark, English and Swedish.

Every page is looked at in one of twelve ways, by turns, so that each way has its pages. With
DOORWARD_EVERY_WAY=1 (make soak) it is in English on a phone, in the light and (its colours) in the
dark, and once more in one of the others; a page in yet another state in one of all. The lists of
pages come from the relay's routes and from the app's own table, so that a new one can't escape.
"""

import asyncio
import os
import re
from itertools import product
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Browser, Page, Response

from firmware.protocol.notes import DoorNoticeNow
from relay.web.app_server import BUNDLE
from tests.fakes.door_notices import NoticeWriter
from tests.fakes.waiting import eventually
from tests.flows.asked_home import Home, home_in_browser
from tests.flows.browser import Person, chromium, sit_down, window
from tests.flows.camera import speak
from tests.flows.every_page import House, names_of
from tests.flows.every_page import Page as PageAddress
from tests.flows.full_house import empty_house, full_house
from tests.flows.household import PHONE
from tests.flows.page_quality import LOADED, Inspector
from tests.flows.serving_pages import relay_browser
from tests.relay.door_notices import take_in
from tests.relay.feed_people import DISTRICT, member, published_post
from tests.relay.http_world import OWNER_ORIGIN, RELAY_URL, open_world
from tests.story.settings import REPOSITORY

pytestmark = pytest.mark.browser

Language = Literal["en", "sv"]
Theme = Literal["light", "dark"]
Way = tuple[Language, int, Theme]

LANGUAGES: tuple[Language, ...] = ("en", "sv")
THEMES: tuple[Theme, ...] = ("light", "dark")
WAYS: tuple[Way, ...] = tuple(product(LANGUAGES, (360, 768, 1280), THEMES))
"""English on a phone in the light comes first."""
IS_EVERY_WAY = bool(os.environ.get("DOORWARD_EVERY_WAY"))
ANOTHER = re.compile(r"-\d+$")
"""How names_of marks a page of a kind that was seen already."""
BAD_PAGE = """<title>Bad</title><h1>Bad</h1><img src="data:,">
<p style="color: #ddd; background: #fff; width: 500px">Nobody reads this.</p>
<button style="height: 9px; padding: 0">a</button><button style="height: 9px; padding: 0">b</button>
"""
REFUSED = "Failed to load resource"
"""What a console says of a page that refuses, as it should: its status is looked at there."""
AT_ONCE = 2
JOIN_DISTRICT = """async ([relay, district]) => {
  const { Relay } = await import("/api.js");
  const { loadAccount } = await import("/account.js");
  const client = new Relay(relay);
  client.token = loadAccount().token;
  await client.put("feed/membership", { district });
}"""
NAMES_NO_ZONE = """() => document.querySelector("time[data-ms], [data-from-ms]") !== null
  && !document.getElementById("zone").innerText.includes("UTC")"""


def inspector_of(house: House) -> Inspector:
    async def load(address: str) -> bytes:
        return (await house.people["guest"].get(address)).content

    return Inspector(load)


async def inspect(house: House, browser: Browser, pages: list[PageAddress]) -> Inspector:
    """Look at every page in each of its ways."""
    inspector = inspector_of(house)
    waiting = list(enumerate(zip(pages, names_of(house, pages), strict=True)))[::-1]

    async def work() -> None:
        people: dict[str, Person] = {}
        while waiting:
            number, ((who, path), name) = waiting.pop()
            if who not in people:
                people[who] = await sit_down(browser, viewport=PHONE, reduced_motion="reduce")
                await people[who].context.add_cookies(house.cookies(who))  # type: ignore[arg-type]
            await look_at(inspector, people[who], name, path, number)

    async with asyncio.TaskGroup() as tasks:
        for number in range(AT_ONCE):
            tasks.create_task(work(), name=f"looking {number}")
    return inspector


async def look_at(inspector: Inspector, person: Person, name: str, path: str, number: int) -> None:
    page = person.page
    is_in_all = IS_EVERY_WAY and ANOTHER.search(name) is None
    way = WAYS[0] if is_in_all else way_of(number)
    answer = await see(page, path, way)
    assert answer is not None
    inspector.check_policy(name, answer)
    await inspector.weigh(name, answer, await page.evaluate(LOADED))
    await inspector.look(page, name, told(way))
    inspector.found += [f"{name} names no zone"] if await page.evaluate(NAMES_NO_ZONE) else []
    if is_in_all:
        await page.emulate_media(color_scheme="dark")
        await inspector.look(page, name, "en 360 dark (colours)", colours_only=True)
        way = another_way(number)
        await see(page, path, way)
        await inspector.look(page, name, told(way))
    said = [fault for fault in person.faults if REFUSED not in fault or answer.ok]
    inspector.found += [f"{name}, console: {fault}" for fault in said]
    person.faults.clear()


def way_of(number: int) -> Way:
    return WAYS[number % len(WAYS)]


def another_way(number: int) -> Way:
    return WAYS[1 + number % len(WAYS[1:])]


async def see(page: Page, path: str, way: Way) -> Response | None:
    """Open a page in one of the ways."""
    language, width, theme = way
    await page.set_viewport_size({"width": width, "height": 800})
    await page.emulate_media(color_scheme=theme)
    return await page.goto(f"{RELAY_URL}{path}{'&' if '?' in path else '?'}lang={language}")


def told(way: Way) -> str:
    return " ".join(str(part) for part in way)


async def test_every_page_of_a_full_relay(tmp_path: Path) -> None:
    async with full_house(tmp_path) as house, relay_browser(house) as browser:
        pages = await house.pages()
        inspector = await inspect(house, browser, pages)
        print(f"{len(pages)} pages of a full relay; {inspector.told()}")
        assert inspector.found == []


async def test_every_page_of_an_empty_relay(tmp_path: Path) -> None:
    async with empty_house(tmp_path) as house, relay_browser(house) as browser:
        pages = await house.plain_pages()
        inspector = await inspect(house, browser, pages)
        print(f"{len(pages)} pages of an empty relay; {inspector.told()}")
        assert inspector.found == []


def views_of_the_app() -> list[str]:
    """Return the names in the app's table of views."""
    source = (REPOSITORY / "relay" / "owner_app" / "routes.js").read_text()
    table = source.partition("const ROUTES = {")[2].partition("};")[0]
    return re.findall(r'^  "?([\w/]*)"?: \{ load', table, re.MULTILINE)


async def addresses_of(home: Home) -> list[str]:
    """Return an address for every view, with something in it."""
    asked = await home.ask()
    await home.hear(asked, is_example=True)
    clip = await home.visitor()
    behind = {
        "clip": f"history/{home.device}/{clip.clip_id}",
        "release": f"requests/{asked.id}",
        "join": "join?invitation=used",
        "identity": f"identity/{home.device}",
        "notice": f"notice/{home.device}",
    }
    await put_up_notice(home)
    await join_neighbours(home)
    short = [f"settings/camera/{home.device}/notice"]
    return [*(behind.get(name, name) for name in views_of_the_app()), *short]


async def join_neighbours(home: Home) -> None:
    """Let the owner be a member of a district in which there are posts."""
    await published_post(await member(home.world, "Ben"))
    await home.page.evaluate(JOIN_DISTRICT, [RELAY_URL, DISTRICT])


async def put_up_notice(home: Home) -> None:
    """Let the doorbell have a notice for passers-by."""
    writer = NoticeWriter()
    await take_in(home.world, home.device, writer.tell)
    await home.tell(DoorNoticeNow(notice_id=writer.notice_id, since_ms=home.world.clock.wall_ms()))


async def load_from_bundle(address: str) -> bytes:
    return (BUNDLE / urlsplit(address).path.lstrip("/")).read_bytes()


TELLS_WHEN_SHOWN = """new MutationObserver((_, observer) => {
  if (document.querySelector("SHOWN") === null) return;
  observer.disconnect();
  window.tellShown("");
}).observe(document, { childList: true, subtree: true });"""


async def weigh_the_app(inspector: Inspector, page: Page, shown: str) -> None:
    """Weigh what the owner's app fetches until its first page shows what it is for.

    Both are told by one session of the browser's protocol, in order: a busy machine that takes
    them late weighs the same.
    """
    asked: list[str] = []
    before: list[str] = []
    session = await page.context.new_cdp_session(page)
    session.on("Network.requestWillBeSent", lambda sent: asked.append(sent["request"]["url"]))
    session.on("Runtime.bindingCalled", lambda _: before.extend(asked))
    await session.send("Network.enable")
    await session.send("Runtime.enable")
    await session.send("Runtime.addBinding", {"name": "tellShown"})
    await page.add_init_script(TELLS_WHEN_SHOWN.replace("SHOWN", shown))
    answer = await page.goto(f"{OWNER_ORIGIN}/")
    assert answer is not None
    inspector.check_policy(f"owner {shown}", answer)
    await page.wait_for_selector(shown)
    await eventually(lambda: bool(before))
    assert any("/locales/" in address for address in before)
    await session.detach()
    await inspector.weigh(f"owner {shown}", answer, before)


def browser_of(page: Page) -> Browser:
    browser = page.context.browser
    assert browser is not None
    return browser


async def test_every_view_of_the_owners_app(tmp_path: Path) -> None:
    async with (
        open_world(tmp_path) as world,
        home_in_browser(world, service_workers="allow") as home,
    ):
        addresses = await addresses_of(home)
        assert len(addresses) > 15
        inspector, page = Inspector(load_from_bundle), home.page
        await weigh_the_app(inspector, page, "#see")
        another = await window(browser_of(page), locale="sv-SE")
        await weigh_the_app(inspector, another, "#sign-in")
        await another.context.close()
        for number, address in enumerate(addresses):
            ways = (WAYS[0], another_way(number)) if IS_EVERY_WAY else (way_of(number),)
            for language, width, theme in ways:
                await page.set_viewport_size({"width": width, "height": 800})
                await page.emulate_media(color_scheme=theme, reduced_motion="reduce")
                await page.goto(f"{OWNER_ORIGIN}/#/{address}")
                await speak(page, language)
                await inspector.look(page, f"owner #/{address}", f"{language} {width} {theme}")
        home.person.faults.clear()  # a doorbell that isn't there was asked for pictures
        print(f"{len(addresses)} views of the owner's app; {inspector.told()}")
        assert not inspector.found, "\n".join(inspector.found)


async def test_what_is_wrong_is_found() -> None:
    """Else the tests above would prove nothing."""
    async with chromium() as browser:
        page = (await sit_down(browser, viewport=PHONE)).page
        await page.set_content(BAD_PAGE)
        inspector = Inspector(load_from_bundle)
        await inspector.look(page, "bad", "en")
        inspector.check_policy("bad", None)
        found = "\n".join(inspector.found)
        for fault in (
            *("image-alt", "color-contrast", "html-has-lang", "target-size"),
            *("scrolls sideways", "hard to hit", "content-security-policy"),
        ):
            assert fault in found, fault
