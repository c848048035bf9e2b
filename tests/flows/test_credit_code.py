"""A partner's code in the owner's app: it waits in the browser, counts once, and is forgotten."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import expect

from firmware.protocol.encoding import new_id
from firmware.protocol.events import Paired
from relay.store import credit
from tests.flows.asked_home import Home, home_in_browser
from tests.relay.credit_people import CODE, campaign
from tests.relay.http_world import DAY_MS, OWNER_ORIGIN, open_world

pytestmark = pytest.mark.browser


A_DAY_LATER = """() => {
  for (const [key, text] of Object.entries(localStorage)) {
    if (!key.startsWith("doorward.credit-code.")) continue;
    localStorage.setItem(key, JSON.stringify({ ...JSON.parse(text), tried_ms: 0 }));
  }
}"""


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[Home]:
    async with (
        open_world(tmp_path) as world,
        home_in_browser(world, service_workers="allow") as home,
    ):
        await campaign(world.database, world.clock)
        yield home


async def tell_paired(home: Home, *, days_ago: int) -> None:
    """Let the doorbell have told so long ago that this owner is its owner."""
    now_ms = home.world.clock.wall_ms()
    home.world.clock.set_wall_ms(now_ms - days_ago * DAY_MS)
    paired = Paired(pairing_id=new_id(), credential_id=home.owner.passkey.credential_id)
    await home.world.tell(home.device, paired)
    home.world.clock.set_wall_ms(now_ms)


async def counted(home: Home) -> int:
    async with home.world.database.read() as tx:
        return sum(
            sum(one.values()) for one in (await credit.list_due(tx, until="2999-12")).values()
        )


async def hand_in(home: Home, code: str) -> None:
    await home.page.fill("#credit-code", code)
    await home.page.click("#credit-send")


async def test_a_code_waits_in_the_browser_until_30_days_are_over(home: Home) -> None:
    page = home.page
    await tell_paired(home, days_ago=29)
    await page.goto(f"{OWNER_ORIGIN}/#/credits")
    await hand_in(home, CODE.lower())
    await expect(page.locator("#credit-waits")).to_contain_text(CODE)
    assert await counted(home) == 0
    home.world.clock.advance(DAY_MS / 1000)
    await page.evaluate(A_DAY_LATER)
    async with page.expect_response(
        lambda answer: answer.request.method == "POST" and answer.url.endswith("/credits/sign-up")
    ) as sent:
        await page.reload()
    assert (await sent.value).status == 204
    await page.wait_for_function(
        "() => !Object.keys(localStorage).some((one) => one.startsWith('doorward.credit-code.'))"
    )
    assert await counted(home) == 1


async def test_a_code_counts_at_once_and_is_then_forgotten(home: Home) -> None:
    page = home.page
    await tell_paired(home, days_ago=31)
    await page.goto(f"{OWNER_ORIGIN}/#/settings")
    await page.click("#settings-credits")
    await hand_in(home, CODE)
    await page.wait_for_selector("#credit-counted")
    await expect(page.locator("#credit-waits")).to_have_count(0)
    assert await counted(home) == 1
    await hand_in(home, CODE)
    await expect(page.locator("#credit-refused")).to_contain_text("yours has counted")
    await expect(page.locator("#credit-waits")).to_have_count(0)
    home.person.faults.clear()  # the browser names each refusal


async def test_a_wrong_code_is_refused_in_words_and_a_waiting_one_can_be_forgotten(
    home: Home,
) -> None:
    page = home.page
    await page.goto(f"{OWNER_ORIGIN}/#/start")
    await page.click("#credit-fold summary")
    await hand_in(home, "NOBODYS")
    await expect(page.locator("#credit-refused")).to_contain_text("No campaign has this code")
    await hand_in(home, CODE)
    await page.click("#credit-waits button")
    await page.wait_for_selector("#credit-waits", state="detached")
