"""A package that arrives at a relay without a doorbell behind it."""

from collections.abc import Sequence

from firmware.protocol.custody import CustodyLeaf, ReleaseLeaf
from firmware.protocol.encoding import new_id
from firmware.protocol.events import PackageReady, PackageUploaded, UploadedPart
from relay.custody.log_entries import LogEntries
from relay.store import logs, people, releases, requests, routing
from relay.store.database import Transaction
from relay.store.people import Account
from relay.store.releases import ReleaseCommitment
from relay.store.schema import doorbells
from tests.fakes.releases import opening_of
from tests.fakes.sequenced_entries import place_entries
from tests.relay.http_people import Officer
from tests.relay.http_world import World

PART_BYTES = 5 * 1024 * 1024
DIGESTS = ["a" * 64, "b" * 64]


async def released_package(
    world: World,
    device: str,
    request_id: str,
    *,
    agency: str = "lakeland",
    size_bytes: int = PART_BYTES + 1,
    part_bytes: int = PART_BYTES,
    part_sha256: Sequence[str] = DIGESTS,
    logged_ms: int | None = None,
) -> PackageReady:
    """Let an owned doorbell, enrolled long ago, commit to a package; return its announcement.

    `logged_ms` is when the release got its place in the log, if not now.
    """
    package_id = new_id()
    async with world.database.begin() as tx:
        row = await requests.find_request(tx, request_id)
        opening = opening_of(
            device=device,
            package_id=package_id,
            request_digest="0" * 64 if row is None else row.digest,
            agency=agency,
        )
        await give_owner(tx, device, now_ms=world.clock.wall_ms())
        await enrolled_at(tx, device, 0)
        await commit(tx, device, opening.record.digest(), now_ms=world.clock.wall_ms())
    await place_entries(world.database, world.clock, at_ms=logged_ms)
    return PackageReady(
        package_id=package_id,
        request_id=request_id,
        agency=agency,
        size_bytes=size_bytes,
        part_bytes=part_bytes,
        part_sha256=list(part_sha256),
        record=opening.record,
        salt_d=opening.salt_d,
    )


async def give_owner(tx: Transaction, device: str, *, now_ms: int) -> str:
    """Let a new account own a doorbell, unless one does; return the new one's id."""
    account = Account(id=new_id(), role="owner", agency=None, name="Mary")
    if not await routing.has_owner(tx, device):
        await people.add_account(tx, account, now_ms)
        await routing.link(tx, account.id, device)
    return account.id


async def enrolled_at(tx: Transaction, device: str, time_ms: int) -> None:
    """Let a doorbell have been enrolled at another time."""
    change = doorbells.update().where(doorbells.c.device == device).values(enrolled_ms=time_ms)
    await tx.execute(change)


async def commit(tx: Transaction, device: str, commitment: str, *, now_ms: int) -> None:
    """Add a commitment to the custody log, and remember whose it is."""
    entry = CustodyLeaf(body=ReleaseLeaf(commitment=commitment)).encode()
    pending = await LogEntries().add(tx, "custody", entry, key=f"release:{commitment}")
    release = ReleaseCommitment(
        commitment=commitment,
        device=device,
        number=pending.number,
        committed_ms=now_ms,
        told_ms=now_ms,
    )
    await releases.add(tx, release)


def uploaded(ready: PackageReady) -> PackageUploaded:
    """Return what a doorbell says once all parts are in the bucket."""
    parts = [
        UploadedPart(number=number, etag=f'"{number}"', sha256=digest)
        for number, digest in enumerate(ready.part_sha256, start=1)
    ]
    return PackageUploaded(package_id=ready.package_id, parts=parts)


async def deliver_package(
    world: World,
    request_id: str,
    *,
    device: str = "",
    download_by: Officer | None = None,
    logged_ms: int | None = None,
) -> str:
    """Let a package arrive for a published request; return its id."""
    device = device or await world.enrol()
    ready = await released_package(world, device, request_id, logged_ms=logged_ms)
    await world.delivery.take_ready(device, ready)
    await world.delivery.take_uploaded(device, uploaded(ready))
    if download_by is not None:
        answer = await download_by.http.post(f"/agency/evidence/{ready.package_id}/download")
        assert answer.is_success, answer.text
    return ready.package_id


async def place_all(world: World, *, is_published: bool = True) -> None:
    """Let the custody log publish what waits, or give it places that no witness has seen."""
    async with world.database.begin() as tx:
        head = await logs.get_head(tx, "custody")
        waiting = await logs.waiting(tx, "custody", now_ms=world.clock.wall_ms(), limit=100)
        numbers, size = [entry.number for entry in waiting], head.size + len(waiting)
        if numbers:
            await logs.place(tx, "custody", numbers, old_size=head.size, root="0" * 64)
        if is_published and size > head.published_size:
            await logs.publish(tx, "custody", size=size, note="-", now_ms=world.clock.wall_ms())
