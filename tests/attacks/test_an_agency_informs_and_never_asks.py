"""An agency asks for recordings, witnesses or contact by the feed, or promotes doorbells (R23).

The officers here are certified and sign with their own passkeys, past every page.
"""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from firmware.protocol.custody import CustodyBody, FeedDangerLeaf, parse_custody_leaf
from firmware.protocol.encoding import sha256_hex
from firmware.protocol.feed_posts import POST_TAG
from relay.custody.log_entries import LogEntries
from tests.relay.agency_feed import FeedOfficer, open_feed_world, public_posts
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
    refused = await officer.hand_in_post(officer.write_post(text=text))
    assert refused.status_code == 422, refused.text
    assert refused.json()["error"]["code"].startswith("text_")
    assert (await world.feed.moderation.waiting("mia"))[1] == 0


@pytest.mark.parametrize("text", ASKING)
async def test_danger_to_life_is_no_way_around_it(world: World, text: str) -> None:
    officer = await FeedOfficer.certified(world)
    post = officer.write_post(text=text, is_danger=True)
    assert (await officer.hand_in_post(post)).status_code == 422
    assert (await officer.approver.cosign_post(post)).status_code == 404
    assert await public_posts(world) == []


async def test_an_agency_links_to_no_request_but_its_own_that_stands(world: World) -> None:
    officer = await FeedOfficer.certified(world)
    for request_id in ("a" * 26, "../../admin"):
        text = f"A request is published: http://relay.test/requests/{request_id}"
        assert (await officer.hand_in_post(officer.write_post(text=text))).status_code == 422
    request_id = await officer.publish_request()
    text = f"A request for recordings is published: http://relay.test/requests/{request_id}"
    assert (await officer.hand_in_post(officer.write_post(text=text))).status_code == 201


async def test_one_officer_alone_shows_nothing_at_once(world: World) -> None:
    """Seen to be shown with `check_cosigned_post` taken out of AgencyPosts.cosign."""
    officer = await FeedOfficer.certified(world)
    post = officer.write_post(is_danger=True)
    assert (await officer.hand_in_post(post)).status_code == 201
    assert await public_posts(world) == []
    assert (await officer.cosign_post(post)).status_code == 404  # it names another one
    assert (await officer.approver.cosign_post(post, tag=POST_TAG)).status_code == 422
    by_oneself = officer.write_post(is_danger=True, cosigner_id=officer.officer_id)
    assert (await officer.hand_in_post(by_oneself)).status_code == 422
    assert await public_posts(world) == []


async def test_an_officer_without_the_approvers_role_shows_nothing_at_once(world: World) -> None:
    officer = await FeedOfficer.certified(world)
    post = officer.approver.write_post(is_danger=True, cosigner_id=officer.officer_id)
    assert (await officer.approver.hand_in_post(post)).status_code == 422


async def test_a_post_that_is_shown_at_once_is_in_the_log(world: World) -> None:
    officer = await FeedOfficer.certified(world)
    post = officer.write_post(is_danger=True)
    await officer.hand_in_post(post)
    assert await logged(world) == []
    assert (await officer.approver.cosign_post(post)).is_success
    expected = FeedDangerLeaf(agency=post.agency, post=sha256_hex(post.encode()))
    assert await logged(world) == [expected]


async def logged(world: World) -> list[CustodyBody]:
    """Return what the custody log has, or will have, of posts that were shown at once."""
    async with world.database.read() as tx:
        entries = await LogEntries().added(tx, "custody", 0)
    bodies = [parse_custody_leaf(entry).body for entry in entries]
    return [body for body in bodies if isinstance(body, FeedDangerLeaf)]


async def test_an_agency_sees_no_more_than_everybody(world: World) -> None:
    """After 30 days an agency's own page has as little as the public one."""
    officer = await FeedOfficer.certified(world)
    post = officer.write_post(is_danger=True)
    await officer.hand_in_post(post)
    assert (await officer.approver.cosign_post(post)).is_success
    assert [one["id"] for one in await public_posts(world)] == [post.id]
    assert "gas is leaking" in (await officer.http.get("/agency/feed")).text
    world.clock.advance(30 * 24 * 3600 + 1)
    assert await public_posts(world) == []
    await officer.get_certified()
    await officer.log_in()
    page = await officer.http.get("/agency/feed")
    assert page.status_code == 200
    assert "gas is leaking" not in page.text
    for path in ("/agency/feed?q=ada", "/agency/feed?account=ada", "/agency/feed?before=0"):
        assert (await officer.http.get(path)).text.count("<li>") == page.text.count("<li>")
