"""Pictures of events at the relay: kept sealed, apart from the events, for the browsers named."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from firmware.protocol.encoding import canonical, new_id
from firmware.protocol.events import Event, Pressed, Thumbnail, Trouble
from firmware.protocol.thumbnails import (
    SealedThumbnail,
    WrappedKey,
    open_thumbnail,
)
from relay.api.audience import Audience
from relay.config.settings import EventsConfig
from relay.ingest.carried_events import NoCustody
from relay.ingest.expiry import Expiry
from relay.store import event_ids, events, thumbnails
from tests.fakes.waiting import in_time
from tests.relay.carrying import carry
from tests.relay.event_pictures import FACTS, IDENTITY_SPKI, JPEG, picture_of, sealed_for
from tests.relay.http_people import Owner, paired_owner
from tests.relay.http_world import World, open_world
from tests.relay.open_pages import data_of, is_hello, name_of, page_of
from tests.story.browser import SoftBrowser

DAY_S = 24 * 3600
MONTH_S = 30 * DAY_S


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path) as world:
        yield world


async def ask(owner: Owner, device: str, event_id: str, browser: SoftBrowser | None = None):
    keys = (browser or owner.browser).keys
    return await owner.get(f"/doorbells/{device}/thumbnails/{event_id}?browser={keys.id}")


async def test_each_browser_gets_the_picture_with_its_own_key(world: World) -> None:
    device = await world.enrol()
    ada = await paired_owner(world, device)
    phone = SoftBrowser.create()
    pressed = await world.tell(device, Pressed())
    sealed = sealed_for(ada.browser.keys, phone.keys)
    await picture_of(world, device, pressed.id, sealed)
    for browser, key in zip((ada.browser, phone), sealed.keys, strict=True):
        answer = await ask(ada, device, pressed.id, browser)
        assert answer.status_code == 200
        assert answer.json() == {
            "picture": sealed.picture,
            "key": {"browser": browser.keys.id, "sealed": key.sealed},
        }
        wrapped, secret = WrappedKey(**answer.json()["key"]), browser.viewing_private_key
        opened = open_thumbnail(answer.json()["picture"], wrapped, secret, IDENTITY_SPKI)
        assert opened == (FACTS, JPEG)


async def test_a_browser_may_keep_it_as_long_as_the_relay(world: World) -> None:
    device = await world.enrol()
    ada = await paired_owner(world, device)
    pressed = await world.tell(device, Pressed())
    await picture_of(world, device, pressed.id, sealed_for(ada.browser.keys))
    world.clock.advance(DAY_S)
    headers = (await ask(ada, device, pressed.id)).headers
    assert headers["cache-control"] == f"private, max-age={MONTH_S - DAY_S}, immutable"
    assert "Authorization" in headers["vary"]


async def test_there_is_none_for_other_browsers_events_and_doorbells(world: World) -> None:
    device, other = await world.enrol(), await world.enrol()
    ada, bo = await paired_owner(world, device), await paired_owner(world, other, "Bo")
    pressed = await world.tell(device, Pressed())
    await picture_of(world, device, pressed.id, sealed_for(ada.browser.keys))
    assert (await ask(ada, device, pressed.id)).status_code == 200
    assert (await ask(ada, device, pressed.id, SoftBrowser.create())).status_code == 404
    assert (await ask(ada, device, new_id())).status_code == 404
    assert (await ask(bo, device, pressed.id, ada.browser)).status_code == 404
    # Seen to fail (200) with the device taken out of thumbnails.get.
    assert (await ask(bo, other, pressed.id, ada.browser)).status_code == 404
    nobody = await ada.get(f"/doorbells/{device}/thumbnails/{pressed.id}")
    assert nobody.status_code == 422


async def test_events_say_which_of_them_have_a_picture(world: World) -> None:
    device = await world.enrol()
    ada = await paired_owner(world, device)
    told = [await world.tell(device, Pressed()) for _ in range(3)]
    await picture_of(world, device, told[1].id, sealed_for(ada.browser.keys))
    found = (await ada.get("/events")).json()["events"]
    assert {row["event"]["id"]: row["has_thumbnail"] for row in found} == {
        told[0].id: False,
        told[1].id: True,
        told[2].id: False,
    }


async def test_a_picture_is_no_event_and_shifts_no_page(world: World) -> None:
    device = await world.enrol()
    ada = await paired_owner(world, device)
    told = []
    for _ in range(4):
        told.append((await world.tell(device, Pressed())).id)
        await picture_of(world, device, told[-1], sealed_for(ada.browser.keys))
    pages: list[str] = []
    before = ""
    for _ in range(2):
        rows = (await ada.get(f"/events?limit=2{before}")).json()["events"]
        pages += [row["event"]["id"] for row in rows]
        before = f"&before_seq={min(row['relay_seq'] for row in rows)}"
    assert pages == told[::-1]
    assert (await ada.get(f"/events?limit=2{before}")).json()["events"] == []


async def test_only_the_doorbell_that_told_an_event_gives_it_a_picture_and_once(
    world: World,
) -> None:
    device, other = await world.enrol(), await world.enrol()
    ada = await paired_owner(world, device)
    pressed = await world.tell(device, Pressed())
    first, second = sealed_for(ada.browser.keys), sealed_for(ada.browser.keys)
    # Seen to fail with the device taken out of thumbnails.add.
    await picture_of(world, other, pressed.id, second)
    assert (await ask(ada, device, pressed.id)).status_code == 404
    await picture_of(world, device, pressed.id, first)
    await picture_of(world, device, pressed.id, second)
    assert (await ask(ada, device, pressed.id)).json()["picture"] == first.picture


async def test_a_picture_of_nothing_is_not_kept(world: World) -> None:
    device = await world.enrol()
    ada = await paired_owner(world, device)
    event_id = new_id()
    await picture_of(world, device, event_id, sealed_for(ada.browser.keys))
    assert (await ask(ada, device, event_id)).status_code == 404


async def test_pictures_are_kept_for_a_month_and_no_longer(world: World) -> None:
    device = await world.enrol()
    ada = await paired_owner(world, device)
    old = await world.tell(device, Pressed())
    await picture_of(world, device, old.id, sealed_for(ada.browser.keys))
    world.clock.advance(MONTH_S - 1)
    await ada.log_in()
    new = await world.tell(device, Pressed())
    await picture_of(world, device, new.id, sealed_for(ada.browser.keys))
    assert (await ask(ada, device, old.id)).status_code == 200
    world.clock.advance(1)
    assert (await ask(ada, device, old.id)).status_code == 404
    await Expiry(world.database, world.clock).forget()
    async with world.database.read() as tx:
        kept = await tx.exec_driver_sql("SELECT event_id FROM thumbnails")
        assert kept.scalars().all() == [new.id]
        rows = await events.newest(tx, [device], credential_ids=[])
        assert len(rows) == 2
        assert await thumbnails.having(
            tx, [old.id, new.id], now_ms=world.clock.wall_ms()
        ) == frozenset([new.id])


async def test_an_event_goes_after_its_time_and_its_picture_before(world: World) -> None:
    device = await world.enrol()
    ada = await paired_owner(world, device)
    days = EventsConfig(keep_days=30)
    begun = await world.tell(device, Trouble(code="camera", detail="It is unplugged."))
    pressed = [await world.tell(device, Pressed()) for _ in range(5)]
    await picture_of(world, device, pressed[0].id, sealed_for(ada.browser.keys))
    world.clock.advance(15 * 24 * 3600)
    young = await world.tell(device, Pressed())
    world.clock.advance(15 * 24 * 3600 + 1)
    await Expiry(world.database, world.clock, days).forget()
    async with world.database.begin() as tx:
        kept = await tx.exec_driver_sql("SELECT count(*) FROM thumbnails")
        assert kept.scalar_one() == 0
        rows = await events.newest(tx, [device], credential_ids=[])
        # Seen to fail (all are kept) without forget_old in Expiry, and (the trouble goes, too)
        # without LASTING.
        assert {row.event.id for row in rows} - {young.id} == {begun.id}
        assert young.id in {row.event.id for row in rows}


async def test_what_passed_is_forgotten_after_a_month(world: World) -> None:
    device = await world.enrol()
    event = Event(
        id=new_id(),
        device=device,
        seq=1,
        time_ms=1,
        is_clock_trusted=True,
        body=Thumbnail(for_event_id=new_id(), sealed=sealed_for(SoftBrowser.create().keys)),
    )
    async with world.database.begin() as tx:
        await carry(tx, event, received_ms=world.clock.wall_ms(), custody=NoCustody())
    for seconds, expected in ((MONTH_S, {event.id: event.digest()}), (1, {})):
        world.clock.advance(seconds)
        await Expiry(world.database, world.clock).forget()
        async with world.database.read() as tx:
            assert await event_ids.known(tx, [event.id]) == expected


async def test_an_open_page_hears_of_a_picture_only_of_its_own_doorbells(world: World) -> None:
    async def audience() -> Audience:
        return Audience(own=frozenset(["a"]), credential_ids=frozenset())

    frames = page_of(world, audience, ping_s=5)
    assert is_hello(await anext(frames))
    heard = asyncio.ensure_future(anext(frames))
    await asyncio.sleep(0)
    world.hub.thumbnail_kept("b", "secret")
    world.hub.thumbnail_kept("a", "mine")
    frame = await in_time(heard)
    assert name_of(frame) == "thumbnail"
    assert data_of(frame) == {"device": "a", "event_id": "mine"}
    await frames.aclose()


async def test_the_largest_picture_for_the_most_browsers_fits_the_way(world: World) -> None:
    device = await world.enrol()
    ada = await paired_owner(world, device)
    pressed = await world.tell(device, Pressed())
    one = sealed_for(ada.browser.keys)
    many = SealedThumbnail(
        picture=one.picture,
        keys=[*one.keys, *(WrappedKey(browser="a" * 20, sealed="A" * 107) for _ in range(63))],
    )
    assert len(canonical({"sealed": many.encode().decode()})) < 100_000
    await picture_of(world, device, pressed.id, many)
    assert (await ask(ada, device, pressed.id)).status_code == 200
