"""D8: how long the picture stands still on a bad line: 9.2 Mbit/s, 2 % loss, 60 ms there and back.

The line is laid between two network namespaces (tests/rigs/line.py): the sender at one end,
Chromium at the other. Every UDP packet towards the viewer may be lost, so also what is sent once
more, and what sets up the connection. All senders lose as many, but not the same ones.
"""

import asyncio
import logging
import tempfile
from pathlib import Path

from tests.bench.measuring import Goal, Readings, Result, Size
from tests.bench.numbered_film import numbered_film, write_film
from tests.bench.senders import (
    AIORTC,
    DOORWARD,
    REACTOR,
    Senders,
    lacks_peers,
    sending,
)
from tests.flows.browser import chromium, chromium_path
from tests.rigs.line import Way, laid
from tests.rigs.viewing import Shown, Viewer, intercepted

log = logging.getLogger(__name__)

BITRATE_BPS = 9_200_000
TO_VIEWER = Way(delay_s=0.03, loss=0.02)
SETTLE_S = 1.0


def measure(size: Size) -> list[Result]:
    """Let each sender in its turn send over the same line."""
    seconds = size.watched_s
    watched = asyncio.run(_watch_in_turns(size.real_time_runs, seconds))
    what = (
        f"picture stands still in {seconds:g} s, {BITRATE_BPS / 1e6:g} Mbit/s, 2 % loss, "
        "60 ms there and back"
    )
    return [
        Result(
            id="D8",
            what=what,
            unit="s frozen",
            own_runs=watched[DOORWARD],
            peer=AIORTC,
            peer_runs=watched[AIORTC],
            goal=Goal(value=0.3),
            note="As Chromium counts it (totalFreezesDuration).",
        ),
        Result(
            id="D8 libwebrtc",
            what=what,
            unit="s frozen",
            own_runs=watched[DOORWARD],
            peer=REACTOR if watched[REACTOR] else "",
            peer_runs=watched[REACTOR],
            note="libwebrtc itself; its own rate control may not go below the film's rate.",
        ),
    ]


async def _watch_in_turns(runs: int, seconds: float) -> dict[str, list[Readings]]:
    names = [DOORWARD, AIORTC] if lacks_peers() else [DOORWARD, AIORTC, REACTOR]
    watched: dict[str, list[Readings]] = {DOORWARD: [], AIORTC: [], REACTOR: []}
    with tempfile.TemporaryDirectory(prefix="doorward-bench-") as name, laid(TO_VIEWER) as line:
        folder = Path(name)
        film = write_film(numbered_film(BITRATE_BPS), folder / "film")
        with sending(names, film, prefix=line.door.prefix) as senders:
            program = line.viewer.wrapper(chromium_path(), folder)
            async with chromium(program=program) as browser:
                async with intercepted(browser, senders.ask) as viewer:
                    for _ in range(runs):
                        for sender in names:
                            frozen_s = await _watch(viewer, senders, sender, seconds)
                            watched[sender].append(Readings(values=[frozen_s]))
    return watched


async def _watch(viewer: Viewer, senders: Senders, name: str, seconds: float) -> float:
    """Return how long the picture stood still."""
    senders.choose(name)
    await viewer.join()
    await asyncio.sleep(SETTLE_S)
    before = await viewer.shown()
    await asyncio.sleep(seconds)
    after = await viewer.shown()
    await viewer.leave()
    await senders.let_go()
    _log(name, before, after)
    return after.frozen_s_since(before)


def _log(name: str, before: Shown, after: Shown) -> None:
    log.info(
        "%s: %d pictures decoded, %.2f s frozen, %s packets lost, %s NACKs, %s PLIs",
        name,
        after.frames_decoded - before.frames_decoded,
        after.frozen_s_since(before),
        *(after.counted.get(count) for count in ("packetsLost", "nackCount", "pliCount")),
    )
