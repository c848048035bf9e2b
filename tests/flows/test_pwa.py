"""The owner's app, installed: in Chromium, without a network, and when there is a newer one."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Page, expect

from firmware.protocol.events import Pressed
from relay.web.app_server import build_app_server
from tests.flows.browser import chromium, window
from tests.flows.camera import WIDER_THAN_SCREEN
from tests.flows.household import SNAPSHOT, until_kept
from tests.flows.live_session import Visit, visiting
from tests.flows.phone import IS_INSTALLED, copy_of_the_app, list_anew, until
from tests.flows.serving import serving
from tests.relay.http_world import OWNER_ORIGIN, RELAY_URL

pytestmark = pytest.mark.browser

SIZE_OF = """async (src) => {
  const image = new Image();
  image.src = src;
  await image.decode();
  return image.naturalWidth;
}"""
KEEPS_ONLY = """(kind) => new Promise((resolve) => {
  indexedDB.open("doorward").onsuccess = ({ target: { result } }) => {
    const all = result.transaction("keys").objectStore("keys").getAllKeys();
    all.onsuccess = () => {
      const kinds = new Set(all.result.map((key) => key.split(":")[0]));
      resolve(kinds.size === 1 && kinds.has(kind));
    };
  };
})"""
IS_NEWER = "() => getComputedStyle(document.body).getPropertyValue('--newer') === 'yes'"
BECOMES = """async () => {
  // The app has registered it as well: what it installs may have gone by now.
  const options = { type: "module" };
  let installing = null;
  while (!installing) {
    const found = await navigator.serviceWorker.register("./sw.js", options);
    if (found.active) return found.active.state;
    installing = found.installing;
  }
  await new Promise((resolve) => installing.addEventListener("statechange", resolve));
  return installing.state;
}"""


async def open_twice(page: Page, origin: str = OWNER_ORIGIN) -> None:
    """Open the app until its worker serves it."""
    await page.goto(f"{origin}/#/")
    await until(page, IS_INSTALLED)
    await page.reload()
    assert await page.evaluate("navigator.serviceWorker.controller !== null")


@asynccontextmanager
async def installing(folder: Path) -> AsyncIterator[Visit]:
    """An owner joined and paired, in an app that is listed as it is."""
    async with visiting(folder, bundle=await copy_of_the_app(folder)) as at:
        yield at


async def test_chromium_finds_nothing_that_keeps_it_from_being_installed(tmp_path: Path) -> None:
    async with installing(tmp_path) as at:
        await open_twice(at.page)
        devtools = await at.person.context.new_cdp_session(at.page)
        found = await devtools.send("Page.getAppManifest")
        assert found["errors"] == []
        manifest = json.loads(found["data"])
        for icon in manifest["icons"]:
            size = await at.page.evaluate(SIZE_OF, icon["src"])
            assert icon["sizes"] in ("any", f"{size}x{size}"), icon
        faults = (await devtools.send("Page.getInstallabilityErrors"))["installabilityErrors"]
        # A window of a test is "incognito", where nothing is ever installed.
        assert [fault["errorId"] for fault in faults] in ([], ["in-incognito"])


async def test_opens_without_a_network_and_says_from_when_is_what_it_shows(tmp_path: Path) -> None:
    async with installing(tmp_path) as at:
        rang = await at.world.tell(at.device, Pressed())
        await open_twice(at.page)
        await at.page.wait_for_selector("[data-testid=event-pressed]")
        await until_kept(at.page, at.owner, SNAPSHOT, rang.id)
        await at.person.context.set_offline(True)
        await at.page.reload()
        await expect(at.page.locator("[data-testid=event-pressed]")).to_be_visible()
        await expect(at.page.locator("[data-testid=doorbell-state]")).to_contain_text(
            "No contact yet. Last known:"
        )
        await expect(at.page.locator("#banner")).to_contain_text("What you see may be old")
        assert await at.page.evaluate(WIDER_THAN_SCREEN) == []
        await at.person.context.set_offline(False)
        await expect(at.page.locator("[data-testid=doorbell-state]")).to_have_text("Online")


async def test_what_it_knew_is_forgotten_with_signing_out(tmp_path: Path) -> None:
    async with installing(tmp_path) as at:
        await at.world.tell(at.device, Pressed())
        await open_twice(at.page)
        await at.page.wait_for_selector("[data-testid=event-pressed]")
        await at.page.click("#sign-out")
        await expect(at.page.locator("#sign-in")).to_be_visible()
        await until(at.page, KEEPS_ONLY, "browser")  # the keys that can't be read out


async def test_a_newer_version_waits_until_the_owner_asks_for_it(tmp_path: Path) -> None:
    bundle = await copy_of_the_app(tmp_path)
    async with served(bundle) as (page, origin):
        await open_twice(page, origin)
        sheet = bundle / "first.css"
        sheet.write_text(sheet.read_text() + "\nbody { --newer: yes }\n")
        await list_anew(bundle)
        await page.evaluate(
            "() => navigator.serviceWorker.getRegistration().then((r) => r.update())"
        )
        await expect(page.locator("#take-newer")).to_be_visible()
        await page.reload(wait_until="load")  # still the version that was opened
        assert not await page.evaluate(IS_NEWER)
        another = await page.context.new_page()
        await another.goto(f"{origin}/#/")
        await another.wait_for_selector("h1")
        await page.click("#take-newer")
        await page.wait_for_function(IS_NEWER)
        assert not await another.evaluate(IS_NEWER)  # nobody's page goes away under their hands
        await another.evaluate("() => { location.hash = '#/join'; }")
        await another.wait_for_function(IS_NEWER)  # but its own files aren't kept any more
        await expect(page.locator("#take-newer")).to_have_count(0)
        assert len(await page.evaluate("caches.keys()")) == 1


async def test_a_file_that_isnt_the_listed_one_is_never_kept(tmp_path: Path) -> None:
    bundle = await copy_of_the_app(tmp_path)
    sheet = bundle / "first.css"
    sheet.write_text(sheet.read_text() + "\n/* another one */\n")
    async with served(bundle) as (page, origin):
        await page.goto(f"{origin}/#/")
        assert await page.evaluate(BECOMES) == "redundant"
        assert not await page.evaluate(IS_INSTALLED)
        assert await page.evaluate("caches.keys()") == []


@asynccontextmanager
async def served(bundle: Path) -> AsyncIterator[tuple[Page, str]]:
    """Serve a bundle on this machine, with a relay that is never there."""
    async with (
        serving(build_app_server(RELAY_URL, bundle=bundle)) as port,
        chromium(
            f"--host-resolver-rules=MAP {urlsplit(OWNER_ORIGIN).hostname}:80 127.0.0.1:{port}",
            f"--unsafely-treat-insecure-origin-as-secure={OWNER_ORIGIN}",
        ) as browser,
    ):
        page = await window(browser)
        await page.goto(f"{OWNER_ORIGIN}/#/")
        key, config = (
            f"doorward.relay.{RELAY_URL}",
            json.dumps(
                {
                    "demo_passkeys": False,
                    "owner_origin": OWNER_ORIGIN,
                    "owner_rp_id": "owner.test",
                    "relay_name": "Testtown",
                }
            ),
        )
        await page.evaluate("([key, value]) => localStorage.setItem(key, value)", [key, config])
        yield page, OWNER_ORIGIN
