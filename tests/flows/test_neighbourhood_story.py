"""A neighbourhood's story in Chromium on one relay: a parcel is taken, and months later a doorbell
is given away. Post, moderation, map and record are seen at the pages that people have of them.
"""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import h3
import pytest
from playwright.async_api import Browser, Page, expect

from firmware.protocol.encoding import new_id, sha256_hex
from firmware.protocol.events import Paired
from relay.credit.bookings import Bookings
from relay.credit.distribution import Distribution
from relay.credit.ledger import DOORBELL_CENTS
from relay.credit.recipients import Recipient, RecipientList
from relay.heatmap.publication import LEAST_HOUSEHOLDS
from relay.map.address_counts import AddressCounts
from tests.fakes.sequenced_entries import place_entries
from tests.fakes.town_clock import WindingClock
from tests.flows.browser import Person, loading, pictured_on_failure, sit_down, window
from tests.flows.household import PHONE, app_browser, go, pair
from tests.flows.test_neighbours_page import (
    TEXT,
    answer_until_pictures,
    join_district,
    picture_file,
    send,
    uploaded,
)
from tests.flows.test_request_pages import join, state_of, write
from tests.relay.credit_people import CODE, campaign, owners_for_30_days
from tests.relay.feed_people import CELL
from tests.relay.http_world import DAY_MS, HOUR_MS, OWNER_ORIGIN, RELAY_URL, World, open_world
from tests.relay.register_town import NAME
from tests.relay.theft_map import households_report, publish

pytestmark = pytest.mark.browser

NEXT_CELL = sorted(set(h3.grid_ring(CELL, 1)))[0]
"""Beside the parcel's: one household too few reports there."""
ADDRESSES = AddressCounts({CELL: 2140, NEXT_CELL: 1800})
SIGN_UPS = 13
MONTH_S = 31 * DAY_MS / 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbourhood:
    """A relay, and a browser that reaches its pages and the owner's app."""

    world: World
    browser: Browser
    clock: WindingClock

    async def member(self, name: str) -> Person:
        """Let somebody join with the app, and choose the district."""
        person = await sit_down(self.browser, viewport=PHONE)
        invitation = await self.world.invite_owner()
        await person.page.goto(f"{OWNER_ORIGIN}/#/join?invitation={invitation}")
        await person.page.fill("#name", name)
        await person.page.click("#add-passkey")
        await person.page.wait_for_url(lambda url: "#/join" not in url)
        await join_district(person.page)
        return person

    async def moderator(self) -> Person:
        """Let somebody join the administrators."""
        person = await sit_down(self.browser)
        invitation = await self.world.invite_admin()
        await person.page.goto(f"{RELAY_URL}/admin/join?invitation={invitation}")
        await person.page.fill("#name", "Mia Sund")
        await person.page.click("#add-passkey")
        async with loading(person.page):
            await person.page.click("#joined:not([hidden]) a")
        return person


