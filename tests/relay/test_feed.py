"""The neighbours' feed: written, moderated, published in batches, read by all, erased."""

import asyncio
import io
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from sqlalchemy import insert, select

from relay.feed.rules import APPEAL_WITHIN_MS, LIFE_MS, FeedRefused
from relay.ingest.expiry import Expiry
from relay.map.map_data import MapData
from relay.store.feed import PostRow
from relay.store.schema import feed_decisions, feed_pictures, feed_posts
from tests.relay.admin_people import signed_in_admin
from tests.relay.databases import ON_SQLITE_ONLY, all_stored
from tests.relay.feed_people import (
    CELL,
    DISTRICT,
    FOLLOWING,
    TEXT,
    jpeg_of,
    member,
    posts,
    published_post,
    stored_post,
    upload,
    waiting_post,
    write,
)
from tests.relay.http_people import Owner
from tests.relay.http_world import API, DAY_MS, HOUR_MS, World, open_world
from tests.relay.test_query_costs import noted, steps


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path) as world:
        yield world


async def rows(world: World, table: Any) -> list[Any]:
    async with world.database.read() as tx:
        return list((await tx.execute(select(table))).all())


async def mine(owner: Owner) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await owner.get("/feed/mine")).json()["posts"]
    return found


async def test_a_member_without_a_doorbell_gets_all_that_is_kept_and_nobody_elses(world):
    ada, ben = await member(world), await member(world, "Ben")
    assert (await ada.put("/feed/following", FOLLOWING)).is_success
    picture = (await upload(ada, jpeg_of())).json()["id"]
    post_id = await waiting_post(ada, pictures=[picture])
    await world.feed.moderation.refuse(post_id, "plate", moderator="mia")
    assert (await ada.post(f"/feed/posts/{post_id}/appeal", {"text": "No plate."})).is_success
    told = (await ada.get("/feed/export")).json()
    assert (told["v"], told["kind"], told["name"]) == (1, "doorward/feed-export", "Ada")
    assert told["membership"] == {"district": DISTRICT, "follows": ["safety"]}
    assert told["following"] == FOLLOWING
    (post,) = told["posts"]
    assert (post["id"], post["text"], post["state"]) == (post_id, TEXT, "refused")
    assert (post["reason"], post["appeal"]) == ("plate", "No plate.")
    assert told["legal"] == []
    others = (await ben.get("/feed/export")).json()
    assert (others["name"], others["posts"]) == ("Ben", [])
    assert (await world.browser().get(f"{API}/feed/export")).status_code == 401


async def test_a_post_is_read_by_a_moderator_then_by_everybody_and_erased_after_30_days(world):
    ada, mia = await member(world), await signed_in_admin(world)
    picture = (await upload(ada, jpeg_of())).json()["id"]
    post_id = await waiting_post(ada, pictures=[picture])
    assert await posts(world.browser()) == []
    page = (await mia.get(f"/feed/{post_id}")).text
    assert TEXT in page
    assert "Ada" not in page
    assert (await mia.get(f"/feed/pictures/{picture}")).content.startswith(b"\xff\xd8")
    decided = await mia.send(f"/feed/{post_id}/decision", verdict="published")
    assert decided.status_code == 303, decided.text
    assert await posts(world.browser()) == []  # its hour isn't over
    world.clock.advance(HOUR_MS / 1000)
    (post,) = await posts(world.browser(), district=DISTRICT)
    assert post == {
        "id": post_id,
        "kind": "parcel_taken",
        "cell": CELL,
        "hour_ms": post["hour_ms"],
        "published_ms": post["published_ms"],
        "text": TEXT,
        "pictures": [picture],
        "by": "neighbour",
        "agency": None,
        "refers": None,
        "is_urgent": False,
    }
    assert post["hour_ms"] % HOUR_MS == post["published_ms"] % HOUR_MS == 0
    shown = (await world.browser().get(f"/neighbours/{DISTRICT}")).text
    assert TEXT in shown
    assert f"/feed/pictures/{picture}" in shown
    atom = await world.browser().get(f"/neighbours/{DISTRICT}/atom")
    assert TEXT in atom.text
    assert (await world.browser().get(f"{API}/feed/pictures/{picture}")).status_code == 200
    world.clock.advance(LIFE_MS / 1000)
    assert await posts(world.browser()) == []
    await Expiry(world.database, world.clock).forget()
    assert await rows(world, feed_posts) == await rows(world, feed_pictures) == []
    (decision,) = await rows(world, feed_decisions)
    assert (decision.post_id, decision.words) == (None, "")


# --- members ---


