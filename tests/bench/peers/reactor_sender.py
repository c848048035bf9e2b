"""reactor-webrtc (libwebrtc, by Rust) as a sender, its rate control held above the film's rate.

Runs in the peers' environment, as libdatachannel_sender.py. Offers must have H.264 alone: with
others in it, it would choose another and send the film as that. It takes one viewer in its life.
"""

import asyncio
import re
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from reactor_webrtc import (
    IceCandidate,
    IceGatheringState,
    KeyFrameRequest,
    PeerConnection,
    PeerConnectionFactory,
    PeerConnectionObserver,
    RateUpdate,
    RtcConfiguration,
    SessionDescription,
)

from firmware.capture.camera_output import AccessUnit
from tests.bench.peers.film_camera import FilmCamera
from tests.bench.peers.speaking import obey

WIDTH, HEIGHT = 1920, 1080
LEAST_BPS, MOST_BPS = 20_000_000, 50_000_000
GATHER_S = 5.0


class ReactorSender:
    """Implements `tests.bench.peers.speaking.Sender`."""

    def __init__(self, camera: FilmCamera, loop: asyncio.AbstractEventLoop) -> None:
        self._camera = camera
        self._loop = loop
        # Made otherwise it knows no H.264; the encoder is this track's, and for one viewer only.
        self._factory, self._track = PeerConnectionFactory.with_encoded_video_track(
            "film", WIDTH, HEIGHT
        )
        self._track.on_encoder_feedback(self._hear)
        self._viewer: PeerConnection | None = None
        camera.start(self._hand_on)

    def answer(self, offer: str) -> str:
        return str(asyncio.run_coroutine_threadsafe(self._answer(offer), self._loop).result())

    def leave(self) -> None:
        self._viewer = None  # it has no other way to close

    def _hand_on(self, unit: AccessUnit) -> None:
        if self._viewer is not None:
            self._track.push_encoded_frame(
                unit.data, unit.is_key, WIDTH, HEIGHT, unit.pts_90k & 0xFFFFFFFF
            )

    async def _answer(self, offer: str) -> str:
        has_gathered = threading.Event()
        candidates: list[IceCandidate] = []
        observer = PeerConnectionObserver()
        observer.on_ice_candidate = candidates.append
        observer.on_ice_gathering_change = lambda state: (
            state == IceGatheringState.Complete and has_gathered.set()
        )
        peer = self._factory.create_peer_connection(RtcConfiguration(ice_servers=[]), observer)
        self._track.add_to_peer_connection(peer)
        await peer.set_bitrate(min_bps=LEAST_BPS, start_bps=LEAST_BPS, max_bps=MOST_BPS)
        await peer.set_remote_description(SessionDescription("offer", offer))
        answer = await peer.create_answer()
        await peer.set_local_description(answer)
        for transceiver in await peer.transceivers():
            await transceiver.set_send_bitrate(max_bps=MOST_BPS)  # else 2.5 Mbit/s at this size
        self._viewer = peer
        await asyncio.to_thread(has_gathered.wait, GATHER_S)
        return with_candidates(answer.sdp, candidates)

    def _hear(self, said: KeyFrameRequest | RateUpdate) -> None:
        if isinstance(said, KeyFrameRequest):
            self._camera.request_key_frame()


def with_candidates(sdp: str, candidates: Sequence[IceCandidate]) -> str:
    """Return the answer with what was gathered since, at the end of the part that it is for."""
    head, *parts = re.split(r"(?=^m=)", sdp, flags=re.MULTILINE)
    for candidate in candidates:
        parts[candidate.sdp_mline_index or 0] += f"a={candidate.candidate}\r\n"
    return head + "".join(parts)


def main() -> None:
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, daemon=True).start()
    camera = FilmCamera(Path(sys.argv[1]))
    obey(ReactorSender(camera, loop), camera)
    camera.stop()


if __name__ == "__main__":
    main()
