"""Owners who report thefts, and a publisher of the theft map, in a relay's world."""

from collections.abc import Sequence

import h3
import httpx2

from firmware.protocol.encoding import new_id
from firmware.protocol.events import Paired
from relay.base.months import month_of
from relay.heatmap.calendar import due_ms
from relay.heatmap.publisher import TheftMapPublisher
from relay.map.address_counts import AddressCounts
from tests.relay.http_people import Owner
from tests.relay.http_world import CELLS, World

CENTRE = h3.cell_to_parent(CELLS[0], 8)
PLACES: Sequence[str] = sorted(h3.grid_disk(CENTRE, 3))
"""37 cells."""
ENOUGH = AddressCounts(dict.fromkeys(PLACES, 8))


def now_month(world: World) -> str:
    return month_of(world.clock.wall_ms())


async def signed_in(world: World, name: str) -> Owner:
    """Return somebody with an account, and without a doorbell."""
    owner = Owner(world, name)
    await owner.register()
    return owner


async def owns(world: World, owner: Owner, device: str) -> None:
    """Pair an owner with a doorbell."""
    pairing_id = new_id()
    await owner.post("/pairings", {"pairing_id": pairing_id})
    paired = Paired(pairing_id=pairing_id, credential_id=owner.passkey.key.credential_id)
    await world.pairings.take_paired(device, paired)


async def report(owner: Owner, cell: str, month: str) -> httpx2.Response:
    return await owner.post("/theft-reports", {"cell": cell, "month": month})


async def households_report(world: World, cell: str, count: int, *, month: str = "") -> None:
    """Have so many accounts without a doorbell report."""
    for number in range(count):
        owner = await signed_in(world, f"Reporter {cell} {number}")
        answer = await report(owner, cell, month or now_month(world))
        assert answer.status_code == 204, answer.text


def publisher_of(world: World, addresses: AddressCounts | None = ENOUGH) -> TheftMapPublisher:
    return TheftMapPublisher(world.database, world.clock, addresses, is_example=True)


async def publish(world: World, addresses: AddressCounts | None = ENOUGH) -> str:
    """Go to the day on which this month is published; return that month."""
    month = now_month(world)
    publisher = publisher_of(world, addresses)
    await publisher.publish_due()  # opens the month, if nobody reported in it
    world.clock.set_wall_ms(due_ms(month))
    await publisher.publish_due()
    return month