async def test_nothing_is_chosen_beforehand_and_leaving_forgets_it(world):
    ada = Owner(world)
    await ada.register()
    assert (await ada.get("/feed/membership")).json() == {"district": None, "follows": []}
    assert (await write(ada)).json()["error"]["code"] == "not_a_member"
    chosen = await ada.put("/feed/membership", {"district": DISTRICT, "follows": ["safety"]})
    assert chosen.json() == {"district": DISTRICT, "follows": ["safety"]}
    moved = await ada.put("/feed/membership", {"district": "dixieland"})
    assert moved.json() == {"district": "dixieland", "follows": ["safety"]}
    assert (await ada.put("/feed/membership", {"district": None})).status_code == 200
    assert (await ada.get("/feed/membership")).json()["district"] is None


async def test_a_district_that_there_is_not_is_refused(world):
    ada = Owner(world)
    await ada.register()
    answer = await ada.put("/feed/membership", {"district": "atlantis"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "no_district")
    assert (await ada.get("/feed/posts?district=atlantis")).status_code == 404


async def test_everybody_gets_the_same_districts_without_their_addresses(world):
    answer = await world.browser().get(f"{API}/feed/districts")
    assert [one["id"] for one in answer.json()["districts"]] == ["dixieland", DISTRICT]
    assert set(answer.json()["districts"][0]) == {"id", "name", "cells"}
    etag = {"If-None-Match": answer.headers["etag"]}
    assert (await world.browser().get(f"{API}/feed/districts", headers=etag)).status_code == 304


async def test_a_town_without_districts_says_so(tmp_path):
    async with open_world(tmp_path, maps=MapData()) as world:
        ada = Owner(world)
        await ada.register()
        answer = await ada.put("/feed/membership", {"district": DISTRICT})
        assert (answer.status_code, answer.json()["error"]["code"]) == (409, "no_districts")
        assert (await write(ada)).json()["error"]["code"] == "no_districts"
        assert (await world.browser().get(f"{API}/feed/districts")).json() == {"districts": []}
        assert 'id="no-districts"' in (await world.browser().get("/neighbours")).text


# --- what is refused before a moderator reads it ---


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"kind": "official"}, "kind"),
        ({"cell": "89441a5ac73ffff"}, "cell"),
        ({"cell": "88441a5ac5fffff"}, "other_district"),
        ({"cell": "ffffffffffffffff"[:15]}, "cell"),
        ({"text": "   "}, "text"),
        ({"text": "x" * 1001}, "text"),
        ({"text": "A parcel was taken.\u202e"}, "text"),
        ({"text": "A white van."}, "text_short"),
        ({"kind": "vehicle", "text": "A white van."}, "text_short"),
        ({"pictures": ["a" * 26]}, "pictures"),
        ({"hour_ms": 0}, "hour"),
    ],
)
async def test_a_post_that_breaks_a_rule_is_refused_with_what_to_do(world, changes, code):
    ada = await member(world)
    answer = await write(ada, **changes)
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, code)
    assert await rows(world, feed_posts) == []


async def test_a_post_is_of_the_last_seven_days_and_keeps_the_hour_alone(world):
    ada, now_ms = await member(world), world.clock.wall_ms()
    for hour_ms in (now_ms + HOUR_MS, now_ms - 7 * DAY_MS - 1):
        assert (await write(ada, hour_ms=hour_ms)).json()["error"]["code"] == "hour"
    await waiting_post(ada, hour_ms=now_ms)
    await waiting_post(ada, hour_ms=now_ms - 7 * DAY_MS + 1)
    assert [row.hour_ms % HOUR_MS for row in await rows(world, feed_posts)] == [0, 0]


async def test_three_posts_a_day_are_enough_withdrawn_ones_counted(world):
    ada = await member(world)
    for _ in range(3):
        post_id = await waiting_post(ada)
    await ada.delete(f"/feed/posts/{post_id}")
    answer = await write(ada)
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "too_many_posts")
    world.clock.advance(DAY_MS / 1000 + 1)
    await waiting_post(ada)


# --- moderation ---


