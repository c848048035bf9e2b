"""Partners, campaigns and owners for tests of the credits."""

from collections.abc import Sequence

from firmware.protocol.encoding import new_id
from firmware.protocol.events import Paired
from relay.base.clock import Clock
from relay.credit.partners import Partners
from relay.credit.sign_ups import PAIRED_FOR_MS
from relay.store.database import Database
from tests.relay.http_people import Owner, paired_owner
from tests.relay.http_world import World

CODE = "SPRING-26"


async def campaign(
    database: Database, clock: Clock, *, budget: int = 26_000, head_start: int = 0
) -> Partners:
    """Begin a campaign of a charity's, whose secret head start the test knows."""
    partners = Partners(database, clock, randbelow=lambda _: head_start)
    partner = await partners.add(
        "Warm Homes", "charity", contact="Ida Lind", email="ida@warm.example", agencies=["Lakeland"]
    )
    await partners.fund(partner, budget)
    await partners.add_campaign(partner, CODE, budget)
    return partners


async def owner_for_30_days(world: World, name: str) -> tuple[Owner, str]:
    """Return an owner whose doorbell was paired 30 days ago, and the doorbell."""
    (found,) = await owners_for_30_days(world, [name])
    return found


async def owners_for_30_days(world: World, names: Sequence[str]) -> list[tuple[Owner, str]]:
    """Return owners whose doorbells were all paired 30 days ago, each with their doorbell."""
    found = [await newly_paired(world, name) for name in names]
    world.clock.advance(PAIRED_FOR_MS / 1000)
    for owner, _ in found:
        await owner.log_in()
    return found


async def newly_paired(world: World, name: str) -> tuple[Owner, str]:
    """Return an owner whose doorbell told that it is paired just now."""
    device = await world.enrol()
    owner = await paired_owner(world, device, name)
    credential_id = owner.passkey.key.credential_id
    await world.tell(device, Paired(pairing_id=new_id(), credential_id=credential_id))
    return owner, device
