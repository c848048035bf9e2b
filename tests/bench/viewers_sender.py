"""Doorward's fan-out as a sender: `python -m tests.bench.viewers_sender FILM`.

What live view is made of without its sessions, which cost nothing while pictures flow: one source,
and one viewer for each offer, with reports, packets sent once more and bursts.
"""

import asyncio
import random
import sys
import threading
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from aiortc import RTCConfiguration, RTCPeerConnection, RTCRtpSender, RTCSessionDescription

from firmware.capture.hub import UnitHub
from firmware.clock import SystemClock
from firmware.live.fanout import attach
from firmware.live.ice_edge import tune_ice
from firmware.live.source import Source
from tests.bench.peers.film_camera import FilmCamera
from tests.bench.peers.speaking import obey


class FanoutSender:
    """Implements `tests.bench.peers.speaking.Sender`."""

    def __init__(self, camera: FilmCamera, loop: asyncio.AbstractEventLoop) -> None:
        tune_ice()
        self._loop = loop
        hub = UnitHub(ring_add=lambda _: None, loop=loop)
        self._main = Source("main", hub, request_key_frame=camera.request_key_frame)
        self._peers: list[RTCPeerConnection] = []
        camera.start(hub.put)

    def answer(self, offer: str) -> str:
        return str(self._wait_for(self._answer(offer)))

    def leave(self) -> None:
        self._wait_for(self._leave())

    async def _answer(self, offer: str) -> str:
        peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        transceiver = peer.addTransceiver("video", direction="sendonly")
        codecs = RTCRtpSender.getCapabilities("video").codecs
        transceiver.setCodecPreferences(
            [codec for codec in codecs if codec.mimeType.lower() in ("video/h264", "video/rtx")]
        )
        attach(
            transceiver.sender, self._main, clock=SystemClock(), random_source=random.SystemRandom()
        )
        self._peers.append(peer)
        await peer.setRemoteDescription(RTCSessionDescription(sdp=offer, type="offer"))
        await peer.setLocalDescription(await peer.createAnswer())
        return str(peer.localDescription.sdp)

    async def _leave(self) -> None:
        while self._peers:
            await self._peers.pop().close()

    def _wait_for(self, work: Coroutine[Any, Any, Any]) -> Any:  # Any: whatever it gives
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()


async def _made(camera: FilmCamera, loop: asyncio.AbstractEventLoop) -> FanoutSender:
    return FanoutSender(camera, loop)


def main() -> None:
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, daemon=True).start()
    camera = FilmCamera(Path(sys.argv[1]))
    sender = asyncio.run_coroutine_threadsafe(_made(camera, loop), loop).result()
    obey(sender, camera)
    camera.stop()


if __name__ == "__main__":
    main()
