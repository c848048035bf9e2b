"""Several viewers in one process, for what they cost a doorbell: aiortc that decodes nothing.

`python -m tests.bench.viewers_process COUNT`: says `offer` so many times, hears an `answer` for
each, says `seen` once each has its first picture, says at each line that it hears how many
pictures were `counted` in all since the last, and ends with its input.
"""

import asyncio
import json
import queue
import sys
import threading

import aioice.ice
import aiortc.rtcrtpreceiver
from aiortc import (
    RTCConfiguration,
    RTCPeerConnection,
    RTCRtpReceiver,
    RTCSessionDescription,
)

from tests.story.settings import has_only_loopback

SEEN_S = 60.0


class Counter:
    """Stands in for aiortc's decoders, each of them a thread: pictures are counted, not decoded."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: dict[int, int] = {}

    @property
    def viewers(self) -> int:
        """How many viewers had a picture."""
        with self._lock:
            return len(self._counts)

    def take(self) -> int:
        """Return how many pictures all viewers had since the last call."""
        with self._lock:
            count = sum(self._counts.values())
            self._counts = dict.fromkeys(self._counts, 0)
        return count

    def work(
        self,
        loop: asyncio.AbstractEventLoop,
        pictures: queue.Queue,
        track: asyncio.Queue,
        _has_failed: threading.Event,
    ) -> None:
        """Take one viewer's pictures until there is None."""
        while pictures.get() is not None:
            with self._lock:
                name = threading.get_ident()
                self._counts[name] = self._counts.get(name, 0) + 1
        asyncio.run_coroutine_threadsafe(track.put(None), loop)


async def watch(count: int) -> None:
    """Watch until the input ends."""
    counter = Counter()
    aiortc.rtcrtpreceiver.decoder_worker = counter.work
    if has_only_loopback():
        aioice.ice.get_host_addresses = lambda *_: ["127.0.0.1"]
    reader = asyncio.StreamReader(limit=1024 * 1024)
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    peers: list[RTCPeerConnection] = []
    try:
        for _ in range(count):
            peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
            peers.append(peer)
            await _connect(peer, reader)
        async with asyncio.timeout(SEEN_S):
            while counter.viewers < count:  # noqa: ASYNC110  # other threads count
                await asyncio.sleep(0.1)
        say(seen=True)
        async for _ in reader:
            say(counted=counter.take())
    finally:  # else the threads would keep the process
        for peer in peers:
            await peer.close()


async def _connect(peer: RTCPeerConnection, reader: asyncio.StreamReader) -> None:
    transceiver = peer.addTransceiver("video", direction="recvonly")
    codecs = RTCRtpReceiver.getCapabilities("video").codecs
    transceiver.setCodecPreferences(
        [codec for codec in codecs if codec.mimeType.lower() in ("video/h264", "video/rtx")]
    )
    await peer.setLocalDescription(await peer.createOffer())
    say(offer=peer.localDescription.sdp)
    answer = json.loads(await reader.readline())["answer"]
    await peer.setRemoteDescription(RTCSessionDescription(sdp=answer, type="answer"))


def say(**words: object) -> None:
    """Say one line to who started this."""
    print(json.dumps(words), flush=True)


if __name__ == "__main__":
    asyncio.run(watch(int(sys.argv[1])))
