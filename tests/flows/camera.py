"""Takes pictures of a page: wide and narrow, light and dark, in English and Swedish.

While it looks, it also measures: what scrolls sideways, and what is too small for a thumb.
"""

from collections.abc import Awaitable, Callable
from pathlib import Path

from playwright.async_api import Error, Page

WIDTHS_PX = {360: 740, 768: 1024, 1280: 800}
IN_LIGHT_ONLY = (768,)
"""Colours don't depend on width: two widths in the dark are enough."""
THEMES = ("light", "dark")
LANGUAGES = ("en", "sv")
IN_ENGLISH_ONLY = ("en",)
SETTLE_MS = 120
LOAD_TIMEOUT_MS = 60_000

Redo = Callable[[Page], Awaitable[object]]

CHOOSE_LANGUAGE = "(code) => localStorage.setItem('doorward.language', code)"
STYLED = """async () => {
  const sheets = [...document.querySelectorAll("link[rel=stylesheet]")];
  const until = performance.now() + 20_000;
  while (sheets.some((one) => one.sheet === null) && performance.now() < until) {
    await new Promise((done) => setTimeout(done, 20));
  }
}"""
"""Waits until the page's style is there: its elements come earlier."""


def once_styled(measure: str) -> str:
    """Return a script that measures once the page's style is there."""
    return f"async () => {{ await ({STYLED})(); return ({measure})(); }}"


WIDER_THAN_SCREEN = once_styled("""() => {
  const width = document.documentElement.clientWidth;
  return document.documentElement.scrollWidth > width + 1
    ? [...document.querySelectorAll("body *")]
        .filter((node) => node.getBoundingClientRect().right > width + 1)
        .slice(0, 3).map((node) => node.outerHTML.slice(0, 90))
    : [];
}""")
TOO_SMALL = once_styled("""() => [
  ...document.querySelectorAll("a[href], button, input, select, summary"),
]
  .map((node) => {
    const label = node.closest("label");
    const { width, height } = (label ?? node).getBoundingClientRect();
    const isInText = node.matches(":is(p, dd, .ways > li, #chain > li) > a:not(.button), .skip");
    const isSmall = width > 0 && (height < 43.5 || width < 24);
    return isSmall && !isInText ? `${node.outerHTML.slice(0, 70)} ${height.toFixed(0)} px` : "";
  })
  .filter(Boolean)""")


class Camera:
    """One folder of pictures, and what was noticed while they were taken."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.count = 0
        self.noticed: list[str] = []
        folder.mkdir(parents=True, exist_ok=True)

    async def take(
        self,
        page: Page,
        name: str,
        *,
        redo: Redo | None = None,
        languages: tuple[str, ...] = LANGUAGES,
    ) -> None:
        """Take every picture of a page; `redo` brings it back to this state after a reload."""
        for language in languages[::-1]:  # English last: there the story goes on
            if languages != IN_ENGLISH_ONLY:
                await speak(page, language)
                if redo is not None:
                    await redo(page)
            for width_px, height_px in WIDTHS_PX.items():
                await page.set_viewport_size({"width": width_px, "height": height_px})
                for theme in THEMES[:1] if width_px in IN_LIGHT_ONLY else THEMES:
                    await page.emulate_media(color_scheme=theme, reduced_motion="reduce")
                    await page.wait_for_timeout(SETTLE_MS)
                    file = self.folder / f"{name}-{language}-{width_px}-{theme}.png"
                    await page.screenshot(path=file, full_page=True)
                    self.count += 1
                await self.look(page, f"{name} ({language}, {width_px} px)")

    async def look(self, page: Page, where: str) -> None:
        """Notice what scrolls sideways, and what is too small."""
        for found in await _measured(page, WIDER_THAN_SCREEN):
            self.noticed.append(f"{where} scrolls sideways: {found}")
        for found in await _measured(page, TOO_SMALL):
            self.noticed.append(f"{where} is hard to hit: {found}")


async def _measured(page: Page, script: str) -> list[str]:
    """Measure; again if the page loads itself anew meanwhile, as one that waits does."""
    try:
        found: list[str] = await page.evaluate(script)
    except Error:
        await page.wait_for_load_state()
        found = await page.evaluate(script)
    return found


async def speak(page: Page, language: str) -> None:
    """Load the page again in a language, in the way that its maker gave it."""
    if "#/" in page.url or page.url.endswith("/#"):
        await page.evaluate(CHOOSE_LANGUAGE, language)
        await page.reload()
    else:
        address = page.url.partition("?lang=")[0].partition("&lang=")[0]
        mark = "&" if "?" in address else "?"
        await page.goto(f"{address}{mark}lang={language}")
    await page.wait_for_load_state("networkidle") if "#/" not in page.url else None
    await page.wait_for_selector("h1", timeout=LOAD_TIMEOUT_MS)
