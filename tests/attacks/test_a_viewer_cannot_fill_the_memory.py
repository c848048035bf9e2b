"""An enrolled browser in the wrong hands may watch; it may not stop the doorbell from recording.

What it sends over a data channel is bounded: fragments that never become a message, channels
without end, and wishes whose answers it doesn't take.
"""

import asyncio
import json

import pytest
from aiortc.rtcsctptransport import SCTP_DATA_FIRST_FRAG, DataChunk, RTCSctpTransport

from firmware.live.data_channel import HIGH_WATER_BYTES
from tests.fakes.porch import OneClip, Porch, Visitor, porch, visitor
from tests.fakes.waiting import eventually, in_time

MOST_FRAGMENTS = 100_000
AT_ONCE = 20
"""A busy machine's socket drops what it isn't given the time to read."""


def doorbells_side(here: Porch) -> RTCSctpTransport:
    """The association at the doorbell of the only visit."""
    (visit,) = here.live._visits.values()
    return visit._peer._connection.sctp


def held_bytes(sctp: RTCSctpTransport) -> int:
    streams = sctp._inbound_streams.values()
    return sum(len(chunk.user_data) for stream in streams for chunk in stream.reassembly)


async def send_fragments(here: Porch, someone: Visitor, *, size: int, stride: int = 1) -> None:
    """Send pieces of a message that never ends, heeding no window, until it is hung up on."""
    sctp = someone.peer.sctp
    for n in range(MOST_FRAGMENTS):
        chunk = DataChunk(flags=SCTP_DATA_FIRST_FRAG if n == 0 else 0)
        chunk.tsn = (sctp._local_tsn + n * stride) & 0xFFFFFFFF
        chunk.stream_id = someone.control_channel.id
        chunk.stream_seq = 500
        chunk.protocol = 51
        chunk.user_data = bytes(size)
        try:
            await sctp._send_chunk(chunk)
        except ConnectionError:
            return
        if n % AT_ONCE == 0:
            await asyncio.sleep(0.001)
            if here.live.sessions == 0:
                return


@pytest.mark.parametrize(("size", "stride"), [(1100, 1), (1, 1), (1, 2)])
async def test_fragments_that_never_become_a_message_end_the_session(size: int, stride: int):
    async with porch() as here, visitor(here) as someone:
        await in_time(someone.watch())
        await in_time(someone.opened.wait())
        sctp = doorbells_side(here)
        await in_time(send_fragments(here, someone, size=size, stride=stride))
        await eventually(lambda: here.live.sessions == 0)
        assert held_bytes(sctp) <= 1024 * 1024
        assert sum(len(one.reassembly) for one in sctp._inbound_streams.values()) <= 2100
        assert len(sctp._sack_misordered) <= 2100


async def test_channels_without_end_end_the_session():
    async with porch() as here, visitor(here) as someone:
        await in_time(someone.watch())
        await in_time(someone.opened.wait())
        sctp = doorbells_side(here)
        for n in range(60):
            someone.peer.createDataChannel(f"c{n}")
        await eventually(lambda: here.live.sessions == 0)
        assert len(sctp._data_channels) < 40


async def test_an_honest_viewer_with_all_channels_stays():
    async with porch() as here, visitor(here) as someone:
        await someone.local_sdp()
        someone.peer.createDataChannel("replies")
        await in_time(someone.watch())
        await in_time(someone.opened.wait())
        for _ in range(200):
            someone.say(type="quality", want="auto")
            await asyncio.sleep(0.002)
        someone.say(type="renew")
        await in_time(someone.told())
        assert here.live.sessions == 1


class ManyClips(OneClip):
    """A shelf with as many clips as are listed at most."""

    def newest(self, limit, skip=0):
        return super().newest(limit, skip)[:1] * limit


async def test_answers_that_nobody_takes_dont_pile_up():
    async with porch(shelf=ManyClips()) as here, visitor(here) as someone:
        await in_time(someone.watch())
        await in_time(someone.opened.wait())
        await eventually(lambda: someone.clips_channel.readyState == "open")
        (visit,) = here.live._visits.values()
        channel = visit._clips._end._channel

        async def take_nothing(_chunk: object) -> None:
            return

        someone.peer.sctp._receive_data_chunk = take_nothing  # and so no answer is acknowledged
        listed = len(json.dumps({"clips": [1]})) + 40_000
        for _ in range(150):
            someone.clips_channel.send('{"list":true}')
            await asyncio.sleep(0.005)
        assert channel.bufferedAmount < HIGH_WATER_BYTES + 3 * listed
