"""The theft map in Chromium: a county at once, with and without WebGL or JavaScript; and reporting.

The relay's HTTP side is the real one; a county's counts are put where publication keeps them.
"""

import gzip
import random
import re
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import h3
import pytest
from playwright.async_api import Browser, Page, expect

from relay.heatmap.calendar import due_ms, open_due_months
from relay.heatmap.publication import edition_of
from relay.map.map_data import MapData
from relay.store import heatmap as store
from tests.flows.asked_home import home_in_browser
from tests.flows.browser import chromium, pictured_on_failure, window
from tests.flows.camera import TOO_SMALL, WIDER_THAN_SCREEN
from tests.flows.serving import serving
from tests.flows.streets import write_streets
from tests.flows.test_map_page import NO_WEBGL, SOFTWARE_WEBGL
from tests.relay.http_world import OWNER_ORIGIN, RELAY_URL, World, open_world
from tests.relay.theft_map import CENTRE, PLACES, now_month

pytestmark = pytest.mark.browser

COUNTY = sorted(h3.grid_disk(CENTRE, 40))
"""4,921 cells."""
MOST_BYTES = 200_000
PAGE_BYTES = 100_000
MOST_MS = 1000
BUSY_TRIES = 5
PAINTED = """() => new Promise((resolve) => {
  const [{ responseStart }] = performance.getEntriesByType("navigation");
  new PerformanceObserver((list) => {
    const [paint] = list.getEntriesByName("first-contentful-paint");
    if (paint) resolve(paint.startTime - responseStart);
  }).observe({ type: "paint", buffered: true });
})"""
"""From the page's first byte to its picture: what the relay needs before depends on its load.
The page's load event may come before its first picture."""
NOTES_WHEN_DRAWN = """new MutationObserver((_, observer) => {
  if (document.querySelector("#map[data-ready]") === null) return;
  observer.disconnect();
  window.drawnMs = performance.now();
}).observe(document, { attributes: true, childList: true, subtree: true });"""
TAKEN_BY_THE_MAP = """() => {
  const [{ loadEventStart }] = performance.getEntriesByType("navigation");
  return window.drawnMs - loadEventStart;
}"""
"""From the page's load, after which the map is fetched, to the map in the picture's place."""
MOST_MAP_MS = 15_000
"""A second is meant for a graphics card; SwiftShader draws each pixel on two busy cores."""
LAID_OUT = """() => {
  const began = performance.now();
  const map = document.querySelector(".theft-map");
  map.style.display = "none";
  map.getBoundingClientRect();
  map.style.display = "";
  map.getBoundingClientRect();
  return performance.now() - began;
}"""


async def publish_counts(world: World, counts: dict[str, int]) -> str:
    """Publish counts as those of this month, as the publisher would."""
    month = now_month(world)
    async with world.database.begin() as tx:
        await open_due_months(tx, world.clock.wall_ms())
        world.clock.set_wall_ms(due_ms(month))
        kept = {**await store.shown_counts(tx, since="2000-01"), month: counts}
        now_ms = world.clock.wall_ms()
        edition = edition_of(month, kept, published_ms=now_ms, is_example=True)
        body = edition.encode().decode()
        assert await store.close_month(tx, month, counts, body, published_ms=now_ms)
    return month


def some_counts(cells: Sequence[str]) -> dict[str, int]:
    dice = random.Random(1)
    return {cell: dice.choice((5, 7, 9, 12, 18, 25)) for cell in cells}


@asynccontextmanager
async def at_the_map(
    tmp_path: Path, counts: dict[str, int], *flags: str, maps: MapData | None = None
) -> AsyncIterator[tuple[World, Browser, Page]]:
    """A reader whose browser can reach a relay that has published these counts."""
    async with open_world(tmp_path, maps=maps) as world:
        await publish_counts(world, counts)
        async with (
            serving(world.app) as port,
            chromium(
                f"--host-resolver-rules=MAP {urlsplit(RELAY_URL).hostname}:80 127.0.0.1:{port}",
                *flags,
            ) as browser,
            pictured_on_failure(browser, tmp_path),
        ):
            page = await window(browser, viewport={"width": 1100, "height": 900})
            faults: list[str] = []
            page.on("pageerror", lambda error: faults.append(str(error)))
            yield world, browser, page
            assert faults == []


async def test_a_county_is_small_and_drawn_at_once(tmp_path: Path) -> None:
    async with at_the_map(tmp_path, some_counts(COUNTY), *NO_WEBGL) as (world, _, page):
        began = time.monotonic()
        answer = await page.goto(f"{RELAY_URL}/theft-map", wait_until="load")
        loaded_ms = (time.monotonic() - began) * 1000
        assert answer is not None
        text = await answer.text()
        without_map = re.sub(r'<svg class="theft-map".*?</svg>', "", text, flags=re.DOTALL)
        data = (await world.browser().get("/theft-map.json")).content
        picture, page_only = packed(text) - packed(without_map), packed(without_map)
        painted_ms, laid_out_ms = await page.evaluate(PAINTED), await page.evaluate(LAID_OUT)
        for _ in range(BUSY_TRIES):  # another program may have had the processor meanwhile
            if max(painted_ms, laid_out_ms) <= MOST_MS:
                break
            await page.reload()
            painted_ms = min(painted_ms, await page.evaluate(PAINTED))
            laid_out_ms = min(laid_out_ms, await page.evaluate(LAID_OUT))
        print(
            f"{len(COUNTY)} cells: page {page_only} bytes in gzip, picture {picture}, JSON "
            f"{len(gzip.compress(data))}; painted after {painted_ms:.0f} ms, laid out again in "
            f"{laid_out_ms:.0f} ms, loaded in {loaded_ms:.0f} ms"
        )
        assert page_only <= PAGE_BYTES
        assert picture + page_only <= PAGE_BYTES
        assert len(gzip.compress(data)) <= MOST_BYTES
        assert painted_ms <= MOST_MS
        assert laid_out_ms <= MOST_MS
        await expect(page.locator(".theft-map")).to_be_visible()
        await expect(page.locator("#theft-cells tbody tr")).to_have_count(15)


