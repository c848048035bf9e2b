"""An invented town from its agreement to the public figures, in Chromium: days in a minute.

Its delays are those of every town; its clock is wound through them at its own page.
"""

import asyncio
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, expect

from tests.flows.browser import (
    Person,
    chromium,
    loading,
    pictured_on_failure,
    sit_down,
    unpaired_town,
)
from tests.flows.people import (
    COLLEAGUE,
    OFFICER,
    TRIES,
    add_officer_passkey,
    certify,
    confirm,
    cosign,
    give,
    id_in,
    join_as_moderator,
    join_as_owner,
    open_officer_invitation,
    opened_offline,
    pair,
    publish,
    ring_and_see_it,
    sign_in,
    wind,
    wind_there,
    write_request,
)
from tests.story.door import Door
from tests.story.settings import Settings
from tests.story.town import AGENCY_ID

FIGURES = """() => Object.fromEntries([...document.querySelectorAll("[data-figure]")]
  .map((row) => [row.dataset.figure, Number(row.querySelector("td").textContent)]))"""
BATCHES = 20
"""Two are enough from the owner's word to the agency's list: the log's, and the list's own. Only a
doorbell that is slow to commit or to upload takes more."""


@pytest.mark.browser
@pytest.mark.slow
async def test_a_town_goes_from_its_agreement_to_its_public_figures(tmp_path: Path) -> None:
    town = unpaired_town(tmp_path / "town", has_real_delays=True)
    async with town as (settings, door, _), chromium() as browser:
        async with pictured_on_failure(browser, tmp_path):
            await play(browser, door, settings)


async def play(browser: Browser, door: Door, settings: Settings) -> None:
    people = [await sit_down(browser) for _ in range(6)]
    officer, colleague, moderator, owner, home, sceptic = people
    before = await figures(sceptic.page, settings)
    await agree(officer.page, colleague.page, sceptic.page, settings)
    await join_as_owner(owner.page, settings)
    await pair(owner.page, home.page, door, settings)
    await ring_and_see_it(owner.page, door)
    case_number = await write_request(officer.page, settings)
    await publish(officer.page)
    asked = id_in(officer.page.url)
    await cosign(colleague.page, settings, officer.page.url)
    await moderate(moderator.page, settings, case_number)
    await wind(sceptic.page, settings, "batch")
    await stands(officer.page, "open")
    await give(owner.page, case_number)
    await confirm(home.page, settings, case_number)
    await take_evidence(officer.page, sceptic.page, settings)
    await file_outcome(officer.page, settings, asked)
    await wind(sceptic.page, settings, "batch")
    await changed(sceptic.page, settings, before)
    await wind(sceptic.page, settings, "week")
    await goes_on(officer.page, owner.page, door, settings, asked)
    for person in people:
        assert_no_faults(person)


async def agree(officer: Page, colleague: Page, sceptic: Page, settings: Settings) -> None:
    """Wind until the agreement counts, and the certificates of both officers."""
    certified = []
    for page, name in ((officer, OFFICER), (colleague, COLLEAGUE)):
        await open_officer_invitation(page, settings, name)
        certified.append((page, await add_officer_passkey(page)))
    await officer.goto(f"{settings.relay_url}/agency")
    await expect(officer.locator("#agreement-state")).to_have_attribute("data-state", "waiting")
    await waits(sceptic, settings, "agreement", 2)  # a neighbour's as well
    await wind_there(sceptic, settings, "agreement")
    for page, file in certified:
        await sign_in(page, settings)
        await expect(page.locator("#agreement-state")).to_have_count(0)
        await certify(page, settings, file)
    await waits(sceptic, settings, "officer", 2)
    await wind_there(sceptic, settings, "officer")
    for page, _ in certified:
        await sign_in(page, settings)


