"""Agencies' posts: signed, moderated or co-signed, and what the page and everybody see of them."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from firmware.protocol.register.entries import AgencySuspended
from relay.feed.agency_posts import COSIGN_WITHIN_MS, MAX_A_DAY, POST_RULES, POST_STATES
from relay.web.i18n import load_texts
from tests.relay.admin_people import signed_in_admin
from tests.relay.agency_feed import ELSEWHERE, FeedOfficer, open_feed_world, public_posts
from tests.relay.http_world import DAY_MS, HOUR_MS, World


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_feed_world(tmp_path) as world:
        yield world


async def test_a_post_waits_for_a_moderator_and_then_everybody_reads_it(world: World) -> None:
    officer, mia = await FeedOfficer.certified(world), await signed_in_admin(world)
    post = officer.write_post()
    assert (await officer.hand_in_post(post)).status_code == 201
    assert await public_posts(world) == []
    assert 'data-state="waiting"' in (await officer.http.get("/agency/feed")).text
    assert "gas is leaking" in (await mia.get(f"/feed/{post.id}")).text
    form = {"verdict": "published", "is_urgent": "yes"}
    assert (await mia.send(f"/feed/{post.id}/decision", **form)).status_code == 303
    (shown,) = await public_posts(world)
    assert (shown["id"], shown["by"], shown["agency"]) == (post.id, "agency", "lakeland")
    assert officer.officer_id not in str(shown)
    assert 'data-state="published"' in (await officer.http.get("/agency/feed")).text


async def test_a_refusal_is_told_to_the_agency_with_its_reason(world: World) -> None:
    officer, mia = await FeedOfficer.certified(world), await signed_in_admin(world)
    post = officer.write_post()
    await officer.hand_in_post(post)
    form = {"verdict": "refused", "reason": "advertising"}
    assert (await mia.send(f"/feed/{post.id}/decision", **form)).status_code == 303
    page = (await officer.http.get("/agency/feed")).text
    assert 'data-state="refused"' in page
    assert load_texts()["en"]("feed.reason.advertising") in page


async def test_danger_is_shown_once_two_signed_and_moderated_afterwards(world: World) -> None:
    officer, mia = await FeedOfficer.certified(world), await signed_in_admin(world)
    post = officer.write_post(is_danger=True)
    assert (await officer.hand_in_post(post)).json()["is_danger"] is True
    assert await public_posts(world) == []
    assert post.id in (await officer.approver.http.get("/agency/feed")).text
    assert (await officer.approver.cosign_post(post)).is_success
    again = await officer.approver.cosign_post(post)
    assert again.json()["error"]["code"] == "post_cosigned"
    (shown,) = await public_posts(world)
    assert (shown["id"], shown["is_urgent"]) == (post.id, True)
    assert post.id in (await mia.get("/feed")).text
    assert "because life is in danger" in (await mia.get(f"/feed/{post.id}")).text
    figures = (await world.browser().get("/neighbours/moderation.json")).json()
    assert figures["queue"]["posts"] == 1
    assert figures["months"][0]["shown_at_once_by_agencies"] == 1
    form = {"verdict": "refused", "reason": "no_act"}
    assert (await mia.send(f"/feed/{post.id}/decision", **form)).status_code == 303
    assert await public_posts(world) == []


async def test_danger_that_a_moderator_lets_stand_stays_where_it_was(world: World) -> None:
    officer, mia = await FeedOfficer.certified(world), await signed_in_admin(world)
    post = officer.write_post(is_danger=True)
    await officer.hand_in_post(post)
    await officer.approver.cosign_post(post)
    before = await public_posts(world)
    world.clock.advance(60)
    await mia.send(f"/feed/{post.id}/decision", verdict="published")
    assert await public_posts(world) == before
    assert post.id not in (await mia.get("/feed")).text


async def test_a_cosignature_comes_within_an_hour(world: World) -> None:
    officer = await FeedOfficer.certified(world)
    post = officer.write_post(is_danger=True)
    await officer.hand_in_post(post)
    world.clock.advance(COSIGN_WITHIN_MS / 1000)
    late = await officer.approver.cosign_post(post)
    assert (late.status_code, late.json()["error"]["code"]) == (409, "post_late")
    assert 'data-state="late"' in (await officer.http.get("/agency/feed")).text
    assert await public_posts(world) == []


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"cell": ELSEWHERE.cells[0]}, "post_cell"),
        ({"agency": "elsewhere"}, "post_other"),
        ({"officer_id": "a" * 26}, "post_other"),
        ({"officer_name": "Somebody Else"}, "post_signature"),
        ({"hour_ms": 1}, "post_hour"),
        ({"created_ms": 1}, "post_created"),
        ({"text": "See example.com"}, "text_link"),
    ],
)
async def test_what_breaks_a_rule_is_refused_in_words(
    world: World, changes: dict[str, object], code: str
) -> None:
    officer = await FeedOfficer.certified(world)
    refused = await officer.hand_in_post(officer.write_post(**changes))
    error = refused.json()["error"]
    assert (refused.status_code, error["code"], error["is_told"]) == (422, code, True)
    assert error["message"][-1] == "."


async def test_another_hour_or_an_old_one_is_refused(world: World) -> None:
    officer = await FeedOfficer.certified(world)
    hour_ms = officer.write_post().hour_ms
    for wrong_ms in (hour_ms + 1, hour_ms + HOUR_MS, hour_ms - 8 * DAY_MS):
        answer = await officer.hand_in_post(officer.write_post(hour_ms=wrong_ms))
        assert answer.json()["error"]["code"] == "post_hour"


async def test_another_signature_is_refused(world: World) -> None:
    officer = await FeedOfficer.certified(world)
    post, other = officer.write_post(), officer.write_post()
    changed = await officer.hand_in_post(post, sent=other.encode().decode())
    assert (changed.status_code, changed.json()["error"]["code"]) == (422, "post_signature")


async def test_the_same_post_twice_is_one_and_ten_a_day_are_enough(world: World) -> None:
    officer = await FeedOfficer.certified(world)
    post = officer.write_post()
    for _ in range(2):
        assert (await officer.hand_in_post(post)).status_code == 201
    assert (await world.feed.moderation.waiting("mia"))[1] == 1
    for _ in range(MAX_A_DAY - 1):
        assert (await officer.hand_in_post(officer.write_post())).status_code == 201
    many = await officer.hand_in_post(officer.write_post())
    assert (many.status_code, many.json()["error"]["code"]) == (429, "post_many")


async def test_an_agency_without_an_agreement_in_force_posts_nothing(world: World) -> None:
    officer = await FeedOfficer.certified(world)
    await world.town.change(AgencySuspended(agency="lakeland"))
    answer = await officer.hand_in_post(officer.write_post())
    assert answer.json()["error"]["code"] == "post_agreement"


@pytest.mark.parametrize("language", ["en", "sv"])
def test_each_refusal_and_state_has_words(language: str) -> None:
    texts = load_texts()[language]
    assert all(f"agency_feed.problem.{name}" in texts for name in POST_RULES)
    assert all(f"agency_feed.state.{name}" in texts for name in POST_STATES)


@pytest.mark.parametrize("language", ["en", "sv"])
async def test_the_moderations_figures_are_a_page_by_month_and_reason(
    world: World, language: str
) -> None:
    officer, mia = await FeedOfficer.certified(world), await signed_in_admin(world)
    bo = await signed_in_admin(world, "Bo Ek")
    empty = await world.browser().get(f"/neighbours/moderation?lang={language}")
    assert 'id="empty"' in empty.text
    kept, gone, other = [officer.write_post() for _ in range(3)]
    for post in (kept, gone, other):
        await officer.hand_in_post(post)
    refusal = {"verdict": "refused", "reason": "no_act"}
    await mia.send(f"/feed/{kept.id}/decision", verdict="published")
    await mia.send(f"/feed/{gone.id}/decision", **refusal)
    await bo.send(f"/feed/{kept.id}/decision", verdict="published")
    await bo.send(f"/feed/{gone.id}/decision", verdict="refused", reason="name")
    world.clock.advance(32 * DAY_MS / 1000)
    page = await world.browser().get(f"/neighbours/moderation?lang={language}")
    assert page.status_code == 200
    assert load_texts()[language]("feed.reason.no_act") in page.text
    figures = (await world.browser().get("/neighbours/moderation.json")).json()
    (month,) = figures["months"]
    assert (month["published"], month["refused"]) == (1, {"no_act": 1})
    assert month["judged_again_drawn"] == 2
    assert month["judged_again"] == {
        "published": {"judged": 1, "agreed": 1},
        "no_act": {"judged": 1, "agreed": 0},
    }
    assert figures["queue"] == {
        "posts": 1,
        "oldest_hours": 32 * 24.0,
        "appeals": 0,
        "oldest_appeal_hours": None,
    }
