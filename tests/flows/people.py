"""What people do at the pages, step by step; the browser tests and the pictures share it."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from playwright.async_api import Page, expect

from tests.flows.browser import PATIENCE_MS, loading, window
from tests.story.door import Door
from tests.story.officer import Agency
from tests.story.register import pass_request
from tests.story.settings import Settings
from tests.story.town import DOORBELL_CELL, invite, invite_officer

DOOR_NUMBER = "314159"
OFFICER, COLLEAGUE = "Officer J. Alvarez", "Sergeant M. Ortiz"
MODERATOR = "Ann Berg"
CODE_SHOWN_S = 20.0
TRIES = 120
"""Of what is asked for twice a second or oftener until it is so; only failures take so many."""
RING_FILL_S = 7.5
"""How long the doorbell films before a press has all its pre-roll."""

PLAYS = """async (video) => {
  video.muted = true;
  await video.play();
  const begun = performance.now();
  while (video.currentTime < 0.5 && performance.now() - begun < 60000)
    await new Promise((resolve) => setTimeout(resolve, 50));
  return { at: video.currentTime, width: video.videoWidth };
}"""
HAVE_LOADED = """() => [...document.querySelectorAll("video")]
  .filter((video) => video.preload !== "none") // of many, the first few alone load by themselves
  .every((video) => video.readyState > 0 && video.networkState !== video.NETWORK_LOADING)"""
TOWN_AHEAD = """() => Number(document.querySelector("meta[name=town-ahead-ms]")?.content ?? 0)"""
UNLOAD = """() => document.querySelectorAll("video").forEach((video) => {
  video.removeAttribute("src");
  video.load();
})"""


async def open_invitation(page: Page, settings: Settings, name: str) -> None:
    """Open an owner's invitation and fill in the name."""
    invitation = await invite(settings, "owner")
    await page.goto(invitation["url"])
    await page.fill("#name", name)


async def join_as_owner(page: Page, settings: Settings, name: str = "Mary") -> None:
    """Open an owner's invitation and add a passkey."""
    await open_invitation(page, settings, name)
    await add_owner_passkey(page)


async def add_owner_passkey(page: Page) -> None:
    """Add the passkey that the open invitation asks for."""
    await page.click("#add-passkey")
    await page.wait_for_url(lambda url: "#/join" not in url)


async def show_code(page: Page, door: Door) -> None:
    """Hold the app's pairing code before the camera, until it asks for the first word."""
    await page.wait_for_selector("#pair-qr svg, #pair-qr canvas, #pair-qr img")
    picture = await page.locator("#pair-qr").screenshot()
    async with door.showing(picture, seconds=CODE_SHOWN_S):
        await expect(page.locator("[data-place='0'] button")).to_have_count(4)


async def tap_words(page: Page, home: Page, count: int = 4) -> None:
    """Tap in the app, one after the other, the words that the doorbell's own page shows."""
    await expect(home.locator(".words li")).to_have_count(4)
    for place, word in enumerate(await home.locator(".words li").all_inner_texts()):
        if place < count:
            await page.click(f"[data-place='{place}'] button:text-is('{word.strip()}')")


async def tap_newcomers_words(page: Page, home: Page) -> None:
    """Tap in a newcomer's app the words that the doorbell's own page shows of them."""
    for place, word in enumerate((await home.locator("main .six").inner_text()).split()):
        await page.click(f"[data-place='{place}'] button:text-is('{word}')")
    await expect(page.locator("#words-found")).to_be_visible()


async def press_and_set_number(home: Page, door: Door) -> None:
    """Press the service button a second time, and set the door number on the doorbell's page."""
    await door.press_service_button()
    await home.wait_for_selector("[name=door_number]")
    await set_door_number(home)


async def set_door_number(home: Page) -> None:
    """Set the door number on the doorbell's own page, instead of the one that it proposes."""
    await home.fill("[name=door_number]", DOOR_NUMBER)
    await home.click("form button")


async def pair(page: Page, home: Page, door: Door, settings: Settings) -> None:
    """Pair from the service button to the door number."""
    await door.hold_service_button()
    await page.goto(f"{settings.app_url}/#/pair")
    await show_code(page, door)
    await home.goto(f"{settings.door_url}/pair")
    await tap_words(page, home)
    await page.wait_for_selector("#words-found")
    await press_and_set_number(home, door)
    await page.wait_for_selector("#paired")


async def ring_and_see_it(page: Page, door: Door) -> str:
    """Ring; the press and then the clip show in the open app without a reload."""
    await page.click("#to-door")
    await page.evaluate("window.notReloaded = true")
    await door.ring()
    await page.wait_for_selector("[data-testid=event-pressed]")
    await page.wait_for_selector("[data-testid=event-pressed] a", timeout=PATIENCE_MS)
    assert await page.evaluate("window.notReloaded")
    link = page.locator("[data-testid=event-pressed] a").first
    clip_id = (await link.get_attribute("href") or "").rpartition("/")[2]
    assert clip_id
    return clip_id


