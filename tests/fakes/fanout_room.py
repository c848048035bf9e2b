"""A room for the fan-out's tests: a clock, a stream and its viewers, without a network."""

import random
import struct

from firmware.live.rtp_sender import Viewer
from firmware.live.stream_source import Source
from tests.fakes.clock import ManualClock
from tests.fakes.fanout import PARAMETERS, FakeFeed, FakeUnit, FakeWire

FRAME_90K = 3000


class Room:
    """A clock, streams and viewers."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.feed = FakeFeed()
        self.main = self.source("main", self.feed)
        self.sources = [self.main]

    def source(self, name: str, feed: FakeFeed, *, is_live: bool = True) -> Source:
        return Source(
            name,
            feed,
            feed,
            is_live=is_live,
            key_frame_interval_s=0.05,
        )

    def viewer(self, source: Source | None = None) -> tuple[Viewer, FakeWire]:
        viewer = Viewer(source or self.main, clock=self.clock, random_source=random.Random(5))
        wire = FakeWire()
        viewer.start(PARAMETERS, wire)
        return viewer, wire

    def expected(self) -> tuple[Viewer, FakeWire]:
        viewer = Viewer(self.main, clock=self.clock, random_source=random.Random(7))
        viewer.expect()
        return viewer, FakeWire()

    def now_90k(self) -> int:
        return self.clock.monotonic_ns() * 9 // 100_000

    async def film(
        self, *, is_key: bool = False, size_bytes: int = 100, feed: FakeFeed | None = None
    ) -> None:
        """Let a frame's time pass and give the picture that was taken at its end."""
        self.clock.advance(1 / 30)
        unit = FakeUnit(self.now_90k(), is_key=is_key, size_bytes=size_bytes)
        await (feed or self.feed).give(unit)


def timestamps(wire: FakeWire) -> list[int]:
    return [struct.unpack_from("!I", packet, 4)[0] for packet in wire.packets]


def payloads(wire: FakeWire) -> list[bytes]:
    return [packet[12:] for packet in wire.packets]


def sequences(wire: FakeWire) -> list[int]:
    return [struct.unpack_from("!H", packet, 2)[0] for packet in wire.packets]
