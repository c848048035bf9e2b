"""Stock aiortc as a sender: a track that hands on packets, as its documentation has it.

Nothing is bent: its history is its own, and what it does at a viewer's PLI is up to it. A viewer
that joins gets what is filmed at that moment. H.264 is chosen before the offer is taken, without
which nothing would be seen at all.
"""

import asyncio
import fractions
import sys
import threading
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from aiortc import (
    MediaStreamTrack,
    RTCConfiguration,
    RTCPeerConnection,
    RTCRtpSender,
    RTCSessionDescription,
)
from av import Packet

from firmware.capture.camera_output import AccessUnit
from tests.bench.peers.film_camera import FilmCamera
from tests.bench.peers.speaking import obey

TIME_BASE = fractions.Fraction(1, 90_000)


class FilmTrack(MediaStreamTrack):
    """One viewer's video."""

    kind = "video"

    def __init__(self) -> None:
        super().__init__()
        self.units: asyncio.Queue[AccessUnit] = asyncio.Queue()
        self.is_read = False

    async def recv(self) -> Packet:
        self.is_read = True
        unit = await self.units.get()
        packet = Packet(unit.data)
        packet.pts = unit.pts_90k
        packet.time_base = TIME_BASE
        return packet


class AiortcSender:
    """Implements `tests.bench.peers.speaking.Sender`."""

    def __init__(self, camera: FilmCamera, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._viewers: list[tuple[RTCPeerConnection, FilmTrack]] = []
        camera.start(lambda unit: loop.call_soon_threadsafe(self._hand_on, unit))

    def answer(self, offer: str) -> str:
        return str(self._wait_for(self._answer(offer)))

    def leave(self) -> None:
        self._wait_for(self._leave())

    def _hand_on(self, unit: AccessUnit) -> None:
        for _, track in self._viewers:
            if track.is_read:
                track.units.put_nowait(unit)

    async def _answer(self, offer: str) -> str:
        peer, track = RTCPeerConnection(RTCConfiguration(iceServers=[])), FilmTrack()
        transceiver = peer.addTransceiver(track, direction="sendonly")
        codecs = RTCRtpSender.getCapabilities("video").codecs
        transceiver.setCodecPreferences(
            [codec for codec in codecs if codec.mimeType.lower() in ("video/h264", "video/rtx")]
        )
        self._viewers.append((peer, track))
        await peer.setRemoteDescription(RTCSessionDescription(sdp=offer, type="offer"))
        await peer.setLocalDescription(await peer.createAnswer())
        return str(peer.localDescription.sdp)

    async def _leave(self) -> None:
        while self._viewers:
            peer, track = self._viewers.pop()
            track.stop()
            await peer.close()

    def _wait_for(self, work: Coroutine[Any, Any, Any]) -> Any:  # Any: whatever it gives
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()


def main() -> None:
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, daemon=True).start()
    camera = FilmCamera(Path(sys.argv[1]))
    obey(AiortcSender(camera, loop), camera)
    camera.stop()


if __name__ == "__main__":
    main()
