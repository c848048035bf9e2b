"""Whoever reads the public record, every minute and all of it, learns nothing of one home.

What owners decide, want or do never changes a byte of it before the end of a batch, and then only
what the public logs say anyway. How many doorbells there are doesn't change it at all.
"""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest
from starlette.applications import Starlette

from firmware.protocol.custody import (
    CustodyLeaf,
    DeletionAskedLeaf,
    ErasedLeaf,
    LegalProcessLeaf,
    ReceivedLeaf,
    ReleaseLeaf,
    SlotLeaf,
    quarter_of,
)
from firmware.protocol.encoding import sha256_hex
from firmware.protocol.events import Motion, Pressed
from firmware.protocol.register.entries import Delays
from firmware.protocol.tlog.checkpoint import Checkpoint, sign_checkpoint, sign_cosignature
from firmware.protocol.tlog.policy import parse_policy, policy_text
from firmware.protocol.tlog.signed_note import NoteSigner, parse_note
from relay.credit.public_ledger import PublicLedger
from relay.custody.log_entries import LOGS, LogEntries, LogName
from relay.fleet.door_notices import DoorNotices
from relay.heatmap.published import PublishedMap
from relay.record.public_record import PublicRecord
from relay.record.witness_status import WitnessStatus
from relay.request.batches import next_boundary_ms
from relay.store import logs
from relay.web.pages import Pages
from relay.web.public.app import PublicFace
from relay.web.public.services import PublicLogs, PublicServices
from tests.fakes.compiled_templates import COMPILED
from tests.fakes.sequenced_entries import place_entries, time_of
from tests.relay.http_people import Owner, paired_owner
from tests.relay.http_world import DAY_MS, RELAY_URL, World, open_world
from tests.relay.record_world import PACKAGE, fill, log_custody
from tests.relay.register_town import QUICK

BATCH = Delays(
    key_age_ms=QUICK.key_age_ms,
    agreement_age_ms=QUICK.agreement_age_ms,
    freshness_ms=QUICK.freshness_ms,
    slot_ms=QUICK.slot_ms,
    batch_ms=15 * 60 * 1000,
)
LISTS = ("/requests", "/agencies", "/entries", "/transparency", "/trends")
YEAR = 2026
"""When these relays' clock begins."""
FILLED = 9
"""So many entries of the custody log are shown when the record is filled."""
SIGNERS: dict[LogName, NoteSigner] = {
    log: NoteSigner.generate(f"example.testtown/{log}", "ed25519") for log in LOGS
}
WITNESSES = {one: NoteSigner.generate(f"{one}.test/witness", "cosignature") for one in ("a", "b")}
POLICY_TEXT = policy_text(
    logs=[signer.key for signer in SIGNERS.values()],
    witnesses={name: signer.key for name, signer in WITNESSES.items()},
    threshold=2,
    urls={name: f"http://{name}.test" for name in WITNESSES},
)
SECRETS = ("declin", "doorbells_online", "recipients", "ignored:", "opt_in", "opted")


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path, delays=BATCH) as world:
        yield world


async def sign_trees(world: World) -> None:
    """Let both logs and their witnesses sign the trees as they are, as they do all the time."""
    now_ms = world.clock.wall_ms()
    if not world.log.is_away:
        await place_entries(world.database, world.clock, "register")
    for log, signer in SIGNERS.items():
        async with world.database.begin() as tx:
            size = (await logs.get_head(tx, log)).published_size
            root = await logs.root_of(tx, log, size)
            if root is None:
                continue
            tree = Checkpoint(origin=signer.key.name, size=size, root=root)
            note = parse_note(sign_checkpoint(tree, signer))
            lines = [sign_cosignature(note.text, one, now_ms // 1000) for one in WITNESSES.values()]
            text = note.with_signatures(*lines).encode().decode()
            await logs.publish(tx, log, size=size, note=text, now_ms=now_ms)


async def reader(world: World) -> httpx2.AsyncClient:
    """Return somebody's browser at a public face that has only now begun, with its logs."""
    await sign_trees(world)
    origins = {log: signer.key.name for log, signer in SIGNERS.items()}

    async def proof(_log: LogName, _index: int) -> bytes:
        return b"a proof"

    async def policy() -> bytes:
        return POLICY_TEXT

    face = PublicFace(
        PublicServices(
            pages=Pages(relay_name="Testtown", compiled=COMPILED),
            agencies=world.agencies,
            record=PublicRecord(world.database, world.register, time_of=time_of),
            door_notices=DoorNotices(world.database, world.clock),
            credits=PublicLedger(world.database, world.clock),
            feed=world.feed,
            owner_origin="http://owner.test",
            public_url=RELAY_URL,
            relay_name="Testtown",
            theft_map=PublishedMap(world.database),
            logs=PublicLogs(
                witnessing=WitnessStatus(world.database, parse_policy(POLICY_TEXT), origins),
                policy=policy,
                proof=proof,
            ),
        )
    )
    transport = httpx2.ASGITransport(app=Starlette(routes=face.routes()))
    return httpx2.AsyncClient(transport=transport, base_url=RELAY_URL)


async def everything(world: World) -> dict[str, bytes]:
    """Return every public page and file, read and rendered anew."""
    request_ids = [
        row.request.id for row in (await world.register.view()).register.requests.values()
    ]
    paths = [
        "/",
        "/passing-by",
        "/requests.atom",
        *("/map", "/map.csv", "/map.geojson"),
        *LISTS,
        *(f"{path}.{form}" for path in LISTS for form in ("json", "csv")),
        "/agencies/lakeland",
        "/agencies/lakeland/record.json",
        *(f"/agencies/lakeland/report/{YEAR}{form}" for form in ("", ".json")),
        *(f"/requests/{request_id}" for request_id in request_ids),
        *(f"/entries/custody/{index}" for index in range(FILLED)),
    ]
    http = await reader(world)
    answers = {path: await http.get(path) for path in paths}
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
    """A release's commitment and a slot's root hide whose they are; a count of them would not.

    Seen to fail with the custody log's size beside a witness, and with a link to the next entry.
    """
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


async def test_nobody_pages_through_slots_and_releases(world: World) -> None:
    await published(world)
    legal = LegalProcessLeaf(quarter="2026-Q3", kind="other", yielded=["nothing"])
    slot = SlotLeaf(slot=1, root=sha256_hex(b"root"))
    await log_custody(world, ReleaseLeaf(commitment=sha256_hex(b"release")), slot, legal)
    http = await reader(world)
    for end in ("", "/proof"):
        paths = [f"/entries/custody/{FILLED + number}{end}" for number in range(4)]
        assert [(await http.get(path)).status_code for path in paths] == [404, 404, 200, 404]
    page = (await http.get(f"/entries/custody/{FILLED + 2}")).text
    assert ('rel="prev"' in page, 'rel="next"' in page) == (False, False)


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
