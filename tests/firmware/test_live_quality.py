"""Which stream a viewer gets: what they want and what their line carries, put into effect."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from firmware.capture.unit_hub import Subscription, UnitHub
from firmware.live.link_estimate import LineReport
from tests.fakes.porch import Visitor, porch, visitor
from tests.fakes.sink import FunctionSink, PictureList
from tests.fakes.source import QuickSource
from tests.fakes.waiting import in_time

SMALL = (160, 120)
MAIN = (320, 240)


class SmallStream:
    """The small stream, made by a camera of its own."""

    def __init__(self) -> None:
        self.source = QuickSource(width=SMALL[0], height=SMALL[1])
        self.hub = UnitHub(PictureList(), asyncio.get_running_loop())
        self.bitrates_bps: list[int] = []

    def subscribe(self, name: str, *, max_units: int) -> Subscription:
        return self.hub.subscribe(name, max_units=max_units)

    def request_key_frame(self) -> None:
        self.source.request_key_frame()

    def set_bitrate(self, bitrate_bps: int) -> None:
        self.bitrates_bps.append(bitrate_bps)


@asynccontextmanager
async def small_stream() -> AsyncIterator[SmallStream]:
    small = SmallStream()
    small.source.start(FunctionSink(small.hub.put))
    try:
        yield small
    finally:
        await asyncio.to_thread(small.source.stop)


async def ready(someone: Visitor) -> None:
    await someone.watch()
    await someone.opened.wait()


async def until_size(someone: Visitor, size: tuple[int, int]) -> None:
    while True:
        (frame,) = await someone.frames(1)
        if (frame.width, frame.height) == size:
            return


async def test_a_viewer_who_wants_the_small_stream_gets_it_and_no_other_viewer_does() -> None:
    async with small_stream() as small, porch(small=small) as here:
        async with visitor(here) as someone, visitor(here) as other:
            await in_time(ready(someone))
            await in_time(ready(other))
            await in_time(until_size(someone, MAIN))
            someone.say(type="quality", want="small")
            await in_time(until_size(someone, SMALL))
            state = await in_time(someone.told())
            while state["stream"] != "small":
                state = await in_time(someone.told())

            assert state["why"] == "asked_for"
            sizes = {(frame.width, frame.height) for frame in await in_time(other.frames(30))}
            assert sizes == {MAIN}
            someone.say(type="quality", want="auto")
            await in_time(until_size(someone, MAIN))


async def test_the_small_stream_is_as_large_as_the_worst_line_that_takes_it_carries() -> None:
    async with small_stream() as small, porch(small=small) as here:
        async with visitor(here) as someone:
            await in_time(ready(someone))
            someone.say(type="quality", want="small")
            await in_time(until_size(someone, SMALL))
            (visit,) = here.live._visits.values()
            now_s = visit._clock.monotonic_ns() / 1e9
            for second in range(1, 6):
                visit._quality._hear(
                    LineReport(at_s=now_s + second, sent_bps=300_000, lost=0.1, remb_bps=200_000)
                )

            assert small.bitrates_bps
            assert small.bitrates_bps[-1] <= 200_000


async def test_a_line_that_loses_much_gets_the_small_stream_and_the_reason_is_told() -> None:
    async with small_stream() as small, porch(small=small) as here:
        async with visitor(here) as someone:
            await in_time(ready(someone))
            await in_time(until_size(someone, MAIN))
            (visit,) = here.live._visits.values()
            now_s = visit._clock.monotonic_ns() / 1e9
            for second in range(1, 5):
                visit._quality._hear(LineReport(at_s=now_s + second, sent_bps=1_000_000, lost=0.3))
            await in_time(until_size(someone, SMALL))
            state = await in_time(someone.told())
            while state["stream"] != "small":
                state = await in_time(someone.told())

            assert state["why"] == "packets_lost"


async def test_a_line_that_holds_nothing_gets_key_frames_only() -> None:
    async with porch() as here, visitor(here) as someone:
        await in_time(ready(someone))
        await in_time(until_size(someone, MAIN))
        (visit,) = here.live._visits.values()
        now_s = visit._clock.monotonic_ns() / 1e9
        for second in range(1, 5):
            visit._quality._hear(LineReport(at_s=now_s + second, sent_bps=1_000_000, lost=0.3))

        assert visit._quality.stream == "key_frames"
        assert visit._peer.viewer.stats.is_key_frames_only
