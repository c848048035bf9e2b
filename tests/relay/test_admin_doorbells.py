"""The operator's page of the fleet: views, search, concerns, and what it must not tell."""

from collections.abc import AsyncIterator

import pytest
from sqlalchemy import update

from firmware.protocol.events import Health
from relay.fleet.overview import PAGE, SILENT_MS, concerns_of
from relay.store import fleet_overview, statuses
from relay.store.fleet_overview import FleetRow
from relay.store.health import HealthRow
from relay.store.metrics import ENDING_MS
from relay.store.schema import doorbells
from tests.relay.admin_people import signed_in_admin
from tests.relay.http_people import paired_owner
from tests.relay.http_world import World, open_world

YEAR_MS = 365 * 24 * 3600 * 1000
NOW_MS = 1_800_000_000_000


@pytest.fixture
async def world(tmp_path) -> AsyncIterator[World]:
    async with open_world(tmp_path) as world:
        yield world


def report(**values: object) -> Health:
    """Return a healthy doorbell's report, but for these values."""
    fine = {"measured_ms": NOW_MS, "camera": "working", "fps_milli": 30_000, "max_fps": 30}
    return Health(**{**fine, "is_clock_trusted": True, **values})


def row(**values: object) -> FleetRow:
    fine = {
        "device": "a" * 20,
        "is_online": True,
        "state_since_ms": NOW_MS,
        "enrolled_ms": NOW_MS,
        "certificate_ends_ms": NOW_MS + YEAR_MS,
        "cloned_ms": None,
        "health": HealthRow(received_ms=NOW_MS, health=report()),
    }
    return FleetRow(**{**fine, **values})


async def set_columns(world: World, device: str, **values: object) -> None:
    async with world.database.begin() as tx:
        await tx.execute(update(doorbells).where(doorbells.c.device == device).values(**values))


@pytest.mark.parametrize(
    ("said", "concern"),
    [
        ({"camera": "missing"}, "camera"),
        ({"had_weak_power": True}, "weak_power"),
        ({"temperature_milli_c": 80_000}, "hot"),
        ({"card_free_bytes": 1_000_000}, "card_full"),
        ({"is_clock_trusted": False}, "clock"),
        ({"signal_dbm": -80}, "signal"),
        ({"gap_count": 20}, "gaps"),
    ],
)
def test_each_ill_report_is_a_concern(said: dict[str, object], concern: str) -> None:
    ill = HealthRow(received_ms=NOW_MS, health=report(**said))
    assert concerns_of(row(health=ill), NOW_MS) == (concern,)
    # Of a doorbell that is away its last report says nothing of now.
    assert concerns_of(row(health=ill, is_online=False), NOW_MS) == ()


def test_state_card_and_certificate_are_concerns() -> None:
    assert concerns_of(row(), NOW_MS) == ()
    assert concerns_of(row(health=None), NOW_MS) == ()
    away = row(is_online=False, state_since_ms=NOW_MS - SILENT_MS - 1)
    assert concerns_of(away, NOW_MS) == ("silent",)
    assert concerns_of(row(cloned_ms=1), NOW_MS) == ("cloned",)
    assert concerns_of(row(certificate_ends_ms=NOW_MS + ENDING_MS - 1), NOW_MS) == ("certificate",)


async def test_every_view_shows_its_doorbells_a_page_at_a_time(world: World) -> None:
    admin = await signed_in_admin(world)
    assert "doorward-relay invite doorbell" in (await admin.get("/doorbells")).text
    devices = sorted([await world.enrol() for _ in range(PAGE + 2)])
    now_ms = world.clock.wall_ms()
    for number, device in enumerate(devices):
        ends_ms = now_ms + YEAR_MS if number else now_ms + 1
        since_ms = now_ms - number * SILENT_MS
        await set_columns(
            world, device, state_since_ms=since_ms, state="offline", certificate_ends_ms=ends_ms
        )
    await set_columns(world, devices[3], cloned_ms=now_ms)
    await set_columns(world, devices[5], revoked_ms=now_ms)

    first = (await admin.get("/doorbells")).text
    assert first.count('id="d-') == PAGE
    assert devices[5] not in first
    second = (await admin.get(f"/doorbells?view=all&after=0:{devices[PAGE]}")).text
    assert second.count('id="d-') == 1
    assert devices[-1] in second
    offline = (await admin.get("/doorbells?view=offline")).text
    assert offline.index(devices[-1]) < offline.index(devices[4])
    assert 'id="next"' in offline
    cloned = (await admin.get("/doorbells?view=cloned")).text
    assert cloned.count('id="d-') == 1
    assert devices[3] in cloned
    ending = (await admin.get("/doorbells?view=ending")).text
    assert ending.count('id="d-') == 1
    assert devices[0] in ending


async def test_a_doorbell_is_found_by_the_beginning_of_its_id(world: World) -> None:
    admin = await signed_in_admin(world)
    device, other = await world.enrol(), await world.enrol()
    found = (await admin.get(f"/doorbells?q={device[:9]}")).text
    assert f'id="d-{device}"' in found
    assert other not in found
    for nobody in ("zzzz", "%25", "<b>", "a" * 500):
        assert 'id="none"' in (await admin.get(f"/doorbells?q={nobody}")).text
    for odd in ("view=stolen", "after=x", f"after={10**40}:a", "view=offline&after=1"):
        assert (await admin.get(f"/doorbells?{odd}")).status_code == 200


async def test_the_page_tells_how_a_doorbell_is_and_nothing_of_its_owner(world: World) -> None:
    admin = await signed_in_admin(world)
    device = await world.enrol()
    owner = await paired_owner(world, device)
    await set_columns(world, device, state="online")
    told = report(camera="missing", temperature_milli_c=61_400, signal_dbm=-58)
    async with world.database.begin() as tx:
        row = HealthRow(received_ms=world.clock.wall_ms(), health=told)
        await statuses.put_health(tx, {device: row})
    page = (await admin.get("/doorbells")).text
    assert "61 °C" in page
    assert "-58 dBm" in page
    assert owner.name not in page
    assert "/clips" not in page
    assert "thumbnail" not in page


async def test_no_view_reads_the_whole_fleet(world: World) -> None:
    """Each starts at an index. Seen to fail while all were sorted behind doorbells_by_clone."""
    queries: list[str] = []
    async with world.database.read() as tx:
        raw = await tx.get_raw_connection()
        driver = raw.driver_connection
        assert driver is not None
        await driver.set_trace_callback(queries.append)
        for view in fleet_overview.FLEET_VIEWS:
            await fleet_overview.page(tx, view, after=(1, "a"), ending_ms=NOW_MS, limit=2)
        await driver.set_trace_callback(None)
        plans = [
            "\n".join(str(line) for line in await tx.exec_driver_sql(f"EXPLAIN QUERY PLAN {query}"))
            for query in queries
            if "FROM doorbells" in query
        ]
    assert len(plans) == len(fleet_overview.FLEET_VIEWS)
    for plan in plans:
        assert "SCAN doorbells" not in plan, plan
        assert "B-TREE FOR ORDER BY" not in plan, plan
