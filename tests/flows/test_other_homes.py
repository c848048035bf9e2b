"""Two relays of one operator in one app: going between homes, a relay that is away, and links.

Both relays are real, each with its own database; one is reached under the other's name.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from playwright.async_api import Request, expect

from relay.web.app_server import build_app_server
from tests.flows.asked_home import Home, a_home
from tests.flows.browser import chromium, pictured_on_failure
from tests.flows.phone import IS_INSTALLED, until
from tests.flows.serving import behind_proxy, serving
from tests.relay.http_world import OWNER_ORIGIN, RELAY_URL, World, open_world

pytestmark = pytest.mark.browser

B_URL = "http://relay-b.test"
EVIL_URL = "http://relay-evil.test"
BOOKS_ARE = """async (relays) => {
  const { readWorkerStores } = await import("/worker_store.js");
  return Object.keys(await readWorkerStores()).sort().join() === relays.sort().join();
}"""

TURN_ON = """async (relay) => {
  const { writePush } = await import("/worker_store.js");
  const choice = { kinds: ["pressed"], quiet: null, summary: null, silent_after_minutes: null };
  await writePush(relay, { ...choice, endpoint: "", told: {}, snoozed: {} });
}"""
"""As if they had been turned on."""
NO_PUSH_SERVICE = """PushManager.prototype.subscribe = async () => {
  throw new DOMException("no push service");
};"""
"""Chromium's own refusal, in a window of a test, is an error of the page."""


@dataclass
class Homes:
    """An owner who is signed in at the first relay, and another relay that the app names."""

    first: Home
    other: World
    sent: list[Request] = field(default_factory=list)

    def secret_went_to(self, secret: str) -> set[str]:
        """Return the relays that got a secret."""
        carrying = [one for one in self.sent if secret in f"{one.url} {one.post_data}"]
        return {f"http://{urlsplit(one.url).hostname}" for one in carrying}

    async def open(self, address: str) -> None:
        await self.first.page.goto(f"{OWNER_ORIGIN}/{address}")

    async def signed_in_at(self) -> str:
        """Wait until somebody is signed in; return the relay that the app is for."""
        await self.first.page.wait_for_selector("#sign-out")
        await self.open("#/settings")
        hint = self.first.page.locator("#other-homes .hint")
        await expect(hint).to_contain_text("This is ")
        text = (await hint.inner_text()).translate({0x2068: None, 0x2069: None})
        return "http://" + text.partition("This is ")[2].rstrip(".")

    async def go_to(self, relay: str) -> None:
        """Choose a relay among the other homes; wait until the app has begun anew for it."""
        homes = self.first.page.locator("#other-homes .row button")
        async with self.first.page.expect_event("load"):
            await homes.filter(has_text=urlsplit(relay).hostname).click()

    async def books_are(self, *relays: str) -> None:
        """Wait until the worker has a book of each of these relays, and of no other."""
        await until(self.first.page, BOOKS_ARE, list(relays))

    async def join(self) -> None:
        """Accept the invitation that the page shows."""
        page = self.first.page
        await page.fill("#name", "Ada")
        await page.click("#add-passkey")
        await page.wait_for_url(lambda url: "#/start" in url)

    async def close_other(self) -> None:
        await self.first.page.route(f"{B_URL}/**", lambda route: route.abort())

    async def open_other(self) -> None:
        await self.first.page.unroute(f"{B_URL}/**")
        self.first.person.faults.clear()  # what wasn't reached


@asynccontextmanager
async def two_homes(folder: Path, **window: Any) -> AsyncIterator[Homes]:
    (folder / "b").mkdir()
    app = build_app_server(RELAY_URL, other_relay_urls=[B_URL])
    async with (
        open_world(folder) as world,
        open_world(folder / "b") as other,
        serving(world.app) as a_port,
        serving(behind_proxy(other.app)) as b_port,
        serving(app) as app_port,
        chromium(
            "--host-resolver-rules="
            f"MAP relay.test:80 127.0.0.1:{a_port},MAP relay-b.test:80 127.0.0.1:{b_port},"
            f"MAP owner.test:80 127.0.0.1:{app_port}",
            f"--unsafely-treat-insecure-origin-as-secure={OWNER_ORIGIN}",
        ) as browser,
        pictured_on_failure(browser, folder),
        a_home(world, browser=browser, **window) as home,
    ):
        homes = Homes(home, other)
        home.page.on("request", lambda one: homes.sent.append(one))
        yield homes


def join_link(secret: str, relay: str = "") -> str:
    named = f"&relay={quote(relay, safe='')}" if relay else ""
    return f"#/join?invitation={secret}{named}"


async def test_one_goes_to_another_home_and_back_and_stays_signed_in(tmp_path: Path) -> None:
    async with two_homes(tmp_path) as homes:
        page = homes.first.page
        assert await homes.signed_in_at() == RELAY_URL
        await homes.books_are(RELAY_URL)  # written once the relay has told of the doorbell
        await homes.go_to(B_URL)
        await page.wait_for_selector("#sign-in")
        await homes.books_are(RELAY_URL)  # its rings are shown meanwhile
        await homes.go_to(RELAY_URL)
        assert await homes.signed_in_at() == RELAY_URL


