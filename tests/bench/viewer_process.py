"""A viewer as a process of its own: aiortc takes and decodes what the doorbell sends.

Says `offer`, hears `answer`, says `shown` when it has the first picture, and how many `frames` it
decoded once its input ends.
"""

import asyncio
import json
import sys

import aioice.ice
from aiortc import (
    RTCConfiguration,
    RTCPeerConnection,
    RTCRtpReceiver,
    RTCSessionDescription,
)
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack

from tests.story.settings import has_only_loopback


async def watch() -> None:
    """Watch until the input ends."""
    reader = asyncio.StreamReader(limit=1024 * 1024)
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    if has_only_loopback():
        aioice.ice.get_host_addresses = _loopback
    peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    transceiver = peer.addTransceiver("video", direction="recvonly")
    capabilities = RTCRtpReceiver.getCapabilities("video")
    codecs = capabilities.codecs if capabilities else []
    transceiver.setCodecPreferences([c for c in codecs if c.mimeType.lower() == "video/h264"])
    await peer.setLocalDescription(await peer.createOffer())
    say(offer=peer.localDescription.sdp)
    answer = json.loads(await reader.readline())["answer"]
    await peer.setRemoteDescription(RTCSessionDescription(sdp=answer, type="answer"))
    frames = Counter(transceiver.receiver.track)
    counting = asyncio.create_task(frames.run())
    await reader.read()
    counting.cancel()
    await peer.close()
    say(frames=frames.count)


def _loopback(use_ipv4: bool, use_ipv6: bool) -> list[str]:
    """Stand in for aioice's list, which never has 127.0.0.1; it has no setting for this."""
    return ["127.0.0.1"]


class Counter:
    """Counts the pictures of one track."""

    def __init__(self, track: MediaStreamTrack) -> None:
        self._track = track
        self.count = 0

    async def run(self) -> None:
        try:
            while True:
                await self._track.recv()
                if self.count == 0:
                    say(shown=True)
                self.count += 1
        except MediaStreamError:
            return


def say(**words: object) -> None:
    """Say one line to who started this."""
    print(json.dumps(words), flush=True)


if __name__ == "__main__":
    asyncio.run(watch())
