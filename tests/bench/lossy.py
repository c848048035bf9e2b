"""D8: how long the picture stands still on a bad line: 9.2 Mbit/s, 2 % loss, 60 ms there and back.

The line is laid between two network namespaces (tests/rigs/line.py): the sender at one end,
Chromium at the other. Every UDP packet towards the viewer may be lost, so also what is sent once
more, and what sets up the connection. All senders lose as many, but not the same ones. A picture
that isn't there can't stand still for long: so the pictures that were decoded are counted as well.
"""

import asyncio
import functools
import logging
import statistics
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.bench.browsing import need_browser
from tests.bench.measuring import Goal, NotHere, Readings, Result, Size, needed
from tests.bench.numbered_film import numbered_film, write_film
from tests.bench.senders import (
    AIORTC,
    DOORWARD,
    REACTOR,
    Senders,
    beside,
    lacks_peers,
    sending,
)
from tests.flows.browser import chromium, chromium_path
from tests.rigs.line import Way, laid, why_no_line
from tests.rigs.viewing import Viewer, intercepted

log = logging.getLogger(__name__)

BITRATE_BPS = 9_200_000
TO_VIEWER = Way(delay_s=0.03, loss=0.02)
SETTLE_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """What one run showed: how long the picture stood still, and how many there were at all."""

    frozen_s: float
    decoded: int
    filmed: int


def measure(size: Size) -> list[Result]:
    """Let each sender in its turn send over the same line."""
    need_browser()
    if why := why_no_line():
        raise NotHere(why)
    seconds = size.watched_s
    watched = asyncio.run(_watch_in_turns(size.real_time_runs, seconds))
    own = needed(watched[DOORWARD], "D8 with Doorward")
    line = f"{seconds:g} s of {BITRATE_BPS / 1e6:g} Mbit/s, 2 % loss, 60 ms there and back"
    return [
        result
        for part, peer in (("", AIORTC), (" libwebrtc", REACTOR))
        for result in _compared(part, line, own, peer, watched[peer])
    ]


def _compared(
    part: str, line: str, own: Sequence[Watched], peer: str, peers: Sequence[Watched]
) -> list[Result]:
    """Return two rows: frozen time, and below it how many pictures there were."""
    filmed = round(statistics.median(run.filmed for run in [*own, *peers]))
    own_rule = " Its own rate control may not go below the film's rate." if peer == REACTOR else ""

    def runs_of(watched: Sequence[Watched], value: Callable[[Watched], float]) -> list[Readings]:
        return [Readings(values=[value(run)]) for run in watched]

    return [
        Result(
            id=f"D8{part}",
            what=f"picture stands still in {line}",
            unit="s frozen",
            own_runs=runs_of(own, lambda run: run.frozen_s),
            peer=peer if peers else "",
            peer_runs=runs_of(peers, lambda run: run.frozen_s),
            goal=None if part else Goal(value=0.3),
            note="As Chromium counts it (totalFreezesDuration); to be read with the row below."
            f"{own_rule}{beside(peer, peers)}",
        ),
        Result(
            id=f"D8{part} decoded",
            what=f"pictures decoded meanwhile, of about {filmed} filmed (more is better)",
            unit="pictures",
            own_runs=runs_of(own, lambda run: run.decoded),
            peer=peer if peers else "",
            peer_runs=runs_of(peers, lambda run: run.decoded),
        ),
    ]


async def _watch_in_turns(runs: int, seconds: float) -> dict[str, list[Watched]]:
    names = [DOORWARD, AIORTC] if lacks_peers() else [DOORWARD, AIORTC, REACTOR]
    watched: dict[str, list[Watched]] = {DOORWARD: [], AIORTC: [], REACTOR: []}
    with tempfile.TemporaryDirectory(prefix="doorward-bench-") as name, laid(TO_VIEWER) as line:
        folder = Path(name)
        film = write_film(numbered_film(BITRATE_BPS), folder / "film")
        with sending(names, film, prefix=line.door.prefix) as senders:
            program = line.viewer.wrapper(chromium_path(), folder)
            async with chromium(program=program) as browser:
                async with intercepted(browser, senders.ask) as viewer:
                    watch = functools.partial(_watch, viewer, senders, seconds)
                    for _ in range(runs):
                        for sender in names:
                            run = await senders.tried(sender, viewer, watch)
                            watched[sender] += [] if run is None else [_told(sender, run)]
    return watched


async def _watch(viewer: Viewer, senders: Senders, seconds: float) -> Watched:
    await viewer.join()
    await asyncio.sleep(SETTLE_S)
    await senders.handed()
    before = await viewer.shown()
    await asyncio.sleep(seconds)
    after, handed = await viewer.shown(), await senders.handed()
    await viewer.leave()
    await senders.let_go()
    return Watched(
        frozen_s=after.frozen_s_since(before),
        decoded=after.frames_decoded - before.frames_decoded,
        filmed=len(handed),
    )


def _told(name: str, run: Watched) -> Watched:
    log.info("%s: %d pictures decoded, %.2f s frozen", name, run.decoded, run.frozen_s)
    return run
