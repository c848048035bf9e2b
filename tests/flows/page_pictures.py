"""Pictures of every page of a relay: a full one's and an empty one's (every_page.py lists them)."""

import re
from pathlib import Path

from tests.flows.browser import Person, sit_down
from tests.flows.camera import IN_ENGLISH_ONLY, LANGUAGES, Camera
from tests.flows.every_page import House, Page, names_of
from tests.flows.full_house import empty_house, full_house
from tests.flows.serving_pages import relay_browser
from tests.relay.http_world import RELAY_URL

WITHOUT_ROWS = re.compile(
    r"requests|evidence|drafts|outcomes|entries|transparency|decisions|admin$"
)
"""Pages that look otherwise where nothing has happened."""

REFUSED = "Failed to load resource"
"""What a console says of a page that refuses, as some should."""


async def take_pages(camera: Camera, folder: Path) -> list[str]:
    """Take them all; return what the consoles complained about."""
    folder.mkdir(exist_ok=True)
    async with full_house(folder / "full") as house:
        faults = await _take(camera, house, await house.pages(), "")
    async with empty_house(folder / "empty") as house:
        pages = [page for page in await house.plain_pages() if WITHOUT_ROWS.search(page[1])]
        faults += await _take(camera, house, pages, "empty-")
    return faults


async def _take(camera: Camera, house: House, pages: list[Page], prefix: str) -> list[str]:
    people: dict[str, Person] = {}
    async with relay_browser(house) as browser:
        for (who, path), name in zip(pages, names_of(house, pages), strict=True):
            if who not in people:
                people[who] = await sit_down(browser)
                await people[who].context.add_cookies(house.cookies(who))
            await people[who].page.goto(RELAY_URL + path)
            languages = IN_ENGLISH_ONLY if re.search(r"-\d+$", name) else LANGUAGES
            await camera.take(people[who].page, f"relay-{prefix}{name}", languages=languages)
    faults = [fault for person in people.values() for fault in person.faults]
    return [fault for fault in faults if REFUSED not in fault]