async def open_officer_invitation(page: Page, settings: Settings, name: str = OFFICER) -> None:
    """Open an officer's invitation and fill in the name."""
    invitation = await invite_officer(settings)
    await page.goto(invitation["url"])
    await page.fill("#name", name)


async def join_as_officer(page: Page, settings: Settings, name: str = OFFICER) -> None:
    """Open an officer's invitation, add a passkey, and have the agency certify it."""
    await open_officer_invitation(page, settings, name)
    await get_certified(page, settings, await add_officer_passkey(page))


async def add_officer_passkey(page: Page) -> dict[str, object]:
    """Add the passkey that the open invitation asks for; return what officer.json holds."""
    await page.click("#add-passkey")
    async with page.expect_download() as downloading:
        await page.click("#officer-file")
    file = await (await downloading.value).path()
    officer: dict[str, object] = json.loads(await asyncio.to_thread(file.read_text))
    return officer


async def get_certified(page: Page, settings: Settings, officer: dict[str, object]) -> None:
    """Have the agency certify the officer, tell the relay, and wait until that counts."""
    await certify(page, settings, officer)
    address = f"{settings.relay_url}/agency/officers/{officer['officer_id']}"
    for _ in range(TRIES):
        standing = await (await page.request.get(address)).json()
        if standing["certificate"] == "valid":
            return
        await asyncio.sleep(0.5)
    raise AssertionError(f"the certificate doesn't count: {standing}")


async def certify(page: Page, settings: Settings, officer: dict[str, object]) -> None:
    """Have the agency certify the officer, and tell the relay."""
    certificate = await Agency(settings.agency_key).certify(officer, settings.people_dir)
    address = f"{settings.relay_url}/agency/officers/{officer['officer_id']}"
    sent = await page.request.post(
        f"{address}/certificate",
        data=certificate.encode(),
        headers={"Origin": settings.relay_url, "Content-Type": "application/json"},
    )
    assert sent.ok, await sent.text()


async def write_request(page: Page, settings: Settings) -> str:
    """Fill in a request for the last twenty minutes; return its case number."""
    await page.goto(f"{settings.relay_url}/agency/requests/new")
    return await fill_in_request(page)


async def fill_in_request(page: Page) -> str:
    """Fill in the open form for the last twenty minutes; return the case number."""
    case_number = f"LPD-{time.time_ns() // 1_000_000 % 10**6}"
    now = datetime.now(UTC) + timedelta(milliseconds=await page.evaluate(TOWN_AHEAD))
    await page.fill("#case_number", case_number)
    await page.select_option("#incident_type", "theft")
    await page.fill("#text", "A parcel was taken from a porch.")
    await choose_cell(page, DOORBELL_CELL)
    local = "%Y-%m-%dT%H:%M:%S"
    offset = timedelta(minutes=-await page.evaluate("new Date().getTimezoneOffset()"))
    await page.fill("#from", (now - timedelta(minutes=20) + offset).strftime(local))
    await page.fill("#to", (now + offset).strftime(local))
    await page.fill("#contact", "desk@lakeland.example")
    await page.fill("#retention_days", "365")
    await page.select_option("#cosigner", index=1)  # the first by name
    return case_number


async def choose_cell(page: Page, cell: str) -> None:
    """Search a map cell in the open form and add it; the area's parts load when they are near."""
    await page.locator("#area").scroll_into_view_if_needed()
    await page.fill("#place-search", cell)
    await page.click("#find-place")
    await page.click(f"#places [data-cell='{cell}']")
    await expect(page.locator(f"#area input[name=cell][value='{cell}']")).to_have_count(1)


async def ask(page: Page, colleague: Page, settings: Settings) -> str:
    """Write, sign and have a colleague co-sign a request; return its case number once it stands."""
    case_number = await write_request(page, settings)
    await publish(page)
    await expect(page.locator("main")).to_contain_text(case_number)
    await cosign(colleague, settings, page.url)
    await get_published(page, settings)
    return case_number


async def publish(page: Page) -> None:
    """Sign the request that is filled in; it waits for the colleague then."""
    await page.click("#publish")
    await page.wait_for_url(lambda url: id_in(url) != "new")


def id_in(url: str) -> str:
    """Return the id at the end of a page's address, in whatever language it is read."""
    return url.partition("?")[0].rpartition("/")[2]


async def cosign(page: Page, settings: Settings, request_url: str) -> None:
    """Find a colleague's request on the start page, and sign it too."""
    await page.goto(f"{settings.relay_url}/agency")
    async with loading(page):
        await page.click(f"#to-cosign a[href$='{id_in(request_url)}']")
    await page.click("#cosign")
    await expect(page.locator("#standing")).to_have_attribute("data-state", "moderation")


async def get_published(page: Page, settings: Settings) -> None:
    """Have the request of this page passed; reload until it stands in the register."""
    await pass_request(settings, id_in(page.url))
    for _ in range(TRIES):
        await page.reload()
        if await page.locator("#standing[data-state=open]").count():
            return
        await asyncio.sleep(0.5)
    raise AssertionError("the request doesn't stand in the register")