def packed(text: str) -> int:
    return len(gzip.compress(text.encode()))


async def test_without_javascript_the_picture_and_the_table_are_there(tmp_path: Path) -> None:
    async with at_the_map(tmp_path, some_counts(PLACES)) as (_, browser, _):
        page = await window(
            browser, java_script_enabled=False, viewport={"width": 390, "height": 844}
        )
        await page.goto(f"{RELAY_URL}/theft-map")
        await expect(page.locator(".theft-map")).to_be_visible()
        await expect(page.locator("#theft-legend li")).to_have_count(4)
        await page.click("text=12 months")
        await expect(page.locator(".tabs [aria-current]")).to_have_text("12 months")
        first = await page.locator("#theft-cells tbody tr").first.inner_text()
        await page.click("text=Next page")
        await expect(page.locator("#theft-cells tbody tr").first).not_to_have_text(first)
        await expect(page.locator("#theft-cells tbody tr")).to_have_count(15)


async def test_with_webgl_a_map_takes_the_pictures_place(tmp_path: Path) -> None:
    maps = MapData(streets=write_streets(tmp_path / "streets.pmtiles"), attribution="Us")
    counts = some_counts(COUNTY)
    async with at_the_map(tmp_path, counts, *SOFTWARE_WEBGL, maps=maps) as (_, _, page):
        warnings: list[str] = []
        page.on("console", lambda message: warnings.append(message.text))
        await page.add_init_script(NOTES_WHEN_DRAWN)
        await page.goto(f"{RELAY_URL}/theft-map")
        await expect(page.locator(".theft-map")).to_be_visible()  # the first paint
        await page.wait_for_selector("#map[data-ready]", timeout=60_000)
        map_ms = await page.evaluate(TAKEN_BY_THE_MAP)
        for _ in range(BUSY_TRIES):  # another program may have had the processor meanwhile
            if map_ms <= MOST_MAP_MS:
                break
            await page.reload()
            await page.wait_for_selector("#map[data-ready]", timeout=60_000)
            map_ms = await page.evaluate(TAKEN_BY_THE_MAP)
        print(f"{len(COUNTY)} cells: MapLibre without a graphics card after {map_ms:.0f} ms")
        assert 0 < map_ms <= MOST_MAP_MS
        await expect(page.locator(".theft-map")).to_be_hidden()
        await expect(page.locator("#map canvas")).to_be_visible()
        assert [text for text in warnings if "map" in text] == []


async def test_a_parcel_is_reported_listed_and_taken_back_in_the_app(tmp_path: Path) -> None:
    async with (
        open_world(tmp_path) as world,
        home_in_browser(world, service_workers="allow") as home,
    ):
        page, sent = home.page, []
        page.on("request", lambda one: sent.append(f"{one.url} {one.post_data or ''}"))
        await page.goto(f"{OWNER_ORIGIN}/#/neighbours")
        await page.click("#to-theft")
        await expect(page.locator("#own-thefts")).to_contain_text("no report")
        await page.click("#theft-report")
        await expect(page.locator("#theft-problem")).to_be_visible()
        lat, lon = h3.cell_to_latlng(CENTRE)
        await page.fill("#place-typed", f"{lat:.5f}, {lon:.5f}")
        await page.locator("#place-typed").press("Enter")
        await expect(page.locator("#place-found")).to_contain_text("1 km")
        await page.click("#theft-report")
        rows = page.locator("[data-testid=theft-report]")
        await expect(rows).to_have_count(1)
        await expect(rows).to_have_attribute("data-cell", CENTRE)
        await expect(rows).to_contain_text(f"{lat:.2f}, {lon:.2f}")
        async with page.expect_response(
            lambda answer: answer.request.method == "GET" and answer.url.endswith("/theft-reports")
        ):
            await page.click("#theft-report")  # once more is as once
        await expect(page.locator("main h2:focus")).to_have_count(1)  # the list is drawn
        await expect(rows).to_have_count(1)
        assert await page.evaluate(WIDER_THAN_SCREEN) == []
        assert await page.evaluate(TOO_SMALL) == []
        href = await page.get_attribute("#theft-map", "href")
        assert href == f"{RELAY_URL}/theft-map"
        await rows.get_by_role("button").press("Enter")
        await expect(rows).to_have_count(0)
        assert [one for one in sent if f"{lat:.5f}" in one] == []  # the cell alone leaves
