"""Three doorbells of one owner in Chromium: each card, ring, setting and recording is its own."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from firmware.enrolment.keys import DeviceKeys, load_or_make_keys
from firmware.protocol.commands import SealedStatement
from firmware.protocol.decisions import ChangeSettings, OwnerSettings, Preferences
from firmware.protocol.events import Motion, Pressed
from firmware.protocol.live import SetPreference
from firmware.protocol.notes import PreferencesNow
from tests.fakes.owner_file import file_of
from tests.flows.asked_home import Home, clip_of, home_in_browser, terms_of
from tests.flows.camera import TOO_SMALL, WIDER_THAN_SCREEN
from tests.flows.household import note, pair_another, set_state
from tests.relay.http_world import OWNER_ORIGIN, open_world

pytestmark = pytest.mark.browser

NAMES = ("Front door", "Back door", "Garage")


@dataclass
class Three:
    """An owner's phone, and three doorbells."""

    home: Home
    keys: tuple[DeviceKeys, ...]

    @property
    def page(self) -> Page:
        return self.home.page

    def at(self, place: int) -> Home:
        """Return one of the doorbells in the place of the first."""
        keys = self.keys[place]
        return replace(self.home, device=keys.device, keys=keys)

    async def open(self, where: str = "") -> None:
        await self.page.goto(f"{OWNER_ORIGIN}/#/{where}")
        await self.page.reload()


@asynccontextmanager
async def three(folder: Path) -> AsyncIterator[Three]:
    async with open_world(folder) as world, home_in_browser(world, service_workers="allow") as home:
        more = [load_or_make_keys(folder / name) for name in ("back", "garage")]
        for keys in more:
            await pair_another(world, home.page, keys)
        for keys, name in zip((home.keys, *more), NAMES, strict=True):
            told = PreferencesNow(preferences=Preferences(name=name), file=file_of(), at_ms=1)
            await note(world, keys, home.owner, told)
        yield Three(home, (home.keys, *more))
        home.person.faults.clear()  # doorbells that answer no call were asked to be ready


async def test_each_door_has_its_card_its_ring_and_its_silence(tmp_path: Path) -> None:
    async with three(tmp_path) as at:
        page, world = at.page, at.home.world
        first, second, third = (keys.device for keys in at.keys)
        await at.open()
        for keys, name in zip(at.keys, NAMES, strict=True):
            card = page.locator(f".door[data-device='{keys.device}']")
            await expect(card.locator("h2")).to_have_text(name)
        await set_state(world, second, "offline")
        silent = page.locator(f".door[data-device='{second}'] [data-testid=doorbell-state]")
        await expect(silent).to_contain_text("Not reachable since")
        states = page.locator("[data-testid=doorbell-state]")
        await expect(states.filter(has_text="Online")).to_have_count(2)
        assert await page.evaluate(WIDER_THAN_SCREEN) == []
        assert await page.evaluate(TOO_SMALL) == []

        await page.locator(f".door[data-device='{first}'] .see-and-talk a").first.click()
        await expect(page.locator("#live-screen")).to_be_visible()
        await world.tell(third, Pressed())
        announced = page.locator("#announcer")
        await expect(announced).to_contain_text("Somebody is at the door: Garage")
        assert page.url.endswith(f"#/live/{first}")  # one who looks isn't led away
        toast = page.locator(".toast")
        await expect(toast).to_contain_text("Garage")
        await toast.get_by_role("button", name="See").click()
        await page.wait_for_url(lambda url: url.endswith(f"#/live/{third}"))
        await at.open()
        fresh = page.locator(".door.fresh")
        await expect(fresh).to_have_count(1)
        await expect(fresh).to_have_attribute("data-device", third)


async def test_the_history_is_of_all_or_of_one(tmp_path: Path) -> None:
    async with three(tmp_path) as at:
        page, world = at.page, at.home.world
        _, second, third = (keys.device for keys in at.keys)
        await world.tell(second, Motion(zones=[]))
        for place in (0, 2):
            ring = await world.tell(at.keys[place].device, Pressed())
            await at.at(place).record(clip_of(ring.id, world.clock.wall_ms() - 6_000))
        await at.open("history")
        rows = page.locator(".day .row")
        await expect(rows).to_have_count(3)
        for name in NAMES:
            await expect(rows.filter(has_text=name)).to_have_count(1)
        await page.select_option("#which-door", third)
        await expect(rows).to_have_count(1)
        await expect(page.locator("[data-testid=entry-pressed]")).to_have_count(1)
        assert page.url.endswith(f"#/history/{third}")
        await page.select_option("#which-door", second)
        await expect(page.locator("[data-testid=entry-motion]")).to_have_count(1)
        await expect(rows).to_have_count(1)
        await page.reload()
        await expect(rows).to_have_count(1)  # the address names it
        await page.select_option("#which-door", "")
        await expect(rows).to_have_count(3)


async def test_settings_go_to_the_one_that_is_meant(tmp_path: Path) -> None:
    async with three(tmp_path) as at:
        page, world = at.page, at.home.world
        third = at.at(2)
        await at.open(f"settings/doorbell/{at.keys[0].device}")
        await expect(page.locator("main .lead")).to_contain_text("Front door")
        await page.get_by_role("link", name="Garage").click()
        await expect(page.locator("main .lead")).to_contain_text("Garage")
        orders = await third.taking_orders()
        await page.click("#to-name")
        await expect(page.locator("#setting-name")).to_have_value("Garage")
        await page.fill("#setting-name", "Workshop")
        await expect(page.locator("#preference-saved")).to_be_visible()
        assert orders == [SetPreference(preferences=Preferences(name="Workshop"))]
        await page.go_back()
        await page.click("#to-keep")
        await page.select_option("#setting-keep-days", "7")
        await page.click("#save-settings")
        signed = await third.sent()
        assert terms_of(signed) == ChangeSettings(settings=OwnerSettings(revision=1, keep_days=7))
        for other in at.keys[:2]:
            told = await world.told(other.device)
            assert not any(isinstance(one, SealedStatement) for one in told)