@asynccontextmanager
async def neighbourhood(folder: Path) -> AsyncIterator[Neighbourhood]:
    """Open a relay whose two origins a browser takes for secure ones."""
    secure = f"--unsafely-treat-insecure-origin-as-secure={OWNER_ORIGIN},{RELAY_URL}"
    clock = WindingClock(folder / "town-clock.json", log=NAME)
    clock.machine.set_wall_ms(time.time_ns() // 1_000_000)  # the browser's own
    async with open_world(folder, clock=clock) as world, app_browser(world, secure) as browser:
        async with pictured_on_failure(browser, folder):
            yield Neighbourhood(world=world, browser=browser, clock=clock)


async def test_a_taken_parcel_ends_with_a_given_doorbell(tmp_path: Path) -> None:
    async with neighbourhood(tmp_path) as there:
        world = there.world
        author, reader = [await there.member(name) for name in ("Ada", "Ben")]
        moderator = await there.moderator()
        await write_post(world, author.page)
        await let_through(moderator.page)
        await nobody_reads_it_before_the_hour_is_over(world, reader.page)
        await read_post(world, reader.page)
        await report_theft(reader.page)
        public = await window(there.browser)
        await see_the_month_on_the_map(world, public)
        await see_the_record_change(there, moderator, public)
        await give_a_doorbell_away(there, reader, public)
        for person in (author, reader, moderator):
            assert [fault for fault in person.faults if "401" not in fault] == []


async def write_post(world: World, page: Page) -> None:
    """Write of the parcel, with a picture of which the middle is painted over."""
    await answer_until_pictures(page)
    await page.set_input_files("#picture-file", picture_file("white"))
    await expect(page.locator("#use-picture")).to_be_enabled()
    await page.click("#add-part")
    await page.click("#use-picture")
    await expect(page.locator("#chosen-pictures img")).to_have_count(1)
    await send(page)
    (picture,) = await uploaded(world)
    dark, light = picture.convert("L").getextrema()
    assert (dark, light) == (0, 255)


async def let_through(page: Page) -> None:
    """Read the post with its picture, and publish it."""
    await page.goto(f"{RELAY_URL}/admin/feed")
    async with loading(page):
        await page.click("#queue a")
    await expect(page.locator("#text")).to_have_text(TEXT)
    await expect(page.locator("main img")).to_have_count(1)
    await page.click("#publish")
    await expect(page.locator("#done")).to_be_visible()


async def nobody_reads_it_before_the_hour_is_over(world: World, page: Page) -> None:
    await go(page, "neighbours")
    await expect(page.locator("#neighbours-state, .empty").first).to_be_visible()
    await expect(page.locator("[data-post]")).to_have_count(0)
    world.clock.advance(HOUR_MS / 1000)


async def read_post(world: World, page: Page) -> None:
    """See it in the app of somebody else, with its picture."""
    await page.reload()
    post = page.locator("[data-post]")
    await expect(post).to_have_count(1)
    await expect(post).to_contain_text(TEXT)
    await expect(post.locator("img")).to_have_count(1)


async def report_theft(page: Page) -> None:
    """Report to the theft map what was taken from oneself."""
    await page.click("#to-theft")
    lat, lon = h3.cell_to_latlng(CELL)
    await page.fill("#place-typed", f"{lat:.5f}, {lon:.5f}")
    await page.locator("#place-typed").press("Enter")
    await expect(page.locator("#place-found")).to_contain_text("1 km")
    await page.click("#theft-report")
    row = page.locator("[data-testid=theft-report]")
    await expect(row).to_have_attribute("data-cell", CELL)


async def see_the_month_on_the_map(world: World, page: Page) -> None:
    """Of two cells only the one with enough households is shown, once the 8th has come."""
    await households_report(world, CELL, LEAST_HOUSEHOLDS - 1)  # and the reader
    await households_report(world, NEXT_CELL, LEAST_HOUSEHOLDS - 1)
    await page.goto(f"{RELAY_URL}/theft-map")
    await expect(page.locator("#theft-cells tbody tr")).to_have_count(0)
    month = await publish(world, ADDRESSES)
    await page.reload()
    await expect(page.locator("#theft-cells tbody tr")).to_have_count(1)
    await expect(page.locator(".theft-map")).to_be_visible()
    edition = (await world.browser().get("/theft-map.json")).json()
    assert edition["month"] == month
    shown = {cell for band in edition["layers"][0]["bands"] for cell in band["cells"]}
    assert shown == {CELL}


async def lately(page: Page) -> str:
    """Return what the first page says of what happened lately."""
    await page.goto(RELAY_URL)
    return await page.inner_text("#lately")


async def see_the_record_change(there: Neighbourhood, moderator: Person, page: Page) -> None:
    """An agency asks, and says what came of it: the first page and the table of trends tell."""
    world = there.world
    assert "no agency published a request" in await lately(page)
    berg = await join(world, there.browser, "Officer Berg", days=30)
    dahl = await join(world, there.browser, "Officer Dahl", days=30)
    address = await ask_for_recordings(there, berg.page, dahl.page)
    await pass_on(moderator.page)
    await world.publishing.publish_due()
    assert "one agency asked owners once" in await lately(page)
    there.clock.advance(15 * DAY_MS / 1000)
    await say_what_came_of_it(berg.page)
    await place_entries(world.database, world.clock)
    await page.goto(f"{RELAY_URL}/trends")
    not_used = page.locator("#months tbody td:last-child")
    assert sum(int(text) for text in await not_used.all_inner_texts()) == 1
    await page.goto(address.replace("/agency/requests/", "/requests/"))
    await expect(page.locator("main")).to_contain_text("LP-1")
    assert berg.faults == dahl.faults == []


async def ask_for_recordings(there: Neighbourhood, officer: Page, colleague: Page) -> str:
    """Write and sign a request at one desk, and co-sign it at another; return its address."""
    await write(officer, ahead_ms=there.clock.town.offset_ms())
    await officer.click("#publish")
    await officer.wait_for_url(lambda url: not url.endswith("/new"))
    address = officer.url.split("?", maxsplit=1)[0]
    await colleague.goto(f"{RELAY_URL}/agency")
    await colleague.click("#to-cosign a")
    await colleague.click("#cosign")
    await state_of(colleague, "moderation")
    return address


async def pass_on(page: Page) -> None:
    """Sign in anew, weeks later, read the request, and let it through."""
    await page.goto(f"{RELAY_URL}/admin")
    await page.click("#sign-in")
    await page.click("#queue a")
    await page.click("#pass")
    await expect(page.locator("#done")).to_be_visible()


async def say_what_came_of_it(page: Page) -> None:
    """Sign in anew, follow the line of what is due, and file the outcome."""
    await page.goto(f"{RELAY_URL}/agency")
    async with loading(page):
        await page.click("#sign-in")
    async with loading(page):
        await page.click("[data-duty=outcome] a")
    await page.check('[value="not_used"]')
    await page.click("#file")
    await state_of(page, "filed")


async def give_a_doorbell_away(there: Neighbourhood, reader: Person, page: Page) -> None:
    """Thirteen owners hand a partner's code in; a doorbell is drawn for, and its receipt public."""
    world = there.world
    await campaign(world.database, world.clock, budget=2 * DOORBELL_CENTS)
    await pair_anew(world, reader.page)
    owners = await owners_for_30_days(world, [f"Owner {number}" for number in range(1, SIGN_UPS)])
    for owner, _ in owners:
        answer = await owner.post("/credits/sign-up", {"code": CODE})
        assert answer.status_code == 204, answer.text
    await hand_in_code(reader.page)
    assert await balances(page) == ("$0", "$0", "0")
    there.clock.advance(4 * MONTH_S)
    assert await Bookings(world.database, world.clock).post_due() == 1
    assert await balances(page) == ("$0", "$130", "0")
    distribution = Distribution(world.database, world.clock)
    for name in ("spring", "later"):  # the draw is by a checkpoint that came after the list
        numbers = [Recipient(number=number) for number in range(1, 9)]
        listed = RecipientList(
            name=name, partner="warm-homes", by="lot", doorbells=1, recipients=numbers
        )
        await distribution.publish(listed)
        await place_entries(world.database, world.clock)
    (drawn,) = await distribution.draw("spring")
    kept: list[str] = []
    await distribution.issue("spring", drawn, kept.append)
    assert await balances(page) == ("$0", "$0", "1")
    await page.click("a[href='/credits/ledger']")
    newest = page.locator("#ledger tbody tr").first
    await expect(newest.locator(".digest")).to_have_text(sha256_hex(kept[0].encode()))
    await expect(newest.locator("[data-account=credit]")).to_contain_text("−\u2060$130")
    await expect(newest.locator("[data-account=doorbells]")).to_contain_text("$130")
    await page.goto(f"{RELAY_URL}/credits")
    await page.click("a[href='/credits/recipients/spring']")
    await expect(page.locator("main")).to_contain_text(str(drawn))


async def sign_in(page: Page) -> None:
    """Open the app weeks later, and sign in anew."""
    await page.goto(f"{OWNER_ORIGIN}/#/")
    await page.reload()
    await page.click("#sign-in")
    await page.wait_for_selector("#sign-in", state="detached")


async def pair_anew(world: World, page: Page) -> None:
    """Pair a doorbell, which tells when that was."""
    await sign_in(page)
    device = await world.enrol()
    owner = await pair(world, device, page)
    paired = Paired(pairing_id=new_id(), credential_id=owner.passkey.credential_id)
    await world.tell(device, paired)


async def hand_in_code(page: Page) -> None:
    """Hand the partner's code in, a month later."""
    await sign_in(page)
    await go(page, "credits")
    await page.fill("#credit-code", CODE)
    await page.click("#credit-send")
    await page.wait_for_selector("#credit-counted")


async def balances(page: Page) -> tuple[str, ...]:
    """Return the operator's pot, the booked sign-ups, and how many doorbells were given away."""
    await page.goto(f"{RELAY_URL}/credits")
    return tuple(await page.locator("#balances td").all_inner_texts())
