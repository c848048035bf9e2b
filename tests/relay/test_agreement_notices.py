"""Notices of agreements in the feed: proposed, changed and lapsed, once each and by district."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from firmware.protocol.register.entries import AgencySuspended
from relay.feed.agreement_notices import AgreementNotices
from relay.map.districts import Districts
from tests.relay.agency_feed import MAPS, open_feed_world, public_posts
from tests.relay.http_world import CELLS, DAY_MS, World


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_feed_world(tmp_path) as world:
        yield world


def notices(world: World, districts: Districts = MAPS.districts) -> AgreementNotices:
    return AgreementNotices(world.database, world.clock, world.register, districts)


async def test_a_proposed_agreement_is_a_post_by_the_relay_in_its_districts_alone(
    world: World,
) -> None:
    assert await notices(world).post_due() == ["agreement/lakeland/1/proposed/harbour"]
    (post,) = await public_posts(world)
    assert (post["by"], post["kind"], post["agency"]) == ("relay", "official", "lakeland")
    assert post["refers"] == {"agreement": world.agency.text_sha256}
    assert "An agreement with Lakeland Police is proposed" in post["text"]
    assert "Ett avtal med Lakeland Police är föreslaget" in post["text"]
    page = await world.browser().get("/neighbours/harbour")
    assert f"/agreements/{world.agency.text_sha256}" in page.text
    elsewhere = await world.browser().get("/neighbours/lake-morton")
    assert "Lakeland Police is proposed" not in elsewhere.text


async def test_of_two_relays_one_posts_it_and_once(world: World) -> None:
    """Seen to be posted twice with `take_notice` left out of AgreementNotices."""
    one, other = notices(world), notices(world)
    made = await asyncio.gather(one.post_due(), other.post_due())
    assert sorted(made) == [[], ["agreement/lakeland/1/proposed/harbour"]]
    assert await one.post_due() == await other.post_due() == []
    assert len(await public_posts(world)) == 1


async def test_a_changed_agreement_is_a_notice_of_its_own(world: World) -> None:
    await notices(world).post_due()
    world.clock.advance(60)
    await world.town.agree(
        "lakeland", "Lakeland Police", cells=CELLS, begins_ms=world.clock.wall_ms()
    )
    await world.register.view()  # the witnesses see it now
    assert await notices(world).post_due() == ["agreement/lakeland/2/changed/harbour"]
    assert "version 2" in (await public_posts(world))[0]["text"]


async def test_a_lapsed_agreement_is_a_notice_and_an_old_one_none(world: World) -> None:
    world.clock.set_wall_ms(world.agency.ends_ms - 1)
    assert await notices(world).post_due() == []  # proposed a year ago: no news
    world.clock.set_wall_ms(world.agency.ends_ms)
    assert await notices(world).post_due() == ["agreement/lakeland/1/lapsed/harbour"]
    assert "has ended" in (await public_posts(world))[0]["text"]
    world.clock.advance(31 * DAY_MS / 1000)
    assert await notices(world).post_due() == []
    assert await public_posts(world) == []


async def test_a_suspended_agreement_is_a_notice_and_it_never_lapses(world: World) -> None:
    await notices(world).post_due()
    world.clock.advance(60)
    await world.town.change(AgencySuspended(agency="lakeland"), world.town.admins[0])
    await world.register.view()  # the witnesses see it now
    assert await notices(world).post_due() == ["agreement/lakeland/1/suspended/harbour"]
    assert "is suspended" in (await public_posts(world))[0]["text"]
    assert await notices(world).post_due() == []
    world.clock.set_wall_ms(world.agency.ends_ms)
    assert await notices(world).post_due() == []


async def test_a_town_without_districts_gets_none(world: World) -> None:
    assert await notices(world, Districts()).post_due() == []
