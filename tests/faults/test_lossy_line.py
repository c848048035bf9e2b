"""Live view on a bad line: losses, delay and a narrow place between the doorbell and Chromium.

The line is real as far as both ends can tell (tests/rigs/line.py); the film is encoded before. How
well it does in figures is measured by tests/bench/lossy.py.
"""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.bench.numbered_film import numbered_film, write_film
from tests.bench.senders import DOORWARD, Senders, sending
from tests.fakes.waiting import PATIENCE_S
from tests.flows.browser import chromium, chromium_path
from tests.rigs.line import Line, Way, laid, why_no_line
from tests.rigs.viewing import Viewer, intercepted

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(bool(why_no_line()), reason=why_no_line() or "a line can be laid"),
]

BITRATE_BPS = 4_200_000
WATCHED_S = 4.0
MOST_FROZEN_S = 1.5
"""Far from the goal of make bench, for this machine may be busy."""
LEAST_SHOWN = 0.7
FPS = 30
PROBES = 1500
LOST_S = 3.0
"""What didn't come so long after all others is lost."""
ECHO = """
import socket
line = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
line.bind(("0.0.0.0", 9))
print(flush=True)
while True:
    line.sendto(*line.recvfrom(2048))
"""
PROBE = """
import select, socket, sys, time
line = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
line.connect((sys.argv[1], 9))
begun, arrived, count = time.monotonic(), [], int(sys.argv[2])
for number in range(count):
    line.send(b"x" * int(sys.argv[3]))
    while len(arrived) < count:
        is_far_ahead = number + 1 == count or len(arrived) < 0.85 * number - 60
        if not select.select([line], [], [], float(sys.argv[4]) if is_far_ahead else 0.0005)[0]:
            break
        line.recv(2048)
        arrived.append(time.monotonic() - begun)
print(len(arrived), arrived[0], arrived[-1])
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Porch:
    """A doorbell's sender at one end, a viewer at the other."""

    line: Line
    senders: Senders
    viewer: Viewer


@asynccontextmanager
async def porch(folder: Path, way: Way) -> AsyncIterator[Porch]:
    film = write_film(numbered_film(BITRATE_BPS, 1280, 720), folder / "film")
    with laid(way) as line, sending([DOORWARD], film, prefix=line.door.prefix) as senders:
        program = line.viewer.wrapper(chromium_path(), folder)
        async with chromium(program=program) as browser:
            async with intercepted(browser, senders.ask) as viewer:
                yield Porch(line=line, senders=senders, viewer=viewer)


def probed(
    line: Line, count: int, size_bytes: int = 100, *, quiet_s: float = PATIENCE_S
) -> tuple[int, float, float]:
    """Send datagrams to the door, which sends them back: how many come, and when first and last.

    Where both ends are held up, no more are sent than sockets keep. If not all come, it is over
    once none came for so long.
    """
    echo = subprocess.Popen([*line.door.prefix, sys.executable, "-c", ECHO], stdout=subprocess.PIPE)
    try:
        assert echo.stdout is not None
        echo.stdout.readline()
        command = [*line.viewer.prefix, sys.executable, "-c", PROBE, line.door.address]
        told = subprocess.run(
            [*command, str(count), str(size_bytes), str(quiet_s)],
            capture_output=True,
            check=True,
            text=True,
        )
    finally:
        echo.kill()
        echo.communicate()
    arrived, first_s, last_s = told.stdout.split()
    return int(arrived), float(first_s), float(last_s)


def test_the_line_delays_both_ways() -> None:
    with laid(Way(delay_s=0.05)) as line:
        arrived, first_s, _ = probed(line, 20)

    assert arrived == 20
    assert first_s >= 0.1


def test_the_line_loses_the_share_that_it_is_told_to() -> None:
    with laid(Way(loss=0.1), Way()) as line:
        arrived, _, _ = probed(line, PROBES, quiet_s=LOST_S)
        counts = line.counts

    assert 0.86 * PROBES < arrived < 0.94 * PROBES
    assert counts["to_viewer_lost"] >= PROBES - arrived
    assert counts["to_door_lost"] == 0


def test_the_line_lets_through_no_more_than_its_rate() -> None:
    with laid(Way(rate_bps=1_000_000, queue_s=10), Way()) as line:
        arrived, first_s, last_s = probed(line, 100, size_bytes=1222)

    assert arrived == 100
    assert last_s > 0.9  # 100 datagrams of 1,250 bytes with their heads
    assert last_s - first_s < 5


async def test_the_picture_goes_on_where_two_of_a_hundred_packets_are_lost(tmp_path: Path) -> None:
    async with porch(tmp_path, Way(delay_s=0.03, loss=0.02)) as here:
        joined = await here.viewer.join()
        before = await here.viewer.shown()
        await asyncio.sleep(WATCHED_S)
        after = await here.viewer.shown()
        lost = here.line.counts["to_viewer_lost"]

    assert joined.width == 1280
    assert lost > 10
    assert after.frozen_s_since(before) < MOST_FROZEN_S
    assert after.frames_decoded - before.frames_decoded > LEAST_SHOWN * WATCHED_S * FPS


async def test_the_picture_comes_back_after_the_line_was_cut(tmp_path: Path) -> None:
    async with porch(tmp_path, Way(delay_s=0.01)) as here:
        await here.viewer.join()
        here.line.set(to_viewer=Way(loss=1.0), to_door=Way(loss=1.0))
        await asyncio.sleep(1.5)
        cut = await here.viewer.shown()
        here.line.set(to_viewer=Way(), to_door=Way())
        await asyncio.sleep(2.5)
        back = await here.viewer.shown()

    assert back.frames_decoded - cut.frames_decoded > FPS