async def test_the_author_reads_why_and_another_moderator_decides_the_appeal_once(world):
    ada, mia = await member(world), await signed_in_admin(world)
    bo = await signed_in_admin(world, "Bo Ek")
    post_id = await waiting_post(ada)
    form = {"verdict": "refused", "reason": "no_act"}
    assert (await mia.send(f"/feed/{post_id}/decision", **form)).status_code == 303
    (own,) = await mine(ada)
    assert (own["state"], own["reason"], own["text"]) == ("refused", "no_act", TEXT)
    assert own["appeal_until_ms"] == world.clock.wall_ms() + APPEAL_WITHIN_MS
    appeal = {"text": "It says what was taken."}
    assert (await ada.post(f"/feed/posts/{post_id}/appeal", appeal)).status_code == 204
    again = await ada.post(f"/feed/posts/{post_id}/appeal", appeal)
    assert again.json()["error"]["code"] == "appealed"
    second = {"verdict": "published"}  # Bo judges it again first, and sees no appeal until then
    assert "It says what was taken." not in (await bo.get(f"/feed/{post_id}")).text
    assert (await bo.send(f"/feed/{post_id}/decision", **second)).status_code == 303
    assert "It says what was taken." in (await bo.get(f"/feed/{post_id}")).text
    verdict = {"verdict": "overturned", "words": "It does."}
    own_refusal = await mia.send(f"/feed/{post_id}/appeal", **verdict)
    assert own_refusal.status_code == 403
    assert (await bo.send(f"/feed/{post_id}/appeal", **verdict)).status_code == 303
    assert (await mine(ada))[0]["state"] == "waiting"  # for the end of its batch
    world.clock.advance(HOUR_MS / 1000)
    assert [post["id"] for post in await posts(world.browser())] == [post_id]
    assert (await bo.send(f"/feed/{post_id}/appeal", **verdict)).status_code == 409


async def test_of_two_moderators_at_once_one_decides(world):
    ada = await member(world)
    moderation = world.feed.moderation
    for _ in range(3):
        post_id = await waiting_post(ada)
        results = await asyncio.gather(
            moderation.publish(post_id, moderator="mia"),
            moderation.refuse(post_id, "plate", moderator="bo"),
            moderation.publish(post_id, moderator="kim", is_urgent=True),
            return_exceptions=True,
        )
        refused = [one for one in results if isinstance(one, FeedRefused)]
        assert [one.name for one in refused] == ["state"]  # the second one judged it again
    assert len(await rows(world, feed_decisions)) == 3


async def test_an_urgent_post_is_out_at_once(world):
    ada, mia = await member(world), await signed_in_admin(world)
    post_id = await waiting_post(ada, kind="fire", text="Smoke over the lake.")
    form = {"verdict": "published", "is_urgent": "yes"}
    assert (await mia.send(f"/feed/{post_id}/decision", **form)).status_code == 303
    (post,) = await posts(world.browser())
    assert (post["id"], post["is_urgent"]) == (post_id, True)


@pytest.mark.parametrize(
    "form",
    [
        {"verdict": "refused"},
        {"verdict": "refused", "reason": "because"},
        {"verdict": "refused", "reason": "other"},
        {"verdict": "refused", "reason": "other", "words": "\u202e"},
        {"verdict": "overturned"},
        {},
    ],
)
async def test_a_decision_without_a_reason_of_the_list_changes_nothing(world, form):
    ada, mia = await member(world), await signed_in_admin(world)
    post_id = await waiting_post(ada)
    answer = await mia.send(f"/feed/{post_id}/decision", **form)
    assert answer.status_code == 422
    assert 'id="refusal"' in answer.text
    assert (await mine(ada))[0]["state"] == "waiting"


# --- erasure ---


@pytest.mark.parametrize(("reason", "is_erased"), [("plate", True), ("advertising", False)])
async def test_pictures_that_name_somebody_go_with_the_refusal_others_with_the_appeal(
    world, reason, is_erased
):
    ada = await member(world)
    picture = (await upload(ada, jpeg_of())).json()["id"]
    post_id = await waiting_post(ada, pictures=[picture])
    await world.feed.moderation.refuse(post_id, reason, moderator="mia")
    assert len(await rows(world, feed_pictures)) == (0 if is_erased else 1)
    assert (await mine(ada))[0]["text"] == TEXT  # an appeal may come
    await ada.post(f"/feed/posts/{post_id}/appeal", {"text": "It keeps the rules."})
    world.clock.advance(APPEAL_WITHIN_MS / 1000 + 1)
    await Expiry(world.database, world.clock).forget()
    assert (await mine(ada))[0]["text"] == TEXT  # the appeal isn't decided
    await world.feed.moderation.decide_appeal(
        post_id, "upheld", words="It doesn't.", moderator="bo"
    )
    (own,) = await mine(ada)
    assert (own["state"], own["text"], own["words"]) == ("refused", "", "It doesn't.")
    assert await rows(world, feed_pictures) == []


async def test_a_refusal_without_an_appeal_is_erased_after_seven_days(world):
    ada = await member(world)
    picture = (await upload(ada, jpeg_of())).json()["id"]
    post_id = await waiting_post(ada, pictures=[picture])
    await world.feed.moderation.refuse(post_id, "advertising", moderator="mia")
    world.clock.advance(APPEAL_WITHIN_MS / 1000)
    late = await ada.post(f"/feed/posts/{post_id}/appeal", {"text": "It keeps the rules."})
    assert late.json()["error"]["code"] == "appeal_late"
    await Expiry(world.database, world.clock).forget()
    assert (await mine(ada))[0]["text"] == ""
    assert await rows(world, feed_pictures) == []


