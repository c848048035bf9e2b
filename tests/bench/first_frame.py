"""D6: from the click to the first picture in Chromium, beside peers.

With plain signalling, one local POST, the same for everybody: Doorward, libdatachannel-py and stock
aiortc with one film and one page, in turns. The whole road is road.py's.
"""

import asyncio
import functools
import random
import tempfile
from pathlib import Path

from tests.bench.browsing import need_browser
from tests.bench.measuring import Goal, Result, Run, Size, needed
from tests.bench.numbered_film import numbered_film, write_film
from tests.bench.senders import (
    AIORTC,
    DOORWARD,
    LIBDATACHANNEL,
    Senders,
    beside,
    lacks_peers,
    sending,
)
from tests.flows.browser import chromium
from tests.rigs.viewing import Viewer, served

BITRATE_BPS = 4_200_000
PAUSE_S = (0.3, 1.3)
"""Between two joins, by chance: else each would come at the same place between two key frames."""


def measure(size: Size) -> list[Result]:
    """Join again and again, each sender in its turn."""
    need_browser()
    runs = asyncio.run(_join_in_turns(size.joins))
    own = needed(runs[DOORWARD], "D6 with Doorward")
    libdatachannel, stock = runs[LIBDATACHANNEL], runs[AIORTC]
    what = (
        f"click → first picture in Chromium, plain signalling, 1080p {BITRATE_BPS / 1e6:g} Mbit/s"
    )
    return [
        Result(
            id="D6",
            what=what,
            unit="ms",
            own_runs=own,
            peer=LIBDATACHANNEL if libdatachannel else "",
            peer_runs=libdatachannel,
            goal=Goal(ratio=1.0),
            note="Doorward begins with the newest key frame that it has kept and what followed it;"
            " if that is older than 0.4 s when the offer comes, it asks for another meanwhile. The"
            " peer does the same. A key frame that is"
            " asked for is the film's next picture, but at least 0.5 s after the last, for both."
            " The page offers without `.local` candidates."
            + beside(LIBDATACHANNEL, libdatachannel),
        ),
        Result(
            id="D6 stock",
            what=what,
            unit="ms",
            own_runs=own,
            peer=AIORTC if stock else "",
            peer_runs=stock,
            note="Stock aiortc's viewers wait for the film's next key frame, one a second."
            + beside(AIORTC, stock),
        ),
    ]


async def _join_in_turns(joins: int) -> dict[str, list[Run]]:
    names = [DOORWARD, AIORTC] if lacks_peers() else [DOORWARD, LIBDATACHANNEL, AIORTC]
    runs: dict[str, list[Run]] = {DOORWARD: [], LIBDATACHANNEL: [], AIORTC: []}
    dice = random.Random(6)
    with tempfile.TemporaryDirectory(prefix="doorward-bench-") as folder:
        film = write_film(numbered_film(BITRATE_BPS), Path(folder) / "film")
        with sending(names, film) as senders:
            async with chromium() as browser, served(browser, senders.ask) as viewer:
                for turn in range(joins + 1):
                    for name in names:
                        join = functools.partial(_join, viewer, senders, dice.uniform(*PAUSE_S))
                        run = await senders.tried(name, viewer, join)
                        runs[name] += [run] if turn and run else []  # the first warms up
    return runs


async def _join(viewer: Viewer, senders: Senders, pause_s: float) -> Run:
    joined = await viewer.join()
    if joined.number is None:
        raise RuntimeError("what was shown first isn't a picture of the film")
    await viewer.leave()
    await senders.let_go()
    await asyncio.sleep(pause_s)
    return Run(times_ns=[round(joined.first_frame_ms * 1e6)])
