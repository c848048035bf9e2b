"""D9: from an encoded picture to when Chromium shows it.

A picture's way begins when the camera hands its access unit to the sender, and ends when the
browser says that it is seen (the later of requestVideoFrameCallback's call and its
expectedDisplayTime). Pictures are told apart by their RTP timestamps, and which RTP timestamp is
which picture by numbers drawn into them, read from some.
"""

import asyncio
import functools
import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path

from firmware.capture.camera_output import pts_90k_of
from tests.bench.browsing import need_browser
from tests.bench.measuring import Goal, Result, Run, Size, needed, p95_of
from tests.bench.numbered_film import numbered_film, write_film
from tests.bench.senders import (
    DOORWARD,
    LIBDATACHANNEL,
    Handed,
    Senders,
    beside,
    lacks_peers,
    sending,
)
from tests.flows.browser import chromium
from tests.rigs.viewing import Picture, Viewer, served

BITRATE_BPS = 4_200_000
SETTLE_S = 1.0
RTP_WRAP = 1 << 32
LEAST_SEEN = 0.8


def measure(size: Size) -> list[Result]:
    """Watch each sender in its turn."""
    need_browser()
    runs, peer = asyncio.run(_watch_in_turns(size.real_time_runs, size.watched_s / 2))
    own = needed(runs, "D9 with Doorward")
    what = f"encoded picture → shown in Chromium, 1080p30 {BITRATE_BPS / 1e6:g} Mbit/s"
    peer_name = LIBDATACHANNEL if peer else ""
    return [
        Result(
            id="D9",
            what=f"{what}: half of the pictures",
            unit="ms",
            own_runs=own,
            peer=peer_name,
            peer_runs=peer,
            note="Counted from a second after the first picture. Doorward began with the newest"
            " key frame it had kept and what followed it, the peer with one that it asked for."
            " Chromium has no GPU here and paints 60 times a second."
            + beside(LIBDATACHANNEL, peer),
        ),
        Result(
            id="D9 p95",
            what=f"{what}: 95 of 100",
            unit="ms",
            own_runs=[_p95(run) for run in own],
            peer=peer_name,
            peer_runs=[_p95(run) for run in peer],
            goal=Goal(value=60.0),
        ),
    ]


def _p95(run: Run) -> Run:
    return Run(times_ns=[round(p95_of(run.times_ns))])


async def _watch_in_turns(runs: int, seconds: float) -> tuple[list[Run], list[Run]]:
    names = [DOORWARD] if lacks_peers() else [DOORWARD, LIBDATACHANNEL]
    watched: dict[str, list[Run]] = {DOORWARD: [], LIBDATACHANNEL: []}
    with tempfile.TemporaryDirectory(prefix="doorward-bench-") as folder:
        film = write_film(numbered_film(BITRATE_BPS), Path(folder) / "film")
        with sending(names, film) as senders:
            async with chromium() as browser, served(browser, senders.ask) as viewer:
                watch = functools.partial(_watch, viewer, senders, seconds)
                for _ in range(runs):
                    for name in names:
                        run = await senders.tried(name, viewer, watch)
                        watched[name] += [] if run is None else [run]
    return watched[DOORWARD], watched[LIBDATACHANNEL]


async def _watch(viewer: Viewer, senders: Senders, seconds: float) -> Run:
    await viewer.join()
    await asyncio.sleep(SETTLE_S)
    await senders.handed()
    pictures = await viewer.watch(seconds)
    handed = await senders.handed()
    await viewer.leave()
    await senders.let_go()
    return Run(times_ns=[round(way_s * 1e9) for way_s in ways_s(pictures, handed)])


def ways_s(pictures: Sequence[Picture], handed: Sequence[Handed]) -> list[float]:
    """Return how long each picture's way was; RuntimeError if they can't be matched."""
    offset_90k = _offset_90k(pictures, handed)
    by_rtp = {(_pts_90k(unit) + offset_90k) % RTP_WRAP: unit.at_s for unit in handed}
    ways = [
        picture.at_s - by_rtp[picture.rtp_90k] for picture in pictures if picture.rtp_90k in by_rtp
    ]
    if len(ways) < LEAST_SEEN * len(pictures):
        raise RuntimeError(f"{len(ways)} of {len(pictures)} pictures can be told apart")
    return ways


def _offset_90k(pictures: Sequence[Picture], handed: Sequence[Handed]) -> int:
    """Return what the sender adds to a pts, as all numbers that were read have it."""
    offsets = []
    for picture in (picture for picture in pictures if picture.number is not None):
        before = [u for u in handed if u.number == picture.number and u.at_s < picture.at_s]
        offsets += [(picture.rtp_90k - _pts_90k(unit)) % RTP_WRAP for unit in before[-1:]]
    if not offsets:
        raise RuntimeError("no picture's number could be read")
    usual = statistics.mode(offsets)
    if offsets.count(usual) < LEAST_SEEN * len(offsets):
        raise RuntimeError("pictures' numbers don't fit to their RTP timestamps")
    return usual


def _pts_90k(unit: Handed) -> int:
    return pts_90k_of(unit.at_ns)
