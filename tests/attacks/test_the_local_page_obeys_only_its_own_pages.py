"""A website that the owner happens to visit, against the doorbell's own page.

The attacker serves pages to the owner's browser, which is in the home network and may have the door
page unlocked. They can point their own name at the doorbell (DNS rebinding), post forms to it,
frame it, embed what is on it, or link to it. Each test names what it was seen to fail without.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
from playwright.async_api import Page, Route
from starlette.applications import Starlette
from starlette.responses import HTMLResponse
from starlette.routing import Route as Path
from starlette.types import ASGIApp

from firmware.local_page.guard import own_origins
from firmware.local_page.ports import PairingView
from firmware.local_page.web_app import door_app
from tests.fakes.local_page import DIGEST, NUMBER, URL, WORDS, Home, door_page
from tests.flows.asking_doors import WAITING, AskingDoorbell, asking_door
from tests.flows.browser import chromium, sit_down
from tests.flows.serving import serving

FOREIGN = "evil.example"
RESOLVED = f"--host-resolver-rules=MAP {FOREIGN} 127.0.0.1"
OLDER_BROWSER = "--disable-features=LocalNetworkAccessChecks,BlockInsecurePrivateNetworkRequests"
"""Newer ones keep websites from the home network by themselves; none has to be new."""
REBOUND = """async () => {
  const seen = [];
  for (const path of ["/", "/pair", "/confirm"]) {
    const answer = await fetch(path, { headers: { Accept: "application/json" } });
    seen.push(answer.ok ? await answer.text() : answer.status);
  }
  const body = new URLSearchParams({ door_number: "493817" });
  const answer = await fetch("/pair", { method: "POST", body });
  return [...seen, answer.status];
}"""
LOADED = """(tag) => new Promise((done) => {
  const node = document.querySelector(tag);
  node.addEventListener("load", () => done(true));
  node.addEventListener("loadedmetadata", () => done(true));
  node.addEventListener("error", () => done(false));
  node.src = node.dataset.src;
})"""


@dataclass
class Visit:
    """The owner's browser with the door page unlocked, on its way to the attacker's page."""

    bell: AskingDoorbell
    page: Page
    door: str
    site: "AttackersSite"
    lure: str

    async def unlock(self) -> None:
        await self.page.goto(f"{self.door}/confirm")
        await self.page.fill("[name=door_number]", NUMBER)
        await self.page.click("form button")
        await self.page.wait_for_selector("form[action='/lock']")
        self.bell.told.clear()

    async def fall_for(self, html: str, host: str = FOREIGN) -> None:
        """Open the attacker's page."""
        self.site.html = html
        await self.page.goto(self.lure.format(host=host))


class AttackersSite:
    """One page, of whatever the attacker likes."""

    html = ""

    def app(self) -> ASGIApp:
        return Starlette(routes=[Path("/", self._lure)])

    async def _lure(self, _request: object) -> HTMLResponse:
        return HTMLResponse(self.html)


@pytest.fixture
async def visit() -> AsyncIterator[Visit]:
    site = AttackersSite()
    async with asking_door() as (bell, door), serving(site.app()) as port:
        bell.waits = WAITING["grant"]
        async with chromium(RESOLVED, OLDER_BROWSER) as browser:
            person = await sit_down(browser)
            yield Visit(bell, person.page, door, site, f"http://{{host}}:{port}/")


@pytest.mark.browser
async def test_a_name_pointed_at_the_doorbell_reads_and_pairs_nothing(visit: Visit) -> None:
    """The Host in guard.py; with the Origin out as well, the attacker's number pairs."""
    visit.bell.view = PairingView(state="pressed", words=WORDS, owner_name="Maria")
    rebound = visit.door.replace("localhost", FOREIGN)

    async def before_it_was_pointed_here(route: Route) -> None:
        await route.fulfill(body="<h1>Win a bicycle</h1>", content_type="text/html")

    await visit.page.route(f"{rebound}/lure", before_it_was_pointed_here)
    await visit.page.goto(f"{rebound}/lure")
    assert await visit.page.evaluate(REBOUND) == [421, 421, 421, 421]
    assert visit.bell.told == []