async def waits(page: Page, settings: Settings, kind: str, count: int) -> None:
    """See on the town's page that so many of this kind wait; witnesses see entries in seconds."""
    for _ in range(TRIES):
        await page.goto(f"{settings.relay_url}/town")
        if await page.locator(f"#waiting tr[data-kind={kind}]").count() == count:
            return
        await asyncio.sleep(0.25)
    raise AssertionError(f"not {count} of {kind} wait")


async def moderate(page: Page, settings: Settings, case_number: str) -> None:
    await join_as_moderator(page, settings)
    await page.goto(f"{settings.relay_url}/admin")
    async with loading(page):
        await page.click(f"#queue a:has-text('{case_number}')")
    await page.click("#pass")
    await page.wait_for_url("**/admin/requests?done=passed")


async def stands(page: Page, state: str) -> None:
    for _ in range(TRIES):
        await page.reload()
        if await page.locator(f"#standing[data-state={state}]").count():
            return
        await asyncio.sleep(0.5)
    raise AssertionError(f"the request isn't {state}")


async def take_evidence(officer: Page, sceptic: Page, settings: Settings) -> None:
    """Wind batch by batch until it lies in the list; open it away from there."""
    link = officer.locator("main a[href^='/agency/evidence/']").first
    for _ in range(BATCHES):
        await asyncio.sleep(1.0)  # the doorbell commits to it, or uploads it
        await wind(sceptic, settings, "batch")
        for _ in range(8):
            await officer.goto(f"{settings.relay_url}/agency/evidence")
            if await link.count():
                async with loading(officer):
                    await link.click()
                async with opened_offline(officer, settings) as desk:
                    await expect(desk.locator('[data-result="fails"]')).to_have_count(0)
                return
            await asyncio.sleep(0.25)
    raise AssertionError("no evidence arrived")


async def file_outcome(page: Page, settings: Settings, request_id: str) -> None:
    await page.goto(f"{settings.relay_url}/agency/requests/{request_id}/outcome")
    await page.check("input[name=outcome][value=used]")
    page.once("dialog", lambda asked: asked.accept())  # it is still open: closed as resolved
    await page.click("#file")
    await page.wait_for_selector("#filed[data-outcome=used]")


async def figures(page: Page, settings: Settings) -> dict[str, int]:
    """Return what the public record says of all agencies."""
    await page.goto(f"{settings.relay_url}/transparency")
    told: dict[str, int] = await page.evaluate(FIGURES)
    return told


async def changed(page: Page, settings: Settings, before: dict[str, int]) -> None:
    """See that all of it is public now: one request, one download, one outcome."""
    wanted = {**before, "requests": 1, "downloads": 1, "outcomes.used": 1}
    for _ in range(TRIES):
        now = await figures(page, settings)
        if all(now[name] == wanted[name] for name in ("requests", "downloads", "outcomes.used")):
            break
        await asyncio.sleep(0.25)
    assert {name: now[name] for name in wanted if now[name] != before[name]}.keys() >= {
        "requests",
        "downloads",
        "outcomes.used",
    }
    await page.goto(f"{settings.relay_url}/agencies/{AGENCY_ID}")
    await expect(page.locator("main")).to_contain_text("1–4")


async def goes_on(
    officer: Page, owner: Page, door: Door, settings: Settings, request_id: str
) -> None:
    """A leap of a week ends sessions and breaks nothing: the bell rings, and the owner sees it."""
    await owner.reload()
    await owner.evaluate("location.hash = '#/'")
    await owner.wait_for_selector("#to-door, #see")
    await door.ring()
    await owner.wait_for_selector("[data-testid=event-pressed] a")
    await sign_in(officer, settings)
    await officer.goto(f"{settings.relay_url}/agency/requests/{request_id}")
    assert await officer.get_attribute("#standing", "data-state") not in ("open", None)


def assert_no_faults(person: Person) -> None:
    """Nothing but that whose session had ended was told so."""
    assert [fault for fault in person.faults if "401" not in fault] == []
