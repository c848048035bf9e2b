"""The owner's first page in Chromium, on the relay's real HTTP side: events, troubles, health.

What a doorbell tells is committed as ingest does it; no doorbell runs here.
"""

import json
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest
from playwright.async_api import Page, expect

from firmware.protocol.browsers import BrowserKeys
from firmware.protocol.encoding import new_id
from firmware.protocol.events import ClipReady, ClockSet, Health, Motion, Paired, Pressed, Trouble
from firmware.protocol.zones import SeenMotion, seal_zones
from relay.store import statuses
from relay.store.health import HealthRow
from tests.flows.browser import Person, sit_down
from tests.flows.camera import TOO_SMALL, WIDER_THAN_SCREEN
from tests.flows.household import KEYS_OF_THIS_BROWSER, PHONE, app_browser
from tests.relay.http_people import Owner
from tests.relay.http_world import OWNER_ORIGIN, World, open_world

pytestmark = pytest.mark.browser

HEALTH = Health(
    measured_ms=1,
    camera="working",
    fps_milli=30_000,
    max_fps=30,
    temperature_milli_c=61_000,
    has_weak_power=True,
    had_weak_power=True,
    signal_dbm=-67,
    is_clock_trusted=True,
)


@asynccontextmanager
async def at_the_door(
    world: World, device: str, language: str = "en"
) -> AsyncIterator[tuple[Page, Person]]:
    """Give the doorbell's owner a phone with the app open."""
    owner = Owner(world)
    await owner.register()
    pairing_id = new_id()
    await owner.post("/pairings", {"pairing_id": pairing_id})
    credential_id = owner.passkey.key.credential_id
    paired = Paired(pairing_id=pairing_id, credential_id=credential_id)
    await world.pairings.take_paired(device, paired)
    account = {
        "token": owner.http.headers["Authorization"].removeprefix("Bearer "),
        "owner": {"name": "Ada", "credential_id": credential_id},
    }
    async with app_browser(world) as browser:
        person = await sit_down(browser, viewport=PHONE)
        for key, value in {"account": json.dumps(account), "language": language}.items():
            script = f"localStorage.setItem('doorward.{key}', {json.dumps(value)})"
            await person.context.add_init_script(script)
        await person.page.goto(f"{OWNER_ORIGIN}/#/")
        await person.page.wait_for_selector("#see")
        yield person.page, person
        await person.context.close()


async def say_health(world: World, device: str, said: Health) -> None:
    row = HealthRow(received_ms=world.clock.wall_ms(), health=said)
    async with world.database.begin() as tx:
        await statuses.put_health(tx, {device: row})
    world.hub.health_changed(device, row)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path) as world:
        yield world


async def motion_in(page: Page, *zones: str) -> Motion:
    """Return motion in zones of these names, sealed to the page's browser."""
    account = await page.evaluate(KEYS_OF_THIS_BROWSER)
    keys = msgspec.convert(account["keys"]["browser"], BrowserKeys)
    return Motion(zones=seal_zones(SeenMotion(names=list(zones)), [keys]))


async def test_health_opens_by_keyboard_and_stays_open_while_the_page_changes(world: World) -> None:
    device = await world.enrol()
    await say_health(world, device, HEALTH)
    async with at_the_door(world, device) as (page, person):
        summary = page.locator("[data-testid=health] summary")
        await summary.focus()
        await page.keyboard.press("Enter")
        await expect(page.locator("[data-fact=power]")).to_be_visible()
        await expect(page.locator("[data-fact=power]")).to_have_text("Power supply too weak")
        await expect(page.locator("[data-fact=card]")).to_have_count(0)  # it wasn't measured
        await world.tell(device, await motion_in(page, "path"))
        await expect(page.locator("[data-testid=event-motion] strong")).to_have_text(
            "Motion – path"
        )
        await expect(page.locator("[data-fact=power]")).to_be_visible()
        await expect(summary).to_be_focused()
        await say_health(world, device, msgspec.structs.replace(HEALTH, temperature_milli_c=0))
        await expect(page.locator("[data-fact=temperature]")).to_have_text("0 °C")
        assert await page.evaluate(WIDER_THAN_SCREEN) == []
        assert await page.evaluate(TOO_SMALL) == []
        assert person.faults == []