@pytest.mark.browser
@pytest.mark.parametrize("host", [FOREIGN, "localhost"])
@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/pair", {"door_number": "493817"}),
        (f"/confirm/{DIGEST}", {}),
        ("/knock/pattern", {f"press_{n}": "short" if n % 2 else "long" for n in range(1, 7)}),
        ("/microphone", {"wish": "on"}),
        ("/identity", {"link": "https://relay.test/doorbell#e30"}),
    ],
)
async def test_a_form_on_another_page_does_nothing_here(
    visit: Visit, host: str, path: str, fields: dict[str, str]
) -> None:
    """The Origin in guard.py: from another port of this machine all of them did it."""
    await visit.unlock()
    visit.bell.view = PairingView(state="pressed" if path == "/pair" else "paired", words=WORDS)
    inputs = "".join(f'<input name="{name}" value="{value}">' for name, value in fields.items())
    await visit.fall_for(f'<form method="post" action="{visit.door}{path}">{inputs}</form>', host)
    async with visit.page.expect_navigation() as sent:
        await visit.page.evaluate("document.forms[0].submit()")
    assert (await sent.value).status == 403
    assert visit.bell.told == []


@pytest.mark.browser
async def test_another_page_burns_no_tries_of_the_door_number(visit: Visit) -> None:
    """The Origin in guard.py."""
    for _ in range(6):
        await visit.fall_for(
            f'<form method="post" action="{visit.door}/unlock">'
            '<input name="door_number" value="000000"></form>'
        )
        async with visit.page.expect_navigation():
            await visit.page.evaluate("document.forms[0].submit()")
    assert visit.bell.wrong_tries == 0


@pytest.mark.browser
@pytest.mark.parametrize("host", [FOREIGN, "localhost"])
async def test_the_page_is_never_framed(visit: Visit, host: str) -> None:
    """X-Frame-Options and frame-ancestors in guard.py, both out."""
    await visit.unlock()
    await visit.fall_for(f'<iframe src="{visit.door}/confirm"></iframe>', host)
    frame = visit.page.frames[1]
    await frame.wait_for_load_state()
    assert frame.url.startswith("chrome-error:")


@pytest.mark.browser
async def test_a_link_elsewhere_opens_the_page_locked(visit: Visit) -> None:
    """SameSite=Strict in door_number_entry.py: with Lax it opens unlocked."""
    await visit.unlock()
    await visit.fall_for(f'<a href="{visit.door}/confirm">Win a bicycle</a>')
    async with visit.page.expect_navigation():
        await visit.page.click("a")
    assert await visit.page.locator("[name=door_number]").count() == 1
    assert "Lakeland" not in await visit.page.inner_text("main")


@pytest.mark.browser
@pytest.mark.parametrize(
    ("tag", "path"), [("video", f"/clips/{DIGEST}/1.mp4"), ("img", "/static/mark.svg")]
)
async def test_nothing_of_it_is_embedded_in_a_page_of_the_same_machine(
    visit: Visit, tag: str, path: str
) -> None:
    """Cross-Origin-Resource-Policy in guard.py: cookies don't know ports, so the clip played."""
    await visit.unlock()
    await visit.fall_for(f'<{tag} data-src="{visit.door}{path}"></{tag}>', "localhost")
    assert await visit.page.evaluate(LOADED, tag) is False


@asynccontextmanager
async def paths_of(method: str) -> AsyncIterator[tuple[Home, list[str]]]:
    """The page, unlocked, and each path that it has for a method."""
    async with door_page() as home:
        await home.unlock()
        home.bell.told.clear()
        origins = own_origins(URL, listen_host="127.0.0.1", listen_port=8402)
        paths = [
            route.path.format(digest=DIGEST, number="1", token="t" * 26)
            for route in door_app(home.bell, origins=origins).routes
            if method in (getattr(route, "methods", None) or ())
        ]
        yield home, paths


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": ""},
        {"Origin": "null"},
        {"Origin": f"http://{FOREIGN}"},
        {"Origin": f"{URL}.{FOREIGN}"},
        {"Origin": "http://localhost:8401"},
        {"Origin": URL, "Sec-Fetch-Site": "cross-site"},
    ],
)
async def test_no_path_takes_a_post_that_its_own_pages_did_not_send(
    headers: dict[str, str],
) -> None:
    """`is_own` in guard.py: a path that is added later is asked here too."""
    async with paths_of("POST") as (home, paths):
        assert len(paths) >= 12
        for path in paths:
            reply = await home.web.post(path, data={"wish": "on"}, headers=headers)
            assert reply.status_code == 403, path
        assert home.bell.told == []
        assert (await home.web.get(f"/clips/{DIGEST}/1.mp4")).status_code == 200  # still unlocked


@pytest.mark.parametrize("host", [FOREIGN, f"{FOREIGN}:8402", "localhost:8402.", "[::1]", ""])
async def test_no_path_answers_to_a_name_that_is_not_the_doorbells(host: str) -> None:
    """The Host in guard.py."""
    async with paths_of("GET") as (home, paths):
        assert len(paths) > 6
        for path in [*paths, "/static/door.css"]:
            reply = await home.web.get(path, headers={"Host": host})
            assert reply.status_code == 421, path
            assert "Doorward" not in reply.text
