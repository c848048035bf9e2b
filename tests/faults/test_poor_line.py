"""A viewer on a poor line, from the narrow place to the stream that they get.

The doorbell's live view with its small stream runs in this process, its sockets at the door's end
of the line (tests/rigs/line.py); Chromium is at the other end. Somebody else watches at the door.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from firmware.capture.camera_output import SmallPicture
from firmware.capture.small_stream import SmallStream
from firmware.capture.unit_hub import SmallHub, Subscription
from firmware.capture.video_source import SMALL_PER_S, PictureSink
from firmware.protocol.live import check_answer
from firmware.system.clock import SystemClock
from tests.fakes.porch import Porch, Visitor, porch, visitor
from tests.fakes.sink import FunctionSink
from tests.fakes.source import QuickSource
from tests.fakes.waiting import in_time
from tests.flows.browser import chromium, chromium_path
from tests.rigs.line import Line, Way, laid, why_no_line
from tests.rigs.viewing import Viewer, intercepted

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(bool(why_no_line()), reason=why_no_line() or "a line can be laid"),
]

MAIN_BPS, CAP_BPS = 2_000_000, 700_000
WIDE = Way(delay_s=0.01)
NARROW = Way(delay_s=0.01, rate_bps=CAP_BPS)
FPS = 30
MAIN, SMALL = (480, 360), (240, 180)
WATCHED_S = 4.0
JOINS_WITHIN_S = 10.0
FALLS_WITHIN_S = 6.0
COMES_BACK_WITHIN_S = 20.0
"""It waits twelve seconds before it tries; reports come about once a second."""
STAYS_S = 3.0
LEAST_SEEN = 0.7
"""Of the small pictures."""
UNDER_WAY = 8
"""Pictures between the camera and the neighbour's eyes when somebody counts."""
MOST_LOST = 0.1
"""Of what is sent while the small stream fits."""
POLL_S = 0.1