async def test_a_press_is_announced_with_why_it_has_no_picture_and_motion_is_not(
    world: World,
) -> None:
    device = await world.enrol()
    async with at_the_door(world, device) as (page, _):
        await world.tell(device, Motion())
        await page.wait_for_selector("[data-testid=event-motion]")
        await expect(page.locator("#announcer")).to_be_empty()
        await expect(page.locator(".door.fresh")).to_have_count(0)
        await world.tell(device, Pressed(camera="missing"), time_ms=_now_ms())
        why = "No picture: the camera is unplugged, or its cable is loose."
        await expect(page.locator("#announcer")).to_contain_text(why)
        await expect(page.locator("[data-testid=event-pressed]")).to_contain_text(why)
        await expect(page.locator(".door.fresh h2")).to_contain_text("Somebody rang at")


async def test_motion_and_the_press_in_it_are_one_row_with_one_recording(world: World) -> None:
    device = await world.enrol()
    walk = await world.tell(device, Motion())
    ring = await world.tell(device, Pressed())
    clip = ClipReady(
        clip_id=new_id(),
        manifest_digest="0" * 64,
        trigger_event_id=walk.id,
        more_trigger_ids=[ring.id],
        started_ms=walk.time_ms - 6000,
        duration_ms=14_000,
        pre_roll_ms=6000,
        is_cut_short=False,
    )
    await world.tell(device, clip)
    async with at_the_door(world, device) as (page, _):
        row = page.locator("#events li")
        await expect(row).to_have_count(1)
        await expect(row.locator("strong")).to_have_text("Somebody rang")
        await expect(row).to_contain_text("Motion")
        watch = row.locator("a")
        await expect(watch).to_contain_text("Watch 14 s")
        await expect(watch).to_have_accessible_name(re.compile("^Watch 14.s: Somebody rang, "))
        await watch.focus()
        await world.tell(device, Motion())
        await expect(row).to_have_count(2)
        await expect(watch).to_be_focused()  # the page was redrawn


async def test_a_trouble_stands_at_the_door_until_it_is_over_in_the_readers_language(
    world: World,
) -> None:
    device = await world.enrol()
    english = "The power supply is too weak: it gave 4.5 V."
    await world.tell(device, Trouble(code="power_weak", detail=english))
    async with at_the_door(world, device, "sv") as (page, _):
        wrong = page.locator("[data-testid=wrong-now]")
        await expect(wrong).to_contain_text("Strömförsörjningen är för svag")
        await expect(wrong).to_contain_text("en kort, tjock kabel")
        assert english not in await page.inner_text("main")
        await world.tell(device, Trouble(code="power_weak", is_over=True, detail="It is fine."))
        await expect(page.locator("#others")).to_contain_text("Strömmen räcker till igen")
        await expect(wrong).to_have_count(0)


async def test_a_trouble_stands_at_the_door_however_much_was_told_since(world: World) -> None:
    device = await world.enrol()
    await world.tell(device, Trouble(code="card_failing", detail="It gives errors."))
    for _ in range(110):
        await world.tell(device, Motion())
    await world.tell(device, Pressed())  # with a ring on the newest page, no older one is loaded
    async with at_the_door(world, device) as (page, person):
        wrong = page.locator("[data-testid=wrong-now]")
        await expect(wrong).to_contain_text("The memory card is failing: put in a new one")
        await expect(page.locator("[data-testid=event-pressed]")).to_have_count(1)
        await world.tell(device, Trouble(code="card_failing", is_over=True, detail="It works."))
        await expect(wrong).to_have_count(0)
        assert person.faults == []


async def test_a_press_before_the_clock_was_set_is_dated_anew_on_the_open_page(
    world: World,
) -> None:
    device = await world.enrol()
    await world.tell(device, Pressed(), time_ms=90_000, is_clock_trusted=False)
    async with at_the_door(world, device) as (page, _):
        row = page.locator("[data-testid=event-pressed]")
        await expect(row).to_contain_text("this is when we heard of it")
        offset_ms = 1_700_000_000_000
        await world.tell(device, ClockSet(from_seq=1, to_seq=1, offset_ms=offset_ms))
        await expect(row).to_contain_text("time corrected; the doorbell's clock was not set")
        right = await row.locator("time").get_attribute("datetime")
        assert right == "2023-11-14T22:14:50.000Z"


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
