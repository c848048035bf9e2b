"""What is wrong at a door now: with its doorbell, however much was told since."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from firmware.protocol.events import ClockSet, Motion, Trouble
from relay.store import events
from tests.relay.http_people import paired_owner
from tests.relay.http_world import World, open_world

OFFSET_MS = 1_790_000_000_000


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path) as world:
        yield world


async def begin(world: World, device: str, code: str, **changes: object) -> None:
    await world.tell(device, Trouble(code=code, detail="It began."), **changes)


async def end(world: World, device: str, code: str, **changes: object) -> None:
    await world.tell(device, Trouble(code=code, is_over=True, detail="It is over."), **changes)


async def open_codes(world: World, device: str) -> list[str]:
    async with world.database.read() as tx:
        return [row.event.body.code for row in await events.open_troubles(tx, device)]


async def test_a_trouble_is_open_from_its_beginning_to_its_end(world: World) -> None:
    device = await world.enrol()
    assert await open_codes(world, device) == []
    await begin(world, device, "camera")
    await begin(world, device, "power_weak")
    assert await open_codes(world, device) == ["power_weak", "camera"]
    await end(world, device, "camera")
    assert await open_codes(world, device) == ["power_weak"]
    await begin(world, device, "camera")
    assert await open_codes(world, device) == ["camera", "power_weak"]


async def test_it_is_found_by_its_number_and_not_by_a_clock_that_may_be_wrong(
    world: World,
) -> None:
    device = await world.enrol()
    await end(world, device, "clock_unknown", seq=3)
    await begin(world, device, "clock_unknown", seq=2, time_ms=OFFSET_MS * 2)
    assert await open_codes(world, device) == []


async def test_the_owner_finds_it_with_the_doorbell_and_a_stranger_does_not(world: World) -> None:
    device, other = await world.enrol(), await world.enrol()
    owner, stranger = [await paired_owner(world, one) for one in (device, other)]
    await begin(world, device, "card_failing", time_ms=90_000, is_clock_trusted=False)
    for _ in range(150):
        await world.tell(device, Motion())
    await world.tell(device, ClockSet(from_seq=1, to_seq=1, offset_ms=OFFSET_MS))
    (bell,) = (await owner.get("/doorbells")).json()["doorbells"]
    (told,) = bell["troubles"]
    assert told["event"]["body"]["code"] == "card_failing"
    assert told["corrected_ms"] == OFFSET_MS + 90_000
    (bell,) = (await stranger.get("/doorbells")).json()["doorbells"]
    assert bell["troubles"] == []
