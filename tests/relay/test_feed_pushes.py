"""What members are pushed of the feed: what they follow, when they want it, in an empty message."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from relay.feed.local_times import next_moment_ms
from relay.feed.pushes import LIFE_S, TOPIC, FeedPushes
from relay.notify.push_sender import Outcome
from relay.store.schema import feed_pushes, push_subscriptions
from tests.relay.feed_people import CELL, FOLLOWING, member, published_post, waiting_post
from tests.relay.http_people import Owner
from tests.relay.http_world import HOUR_MS, World, open_world

DAY_MS = 24 * HOUR_MS
BROWSER, ENDPOINT = "a" * 20, "https://push.test/ada"


@dataclass
class Sent:
    """A sender that keeps what it is given; a push service beyond it is tested elsewhere."""

    urls: list[str] = field(default_factory=list)
    messages: set[tuple[bytes, int, str]] = field(default_factory=set)
    """Each with its life in seconds and its topic."""
    verdict: str = "sent"

    async def send(self, url: str, message: bytes, *, ttl_s: int, topic: str) -> Outcome:
        self.urls.append(url)
        self.messages.add((message, ttl_s, topic))
        return Outcome(verdict=self.verdict, detail="as told")  # type: ignore[arg-type]

    def take(self) -> list[str]:
        urls, self.urls = self.urls, []
        return urls


@dataclass
class Town:
    world: World
    ada: Owner
    sent: Sent
    pushes: FeedPushes

    async def follow(self, **changes: Any) -> None:
        answer = await self.ada.put("/feed/following", FOLLOWING | changes)
        assert answer.status_code == 204, answer.text

    async def due(self) -> list[str]:
        """Push what is due, and return to whom."""
        await self.pushes.push_due()
        return self.sent.take()


@asynccontextmanager
async def followed(folder: Path) -> AsyncIterator[Town]:
    """Ada is a member with a browser that is subscribed, at noon in Stockholm."""
    async with open_world(folder) as world:
        world.clock.set_wall_ms(1_796_036_400_000)  # 2026-11-30 11:00 UTC
        ada = await member(world)
        subscribed = await ada.put(f"/push/{BROWSER}", {"endpoint": ENDPOINT})
        assert subscribed.status_code == 204, subscribed.text
        sent = Sent()
        pushes = FeedPushes(database=world.database, clock=world.clock, sender=sent)
        yield Town(world, ada, sent, pushes)


async def test_nothing_is_pushed_before_it_is_chosen(tmp_path: Path) -> None:
    async with followed(tmp_path) as town:
        await published_post(await member(town.world, "Ben"))
        assert await town.due() == []
        told = (await town.ada.get("/feed/following")).json()
        assert told == {**FOLLOWING, "groups": [], "time_zone": "UTC"}


async def test_what_is_followed_is_pushed_once_and_empty(tmp_path: Path) -> None:
    async with followed(tmp_path) as town:
        ben = await member(town.world, "Ben")
        await published_post(ben)
        await town.follow()
        assert await town.due() == [], "what was published before isn't news"
        town.world.clock.set_wall_ms(town.world.clock.wall_ms() + 1000)
        await published_post(ben)
        assert await town.due() == [ENDPOINT]
        assert town.sent.messages == {(b"", LIFE_S, TOPIC)}
        assert await town.due() == []


async def test_other_topics_and_districts_are_not_pushed(tmp_path: Path) -> None:
    async with followed(tmp_path) as town:
        await town.follow()
        town.world.clock.set_wall_ms(town.world.clock.wall_ms() + 1000)
        await published_post(await member(town.world, "Ben"), kind="lost")
        far = await member(town.world, "Cleo", "dixieland")
        await published_post(far, cell="88441a5ac5fffff")
        assert await town.due() == []


async def test_a_post_is_pushed_when_its_batch_is_published(tmp_path: Path) -> None:
    async with followed(tmp_path) as town:
        await town.follow()
        post_id = await waiting_post(await member(town.world, "Ben"))
        await town.world.feed.moderation.publish(post_id, moderator="mia")
        wait_s = await town.pushes.push_due()
        assert town.sent.take() == []
        town.world.clock.set_wall_ms(town.world.clock.wall_ms() + round(wait_s * 1000))
        assert await town.due() == [ENDPOINT]


async def test_who_comes_to_a_district_is_not_pushed_what_was_there(tmp_path: Path) -> None:
    async with followed(tmp_path) as town:
        await town.follow()
        ben = await member(town.world, "Ben", "dixieland")
        town.world.clock.set_wall_ms(town.world.clock.wall_ms() + 1000)
        await published_post(ben, cell="88441a5ac5fffff")
        assert await town.due() == []
        assert (await town.ada.put("/feed/membership", {"district": "dixieland"})).is_success
        town.world.clock.set_wall_ms(town.world.clock.wall_ms() + 1000)
        await published_post(ben, cell="88441a5ac5fffff", kind="lost")
        assert await town.due() == []
        town.world.clock.set_wall_ms(town.world.clock.wall_ms() + 1000)
        await published_post(ben, cell="88441a5ac5fffff")
        assert await town.due() == [ENDPOINT]


async def test_many_followers_are_pushed_some_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("relay.feed.pushes.AT_ONCE", 1)
    async with followed(tmp_path) as town:
        await town.follow()
        others = [await member(town.world, name) for name in ("Ben", "Cleo")]
        for number, other in enumerate(others):
            await other.put(f"/push/{BROWSER}", {"endpoint": f"{ENDPOINT}/{number}"})
            await other.put("/feed/following", FOLLOWING)
        town.world.clock.set_wall_ms(town.world.clock.wall_ms() + 1000)
        await published_post(others[0])
        assert sorted(await town.due()) == [ENDPOINT, f"{ENDPOINT}/0", f"{ENDPOINT}/1"]
        assert await town.due() == []


async def test_quiet_hours_are_kept_and_nothing_comes_afterwards(tmp_path: Path) -> None:
    async with followed(tmp_path) as town:
        quiet = {"from_minute": 11 * 60, "to_minute": 13 * 60, "time_zone": "Europe/Stockholm"}
        await town.follow(quiet=quiet)  # it is noon there
        town.world.clock.set_wall_ms(town.world.clock.wall_ms() + 1000)
        ben = await member(town.world, "Ben")
        await published_post(ben)
        assert await town.due() == []
        town.world.clock.set_wall_ms(town.world.clock.wall_ms() + 2 * HOUR_MS)
        assert await town.due() == []
        await published_post(ben)
        assert await town.due() == [ENDPOINT]


@pytest.mark.parametrize(("how", "days"), [("daily", 1), ("weekly", 7)])
async def test_a_digest_comes_at_its_time_and_only_with_news(
    tmp_path: Path, how: str, days: int
) -> None:
    async with followed(tmp_path) as town:
        clock = town.world.clock
        await town.follow(how=how)
        clock.set_wall_ms(clock.wall_ms() + HOUR_MS)
        await published_post(await member(town.world, "Ben"))
        assert await town.due() == []
        clock.set_wall_ms(next_moment_ms(18 * 60, "Europe/Stockholm", after_ms=clock.wall_ms()))
        assert await town.due() == [ENDPOINT]
        clock.set_wall_ms(clock.wall_ms() + days * DAY_MS)
        assert await town.due() == [], "nothing is new"
        async with town.world.database.read() as tx:
            next_ms = (await tx.execute(select(feed_pushes.c.next_ms))).scalar_one()
        assert next_ms == clock.wall_ms() + days * DAY_MS


async def test_a_subscription_that_is_gone_is_forgotten(tmp_path: Path) -> None:
    async with followed(tmp_path) as town:
        await town.follow()
        town.world.clock.set_wall_ms(town.world.clock.wall_ms() + 1000)
        town.sent.verdict = "gone"
        await published_post(await member(town.world, "Ben"))
        assert await town.due() == [ENDPOINT]
        async with town.world.database.read() as tx:
            assert (await tx.execute(select(push_subscriptions.c.browser))).first() is None


async def test_who_leaves_is_pushed_nothing_and_nothing_is_kept(tmp_path: Path) -> None:
    async with followed(tmp_path) as town:
        await town.follow()
        assert (await town.ada.put("/feed/membership", {"district": None})).is_success
        async with town.world.database.read() as tx:
            assert (await tx.execute(select(feed_pushes.c.account_id))).first() is None
        await published_post(await member(town.world, "Ben"))
        assert await town.due() == []


@pytest.mark.parametrize(
    "changes",
    [
        {"groups": ["everything"]},
        {"how": "hourly"},
        {"minute": 1440},
        {"time_zone": "Nowhere/Land"},
        {"time_zone": "../../etc/passwd"},
        {"quiet": {"from_minute": 0, "to_minute": 0}},
        {"cell": CELL},
    ],
)
async def test_a_choice_that_makes_no_sense_is_refused(
    tmp_path: Path, changes: dict[str, Any]
) -> None:
    async with followed(tmp_path) as town:
        answer = await town.ada.put("/feed/following", FOLLOWING | changes)
        assert answer.status_code == 422
        assert (await town.ada.get("/feed/following")).json()["groups"] == []


async def test_who_is_no_member_chooses_a_district_first(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        ada = Owner(world, "Ada")
        assert (await ada.register()).is_success
        answer = await ada.put("/feed/following", FOLLOWING)
        assert answer.status_code == 409
        assert answer.json()["error"]["code"] == "not_a_member"
