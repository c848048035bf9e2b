"""Legal process about the neighbours' feed: counted apart, and its authors are told."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from sqlalchemy import func, select

from firmware.protocol.custody import FeedLegalProcessLeaf, parse_custody_leaf
from firmware.protocol.encoding import new_id
from relay.cli.log_commands import add_feed_legal_process
from relay.custody.errors import LogError
from relay.custody.log_entries import LogEntries
from relay.feed.rules import LEGAL_NOTICE_LIFE_MS
from relay.ingest.expiry import Expiry
from relay.store import feed, feed_legal
from relay.store.schema import feed_legal_notices
from tests.relay.databases import place_of
from tests.relay.feed_people import member, waiting_post
from tests.relay.http_people import Owner
from tests.relay.http_world import World
from tests.relay.servers import new_relay
from tests.relay.test_feed_pushes import ENDPOINT, followed


async def serve(folder: Path, *posts: str) -> int:
    """Run the operator's command on the database of `followed`."""
    config = await asyncio.to_thread(new_relay, folder / new_id())
    place = place_of(folder / "relay.sqlite3")
    url = place if isinstance(place, str) else None
    config = replace(config, data_dir=folder, database_url=url)
    return await add_feed_legal_process(config, "subpoena", ["posts", "account_metadata"], posts)


async def told(owner: Owner) -> list[dict[str, Any]]:
    """Return what an author is told."""
    answer = await owner.get("/feed/mine")
    assert answer.status_code == 200, answer.text
    notices: list[dict[str, Any]] = answer.json()["legal"]
    return notices


async def logged(world: World) -> list[FeedLegalProcessLeaf]:
    async with world.database.read() as tx:
        entries = await LogEntries().added(tx, "custody", 0)
    bodies = [parse_custody_leaf(entry).body for entry in entries]
    return [body for body in bodies if isinstance(body, FeedLegalProcessLeaf)]


async def test_the_author_is_told_and_nobody_else(tmp_path: Path) -> None:
    async with followed(tmp_path) as town:
        ben = await member(town.world, "Ben")
        posts = [await waiting_post(town.ada), await waiting_post(town.ada, kind="hazard")]
        assert await serve(tmp_path, *posts) == 1
        (notice,) = await told(town.ada)
        assert (notice["kind"], notice["yielded"]) == ("subpoena", ["account_metadata", "posts"])
        assert await told(ben) == []
        (leaf,) = await logged(town.world)
        assert (leaf.kind, leaf.yielded) == ("subpoena", ["account_metadata", "posts"])


async def test_without_a_post_it_is_counted_and_nobody_is_told(tmp_path: Path) -> None:
    async with followed(tmp_path) as town:
        await waiting_post(town.ada)
        assert await serve(tmp_path) == 0
        assert await told(town.ada) == []
        assert len(await logged(town.world)) == 1


async def test_a_post_that_is_not_there_is_said_and_nothing_is_added(tmp_path: Path) -> None:
    async with followed(tmp_path) as town:
        post_id = await waiting_post(town.ada)
        with pytest.raises(LogError, match="no such post is there"):
            await serve(tmp_path, post_id, "z" * 26)
        assert await told(town.ada) == []
        assert await logged(town.world) == []


async def test_an_author_who_follows_something_is_pushed_once(tmp_path: Path) -> None:
    async with followed(tmp_path) as town:
        post_id = await waiting_post(town.ada)
        await serve(tmp_path, post_id)
        assert await town.due() == [], "she follows nothing"
        await town.follow(how="weekly")
        await serve(tmp_path, post_id)
        assert await town.due() == [ENDPOINT]
        assert await town.due() == []


async def test_a_notice_goes_after_90_days_and_with_its_account(tmp_path: Path) -> None:
    async with followed(tmp_path) as town:
        ben = await member(town.world, "Ben")
        posts = [await waiting_post(one) for one in (town.ada, ben)]
        assert await serve(tmp_path, *posts) == 2
        async with town.world.database.begin() as tx:
            account_id = (await feed_legal.authors_of(tx, posts))[posts[1]]
            assert account_id is not None
            assert (await feed.erase_account(tx, account_id))["feed_legal_notices"] == 1
        (notice,) = await told(town.ada)
        town.world.clock.set_wall_ms(notice["told_ms"] + LEGAL_NOTICE_LIFE_MS)
        await Expiry(town.world.database, town.world.clock).forget()
        async with town.world.database.read() as tx:
            query = select(func.count()).select_from(feed_legal_notices)
            assert (await tx.execute(query)).scalar_one() == 0
