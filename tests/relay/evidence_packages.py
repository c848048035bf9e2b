"""A package that arrives at a relay without a doorbell behind it."""

from firmware.protocol.encoding import new_id
from firmware.protocol.events import PackageReady, PackageUploaded, UploadedPart
from relay.store import logs
from tests.relay.http_people import Officer
from tests.relay.http_world import World

PART_BYTES = 5 * 1024 * 1024
DIGESTS = ["a" * 64, "b" * 64]


async def deliver_package(
    world: World, request_id: str, *, device: str = "", download_by: Officer | None = None
) -> str:
    """Let a package arrive for a published request; return its id."""
    device = device or await world.enrol()
    ready = PackageReady(
        package_id=new_id(),
        request_id=request_id,
        agency="lakeland",
        size_bytes=PART_BYTES + 1,
        part_bytes=PART_BYTES,
        part_sha256=DIGESTS,
    )
    await world.delivery.take_ready(device, ready)
    parts = [
        UploadedPart(number=number, etag=f'"{number}"', sha256=digest)
        for number, digest in enumerate(DIGESTS, start=1)
    ]
    uploaded = PackageUploaded(package_id=ready.package_id, parts=parts)
    await world.delivery.take_uploaded(device, uploaded)
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
