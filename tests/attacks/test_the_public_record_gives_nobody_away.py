"""Whoever reads the public record, every minute and all of it, learns nothing of one home.

What owners decide, want or do never changes a byte of it before the end of a batch, and then only
what the public logs say anyway. How many doorbells there are doesn't change it at all.
"""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from firmware.protocol.custody import (
    CustodyLeaf,
    DeletionAskedLeaf,
    ErasedLeaf,
    ReceivedLeaf,
    ReleaseLeaf,
    SlotLeaf,
    quarter_of,
)
from firmware.protocol.encoding import sha256_hex
from firmware.protocol.events import Motion, Pressed
from firmware.protocol.register.entries import Delays
from relay.custody.logs import LogEntries
from relay.request.batches import next_boundary_ms
from tests.fakes.placing import place_entries
from tests.relay.http_people import Owner, paired_owner
from tests.relay.http_world import DAY_MS, World, open_world
from tests.relay.record_world import PACKAGE, fill, log_custody
from tests.relay.register_town import QUICK

BATCH = Delays(
    key_age_ms=QUICK.key_age_ms,
    agreement_age_ms=QUICK.agreement_age_ms,
    freshness_ms=QUICK.freshness_ms,
    slot_ms=QUICK.slot_ms,
    batch_ms=15 * 60 * 1000,
)
LISTS = ("/requests", "/agencies", "/entries", "/transparency")
YEAR = 2026
"""When these relays' clock begins."""
SECRETS = ("declin", "doorbells_online", "recipients", "ignored:", "opt_in", "opted")


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path, delays=BATCH) as world:
        yield world


async def everything(world: World) -> dict[str, bytes]:
    """Return every public page and file, rendered anew."""
    request_ids = [
        row.request.id for row in (await world.register.view()).register.requests.values()
    ]
    paths = [
        "/",
        "/passing-by",
        "/requests.atom",
        *LISTS,
        *(f"{path}.{form}" for path in LISTS for form in ("json", "csv")),
        "/agencies/lakeland",
        "/agencies/lakeland/record.json",
        *(f"/agencies/lakeland/report/{YEAR}{form}" for form in ("", ".json")),
        *(f"/requests/{request_id}" for request_id in request_ids),
    ]
    http = world.browser()
    # ?lang= is never kept: so nothing is the same for having been remembered.
    answers = {path: await http.get(path, params={"lang": "en"}) for path in paths}
    assert {path for path, answer in answers.items() if not answer.is_success} == set()
    return {path: answer.content for path, answer in answers.items()}


async def published(world: World) -> None:
    """Fill the record, and let the batch be over."""
    officer_and_requests = fill(world)
    world.clock.set_wall_ms(next_boundary_ms(world.clock.wall_ms(), BATCH.batch_ms))
    await officer_and_requests


async def test_what_owners_decide_changes_no_byte(world: World) -> None:
    """Opting in, declining, looking, adding a doorbell: the world differs in nothing else."""
    await published(world)
    before = await everything(world)
    for number in range(3):
        device = await world.enrol()
        owner = await paired_owner(world, device, f"Owner {number}")
        await world.tell(device, Pressed())
        statement = {"sealed": "c2VhbGVk"}  # a decline, a hold or settings: nobody can tell
        await owner.post(f"/doorbells/{device}/statements", statement)
        await owner.get("/requests")
    await Owner(world, "Nobody").register()
    assert await everything(world) == before


async def test_slots_and_releases_change_no_byte(world: World) -> None:
    """A release's commitment and a slot's root hide whose they are; a count of them would not."""
    await published(world)
    before = await everything(world)
    await log_custody(
        world,
        *(ReleaseLeaf(commitment=sha256_hex(bytes([number]))) for number in range(3)),
        *(SlotLeaf(slot=number, root=sha256_hex(b"root")) for number in range(3)),
    )
    after = await everything(world)
    for path in before:
        assert after[path] == before[path], path


async def test_nothing_is_told_before_its_batch_is_over(world: World) -> None:
    """Seen to fail with `added` read in the place of what is published."""
    await published(world)
    before = await everything(world)
    now_ms = world.clock.wall_ms()
    end_ms = next_boundary_ms(now_ms, BATCH.batch_ms)
    later = (
        ReceivedLeaf(agency="lakeland", quarter=quarter_of(now_ms), band="5+"),
        DeletionAskedLeaf(agency="lakeland", package=PACKAGE[::-1], answer_by_ms=end_ms + DAY_MS),
        ErasedLeaf(package=PACKAGE, why="unopened"),
    )
    for body in later:
        entry = CustodyLeaf(body=body).encode()
        async with world.database.begin() as tx:
            await LogEntries().add(
                tx, "custody", entry, key=sha256_hex(entry), not_before_ms=end_ms
            )
    await place_entries(world.database, world.clock)
    assert await everything(world) == before
    world.clock.set_wall_ms(end_ms)
    await place_entries(world.database, world.clock)
    after = await everything(world)
    assert after["/transparency.json"] != before["/transparency.json"]
    assert b'"5+"' in after["/agencies/lakeland/record.json"]


async def test_an_entry_that_waits_cannot_be_asked_for_by_its_number(world: World) -> None:
    await published(world)
    size = await place_entries(world.database, world.clock)
    end_ms = next_boundary_ms(world.clock.wall_ms(), BATCH.batch_ms)
    entry = CustodyLeaf(body=ErasedLeaf(package=PACKAGE, why="unopened")).encode()
    async with world.database.begin() as tx:
        await LogEntries().add(tx, "custody", entry, key="waits", not_before_ms=end_ms)
    http = world.browser()
    assert (await http.get(f"/entries/custody/{size - 1}")).status_code == 200
    for path in (f"/entries/custody/{size}", f"/entries/custody/{size}/proof"):
        assert (await http.get(path)).status_code == 404


async def test_what_no_witness_has_seen_is_not_there(world: World) -> None:
    """Seen to fail without the comparison with stamps.size."""
    await published(world)
    before = await everything(world)
    world.log.is_away = True
    await world.town.agree(
        "northshore", "Northshore", cells=world.agency.cells, begins_ms=world.clock.wall_ms()
    )
    after = await everything(world)
    for path in before:
        assert after[path] == before[path], path


async def test_no_field_counts_homes_or_declines(world: World) -> None:
    await published(world)
    device = await world.enrol()
    await paired_owner(world, device)
    await world.tell(device, Motion())
    for path, body in (await everything(world)).items():
        if path.endswith((".json", ".csv", ".atom")):
            assert not [word for word in SECRETS if word in body.decode().lower()], path
        assert device.encode() not in body, path
