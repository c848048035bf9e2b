"""A relay that shows an owner's app something else than the doorbell read in the public register.

What was asked comes in the doorbell's own sealed note: the digest of the request, who asks, whether
it is an emergency. The app shows the relay's text only if it is that very one.
"""

import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest_asyncio
from playwright.async_api import Route, expect

from firmware.consent.facts import Refusal
from firmware.protocol.decisions import Decline
from firmware.protocol.encoding import b64u
from tests.flows.asked_home import Home, home_in_browser, terms_of
from tests.flows.browser import IN_ONE_BROWSER
from tests.flows.filmed import out_of_reach
from tests.relay.http_people import id_of
from tests.relay.http_world import HOUR_MS, OWNER_ORIGIN, World, open_world

pytestmark = list(IN_ONE_BROWSER)


@pytest_asyncio.fixture(loop_scope="module")
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path) as world:
        yield world


async def lie(home: Home, bend: Callable[[Any], None]) -> None:
    """Let the relay answer otherwise about any request."""

    async def bent(route: Route) -> None:
        token = await route.request.header_value("authorization") or ""
        async with home.world.browser() as http:
            answer = await http.get(route.request.url, headers={"Authorization": token})
        body = answer.json()
        for one in body.get("requests", [body]):
            bend(one)
        headers = {"Access-Control-Allow-Origin": OWNER_ORIGIN}
        await route.fulfill(status=answer.status_code, headers=headers, json=body)

    await home.page.route("**/api/v1/requests*", bent)
    await home.page.route("**/api/v1/requests/*", bent)


async def assert_nothing_can_be_given(home: Home) -> None:
    await expect(home.page.locator("#different")).to_be_visible()
    assert await home.page.locator("#give, #next, #hold, #refuse").count() == 0


async def test_another_text_by_the_same_officers_is_not_shown_in_its_place(world: World) -> None:
    async with home_in_browser(world) as home:
        # Both are rightly signed; the doorbell read the first, at this address.
        asked = await home.ask(text="A bicycle was taken.")
        other = home.officer.sign(
            home.officer.write(
                id=asked.id,
                text="Who came to the meeting?",
                from_ms=asked.request.from_ms - 3 * HOUR_MS,
                reason="All afternoon.",
            )
        )
        assert home.officer.partner is not None
        cosigned = home.officer.partner.cosigned(other)
        signed = json.loads(other.encode()) | json.loads(cosigned.encode())
        await home.hear(asked)
        await home.visitor()
        assert id_of(other) == asked.id

        def bend(one: Any) -> None:
            one["signed"] = signed

        await lie(home, bend)
        await home.open(asked)
        await assert_nothing_can_be_given(home)
        await expect(home.page.locator("main")).not_to_contain_text("meeting")
        await home.page.goto(f"{OWNER_ORIGIN}/#/requests")
        await expect(home.page.locator("#my-requests")).to_contain_text(
            "The relay shows something else than your doorbell read"
        )
        # A no counts all the same, for what the doorbell read.
        await home.open(asked)
        await home.page.click("#decline")
        assert terms_of(await home.sent()) == Decline(request_digest=asked.digest)


async def test_another_agencys_name_is_not_believed(world: World) -> None:
    async with home_in_browser(world) as home:
        asked = await home.ask()
        await home.hear(asked)

        def bend(one: Any) -> None:
            one["agency"]["name"] = "Children's Hospital"

        await lie(home, bend)
        await home.open(asked)
        await assert_nothing_can_be_given(home)
        await expect(home.page.locator("#different")).to_contain_text("Lakeland Police")


async def test_what_no_doorbell_told_of_can_not_be_answered(world: World) -> None:
    async with home_in_browser(world) as home:
        asked = await home.ask()
        await home.visitor()
        await home.open(asked)
        await expect(home.page.locator("#release")).to_contain_text("nothing to decide here")
        assert await home.page.locator("#give, #hold, #decline, #refuse").count() == 0


async def test_a_calm_request_can_not_be_called_an_emergency_nor_the_reverse(world: World) -> None:
    async with home_in_browser(world) as home:
        for danger, said in (("", True), ("A child is missing.", False)):
            asked = await home.ask(danger=danger, case_number=f"K-{int(said)}")
            await home.hear(asked, is_emergency=said)
            await home.open(asked)
            await assert_nothing_can_be_given(home)


async def test_a_key_that_the_relay_slips_in_is_shown_and_the_doorbell_gives_it_nothing(
    world: World,
) -> None:
    async with home_in_browser(world) as home:
        await out_of_reach(home)
        asked = await home.ask()
        await home.hear(asked)
        await home.visitor()
        own_key = b64u(b"k" * 32)

        def bend(one: Any) -> None:
            one["agency"]["sealing_keys"].append(own_key)

        await lie(home, bend)
        await home.open_choice(asked)
        await home.page.check("[data-testid=choose-clip]")
        await home.page.click("#next")
        await home.page.click("#protected summary")
        keys = home.page.locator("#keys li")
        await expect(keys).to_have_count(len(world.agency.sealing_keys) + 1)
        await home.page.click("#give")
        refusal = await home.judged(await home.sent())
        assert isinstance(refusal, Refusal)
        assert refusal.reason == "recipient"


async def test_a_request_that_the_relay_hides_is_known_all_the_same(world: World) -> None:
    async with home_in_browser(world) as home:
        asked = await home.ask()
        await home.hear(asked)

        async def empty(route: Route) -> None:
            headers = {"Access-Control-Allow-Origin": OWNER_ORIGIN}
            await route.fulfill(headers=headers, json={"requests": []})

        await home.page.route("**/api/v1/requests", empty)
        await home.page.goto(f"{OWNER_ORIGIN}/#/requests")
        await expect(home.page.locator("[data-testid=hidden-request]")).to_contain_text(
            "Lakeland Police"
        )
