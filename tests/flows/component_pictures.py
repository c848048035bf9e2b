"""The page of all components in all states: served beside the owner's app's own files."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from playwright.async_api import Page

from relay.web.app_server import BUNDLE, build_app_server
from tests.flows.browser import chromium, sit_down
from tests.flows.camera import IN_ENGLISH_ONLY, Camera
from tests.flows.serving import serving
from tests.relay.http_world import RELAY_URL

SHOWCASE = Path(__file__).parent / "components"


@asynccontextmanager
async def components() -> AsyncIterator[tuple[Page, list[str]]]:
    """Open the page; the list gets what its console complains about."""
    with TemporaryDirectory(prefix="doorward-") as made:
        bundle = Path(made) / "bundle"
        await asyncio.to_thread(shutil.copytree, BUNDLE, bundle)
        await asyncio.to_thread(shutil.copytree, SHOWCASE, bundle, dirs_exist_ok=True)
        app = build_app_server(RELAY_URL, bundle=bundle)
        async with serving(app) as port, chromium() as browser:
            person = await sit_down(browser)
            await person.page.goto(f"http://127.0.0.1:{port}/components.html")
            await person.page.wait_for_selector("body[data-ready]")
            yield person.page, person.faults
            await person.context.close()


async def take_components(camera: Camera) -> list[str]:
    """Take them, with a dialog and a toast too; return what the console complained about."""
    async with components() as (page, faults):
        await camera.take(page, "components", languages=IN_ENGLISH_ONLY)
        await page.click("#show-toast")
        await page.click("#open-dialog")
        await camera.take(page, "components-dialog", languages=IN_ENGLISH_ONLY)
        return faults
