"""The README's picture: three pages of the owner's app as three phones beside each other."""

import base64
import io
from pathlib import Path

from PIL import Image
from playwright.async_api import Browser, Page

PHONE = {"width": 390, "height": 844}
CANVAS = {"width": 1280, "height": 880}
COLOURS = 128
BOARD = """<!doctype html><style>
  body { margin: 0; height: 100vh; background: #dfe7e0; display: flex; gap: 40px;
    align-items: center; justify-content: center; }
  img { width: 364px; border-radius: 30px; border: 7px solid #1c2320; box-sizing: border-box;
    box-shadow: 0 12px 36px rgb(28 35 32 / 22%%); }
</style>%s"""


class Portrait:
    """Collects pages and paints them."""

    def __init__(self) -> None:
        self._pages: dict[str, bytes] = {}

    async def sit(self, page: Page, name: str) -> None:
        """Take the page as a phone shows it."""
        await page.set_viewport_size(PHONE)
        await page.emulate_media(color_scheme="light", reduced_motion="reduce")
        await page.evaluate("scrollTo(0, 0)")
        await page.wait_for_timeout(120)
        self._pages[name] = await page.screenshot()

    async def paint(self, browser: Browser, file: Path) -> None:
        """Write all pages into one picture."""
        images = [
            f'<img alt="{name}" src="data:image/png;base64,{base64.b64encode(png).decode()}">'
            for name, png in self._pages.items()
        ]
        page = await browser.new_page(viewport=CANVAS)
        await page.set_content(BOARD % "".join(images))
        painted = await page.screenshot()
        await page.close()
        file.parent.mkdir(parents=True, exist_ok=True)
        small = Image.open(io.BytesIO(painted)).convert("RGB").quantize(COLOURS)
        small.save(file, "PNG", optimize=True)