class BusySource(QuickSource):
    """A camera before a street so busy that the encoder needs all bits that it may use."""

    def __init__(self, pictures: SmallHub) -> None:
        """Its small pictures go to `pictures`."""
        super().__init__(width=MAIN[0], height=MAIN[1], fps=FPS)
        self._pictures = pictures
        self._dice = np.random.default_rng(4)
        self.set_bitrate(MAIN_BPS)

    def start(self, sink: PictureSink) -> None:
        super().start(FunctionSink(sink.on_unit, sink.on_luma, self._pictures.put))

    def _picture(self, count: int) -> np.ndarray:
        picture = super()._picture(count)
        shape = (self.height, self.width // 4)
        picture[: self.height, : self.width // 4] = self._dice.integers(16, 235, shape, np.uint8)
        return picture

    def _small(self, picture: np.ndarray, pts_90k: int) -> SmallPicture:
        width, height = SMALL
        small = np.full((height * 3 // 2, width), 128, dtype=np.uint8)
        small[:height] = picture[: self.height : 2, ::2]
        return SmallPicture(pts_90k=pts_90k, width=width, height=height, data=small.tobytes())


@dataclass
class Recording:
    """Reads the main stream as the recorder does."""

    subscription: Subscription
    units: int = 0
    size_bytes: int = 0

    async def run(self) -> None:
        async for unit in self.subscription:
            self.units += 1
            self.size_bytes += len(unit.data)


@dataclass
class Neighbour:
    """Somebody with a good line, and what they see."""

    someone: Visitor
    pictures: int = 0

    async def look(self) -> None:
        while True:
            (frame,) = await self.someone.frames(1)
            assert (frame.width, frame.height) == MAIN
            self.pictures += 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """How far everybody is at one moment."""

    seconds: float
    units: int
    size_bytes: int
    pictures: int
    """That the neighbour saw."""
    poor: int
    """Pictures that were seen at the other end of the line."""
    passed: int
    lost: int
    """Packets on the line towards that end."""

    def since(self, before: "Counts") -> "Counts":
        """Return what came in between."""
        return Counts(
            seconds=self.seconds - before.seconds,
            units=self.units - before.units,
            size_bytes=self.size_bytes - before.size_bytes,
            pictures=self.pictures - before.pictures,
            poor=self.poor - before.poor,
            passed=self.passed - before.passed,
            lost=self.lost - before.lost,
        )

    @property
    def bps(self) -> float:
        """How large the recording is."""
        return self.size_bytes * 8 / self.seconds


@dataclass
class Street:
    """A doorbell at one end of a line; one viewer at the same end, one at the other."""

    here: Porch
    line: Line
    recording: Recording
    good: Neighbour
    poor: Viewer

    async def count(self) -> Counts:
        packets = self.line.counts
        return Counts(
            seconds=time.monotonic(),
            units=self.recording.units,
            size_bytes=self.recording.size_bytes,
            pictures=self.good.pictures,
            poor=(await self.poor.shown()).frames_decoded,
            passed=packets["to_viewer_passed"],
            lost=packets["to_viewer_lost"],
        )

    async def state(self) -> dict:
        """Return what the viewer on the line was told last."""
        said = [one for one in await self.poor.said() if one["type"] == "state"]
        return said[-1] if said else {"stream": "none"}

    async def gets(self, stream: str) -> bool:
        """Tell whether the viewer on the line was told that they get this stream."""
        return (await self.state())["stream"] == stream

    async def sees(self, size: tuple[int, int]) -> bool:
        """Tell whether the viewer on the line sees pictures of this size."""
        counted = (await self.poor.shown()).counted
        return (counted.get("frameWidth"), counted.get("frameHeight")) == size


@asynccontextmanager
async def street(folder: Path) -> AsyncIterator[Street]:
    pictures = SmallHub(asyncio.get_running_loop())
    source = BusySource(pictures)
    pictures.wanted.add(source.set_small)
    small = SmallStream(pictures)
    async with AsyncExitStack() as stack:
        line = stack.enter_context(laid(WIDE))
        program = line.viewer.wrapper(chromium_path(), folder)
        browser = await stack.enter_async_context(chromium(program=program))
        stack.enter_context(line.door.entered())
        here = await stack.enter_async_context(porch(source=source, small=small, main_bps=MAIN_BPS))
        good = Neighbour(await stack.enter_async_context(visitor(here)))
        caller = await stack.enter_async_context(visitor(here))
        poor = await stack.enter_async_context(intercepted(browser, asked_by(caller)))
        recording = Recording(here.hub.late.subscribe("recording"))
        group = await stack.enter_async_context(asyncio.TaskGroup())
        await in_time(good.someone.watch())
        running = [group.create_task(work) for work in (small.run(), recording.run(), good.look())]
        yield Street(here, line, recording, good, poor)
        for task in running:
            task.cancel()


def asked_by(caller: Visitor) -> Callable[[str], Awaitable[str]]:
    """Sign a page's offer and check its answer, as the owner's app does."""

    async def ask(sdp: str) -> str:
        offered = await caller.offer(sdp)
        answered = await caller.send(caller.browser.sign(offered))
        identity = caller.here.keys.signer.spki
        now_ms = SystemClock().wall_ms()
        return check_answer(answered, identity, offer=offered, now_ms=now_ms).sdp

    return ask


async def until(holds: Callable[[], Awaitable[bool]], within_s: float) -> float:
    """Wait until it is so; return how long that took."""
    begun_s = time.monotonic()
    while not await holds():
        assert time.monotonic() - begun_s < within_s, f"not so within {within_s} s"
        await asyncio.sleep(POLL_S)
    return time.monotonic() - begun_s


async def test_a_poor_line_gets_the_small_stream_alone_and_comes_back_when_it_is_better(
    tmp_path: Path,
) -> None:
    async with street(tmp_path) as here:
        await here.poor.join()
        await until(lambda: here.sees(MAIN), JOINS_WITHIN_S)
        begin = await here.count()
        await asyncio.sleep(WATCHED_S)
        before = (await here.count()).since(begin)

        here.line.set(to_viewer=NARROW, to_door=WIDE)
        await until(lambda: here.gets("small"), FALLS_WITHIN_S)
        why = (await here.state())["why"]
        await until(lambda: here.sees(SMALL), FALLS_WITHIN_S)
        begin_small = await here.count()
        await asyncio.sleep(WATCHED_S)
        small = (await here.count()).since(begin_small)

        here.line.set(to_viewer=WIDE, to_door=WIDE)
        await until(lambda: here.sees(MAIN), COMES_BACK_WITHIN_S)
        await asyncio.sleep(STAYS_S)
        is_main_again = await here.sees(MAIN) and await here.gets("main")
        whole = (await here.count()).since(begin)

    assert why in ("packets_lost", "line_slow", "line_delayed")
    assert small.poor >= LEAST_SEEN * WATCHED_S * SMALL_PER_S
    assert small.lost <= MOST_LOST * small.passed  # repeats leave the stream its room
    assert is_main_again
    assert here.recording.subscription.dropped_units == here.here.hub.dropped_units == 0
    for span in (before, small, whole):
        assert abs(span.pictures - span.units) <= UNDER_WAY
        assert span.units / span.seconds == pytest.approx(before.units / before.seconds, rel=0.1)
        assert span.bps == pytest.approx(before.bps, rel=0.15)
    assert before.bps > 2 * CAP_BPS
