"""D6: from the click to the first picture in Chromium.

First with plain signalling, one local POST, the same for everybody: Doorward, libdatachannel-py and
stock aiortc with one film and one page, in turns. Then the whole road in the owner's own app, with
all programs running as in the story: relay, broker, MQTT, doorbell, and whatever they sign.
"""

import asyncio
import logging
import random
import tempfile
from collections.abc import Sequence
from pathlib import Path

from playwright.async_api import Page

from tests.bench.measuring import Goal, Result, Run, Size, p95_of
from tests.bench.numbered_film import numbered_film, write_film
from tests.bench.senders import (
    AIORTC,
    DOORWARD,
    LIBDATACHANNEL,
    Senders,
    lacks_peers,
    sending,
)
from tests.flows.browser import chromium, sit_down, unpaired_town
from tests.flows.people import join_as_owner, pair
from tests.rigs.viewing import Viewer, served

log = logging.getLogger(__name__)

BITRATE_BPS = 4_200_000
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
    """Join again and again, each sender in its turn; then along the whole road."""
    own, libdatachannel, stock = asyncio.run(_plain(size.joins))
    road = asyncio.run(_road(size.joins))
    plain = (
        f"click → first picture in Chromium, plain signalling, 1080p {BITRATE_BPS / 1e6:g} Mbit/s"
    )
    whole = "click → first picture in the owner's app: relay, broker, MQTT, doorbell"
    return [
        Result(
            id="D6",
            what=plain,
            unit="ms",
            own_runs=own,
            peer=LIBDATACHANNEL if libdatachannel else "",
            peer_runs=libdatachannel,
            goal=Goal(ratio=1.0),
            note="Both have a key frame made when a viewer joins; the film then goes on at one at "
            "its next picture, as if an encoder had no delay. The page offers without candidates.",
        ),
        Result(
            id="D6 stock",
            what=plain,
            unit="ms",
            own_runs=own,
            peer=AIORTC,
            peer_runs=stock,
            note="Stock aiortc's viewers wait for the film's next key frame, one a second.",
        ),
        Result(
            id="D6 road",
            what=whole,
            unit="ms",
            own_runs=road,
            goal=Goal(value=150.0),
            note="All programs, an encoder in software among them, and Chromium share the cores.",
        ),
        Result(
            id="D6 road p95",
            what=f"{whole}: 95 of 100",
            unit="ms",
            own_runs=[_p95(road)],
            goal=Goal(value=250.0),
        ),
    ]


def _p95(runs: Sequence[Run]) -> Run:
    return Run(times_ns=[round(p95_of([time_ns for run in runs for time_ns in run.times_ns]))])


async def _plain(joins: int) -> tuple[list[Run], list[Run], list[Run]]:
    """Return the runs of Doorward, of libdatachannel (none without it), and of stock aiortc."""
    names = [DOORWARD, AIORTC] if lacks_peers() else [DOORWARD, LIBDATACHANNEL, AIORTC]
    runs: dict[str, list[Run]] = {DOORWARD: [], LIBDATACHANNEL: [], AIORTC: []}
    dice = random.Random(6)
    with tempfile.TemporaryDirectory(prefix="doorward-bench-") as folder:
        film = write_film(numbered_film(BITRATE_BPS), Path(folder) / "film")
        with sending(names, film) as senders:
            async with chromium() as browser, served(browser, senders.ask) as viewer:
                for turn in range(joins + 1):
                    for name in names:
                        run = await _join(viewer, senders, name, dice.uniform(*PAUSE_S))
                        runs[name] += [run] if turn else []  # the first warms up
    return runs[DOORWARD], runs[LIBDATACHANNEL], runs[AIORTC]


async def _join(viewer: Viewer, senders: Senders, name: str, pause_s: float) -> Run:
    senders.choose(name)
    joined = await viewer.join()
    if joined.number is None:
        raise RuntimeError(f"{name}: what was shown first isn't a picture of the film")
    await viewer.leave()
    await senders.let_go()
    await asyncio.sleep(pause_s)
    return _run_of(joined.first_frame_ms)


async def _road(joins: int) -> list[Run]:
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
                    runs += [_run_of(first_ms)] if turn else []
                    await asyncio.sleep(dice.uniform(*PAUSE_S))
                for fault in owner.faults:
                    log.warning("the owner's app complained: %s", fault)
    return runs


async def _see_the_door(page: Page) -> float:
    """Go to the start, then to the door, and leave it again."""
    await page.evaluate("location.hash = '#/'")
    await page.wait_for_selector("#see")
    first_ms = float(await page.evaluate(SEE_THE_DOOR))
    await page.evaluate("location.hash = '#/'")
    return first_ms


def _run_of(ms: float) -> Run:
    return Run(times_ns=[round(ms * 1e6)])
