"""How long events are kept is each owner's choice: within the relay's, and for nobody else."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from firmware.protocol.events import Note, Pressed
from relay.config.settings import EventsConfig
from relay.ingest.expiry import Expiry
from tests.relay.http_people import Owner, paired_owner
from tests.relay.http_world import World, open_world

DAY_S = 24 * 3600


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path) as world:
        yield world


async def keeps(owner: Owner, days: int | None) -> None:
    answer = await owner.put("/account/events", {"days": days})
    assert answer.status_code == 204, answer.text


async def forget(world: World, **settings: Any) -> None:
    await Expiry(world.database, world.clock, EventsConfig(**settings)).forget()


async def stored(world: World) -> set[str]:
    async with world.database.read() as tx:
        return set((await tx.exec_driver_sql("SELECT event_id FROM events")).scalars())


async def shown(owner: Owner) -> set[str]:
    await owner.log_in()  # a session is for a month
    answer = await owner.get("/events?limit=200")
    assert answer.is_success, answer.text
    return {one["event"]["id"] for one in answer.json()["events"]}


async def note_for(world: World, device: str, owner: Owner) -> str:
    key, browser = owner.passkey.key.credential_id, owner.browser.keys.id
    return (await world.tell(device, Note(credential_id=key, browser=browser, sealed="eA"))).id


async def test_an_owner_chooses_within_what_the_relay_keeps(world: World) -> None:
    ada = await paired_owner(world, await world.enrol())
    usual = {"days": None, "least_days": 30, "most_days": 180}
    assert (await ada.get("/account/events")).json() == usual
    await keeps(ada, 90)
    assert (await ada.get("/account/events")).json() == usual | {"days": 90}
    for days, status, code in ((29, 422, "invalid"), (181, 409, "too_many_days")):
        refused = await ada.put("/account/events", {"days": days})
        assert (refused.status_code, refused.json()["error"]["code"]) == (status, code)
    for body in ({}, {"days": "90"}, {"days": 90.5}, {"days": True}, {"days": 90, "account": "x"}):
        assert (await ada.put("/account/events", body)).status_code == 422
    assert (await ada.get("/account/events")).json() == usual | {"days": 90}
    await keeps(ada, None)
    assert (await ada.get("/account/events")).json() == usual


async def test_what_one_owner_chooses_is_no_other_doorbells(world: World) -> None:
    hers, his = await world.enrol(), await world.enrol()
    ada, ben = await paired_owner(world, hers), await paired_owner(world, his, "Ben")
    await keeps(ada, 30)
    old = [(await world.tell(device, Pressed())).id for device in (hers, his)]
    world.clock.advance(31 * DAY_S)
    new = [(await world.tell(device, Pressed())).id for device in (hers, his)]
    await forget(world)
    assert await stored(world) == {old[1], *new}
    assert await shown(ada) == {new[0]}
    assert await shown(ben) == {old[1], new[1]}


async def test_owners_of_one_doorbell_lose_nothing_by_each_others_choice(world: World) -> None:
    device = await world.enrol()
    ada, ben = await paired_owner(world, device), await paired_owner(world, device, "Ben")
    await keeps(ada, 30)
    old = (await world.tell(device, Pressed())).id
    notes = [await note_for(world, device, one) for one in (ada, ben)]
    world.clock.advance(31 * DAY_S)
    assert await shown(ada) == set(), "what is only kept for a co-owner isn't shown"
    await forget(world)
    # Seen to fail, each by itself: (the note stays) without of_notes in Expiry, (all go) with min
    # in the place of max in relay/store/event_retention.py.
    assert await stored(world) == {old, notes[1]}
    assert await shown(ben) == {old, notes[1]}
    await keeps(ben, 30)
    await forget(world)
    assert await stored(world) == set()


async def test_the_operators_days_are_the_most(world: World) -> None:
    device = await world.enrol()
    ada = await paired_owner(world, device)
    await keeps(ada, 180)
    await world.tell(device, Pressed())
    world.clock.advance(61 * DAY_S)
    await forget(world, keep_days=60)  # which were more when she chose
    assert await stored(world) == set()


async def test_what_came_after_a_clocks_jump_goes_in_its_time(world: World) -> None:
    device = await world.enrol()
    await paired_owner(world, device)
    now_ms = world.clock.wall_ms()
    world.clock.set_wall_ms(now_ms + 5000 * DAY_S * 1000)
    jumped = await world.tell(device, Pressed())
    world.clock.set_wall_ms(now_ms)
    after = [(await world.tell(device, Pressed())).id for _ in range(3)]
    await forget(world)
    assert await stored(world) == {jumped.id, *after}
    world.clock.advance((180 + 32) * DAY_S)  # on PostgreSQL up to a month late
    await forget(world)
    # Seen to fail (all stay, for 13 years): a doorbell's numbers go on from its highest.
    assert await stored(world) == {jumped.id}


async def test_many_go_in_pieces(world: World) -> None:
    device = await world.enrol()
    await paired_owner(world, device)
    for _ in range(5):
        await world.tell(device, Pressed())
    world.clock.advance(181 * DAY_S)
    await Expiry(world.database, world.clock, events_at_once=2).forget()
    assert await stored(world) == set()
