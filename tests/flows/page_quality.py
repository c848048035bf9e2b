"""What a page is held to: WCAG 2.2 AA by axe-core, a phone's width and thumbs, weight, and CSP."""

import gzip
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from urllib.parse import urlsplit

from playwright.async_api import Page, Response

from tests.flows.camera import TOO_SMALL, WIDER_THAN_SCREEN
from tests.story.settings import REPOSITORY

AXE = REPOSITORY / "node_modules" / "axe-core" / "axe.min.js"
STANDARDS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22a", "wcag22aa"]
COLOURS = ["color-contrast", "link-in-text-block"]
"""What differs in the dark."""
SETTLED = """async () => {
  for (let frame = 0; frame < 2; frame += 1) await new Promise(requestAnimationFrame);
  await Promise.all(document.getAnimations().map((one) => one.finished.catch(() => null)));
}"""
"""Buttons change their colours in a moment, not in none."""
RUN_AXE = """async (only) => {
  const rules = { "target-size": { enabled: only.type === "tag" } };
  const found = await axe.run(document, { runOnly: only, rules, resultTypes: ["violations"] });
  return found.violations.flatMap((rule) => rule.nodes.map((node) =>
    `${rule.id}: ${node.target.join(" ")} ${node.html.slice(0, 120)} ${node.failureSummary}`
      .replaceAll(/\\s+/g, " ")));
}"""
LOADED = """() => performance.getEntriesByType("resource").map((one) => one.name)"""
MOST_BYTES = 100_000
"""A page's HTML, style, scripts and words as a browser gets them compressed."""
WEIGHED = (".css", ".js", ".mjs")
WORDS = "/locales/"
OF_THE_MAP = ("/js/map/", "/vendor/maplibre-gl", "/vendor/h3.js", "/vendor/pmtiles.js")
"""What a page fetches for a map that moves, once it stands: a page weighs without it."""
UNSAFE = ("unsafe-inline", "unsafe-eval")

Load = Callable[[str], Awaitable[bytes]]
"""Gets what an address has, for weighing it."""


@cache
def axe_source() -> str:
    """Return axe-core's program."""
    return AXE.read_text()


@dataclass
class Inspector:
    """Looks at pages, and keeps what it finds."""

    load: Load
    found: list[str] = field(default_factory=list)
    weights: dict[str, int] = field(default_factory=dict)
    looks: dict[str, int] = field(default_factory=dict)
    _compressed: dict[str, int] = field(default_factory=dict)

    async def look(self, page: Page, name: str, how: str, *, colours_only: bool = False) -> None:
        """Hold a page, as it is, to all that can be measured in it."""
        self.looks[how] = self.looks.get(how, 0) + 1
        only = {"type": "rule", "values": COLOURS} if colours_only else _standards()
        await page.evaluate(SETTLED)
        if not await page.evaluate("() => 'axe' in window"):
            await page.evaluate(axe_source())
        for fault in await page.evaluate(RUN_AXE, only):
            self.found.append(f"{name} ({how}): {fault}")
        if not colours_only:
            for fault in await page.evaluate(WIDER_THAN_SCREEN):
                self.found.append(f"{name} ({how}) scrolls sideways: {fault}")
            for fault in await page.evaluate(TOO_SMALL):
                self.found.append(f"{name} ({how}) is hard to hit: {fault}")

    def check_policy(self, name: str, answer: Response | None) -> None:
        """Hold an answer to the policy that no inline script or style gets by."""
        policy = "" if answer is None else answer.headers.get("content-security-policy", "")
        if "default-src 'none'" not in policy or any(one in policy for one in UNSAFE):
            self.found.append(f"{name}: content-security-policy is {policy!r}")

    async def weigh(self, name: str, answer: Response, loaded: Iterable[str]) -> None:
        """Add up a page and what it loaded before anybody touched it."""
        weight = len(gzip.compress(await answer.body()))
        for address in set(loaded):
            path = urlsplit(address).path
            is_weighed = path.endswith(WEIGHED) or WORDS in path
            if is_weighed and not any(part in path for part in OF_THE_MAP):
                weight += await self._weight_of(address)
        self.weights[name] = weight
        if weight > MOST_BYTES:
            self.found.append(f"{name} weighs {weight} bytes")

    async def _weight_of(self, address: str) -> int:
        if address not in self._compressed:
            self._compressed[address] = len(gzip.compress(await self.load(address)))
        return self._compressed[address]

    def told(self) -> str:
        """Return what was covered, for a test to print."""
        looks = ", ".join(f"{count} {how}" for how, count in sorted(self.looks.items()))
        heaviest = sorted(self.weights.items(), key=lambda one: -one[1])[:3]
        weights = ", ".join(f"{name} {weight / 1000:.0f} kB" for name, weight in heaviest)
        return f"axe-core: {looks}; heaviest: {weights}"


def _standards() -> dict[str, Any]:
    return {"type": "tag", "values": STANDARDS}
