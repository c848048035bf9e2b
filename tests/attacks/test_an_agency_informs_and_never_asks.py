"""An agency asks for recordings, witnesses or contact by the feed, or promotes doorbells (R23).

The officers here are certified and sign with their own passkeys, past every page.
"""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.relay.agency_feed import FeedOfficer, open_feed_world
from tests.relay.http_world import World

ASKING = [
    "Please check your doorbell cameras for a grey van.",
    "Did you see a grey van? Tell the station.",
    "Who is this man?",
    "Contact Detective Dahl.",
    "Call 555-123-4567 with tips.",
    "Upload it at https://evidence.example/lakeland",
    "Get a free doorbell at the station.",
    "Titta på era dörrklockor från i måndags.",
    "Har du sett en grå skåpbil?",
    "Kontakta oss på stationen.",
    "Ｃｈｅｃｋ ｙｏｕｒ ｃａｍｅｒａｓ",
    "Check your cam\u200beras",
]


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_feed_world(tmp_path) as world:
        yield world


@pytest.mark.parametrize("text", ASKING)
async def test_an_agency_asks_by_a_post_and_is_refused(world: World, text: str) -> None:
    """Seen to be taken with `_asking_problems` taken out of relay/feed/text_rules.py."""
    officer = await FeedOfficer.certified(world)
    refused = await officer.hand_in(officer.write(text=text))
    assert refused.status_code == 422, refused.text
    assert refused.json()["error"]["code"].startswith("text_")
    assert await officer.state_of_own() == []


@pytest.mark.parametrize("text", ASKING)
async def test_danger_to_life_is_no_way_around_it(world: World, text: str) -> None:
    officer = await FeedOfficer.certified(world)
    assert (await officer.hand_in(officer.write(text=text, is_danger=True))).status_code == 422
    assert (await world.browser().get("/neighbours")).text.count(text) == 0


async def test_an_agency_links_to_no_request_but_its_own_that_stands(world: World) -> None:
    officer = await FeedOfficer.certified(world)
    for request_id in ("a" * 26, "../../admin"):
        text = f"A request is published: http://relay.test/requests/{request_id}"
        assert (await officer.hand_in(officer.write(text=text))).status_code == 422
    request_id = await officer.publish_request()
    text = f"A request for recordings is published: http://relay.test/requests/{request_id}"
    assert (await officer.hand_in(officer.write(text=text))).status_code == 201


async def test_one_officer_alone_shows_nothing_at_once(world: World) -> None:
    officer = await FeedOfficer.certified(world)
    post = officer.write(text="Stay inside: gas is leaking.", is_danger=True)
    assert (await officer.hand_in(post)).status_code == 201
    assert await officer.public_texts() == []
    assert (await officer.cosign(post)).status_code == 404  # not the one whom it names
    forged = officer.write(
        text="Stay inside: gas is leaking.", is_danger=True, cosigner_id=officer.officer_id
    )
    assert (await officer.hand_in(forged)).status_code == 422
    assert await officer.public_texts() == []


async def test_an_officer_without_the_approvers_role_shows_nothing_at_once(world: World) -> None:
    officer = await FeedOfficer.certified(world)
    approver = officer.partner
    assert approver is not None
    post = approver.write(
        text="Stay inside: gas is leaking.", is_danger=True, cosigner_id=officer.officer_id
    )
    assert (await approver.hand_in(post)).status_code == 422
