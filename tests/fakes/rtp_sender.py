"""Streams and lines for the fan-out that do only what a test says."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from firmware.live.rtp_sender import Delivery
from firmware.live.rtp_stream import StreamParameters

PARAMETERS = StreamParameters(ssrc=1, payload_type=99, cname="c", rtx_ssrc=2, rtx_payload_type=100)


@dataclass(frozen=True)
class FakeUnit:
    """Implements `firmware.live.feed.Unit`: a NAL unit that says how large it is."""

    pts_90k: int
    is_key: bool = False
    size_bytes: int = 100

    @property
    def data(self) -> bytes:
        return b"\x00\x00\x00\x01" + (b"\x65" if self.is_key else b"\x41") + b"x" * self.size_bytes


class FakeFeed:
    """Implements `firmware.live.feed.UnitFeed`: gives what a test puts in."""

    def __init__(self) -> None:
        self.streams: list[FakeUnitStream] = []
        self.key_frame_requests = 0

    def request_key_frame(self) -> None:
        self.key_frame_requests += 1

    def subscribe(self, name: str, *, max_units: int) -> "FakeUnitStream":  # noqa: ARG002
        stream = FakeUnitStream(self)
        self.streams.append(stream)
        return stream

    async def give(self, unit: FakeUnit) -> None:
        """Give a unit to who reads, and let it be sent."""
        for stream in self.streams:
            stream.units.put_nowait(unit)
        await asyncio.sleep(0.001)

    def end(self) -> None:
        """Give no more."""
        for stream in self.streams:
            stream.units.put_nowait(None)


class FakeUnitStream:
    """Implements `firmware.live.feed.UnitStream`."""

    def __init__(self, feed: FakeFeed) -> None:
        self._feed = feed
        self.units: asyncio.Queue[FakeUnit | None] = asyncio.Queue()
        self.dropped_units = 0

    async def __anext__(self) -> FakeUnit:
        unit = await self.units.get()
        if unit is None:
            raise StopAsyncIteration
        return unit

    def close(self) -> None:
        if self in self._feed.streams:
            self._feed.streams.remove(self)


class FakeWire:
    """Implements `firmware.live.rtp_sender.RtpTransport`: keeps what was sent, unprotected."""

    def __init__(self) -> None:
        self.packets: list[bytes] = []
        self.bursts: list[int] = []
        self.delivery: Delivery = "sent"
        self.is_closed = False

    def send(self, packets: Sequence[bytes]) -> Delivery:
        if self.delivery == "sent":
            self.packets += packets
            self.bursts.append(len(packets))
        return self.delivery

    def close(self) -> None:
        self.is_closed = True