async def test_a_home_that_does_not_answer_is_not_gone_to(tmp_path: Path) -> None:
    async with two_homes(tmp_path) as homes:
        page = homes.first.page
        await homes.signed_in_at()
        await homes.close_other()
        await page.click("text=relay-b.test")
        said = page.locator("#homes-said [role=alert]")
        await expect(said).to_contain_text("so the app stays at")
        await page.reload()
        assert await homes.signed_in_at() == RELAY_URL
        await homes.open_other()
        await homes.go_to(B_URL)
        await page.wait_for_selector("#sign-in")

        headers = {"Access-Control-Allow-Origin": OWNER_ORIGIN}  # what it said before counts on
        await page.route(f"{B_URL}/**", lambda route: route.fulfill(status=503, headers=headers))
        await page.reload()
        await page.wait_for_selector("#sign-in")
        await homes.go_to(RELAY_URL)
        assert await homes.signed_in_at() == RELAY_URL
        await homes.open_other()


async def test_turning_notifications_on_says_first_where_they_end(tmp_path: Path) -> None:
    async with two_homes(tmp_path, service_workers="allow") as homes:
        page = homes.first.page
        await page.context.grant_permissions(["notifications"], origin=OWNER_ORIGIN)
        await page.add_init_script(NO_PUSH_SERVICE)
        await page.reload()
        await homes.books_are(RELAY_URL)
        await page.evaluate(TURN_ON, RELAY_URL)
        await homes.open(join_link(await homes.other.invite_owner(), B_URL))
        await homes.join()
        await until(page, IS_INSTALLED)  # else the page says so, after a while
        await homes.open("#/settings/notifications")
        await expect(page.get_by_test_id("push-state")).to_have_text("Off in this browser")
        await expect(page.locator("#push-elsewhere")).to_contain_text("They are on for")
        await homes.books_are(RELAY_URL, B_URL)
        await homes.open("#/settings")
        await homes.go_to(RELAY_URL)
        assert await homes.signed_in_at() == RELAY_URL
        await homes.open("#/settings/notifications")
        await expect(page.get_by_test_id("push-state")).to_have_text("On in this browser")


@pytest.mark.parametrize("status", [0, 503], ids=["is away", "fails"])
async def test_a_relay_that_was_chosen_and_is_away_locks_nobody_out(
    tmp_path: Path, status: int
) -> None:
    async with two_homes(tmp_path) as homes:
        page = homes.first.page
        headers = {"Access-Control-Allow-Origin": OWNER_ORIGIN}
        await page.route(
            f"{B_URL}/**",
            lambda route: (
                route.fulfill(status=status, headers=headers) if status else route.abort()
            ),
        )
        await page.evaluate("relay => localStorage.setItem('doorward.relay', relay)", B_URL)
        await page.reload()
        await expect(page.locator("#no-relay")).to_contain_text("doesn't answer")
        await homes.go_to(RELAY_URL)
        assert await homes.signed_in_at() == RELAY_URL
        await page.unroute(f"{B_URL}/**")
        homes.first.person.faults.clear()


async def test_an_invitation_is_sent_to_the_relay_that_its_link_names(tmp_path: Path) -> None:
    async with two_homes(tmp_path) as homes:
        secret = await homes.other.invite_owner()
        await homes.open(join_link(secret, B_URL))
        await homes.join()
        assert homes.secret_went_to(secret) == {B_URL}
        assert await homes.signed_in_at() == B_URL

        mine = await homes.first.world.invite_owner()  # of the first relay, which needn't say so
        await homes.open(join_link(mine))
        await homes.join()
        assert homes.secret_went_to(mine) == {RELAY_URL}
        assert await homes.signed_in_at() == RELAY_URL
        await homes.go_to(B_URL)
        assert await homes.signed_in_at() == B_URL


async def test_an_invitation_of_an_unknown_relay_is_sent_nowhere(tmp_path: Path) -> None:
    async with two_homes(tmp_path) as homes:
        page = homes.first.page
        secret = await homes.other.invite_owner()
        await homes.open(join_link(secret, EVIL_URL))
        await expect(page.locator("#main")).to_contain_text("relay-evil.test")
        assert homes.secret_went_to(secret) == set()
        assert all(EVIL_URL not in one.url for one in homes.sent)
        homes.first.person.faults.clear()  # the console says why
        await page.click("#open-here")
        assert await homes.signed_in_at() == RELAY_URL


async def test_a_guests_link_names_the_relay_that_made_it(tmp_path: Path) -> None:
    async with two_homes(tmp_path) as homes:
        await homes.open("#/people/guests")
        await homes.first.page.click("#invite-guest")
        link = await homes.first.page.locator("#guest-link").input_value()
        assert link.endswith(f"&relay={quote(RELAY_URL, safe='')}")
