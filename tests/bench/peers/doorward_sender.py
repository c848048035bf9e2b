"""Doorward's own live view as a sender: `python -m tests.bench.peers.doorward_sender FILM`.

The doorbell's source, fan-out and connections, without the signatures around them: what is measured
with the same plain signalling for all.
"""

import asyncio
import random
import sys
import threading
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from firmware.capture.unit_hub import UnitHub
from firmware.live.peer import Peer
from firmware.live.sdp_offer import take_offer
from firmware.live.stream_source import Source
from firmware.system.clock import SystemClock
from tests.bench.peers.film_camera import FilmCamera
from tests.bench.peers.speaking import obey
from tests.fakes.peers import UnwatchedVisit
from tests.fakes.sink import PictureList


class DoorwardSender:
    """Implements `tests.bench.peers.speaking.Sender`."""

    def __init__(self, camera: FilmCamera, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        hub = UnitHub(PictureList(), loop)
        self._main = Source("main", hub.late, camera)
        self._peers: list[Peer] = []
        camera.start(hub.put)

    def answer(self, offer: str) -> str:
        return str(self._wait_for(self._answer(offer)))

    def leave(self) -> None:
        self._wait_for(self._leave())

    async def _answer(self, offer: str) -> str:
        peer = Peer(
            [],
            self._main,
            UnwatchedVisit(),
            sound=None,
            clock=SystemClock(),
            random_source=random.SystemRandom(),
        )
        self._peers.append(peer)
        return await peer.answer(take_offer(offer))

    async def _leave(self) -> None:
        while self._peers:
            await self._peers.pop().close()

    def _wait_for(self, work: Coroutine[Any, Any, Any]) -> Any:  # Any: whatever it gives
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()


async def _made(camera: FilmCamera, loop: asyncio.AbstractEventLoop) -> DoorwardSender:
    return DoorwardSender(camera, loop)


def main() -> None:
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, daemon=True).start()
    camera = FilmCamera(Path(sys.argv[1]))
    sender = asyncio.run_coroutine_threadsafe(_made(camera, loop), loop).result()
    obey(sender, camera)
    camera.stop()


if __name__ == "__main__":
    main()
