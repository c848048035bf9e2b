"""How a page is brought back to what a picture shows, once it was loaded in another language."""

from playwright.async_api import Page

from tests.flows import people
from tests.flows.camera import Redo
from tests.flows.household import PICTURES_SHOWN

LIVE_PICTURES = 15


def appearing(selector: str) -> Redo:
    """Return what waits for an element."""
    return lambda page: page.wait_for_selector(selector)


async def unfold_all(page: Page) -> None:
    """Open everything that is folded on the owner's first page."""
    await page.wait_for_selector("[data-testid=wrong-now]")
    for folded in await page.locator("main summary").all():
        await folded.click()


async def see_live(page: Page) -> None:
    """Wait until the live picture moves."""
    await page.wait_for_selector("video#live")
    await page.wait_for_function(PICTURES_SHOWN, arg=LIVE_PICTURES)


async def see_details(page: Page) -> None:
    """Open all that is folded below the live picture, and the quick replies."""
    await see_live(page)
    await page.click("#reply")
    await page.click("#live-more")
    for folded in await page.locator("main summary").all():
        await folded.click()
    await page.wait_for_selector("[data-fact=rate]")


async def see_clip(page: Page) -> None:
    """Wait for the clip, and look a second into it."""
    await page.wait_for_selector("video#clip-video")
    await page.evaluate("() => { document.querySelector('video').currentTime = 1; }")


async def choose_clips(page: Page) -> None:
    """Tick the recordings that can be given."""
    await page.wait_for_selector("#next")
    await people.choose_all(page)


async def play(page: Page) -> None:
    """Play the page's video."""
    video = await page.wait_for_selector("video")
    await video.evaluate(people.PLAYS)


async def ask_for_keys(page: Page) -> None:
    """Ask the doorbell which keys there are."""
    await page.click("#ask-keys")
    await page.wait_for_selector("#all-approvers")
