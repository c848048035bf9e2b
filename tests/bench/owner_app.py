"""O1 to O3: the owner's app in Chromium: a ring on the open page, the page's opening, the history.

All programs of a town run for the first two, and the ring is pressed as the doorbell's own button
is. The history's events are told to a relay's store, ten thousand of them. Nobody else's app can be
measured here: there is no peer.
"""

import asyncio
import logging
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from playwright.async_api import Error, Page

from tests.bench.browsing import need_browser
from tests.bench.measuring import Goal, Result, Run, Size, needed, p95_of
from tests.flows.browser import chromium, sit_down, unpaired_town
from tests.flows.live_session import visiting
from tests.flows.long_history import tell_history
from tests.flows.people import join_as_owner, pair
from tests.relay.http_world import OWNER_ORIGIN
from tests.story.door import Door

log = logging.getLogger(__name__)

RING_P95_MS, OPEN_MS, SCROLL_MS = 1000.0, 300.0, 50.0
SEEN_S = 60.0
PAUSE_S = 2.5
"""Between two rings: a doorbell makes at most one event's picture every two seconds."""
WATCH_THE_DOOR = """() => {
  const known = new Set([...document.querySelectorAll("#doors .frame img")].map((one) => one.src));
  window.ringSeen = new Promise((resolve) => {
    const look = () => {
      const picture = document.querySelector("#doors .door.fresh .frame img");
      const isNew = picture !== null && !known.has(picture.src) && picture.complete
        && picture.naturalWidth > 0;
      if (!isNew || document.querySelector("#see") === null) return requestAnimationFrame(look);
      requestAnimationFrame(() => resolve(performance.timeOrigin + performance.now()));
    };
    look();
  });
}"""
"""Resolves once the ring's own picture is drawn beside *See*."""
NOTES_THE_PICTURE = """window.pictureShown = new Promise((resolve) => {
  const look = () => {
    const picture = document.querySelector("#doors .frame img");
    if (picture === null || !picture.complete || picture.naturalWidth === 0)
      return requestAnimationFrame(look);
    requestAnimationFrame(() => resolve(performance.now()));
  };
  requestAnimationFrame(look);
});"""
"""In milliseconds since the page was asked for."""
SCROLL = """async (lasts_ms) => {
  const apart = [];
  let last = await new Promise(requestAnimationFrame);
  const end = last + lasts_ms;
  while (last < end) {
    scrollBy(0, 250);
    const now = await new Promise(requestAnimationFrame);
    apart.push(now - last);
    last = now;
  }
  return apart;
}"""


def measure(size: Size) -> list[Result]:
    """Ring, open and scroll."""
    need_browser()
    rings, openings = asyncio.run(_at_the_door(size.joins))
    frames = asyncio.run(_along_the_history(size))
    return [
        Result(
            id="O1",
            what="press → the ring's picture and *See* on the open app: 95 of 100",
            unit="ms",
            own_runs=[_p95(needed(rings, "O1"))],
            goal=Goal(value=RING_P95_MS),
            note=f"Half of the rings: {_half(rings):.0f} ms. All programs, an encoder in software"
            " among them, and Chromium share the cores.",
        ),
        Result(
            id="O2",
            what="open the app again → its last picture: half of the times",
            unit="ms",
            own_runs=needed(openings, "O2"),
            goal=Goal(value=OPEN_MS),
            note="A reload, with the service worker and what this browser keeps.",
        ),
        Result(
            id="O3",
            what=f"history of {size.history_events:,} events: time between two frames of a page"
            " that scrolls by itself, 95 of 100",
            unit="ms",
            own_runs=[_p95([one]) for one in frames],
            goal=Goal(value=SCROLL_MS),
            note=f"The longest of all: {max(max(one.times_ns) for one in frames) / 1e6:.0f} ms."
            " Chromium without a GPU draws with the processor.",
        ),
    ]


def _p95(runs: Sequence[Run]) -> Run:
    return Run(times_ns=[round(p95_of([time_ns for run in runs for time_ns in run.times_ns]))])


def _half(runs: Sequence[Run]) -> float:
    return median(time_ns for run in runs for time_ns in run.times_ns) / 1e6


async def _at_the_door(times: int) -> tuple[list[Run], list[Run]]:
    rings: list[Run] = []
    openings: list[Run] = []
    with tempfile.TemporaryDirectory(prefix="doorward-bench-") as folder:
        async with unpaired_town(Path(folder) / "town") as (settings, door, _):
            async with chromium() as browser:
                owner, home = await sit_down(browser), await sit_down(browser)
                await join_as_owner(owner.page, settings)
                await pair(owner.page, home.page, door, settings)
                await home.context.close()
                page = owner.page
                await page.evaluate("location.hash = '#/'")
                await page.wait_for_selector("#see")
                for turn in range(times + 1):
                    took_ms = await _ring(page, door)
                    if turn and took_ms is not None:  # the first warms up
                        rings.append(Run(times_ns=[round(took_ms * 1e6)]))
                    await asyncio.sleep(PAUSE_S)
                await page.add_init_script(NOTES_THE_PICTURE)
                for turn in range(times + 1):
                    await page.reload()
                    shown_ms = float(await page.evaluate("window.pictureShown"))
                    if turn:
                        openings.append(Run(times_ns=[round(shown_ms * 1e6)]))
                    await asyncio.sleep(PAUSE_S)
                for fault in owner.faults:
                    log.warning("the owner's app complained: %s", fault)
    return rings, openings


async def _ring(page: Page, door: Door) -> float | None:
    """Press the bell; None if nothing was seen in time."""
    try:
        async with asyncio.timeout(SEEN_S):
            await page.evaluate(WATCH_THE_DOOR)
            pressed_ms = time.time() * 1000
            await door.ring()
            return float(await page.evaluate("window.ringSeen")) - pressed_ms
    except (Error, TimeoutError):
        log.warning("a ring wasn't seen on the page", exc_info=True)
        await page.reload()
        await page.wait_for_selector("#see")
        return None


async def _along_the_history(size: Size) -> list[Run]:
    with tempfile.TemporaryDirectory(prefix="doorward-bench-") as folder:
        async with visiting(Path(folder)) as at:
            await tell_history(
                at.world, at.device, size.history_events, now_ms=time.time_ns() // 1_000_000
            )
            page = at.page
            measured = []
            for _ in range(size.real_time_runs):
                await page.goto(f"{OWNER_ORIGIN}/#/history")
                await page.reload()
                await page.wait_for_selector(".day .row")
                apart_ms = await page.evaluate(SCROLL, size.watched_s * 1000)
                measured.append(Run(times_ns=[round(one * 1e6) for one in apart_ms]))
    return measured
