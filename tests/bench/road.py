"""D6 road: from the click to the first picture in the owner's own app, along the whole road.

All programs run as in the story: relay, broker, MQTT, doorbell, and whatever they sign. Nobody else
has such a road, so there is no peer; first_frame.py has those.
"""

import asyncio
import logging
import random
import tempfile
from collections.abc import Sequence
from pathlib import Path

from playwright.async_api import Error, Page

from tests.bench.browsing import need_browser
from tests.bench.measuring import Goal, Result, Run, Size, needed, p95_of
from tests.flows.browser import chromium, sit_down, unpaired_town
from tests.flows.people import join_as_owner, pair

log = logging.getLogger(__name__)

HALF_MS, P95_MS = 150.0, 250.0
SEEN_S = 60.0
PAUSE_S = (0.3, 1.3)
"""Between two joins, by chance: else each would come at the same place between two key frames."""
SEE_THE_DOOR = """async () => {
  const seen = new Promise((resolve) => {
    const observer = new MutationObserver(() => {
      if (document.querySelector("video#live")?.dataset.firstFrameMs === undefined) return;
      observer.disconnect();
      resolve(performance.now());
    });
    const attributeFilter = ["data-first-frame-ms"];
    observer.observe(document.body, { subtree: true, childList: true, attributeFilter });
  });
  const clicked = performance.now();
  document.querySelector("#see").click();
  return (await seen) - clicked;
}"""


def measure(size: Size) -> list[Result]:
    """See the door again and again."""
    need_browser()
    runs = needed(asyncio.run(_see_again_and_again(size.joins)), "D6 road")
    what = "click → first picture in the owner's app: relay, broker, MQTT, doorbell"
    return [
        Result(
            id="D6 road",
            what=f"{what}: half of the joins",
            unit="ms",
            own_runs=runs,
            goal=Goal(value=HALF_MS),
            note=f"The goals are {HALF_MS:g} ms for half of the joins and {P95_MS:g} ms for 95 of"
            " 100 (D6 road p95). All programs, an encoder in software among them, and Chromium"
            " share the cores.",
        ),
        Result(
            id="D6 road p95",
            what=f"{what}: 95 of 100",
            unit="ms",
            own_runs=[_p95(runs)],
            goal=Goal(value=P95_MS),
        ),
    ]


def _p95(runs: Sequence[Run]) -> Run:
    return Run(times_ns=[round(p95_of([time_ns for run in runs for time_ns in run.times_ns]))])


async def _see_again_and_again(joins: int) -> list[Run]:
    runs: list[Run] = []
    dice = random.Random(6)
    with tempfile.TemporaryDirectory(prefix="doorward-bench-") as folder:
        async with unpaired_town(Path(folder) / "town") as (settings, door, _):
            async with chromium() as browser:
                owner, home = await sit_down(browser), await sit_down(browser)
                await join_as_owner(owner.page, settings)
                await pair(owner.page, home.page, door, settings)
                await home.context.close()
                for turn in range(joins + 1):
                    first_ms = await _see_the_door(owner.page)
                    if turn and first_ms is not None:  # the first warms up
                        runs.append(Run(times_ns=[round(first_ms * 1e6)]))
                    await asyncio.sleep(dice.uniform(*PAUSE_S))
                for fault in owner.faults:
                    log.warning("the owner's app complained: %s", fault)
    return runs


async def _see_the_door(page: Page) -> float | None:
    """Go to the start, then to the door, and leave it again; None if nothing was seen in time."""
    try:
        async with asyncio.timeout(SEEN_S):
            await page.evaluate("location.hash = '#/'")
            await page.wait_for_selector("#see")
            first_ms = float(await page.evaluate(SEE_THE_DOOR))
            await page.evaluate("location.hash = '#/'")
    except (Error, TimeoutError):
        log.warning("a join along the whole road failed", exc_info=True)
        await page.reload()
        return None
    return first_ms
