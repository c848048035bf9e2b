"""Choosing a request's area in Chromium: drawn, searched, from the table; without WebGL, too.

The relay's HTTP side is the real one. The map is drawn by the processor (SwiftShader).
"""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import h3
import pytest
from playwright.async_api import Browser, Page, expect

from relay.map.map_data import MapData
from tests.flows.browser import chromium, pictured_on_failure, window
from tests.flows.camera import WIDER_THAN_SCREEN
from tests.flows.people import choose_cell
from tests.flows.serving import serving
from tests.flows.streets import write_streets
from tests.flows.test_request_pages import join
from tests.relay.http_world import CELLS, RELAY_URL, World, open_world
from tests.relay.onboarding_people import Applicant

pytestmark = pytest.mark.browser

JURISDICTION = sorted(h3.grid_disk(CELLS[0], 5))
"""91 cells."""
MERGED = sorted([CELLS[0], CELLS[1]])
SOFTWARE_WEBGL = ("--enable-unsafe-swiftshader", "--use-angle=swiftshader")
NO_WEBGL = ("--disable-3d-apis",)


@asynccontextmanager
async def at_the_form(
    tmp_path: Path, *flags: str, maps: MapData | None = None
) -> AsyncIterator[tuple[World, Browser, Page]]:
    """An officer with the form open, whose agency has 91 cells of which two go together."""
    async with open_world(tmp_path, maps=maps) as world:
        world.clock.set_wall_ms(time.time_ns() // 1_000_000)
        await world.town.agree(
            "lakeland",
            "Lakeland Police",
            cells=JURISDICTION,
            merged=[MERGED],
            begins_ms=world.clock.wall_ms(),
        )
        async with (
            serving(world.app) as port,
            chromium(
                f"--host-resolver-rules=MAP {urlsplit(RELAY_URL).hostname}:80 127.0.0.1:{port}",
                f"--unsafely-treat-insecure-origin-as-secure={RELAY_URL}",
                *flags,
            ) as browser,
            pictured_on_failure(browser, tmp_path),
        ):
            person = await join(world, browser, "Officer Berg")
            await join(world, browser, "Officer Dahl")
            await person.page.set_viewport_size({"width": 1100, "height": 900})
            await person.page.goto(f"{RELAY_URL}/agency/requests/new")
            await person.page.locator("#area").scroll_into_view_if_needed()
            yield world, browser, person.page
            assert person.faults == []


async def chosen(page: Page) -> set[str]:
    """The cells that the form would send."""
    fields = await page.locator("#area input[name=cell]").all()
    return {str(await field.get_attribute("value")) for field in fields}


async def drag(page: Page, begin: tuple[int, int], end: tuple[int, int]) -> None:
    """Drag over the map; places are pixels from its middle."""
    box = await page.locator("#map").bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    await page.mouse.move(x + begin[0], y + begin[1])
    await page.mouse.down()
    await page.mouse.move(x, y)
    await page.mouse.move(x + end[0], y + end[1])
    await page.mouse.up()


@asynccontextmanager
async def checked(page: Page) -> AsyncIterator[None]:
    """Change the area, and wait until the relay has checked it.

    The form asks for that 0.7 s after a change, and writes the answer above the map, which moves:
    on a busy machine in the midst of the next drag, which then chose other cells.
    """
    async with page.expect_response(f"{RELAY_URL}/agency/requests/check"):
        yield


@asynccontextmanager
async def kept_with(page: Page, text: str) -> AsyncIterator[None]:
    """Fill in, and wait until a draft with this is kept: one without it may be kept before."""
    async with page.expect_response(
        lambda one: one.url.endswith("/agency/drafts") and text in (one.request.post_data or "")
    ):
        yield


async def a_finger_draws_and_does_not_scroll(browser: Browser, page: Page) -> None:
    """Seen to scroll the page, with another shape as the result, without `touchAction`."""
    held = await window(browser, viewport={"width": 360, "height": 740}, has_touch=True)
    await held.context.add_cookies(await page.context.cookies())  # type: ignore[arg-type]
    await page.goto("about:blank")  # one map at a time
    await held.goto(f"{RELAY_URL}/agency/requests/new")
    await held.locator("#area").scroll_into_view_if_needed()
    await held.wait_for_selector("#map[data-ready]", timeout=60_000)
    for mode in ("circle", "rectangle"):
        await held.tap(f"[data-mode={mode}]")
        await held.locator("#map").evaluate("map => map.scrollIntoView({ block: 'center' })")
        scrolled = await held.evaluate("scrollY")
        await swipe(held, (20, 60), is_cancelled=mode == "circle")
        assert await held.evaluate("scrollY") == scrolled
        count = len(await chosen(held))
        assert count == 0 if mode == "circle" else 1 < count <= 12
    await held.context.close()


async def swipe(page: Page, far: tuple[int, int], *, is_cancelled: bool) -> None:
    """Draw with one finger around the map's middle, as far to the sides of it."""
    box = await page.locator("#map").bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    finger = await page.context.new_cdp_session(page)

    async def send(kind: str, *places: float) -> None:
        points = [{"x": x + far[0] * place, "y": y + far[1] * place} for place in places]
        await finger.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    await send("touchStart", -1)
    for step in range(-4, 6):
        await send("touchMove", step / 5)
    await expect(page.locator("#area-status")).not_to_have_text("0 of 12 cells, 0.0 km².")
    await send("touchCancel" if is_cancelled else "touchEnd")


async def test_an_area_is_drawn_on_the_map_and_the_table_shows_the_same(tmp_path: Path) -> None:
    async with at_the_form(tmp_path, *SOFTWARE_WEBGL) as (_, browser, page):
        await page.wait_for_selector("#map[data-ready]", timeout=60_000)
        await page.locator("#map").scroll_into_view_if_needed()
        status, problem = page.locator("#area-status"), page.locator("#area-problem")
        await expect(status).to_have_text("0 of 12 cells, 0.0 km².")

        await page.click("[data-mode=rectangle]")
        async with checked(page):
            await drag(page, (-45, -45), (45, 45))
        drawn = await chosen(page)
        assert 1 < len(drawn) <= 12
        assert drawn <= set(JURISDICTION)
        assert drawn.isdisjoint(MERGED) or drawn.issuperset(MERGED)
        await expect(page.locator("#chosen-cells tbody tr")).to_have_count(len(drawn))
        await expect(status).to_contain_text(f"{len(drawn)} of 12 cells")

        await page.click("[data-mode=circle]")
        await drag(page, (0, 0), (150, 150))  # far more than are allowed: none is added
        await expect(problem).to_contain_text("12 are the most")
        assert await chosen(page) == drawn

        async with checked(page):
            await page.click("#clear-area")
        await page.click("[data-mode=cells]")
        async with checked(page):
            await drag(page, (0, 0), (0, 0))
        assert await chosen(page) == set(MERGED)  # the middle one goes with its neighbour
        await page.locator("#chosen-cells button", has_text="Take out").first.click()
        await expect(page.locator("#area input[name=cell]")).to_have_count(0)
        await a_finger_draws_and_does_not_scroll(browser, page)


async def test_the_operators_streets_are_drawn_under_it(tmp_path: Path) -> None:
    streets = write_streets(tmp_path / "streets.pmtiles")
    maps = MapData(streets=streets, attribution="Made by <b>us</b>")
    async with at_the_form(tmp_path, *SOFTWARE_WEBGL, maps=maps) as (_, _, page):
        answers: list[int] = []
        warnings: list[str] = []
        page.on(
            "response",
            lambda one: answers.append(one.status) if one.url.endswith(".pmtiles") else None,
        )
        page.on("console", lambda message: warnings.append(message.text))
        await page.reload()
        await page.locator("#area").scroll_into_view_if_needed()
        await page.wait_for_selector("#map[data-ready]", timeout=60_000)
        assert answers
        assert set(answers) == {206}
        await expect(page.locator("#map")).to_contain_text("Made by <b>us</b>")
        assert [text for text in warnings if text.startswith("map")] == []


async def test_without_webgl_search_and_table_choose_by_keyboard(tmp_path: Path) -> None:
    async with at_the_form(tmp_path, *NO_WEBGL) as (world, _, page):
        await expect(page.locator("#no-webgl")).to_be_visible()
        await expect(page.locator("#map")).to_have_count(0)
        lat, lon = h3.cell_to_latlng(JURISDICTION[0])
        await page.fill("#place-search", f"{lat:.5f}, {lon:.5f}")
        await page.keyboard.press("Enter")
        await page.locator("#places [data-cell]").focus()
        await page.keyboard.press("Enter")
        fields = page.locator("#area input[name=cell]")
        await expect(fields).to_have_count(1)
        assert await chosen(page) == {JURISDICTION[0]}
        await page.locator("#chosen-cells .winds button:enabled").first.focus()
        await page.keyboard.press("Enter")
        await expect(fields).to_have_count(1 + len(MERGED))
        assert await chosen(page) == {
            JURISDICTION[0],
            *MERGED,
        }  # its neighbour, and who goes with it

        await page.fill("#place-search", "0, 0")
        await page.keyboard.press("Enter")
        await expect(page.locator("#places")).to_contain_text("Outside your jurisdiction")
        await expect(page.locator("#places [data-cell]")).to_have_count(0)

        await page.click("#all-cells summary")
        await expect(page.locator("#all-cells tbody tr")).to_have_count(25)
        await page.click("#all-cells [data-key=on]")
        await expect(page.locator("#all-cells")).to_contain_text("Page 2 of 4")
        await page.set_viewport_size({"width": 360, "height": 740})
        assert not await page.evaluate(WIDER_THAN_SCREEN)
        assert await world.request_service.list_rows("lakeland") == []


async def test_a_jurisdiction_is_drawn_in_shapes_and_taken_as_cells(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world, serving(world.app) as port:
        applicant = Applicant(world, agency="lakeland")
        await applicant.ask()
        await applicant.confirm()
        host = f"--host-resolver-rules=MAP {urlsplit(RELAY_URL).hostname}:80 127.0.0.1:{port}"
        async with chromium(host, *SOFTWARE_WEBGL) as browser:
            page = await window(browser, viewport={"width": 1100, "height": 900})
            faults: list[str] = []
            page.on("pageerror", lambda error: faults.append(str(error)))
            await page.goto(f"{RELAY_URL}{applicant.path}/area")
            await page.locator("#area").scroll_into_view_if_needed()
            await page.wait_for_selector("#map[data-ready]", timeout=60_000)
            await draw_jurisdiction(page)
            cells = (await page.input_value("#drawn [name=area]")).split()
            async with page.expect_download() as download:
                await page.click("#drawn [value=file]")
            file = await (await download.value).path()
            assert file.read_text().split() == cells
            await page.click("#drawn [value=look]")
            await expect(page.locator("#shown")).to_contain_text(f"{len(cells)} cells")
            await expect(page.locator("#undo-area")).to_be_visible()
            assert await page.locator("#kept-drawing").count() == 0  # it is what the page shows
            await page.goto(f"{RELAY_URL}{applicant.path}/area")
            await page.locator("#area").scroll_into_view_if_needed()
            await page.click("#kept-drawing button")
            await expect(page.locator("#drawn [name=area]")).to_have_value("\n".join(cells))
            assert faults == []


async def draw_jurisdiction(page: Page) -> None:
    """Draw badly, mend it, cut a piece out, and take that back."""
    await page.locator("#map").scroll_into_view_if_needed()
    status, problem = page.locator("#area-status"), page.locator("#area-problem")
    await expect(status).to_contain_text("2 of 2500 cells")  # the version before
    await expect(page.locator("[data-mode=polygon]")).to_have_attribute("aria-pressed", "true")

    async def click(*corners: tuple[int, int]) -> None:
        await page.locator("#map").evaluate("map => map.scrollIntoView()")
        for right, down in corners:
            box = await page.locator("#map").bounding_box()
            assert box is not None
            middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
            await page.mouse.click(middle[0] + right, middle[1] + down)

    await click((-150, -150), (150, 150), (150, -150), (-150, 150))
    await page.keyboard.press("Enter")
    await expect(problem).to_contain_text("crosses itself")
    await page.keyboard.press("Backspace")
    await page.keyboard.press("Backspace")
    await page.click("#undo-area")
    await click((150, -150), (150, 150), (-150, 150), (-150, -150))
    await expect(problem).to_be_empty()
    field = page.locator("#drawn [name=area]")
    await expect(field).not_to_have_value("\n".join(sorted(CELLS)))
    drawn = await page.input_value("#drawn [name=area]")
    assert set(CELLS) < set(drawn.split())
    await page.check("#take-out")
    await page.click("[data-mode=rectangle]")
    await page.locator("#map").evaluate("map => map.scrollIntoView()")
    await drag(page, (-120, -120), (120, 120))
    await expect(field).not_to_have_value(drawn)
    assert len((await field.input_value()).split()) < len(drawn.split())
    await page.click("#undo-area")
    await expect(field).to_have_value(drawn)


async def test_what_is_written_is_checked_shown_as_an_owner_reads_it_and_kept(
    tmp_path: Path,
) -> None:
    async with at_the_form(tmp_path, *NO_WEBGL) as (_, browser, page):
        await nothing_large_is_loaded_before_it_is_wanted(browser, page)
        await page.fill("#text", "You must send this at once.\nA bicycle was taken.")
        await page.fill("#case_number", "k-17")
        await expect(page.locator("#hints")).to_contain_text("“must”")
        letter = page.locator("#preview article")
        await expect(letter).to_contain_text("You may ignore this.")
        await expect(letter.locator("blockquote")).to_contain_text("A bicycle was taken.")
        await expect(letter.locator("[data-line='release.case']")).to_have_text("K-17")
        await expect(page.locator("#contact-problem")).to_be_empty()
        await page.click("#publish")
        await expect(page.locator("#contact-problem")).to_have_text("Fill this in.")
        await expect(page.locator("#cells-problem")).to_have_text("Fill this in.")
        async with kept_with(page, JURISDICTION[0]):
            await choose_cell(page, JURISDICTION[0])
            await expect(page.locator("#cells-problem")).to_be_empty()
        await expect(page.locator("#saved")).to_contain_text("Kept as a draft")
        await page.goto(f"{RELAY_URL}/agency/drafts")
        await page.click("#drafts a.button")
        await expect(page.locator("#case_number")).to_have_value("K-17")
        await page.locator("#area").scroll_into_view_if_needed()
        await expect(page.locator("#area input[name=cell]")).to_have_count(1)


async def nothing_large_is_loaded_before_it_is_wanted(browser: Browser, page: Page) -> None:
    """Open the form in a low window, and look at what it asks for."""
    fresh = await window(browser, viewport={"width": 800, "height": 500})
    await fresh.context.add_cookies(await page.context.cookies())
    loaded: list[str] = []
    fresh.on("request", lambda request: loaded.append(urlsplit(request.url).path))
    await fresh.goto(f"{RELAY_URL}/agency/requests/new", wait_until="networkidle")
    assert "/static/js/request.js" in loaded
    assert [path for path in loaded if "/vendor/" in path or "/map/chooser" in path] == []
    await fresh.context.close()