async def test_a_withdrawn_post_is_erased_at_once_in_any_state(world):
    ada, eve = await member(world), await member(world, "Eve")
    picture = (await upload(ada, jpeg_of())).json()["id"]
    shown = await published_post(ada, pictures=[picture])
    waits = await waiting_post(ada)
    assert (await eve.delete(f"/feed/posts/{shown}")).status_code == 404
    for post_id in (shown, waits):
        assert (await ada.delete(f"/feed/posts/{post_id}")).status_code == 204
    assert await posts(world.browser()) == []
    assert {row.text for row in await rows(world, feed_posts)} == {""}
    assert await rows(world, feed_pictures) == []
    assert (await world.browser().get(f"{API}/feed/pictures/{picture}")).status_code == 404


@ON_SQLITE_ONLY
async def test_nothing_erased_lies_in_the_database_file_any_more(tmp_path):
    """Seen to fail without `secure_delete`."""
    async with open_world(tmp_path) as world:
        ada = await member(world)
        noise = Image.effect_noise((400, 300), 90)
        file = io.BytesIO()
        noise.save(file, "JPEG")
        picture = (await upload(ada, file.getvalue())).json()["id"]
        post_id = await waiting_post(ada, pictures=[picture], text=f"Quagmire. {TEXT}")
        async with world.database.read() as tx:
            (jpeg,) = (await tx.execute(select(feed_pictures.c.jpeg))).scalars()
        assert b"Quagmire" in all_stored(tmp_path / "relay.sqlite3")
        await ada.delete(f"/feed/posts/{post_id}")
    stored = all_stored(tmp_path / "relay.sqlite3")  # closed: its log is written back
    pieces = [jpeg[at : at + 32] for at in range(0, len(jpeg) - 32, 512)]
    assert len(pieces) > 20
    assert [one for one in (b"Quagmire", *pieces) if one in stored] == []


async def test_a_deleted_account_leaves_published_posts_as_nobodys(world):
    ada, bo = await member(world), await member(world, "Bo")
    shown, _ = await published_post(ada), await waiting_post(ada)
    await upload(ada, jpeg_of())
    kept = await waiting_post(bo)
    begun = (await ada.post("/account/deletion/options", {})).json()
    preview = (await ada.get("/account/deletion")).json()["deleted"]
    assert (preview["feed_posts_unpublished"], preview["feed_membership"]) == (1, 1)
    body = {"session": begun["session"], "credential": ada.passkey.log_in(begun["options"])}
    deleted = (await ada.post("/account/deletion", body)).json()["deleted"]
    assert deleted["feed_posts_made_anonymous"] == deleted["feed_pictures"] == 1
    found = {row.id: row.account_id for row in await rows(world, feed_posts)}
    assert set(found) == {shown, kept}
    assert found[shown] is None
    assert [post["id"] for post in await posts(world.browser())] == [shown]


# --- reading ---


async def test_ten_thousand_posts_are_read_page_by_page_each_in_no_time(world):
    now_ms = world.clock.wall_ms()
    stored = [stored_post(number, now_ms) for number in range(10_000)]
    async with world.database.begin() as tx:
        await tx.execute(
            insert(feed_posts),
            [{name: getattr(row, name) for name in PostRow.__slots__} for row in stored],
        )
    taken_s = []
    for _ in range(5):  # the first compiles the statements
        began_s = time.process_time()
        answer = await world.browser().get(f"{API}/feed/posts?district={DISTRICT}")
        taken_s.append(time.process_time() - began_s)
    assert min(taken_s) < 0.05
    page = answer.json()
    assert (len(page["posts"]), page["more"]) == (50, True)
    older = await posts(world.browser(), district=DISTRICT, before=page["posts"][-1]["id"])
    times = [(one["published_ms"], one["id"]) for one in (*page["posts"], *older)]
    assert times == sorted(times, reverse=True)
    assert len(set(times)) == 100


@ON_SQLITE_ONLY
async def test_no_list_and_no_sweep_reads_the_posts_from_end_to_end(world):
    ada = await member(world)
    post_id = await published_post(ada)
    with noted(world) as run:
        await posts(world.browser(), district=DISTRICT, before=post_id)
        await posts(world.browser())
        await mine(ada)
        await world.feed.moderation.waiting("mia")
        await world.feed.moderation.appeals("mia")
        await world.feed.figures.read()
        await Expiry(world.database, world.clock).forget()
    planned = await steps(world, run)
    assert [step for step in planned if step.startswith("SCAN feed_")] == []


async def test_a_post_that_is_gone_is_no_place_to_go_on_from(world):
    answer = await world.browser().get(f"{API}/feed/posts?before={'a' * 26}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")
    page = await world.browser().get(f"/neighbours/{DISTRICT}?before={'a' * 26}")
    assert page.status_code == 404
