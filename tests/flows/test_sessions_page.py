"""Where an owner is signed in, and a page whose code can't be fetched; in Chromium."""

import asyncio
from pathlib import Path

import pytest
from playwright.async_api import expect

from firmware.protocol.events import Pressed
from relay.people.callers import Caller
from relay.people.secrets import hash_of
from relay.people.sessions import open_session
from relay.store import reads, sessions
from relay.store.people import Account
from tests.flows.asked_home import Home, home_in_browser, set_time
from tests.flows.camera import WIDER_THAN_SCREEN
from tests.relay.http_world import OWNER_ORIGIN, World, open_world

pytestmark = pytest.mark.browser

TOKEN = """async () => (await import("/account.js")).loadAccount().token"""


async def account_of(home: Home) -> Account:
    token = await home.page.evaluate(TOKEN)
    async with home.world.database.read() as tx:
        session = await sessions.find(tx, hash_of(token), home.world.clock.wall_ms())
    assert session is not None
    return session.account


async def sign_in_elsewhere(world: World, account: Account, browser: str) -> str:
    caller = Caller(address="198.51.100.7", browser=browser)
    async with world.database.begin() as tx:
        return await open_session(tx, account, world.clock.wall_ms(), caller)


async def browsers_signed_in(world: World, account: Account) -> list[str]:
    async with world.database.read() as tx:
        found = await sessions.list_of(tx, account.id, world.clock.wall_ms())
    return [one.browser for one in found]


async def test_an_owner_signs_out_one_browser_then_all_others_then_all(tmp_path: Path) -> None:
    async with (
        open_world(tmp_path) as world,
        home_in_browser(world, service_workers="allow") as home,
    ):
        account = await account_of(home)
        for browser in ("Firefox, Windows", "", *["Safari, iPhone"] * 8):
            await sign_in_elsewhere(world, account, browser)
        page = home.page
        await page.goto(f"{OWNER_ORIGIN}/#/settings/people")
        await page.click("#where-signed-in")
        rows = page.locator("[data-testid=session]")
        await expect(rows).to_have_count(11)
        await expect(rows.first).to_contain_text("this one")
        await expect(page.locator("#signed-in h2")).to_contain_text("Signed in at")
        await expect(page.get_by_role("heading", name="Let in by your doorbell")).to_be_visible()
        assert await page.evaluate(WIDER_THAN_SCREEN) == []
        await page.click("#signed-in summary")
        await rows.filter(has_text="Firefox, Windows").get_by_role("button").press("Enter")
        await expect(page.locator("#session-said")).to_contain_text(
            "Firefox, Windows is signed out"
        )
        await expect(rows).to_have_count(10)
        assert "Firefox, Windows" not in await browsers_signed_in(world, account)
        await page.click("#end-others")
        await expect(rows).to_have_count(1)
        await expect(page.locator("#end-others")).to_have_count(0)
        assert len(await browsers_signed_in(world, account)) == 1
        await sign_in_elsewhere(world, account, "Opera, Linux")
        await page.click("#end-everywhere")
        await expect(page.locator("#sign-in")).to_be_visible()
        assert await browsers_signed_in(world, account) == []


async def ring_again_and_again(world: World, device: str) -> None:
    """Ring until cancelled: a page hears of no ring before its stream stands."""
    while True:
        await world.tell(device, Pressed())
        await asyncio.sleep(1.0)


async def test_who_was_signed_out_elsewhere_is_told_why_and_what_to_do(tmp_path: Path) -> None:
    async with (
        open_world(tmp_path) as world,
        home_in_browser(world, service_workers="allow") as home,
    ):
        page, why = home.page, home.page.locator("#why-signed-out")

        async def is_signed_out(reason: str, words: str) -> None:
            await page.goto(f"{OWNER_ORIGIN}/#/settings/people")  # by which it hears of it
            await expect(why).to_have_attribute("data-why", reason)
            await expect(why).to_contain_text("Ada was signed out here")
            await expect(why).to_contain_text(words)
            assert await page.evaluate(WIDER_THAN_SCREEN) == []
            await page.reload()
            await expect(why).to_contain_text(words)  # still

        async def sign_in() -> None:
            await page.click("#sign-in")
            await page.wait_for_selector("#see")
            await page.click("#sign-out")
            await expect(page.locator("#sign-in")).to_be_visible()
            await expect(why).to_have_count(0)  # who signs out by themselves knows why
            await page.click("#sign-in")
            await page.wait_for_selector("#see")

        account = await account_of(home)
        world.clock.advance(31 * 24 * 3600)
        await set_time(page, world)
        await is_signed_out("over", "You were signed in for 30 days")
        await sign_in()
        await page.evaluate("() => { location.hash = '#/settings'; }")
        await page.wait_for_selector("#settings-people")
        async with asyncio.timeout(60), asyncio.TaskGroup() as group:
            ringing = group.create_task(ring_again_and_again(world, home.device), name="ringing")
            await expect(page.locator(".toast")).to_contain_text("Somebody is at the door")
            ringing.cancel()
        async with world.database.begin() as tx:
            await sessions.end_all(tx, account.id)
        await is_signed_out("elsewhere", "another of your phones, or by whoever runs the relay")
        await expect(page.locator(".toast")).to_have_count(0)
        await sign_in()
        async with world.database.begin() as tx:
            await reads.suspend_account(tx, account.id, world.clock.wall_ms())
        await is_signed_out("elsewhere", "by whoever runs the relay")
        await page.click("#sign-in")
        await expect(page.locator("main .warning")).to_contain_text("This account is suspended")
        home.person.faults.clear()  # what the relay refused


async def test_a_page_whose_code_cant_be_fetched_says_so_and_can_be_tried_again(
    tmp_path: Path,
) -> None:
    async with (
        open_world(tmp_path) as world,
        home_in_browser(world, service_workers="block") as home,
    ):
        page = home.page
        await page.goto(f"{OWNER_ORIGIN}/#/")
        await page.wait_for_selector("#see")
        await home.person.context.set_offline(True)
        await page.click("nav a[href='#/history']")
        await expect(page.locator("#not-loaded")).to_be_visible()
        assert await page.evaluate(WIDER_THAN_SCREEN) == []
        await page.click("#load-again")
        await expect(page.locator("#still-not-loaded")).to_be_visible()
        await page.click("nav a[href='#/']")  # what is there already works
        await expect(page.locator("#see")).to_be_visible()
        await page.go_back()
        await expect(page.locator("#not-loaded")).to_be_visible()
        await home.person.context.set_offline(False)
        await page.click("#load-again")
        await expect(page.locator("h1")).to_have_text("History")
        assert page.url.endswith("#/history")
        await page.route("**/locales/*.json", lambda route: route.abort())
        await page.reload()
        await expect(page.locator("#no-start")).to_contain_text("The app couldn't be fetched")
        assert await page.evaluate(WIDER_THAN_SCREEN) == []
        home.person.faults.clear()  # what was asked for without a network
