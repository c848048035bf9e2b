"""Notices for passers-by, taken in by a relay as its ingest does."""

from collections.abc import Callable

from firmware.protocol.encoding import new_id
from firmware.protocol.events import Event, EventBody
from relay.ingest.carried_events import NoCustody
from relay.store import people, routing
from tests.relay.carrying import carry
from tests.relay.http_world import World


async def take_in(world: World, device: str, tell: Callable[[str], EventBody]) -> None:
    """Commit an event of a doorbell, which gets an owner if it has none."""
    async with world.database.begin() as tx:
        if not await routing.has_owner(tx, device):
            owner = people.Account(id=new_id(), role="owner", agency=None, name="Ada")
            await people.add_account(tx, owner, 0)
            await routing.link(tx, owner.id, device)
    await carry_event(world, device, tell)


async def carry_event(world: World, device: str, tell: Callable[[str], EventBody]) -> None:
    """Commit an event that passes through; `tell` returns it for a device's id."""
    world.seq[device] = world.seq.get(device, 0) + 1
    event = Event(
        id=new_id(),
        device=device,
        seq=world.seq[device],
        time_ms=world.clock.wall_ms(),
        is_clock_trusted=True,
        body=tell(device),
    )
    async with world.database.begin() as tx:
        await carry(tx, event, received_ms=world.clock.wall_ms(), custody=NoCustody())
