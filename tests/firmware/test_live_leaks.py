"""Viewers who open a session, perhaps see a picture, and are gone without a word.

`DOORWARD_DROPPED_SESSIONS` is how many (60 by itself); what they cost must come back.
"""

import asyncio
import gc
import os
from pathlib import Path

from firmware.protocol.encoding import new_id
from tests.fakes.clock import HurriedClock
from tests.fakes.porch import Porch, Visitor, porch
from tests.fakes.waiting import eventually, in_time

DROPPED = int(os.environ.get("DOORWARD_DROPPED_SESSIONS", "60"))
WARM_UP = 80
GROWTH_BYTES = 6 * 1024 * 1024
"""Of the process, however many are dropped: its allocator has its fill after a hundred."""


def handles() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def resident_bytes() -> int:
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


async def drop(someone: Visitor) -> None:
    """Vanish: no goodbye by DTLS or SCTP, nothing answers any more."""
    for transport in {one.receiver.transport for one in someone.peer.getTransceivers()}:
        await transport.transport._connection.close()
    someone.peer.remove_all_listeners()


async def never_connected(here: Porch, browser: object, sdp: str) -> None:
    someone = Visitor(here, browser, session_id=new_id())
    await someone.send(browser.sign(await someone.offer(sdp)))


async def test_sessions_opened_and_dropped_without_goodbye_leave_nothing() -> None:
    async with porch(max_viewers=8, connect_s=0.1) as here:
        browser = here.enrol()
        model = Visitor(here, browser)
        sdp = await model.local_sdp()
        await model.peer.close()

        async def some(count: int) -> None:
            for _ in range(count):
                await eventually(lambda: here.live.sessions < 8)
                await never_connected(here, browser, sdp)
            await eventually(lambda: here.live.sessions == 0)

        await some(WARM_UP)
        tasks, fds, before_bytes = len(asyncio.all_tasks()), handles(), resident_bytes()
        await some(DROPPED)

        await eventually(lambda: len(asyncio.all_tasks()) <= tasks)
        await eventually(lambda: handles() <= fds)
        assert resident_bytes() - before_bytes < GROWTH_BYTES
        assert here.live._sources.main.sink_count == 0


async def test_viewers_who_vanish_amid_the_picture_are_noticed_and_leave_nothing() -> None:
    clock = HurriedClock()
    async with porch(session_s=600.0, clock=clock) as here:
        browser = here.enrol()
        tasks, fds = len(asyncio.all_tasks()), handles()
        for _ in range(max(3, DROPPED // 10)):
            if here.live.sessions == 4:
                clock.hurry(600)
            await eventually(lambda: here.live.sessions < 4)
            someone = Visitor(here, browser)
            await in_time(someone.watch())
            await in_time(someone.frames(1))
            await drop(someone)
            await someone.peer.close()
        clock.hurry(600)
        await eventually(lambda: here.live.sessions == 0)

        await eventually(lambda: len(asyncio.all_tasks()) <= tasks)
        await eventually(lambda: handles() <= fds)
        assert here.live._sources.main.sink_count == 0
