"""One video stream shared by all its viewers: read once, packetized once, sent in bursts.

The main stream, the small one and one viewer's clip are each a `StreamSource`. It reads its feed
only while it has takers. A key frame leaves in bursts over some milliseconds, because hundreds of
datagrams at once are more than many a radio's queue holds; the usual picture is one burst. Nothing
waits for a taker: `StreamSink.send` returns at once, whatever it could send.

What followed the newest key frame is kept for `CATCH_UP_S`, for who joins: they begin there rather
than wait for another, which a camera makes twice a second at most.
"""

import asyncio
import logging
from collections.abc import Iterator, Sequence
from typing import Protocol

from firmware.capture.camera_output import TICKS_PER_S
from firmware.live.feed import UnitFeed, UnitStream
from firmware.live.key_frame_gate import KEY_FRAME_INTERVAL_S, KeyFrameEncoder, KeyFrameGate
from firmware.live.packets_h264 import PackedUnit, pack_unit
from firmware.protocol.media.rotation import Rotation

MAX_QUEUED_UNITS = 60
BURST_MOST_PACKETS = 40
BURST_INTERVAL_S = 0.002
CATCH_UP_S = 0.75
CATCH_UP_MOST_BYTES = 1_000_000
"""Larger than any half second of 1080p."""

log = logging.getLogger(__name__)


class StreamSink(Protocol):
    """A viewer's end of a stream source. No method may raise or wait."""

    def begin(self, source: "StreamSource", unit: PackedUnit) -> bool:
        """Offer the next access unit; True if its packets shall be sent."""
        ...

    def send(self, unit: PackedUnit, begin: int, end: int) -> None:
        """Send the packets from `begin` to `end` of the unit, unless it was discarded."""
        ...

    def discard(self) -> None:
        """Drop all pictures, sent or not."""
        ...

    def on_source_end(self, source: "StreamSource") -> None:
        """Called once when the source ends."""
        ...


class StreamSource:
    """A stream of access units with its sinks. Use it in one loop only.

    `encoder` makes the key frames that takers ask for; a recording has none. `is_live` tells that
    the units' times are the monotonic clock's, not those of a recording. `rotation` is by how many
    degrees clockwise its pictures are turned to be shown.
    """

    def __init__(
        self,
        name: str,
        feed: UnitFeed,
        encoder: KeyFrameEncoder | None = None,
        *,
        is_live: bool = True,
        rotation: Rotation = 0,
        key_frame_interval_s: float = KEY_FRAME_INTERVAL_S,
    ) -> None:
        self.name = name
        self.is_live = is_live
        self._rotation = rotation
        self._feed = feed
        self._gate = KeyFrameGate(encoder, interval_s=key_frame_interval_s)
        self._takers: list[StreamSink] = []
        self._gop: list[PackedUnit] = []
        self._gop_bytes = 0
        self._units: UnitStream | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def sink_count(self) -> int:
        """The number of sinks that take this stream, or wait for its next key frame."""
        return len(self._takers)

    def add(self, taker: StreamSink) -> None:
        """Add a sink, which is offered every unit from now on."""
        if taker in self._takers:
            return
        self._takers.append(taker)
        if self._units is None:
            self._units = self._feed.subscribe(f"live {self.name}", max_units=MAX_QUEUED_UNITS)
            run = self._run(self._units)
            self._task = asyncio.create_task(run, name=f"live source {self.name}")

    def remove(self, taker: StreamSink) -> None:
        """Remove a sink; the feed isn't read while there is none."""
        if taker in self._takers:
            self._takers.remove(taker)
        if not self._takers:
            self.stop()

    def request_key_frame(self) -> None:
        """Request a key frame, within the limits that hold for all sinks."""
        self._gate.ask()

    def newest_gop(self, now_90k: int) -> Sequence[PackedUnit]:
        """Return the newest key frame and all since, if it isn't older than `CATCH_UP_S`."""
        is_fresh = self._gop and now_90k - self._gop[0].pts_90k <= CATCH_UP_S * TICKS_PER_S
        return tuple(self._gop) if is_fresh else ()

    def discard(self) -> None:
        """Discard all pictures filmed until now, because the mask has changed."""
        self._gop = []
        for taker in list(self._takers):
            taker.discard()

    def stop(self) -> None:
        """Read no more; may be called twice."""
        self._gate.stop()
        self._gop = []
        if self._units is not None:
            self._units.close()
            self._units = None
        if self._task is not None:
            self._task.cancel()
            self._task = None

    async def _run(self, units: UnitStream) -> None:
        try:
            await self._hand_on(units)
        except Exception:  # the supervisor: a fault in one stream ends that stream alone
            log.exception("the stream %s failed", self.name)
        units.close()
        self._units = self._task = None
        for taker in list(self._takers):
            taker.on_source_end(self)

    async def _hand_on(self, units: UnitStream) -> None:
        dropped_units = 0
        while True:
            try:
                unit = await anext(units)
            except StopAsyncIteration:
                return
            if units.dropped_units != dropped_units:
                dropped_units = units.dropped_units
                self._gate.ask()
            if unit.is_key:
                self._gate.fulfil()
            packed = pack_unit(unit, self._rotation)
            if packed.payloads:
                self._keep(packed)
                await self._send(packed)

    def _keep(self, unit: PackedUnit) -> None:
        """Keep the unit for new sinks, unless the newest key frame is too old."""
        if unit.is_key:
            self._gop, self._gop_bytes = [], 0
        elif not self._gop:
            return
        self._gop.append(unit)
        self._gop_bytes += sum(map(len, unit.payloads))
        is_old = unit.pts_90k - self._gop[0].pts_90k > CATCH_UP_S * TICKS_PER_S
        if not self.is_live or is_old or self._gop_bytes > CATCH_UP_MOST_BYTES:
            self._gop = []

    async def _send(self, unit: PackedUnit) -> None:
        takers = [taker for taker in list(self._takers) if taker.begin(self, unit)]
        if not takers:
            return
        for begin, end in bursts_of(len(unit.payloads)):
            if begin:
                await asyncio.sleep(BURST_INTERVAL_S)
            for taker in takers:
                taker.send(unit, begin, end)


def bursts_of(packets: int) -> Iterator[tuple[int, int]]:
    """Yield where each burst of so many packets begins and ends; they differ by one at most."""
    count = -(-packets // BURST_MOST_PACKETS)
    for number in range(count):
        yield packets * number // count, packets * (number + 1) // count
