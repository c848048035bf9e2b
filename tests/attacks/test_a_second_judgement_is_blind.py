"""A moderator tells which decisions are judged again, or what the first one decided (R22).

Two moderators compare all that their pages show: of posts that wait, and of posts that somebody
has decided and that were drawn to be judged again.
"""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.relay.admin_people import Admin, signed_in_admin
from tests.relay.feed_people import member, waiting_post
from tests.relay.http_world import World, open_world

DECISIONS = [
    {"verdict": "published"},
    {"verdict": "published", "is_urgent": "yes"},
    {"verdict": "refused", "reason": "no_act"},
    {"verdict": "refused", "reason": "other", "words": "It says nothing."},
]


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path) as world:
        yield world


async def pages_of(admin: Admin, post_id: str) -> tuple[str, str]:
    """Return the queue and the post's page, without what every page draws anew."""
    queue, page = await admin.get("/feed"), await admin.get(f"/feed/{post_id}")
    assert (queue.status_code, page.status_code) == (200, 200)
    return tuple(re.sub(admin.csrf, "", one.text) for one in (queue, page))  # type: ignore[return-value]


@pytest.mark.parametrize("decision", DECISIONS)
async def test_a_decided_post_looks_to_others_as_it_did_before(
    world: World, decision: dict[str, str]
) -> None:
    """Seen to differ with `rejudgements` left out of FeedModeration.waiting, then of find."""
    ada, mia = await member(world), await signed_in_admin(world)
    bo = await signed_in_admin(world, "Bo Ek")
    post_id = await waiting_post(ada)
    before = await pages_of(bo, post_id)
    assert (await mia.send(f"/feed/{post_id}/decision", **decision)).status_code == 303
    assert await pages_of(bo, post_id) == before
    assert post_id not in (await mia.get("/feed")).text


@pytest.mark.parametrize("decision", DECISIONS)
@pytest.mark.parametrize("second", DECISIONS)
async def test_a_second_judgement_is_answered_as_a_first_one_and_changes_nothing(
    world: World, decision: dict[str, str], second: dict[str, str]
) -> None:
    ada, mia = await member(world), await signed_in_admin(world)
    bo = await signed_in_admin(world, "Bo Ek")
    drawn, fresh = await waiting_post(ada), await waiting_post(ada)
    await mia.send(f"/feed/{drawn}/decision", **decision)
    state = (await ada.get("/feed/mine")).json()
    answers = [await bo.send(f"/feed/{one}/decision", **second) for one in (drawn, fresh)]
    assert len({(one.status_code, one.headers["location"]) for one in answers}) == 1
    after = (await ada.get("/feed/mine")).json()
    mine = [[one for one in told["posts"] if one["id"] == drawn] for told in (state, after)]
    assert mine[0] == mine[1]
    pages = [(await bo.get(f"/feed/{one}")).text for one in (drawn, fresh)]
    standing = [re.search(r'id="standing" data-state="(\w+)"', page) for page in pages]
    assert [one and one[1] for one in standing] == [second["verdict"]] * 2
    assert all(page.count("<li") == pages[0].count("<li") for page in pages)


async def test_an_appeal_tells_nobody_who_judges_the_post_again(world: World) -> None:
    """Seen to be told with the appeals of such posts left in FeedModeration.appeals."""
    ada, mia = await member(world), await signed_in_admin(world)
    bo = await signed_in_admin(world, "Bo Ek")
    post_id = await waiting_post(ada)
    before = await pages_of(bo, post_id)
    await mia.send(f"/feed/{post_id}/decision", verdict="refused", reason="no_act")
    appeal = {"text": "It says what was taken."}
    assert (await ada.post(f"/feed/posts/{post_id}/appeal", appeal)).status_code == 204
    assert await pages_of(bo, post_id) == before
    await bo.send(f"/feed/{post_id}/decision", verdict="refused", reason="no_act")
    assert "It says what was taken." in (await bo.get(f"/feed/{post_id}")).text


async def test_the_running_months_figures_tell_nothing_of_what_is_judged_again(
    world: World,
) -> None:
    ada, mia = await member(world), await signed_in_admin(world)
    await mia.send(f"/feed/{await waiting_post(ada)}/decision", verdict="published")
    figures = (await world.browser().get("/neighbours/moderation.json")).json()
    assert figures["queue"]["posts"] == 0
    assert figures["months"][0]["judged_again_drawn"] is None
    assert figures["months"][0]["judged_again"] == {}