async def join_as_moderator(page: Page, settings: Settings, name: str = MODERATOR) -> None:
    """Open an administrator's invitation and add a passkey."""
    await page.goto((await invite(settings, "admin"))["url"])
    await page.fill("#name", name)
    await page.click("#add-passkey")
    await page.wait_for_selector("#joined:not([hidden])")


async def sign_in(page: Page, settings: Settings, *, face: str = "/agency") -> None:
    """Sign in anew, as one has to after the clock was wound."""
    await page.goto(f"{settings.relay_url}{face}")
    async with loading(page):
        await page.click("#sign-in")
    await page.wait_for_selector("#sign-out")


async def wind(page: Page, settings: Settings, step: str) -> None:
    """Press a button of the town's clock: minutes, batch, day or week."""
    await page.goto(f"{settings.relay_url}/town")
    before = await page.get_attribute("#town-ahead", "data-ahead-ms")
    await page.click(f"#wind button[value={step}]")
    await expect(page.locator("#town-ahead")).not_to_have_attribute("data-ahead-ms", before or "")


async def wind_there(page: Page, settings: Settings, kind: str) -> None:
    """Press the button of what waits of a kind: of the last of them, so that none waits after."""
    await page.goto(f"{settings.relay_url}/town")
    rows = page.locator(f"#waiting tr[data-kind={kind}]")
    await expect(rows).not_to_have_count(0)
    await rows.last.locator("button").click()
    await expect(rows).to_have_count(0)


async def give(page: Page, case_number: str) -> None:
    """Read the request, choose every recording and sign."""
    await read_request(page, case_number)
    await choose_all(page)
    await sign(page)


async def sign(page: Page) -> None:
    """Go on, and sign; wait until the app says to confirm it at the doorbell's own page."""
    await page.click("#next")
    await page.click("#give")
    await page.wait_for_selector("#confirm-at-door")


async def read_request(page: Page, case_number: str) -> None:
    """Open the release screen."""
    await page.evaluate("location.hash = '#/requests'")
    await page.locator("#my-requests a").first.click()
    await expect(page.locator("#release")).to_contain_text(case_number)


async def choose_all(page: Page) -> None:
    """Go on to the recordings that were asked for, and tick every one."""
    await page.click("#next")
    boxes = page.locator("[data-testid=choose-clip]")
    await expect(boxes).not_to_have_count(0)
    for index in range(await boxes.count()):
        await boxes.nth(index).check()


async def confirm(home: Page, settings: Settings, case_number: str) -> None:
    """Unlock the doorbell's own page, look, and release."""
    await home.goto(f"{settings.door_url}/confirm")
    await unlock(home)
    await expect(home.locator("main")).to_contain_text(case_number)
    video = await home.wait_for_selector("video")
    assert (await video.evaluate(PLAYS))["at"] >= 0.5
    await release(home)
    await expect(home.locator("main")).not_to_contain_text(case_number)


async def unlock(home: Page) -> None:
    """Type the door number."""
    await home.fill("[name=door_number]", DOOR_NUMBER)
    await home.click("form button")


async def release(home: Page) -> None:
    """Press "Release", once all was there to be seen.

    What was released can't be loaded any more, and Chromium asks for parts of a video whenever
    it pleases, also between the press and the next page: so the videos are taken away before.
    """
    await home.wait_for_function(HAVE_LOADED)
    await home.evaluate(UNLOAD)
    await home.click("form[action^='/confirm/'] button")


async def find_evidence(page: Page, settings: Settings) -> None:
    """Wait until a package lies in the list."""
    link = page.locator("main a[href^='/agency/evidence/']").first
    for _ in range(TRIES):
        await page.goto(f"{settings.relay_url}/agency/evidence")
        if await link.count():
            return
        await asyncio.sleep(0.25)
    raise AssertionError("no evidence arrived")


async def save_evidence(page: Page, folder: Path) -> tuple[Path, Path]:
    """Save the package of this page, sealed, and the page that opens it."""
    saved = []
    for button in ("#save:not([disabled])", "#offline-page"):
        async with page.expect_download() as saving:
            await page.click(button)
        download = await saving.value
        saved.append(folder / download.suggested_filename)
        await download.save_as(saved[-1])
    return saved[0], saved[1]


@asynccontextmanager
async def opened_offline(page: Page, settings: Settings) -> AsyncIterator[Page]:
    """Open the package of this page away from it: the saved page, the key, no network. Play it."""
    package, offline = await save_evidence(page, settings.agency_key.parent / "saved")
    browser = page.context.browser
    assert browser is not None
    desk = await window(browser, offline=True)
    await desk.goto(offline.as_uri())
    await desk.set_input_files("#evidence", package)
    await desk.set_input_files("#key", settings.agency_key)
    await desk.set_input_files("#policy", settings.policy)
    await desk.set_input_files("#fleet-ca", settings.relay_dir / "ca.pem")
    await desk.click("#check:not([disabled])")
    video = await desk.wait_for_selector("#recordings video")
    assert (await video.evaluate(PLAYS))["at"] >= 0.5
    yield desk
    await desk.context.close()
