"""libdatachannel (C++) as a sender with all that it has for this: SR, NACK and PLI.

It keeps the newest GOP and sends it at once to whoever joins, as Doorward does.

Runs in the peers' environment (`.ci/peers`):
`.state/peers/bin/python -m tests.bench.peers.libdatachannel_sender FILM`.
"""

import contextlib
import random
import re
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from libdatachannel import (
    Configuration,
    Description,
    FrameInfo,
    H264RtpPacketizer,
    NalUnit,
    PeerConnection,
    PliHandler,
    RtcpNackResponder,
    RtcpSrReporter,
    RtpPacketizationConfig,
    Track,
)

from firmware.capture.camera_output import TICKS_PER_S, AccessUnit, pts_90k_of
from tests.bench.peers.film_camera import FilmCamera
from tests.bench.peers.speaking import obey

HISTORY_PACKETS = 2048
"""As Doorward's; its own would be 512."""
PAYLOAD_BYTES = 1200
GATHER_S = 5.0
OLD_KEY_S = 0.4
"""As firmware.live has it, which needs more than the peers' environment has."""


class LibdatachannelSender:
    """Implements `tests.bench.peers.speaking.Sender`."""

    def __init__(self, camera: FilmCamera) -> None:
        self._camera = camera
        self._viewers: list[_Viewing] = []
        self._gop: list[AccessUnit] = []
        self._lock = threading.Lock()
        camera.start(self._hand_on)

    def answer(self, offer: str) -> str:
        self._ask_if_old()
        peer = PeerConnection(Configuration())
        has_gathered = threading.Event()
        peer.on_gathering_state_change(
            lambda state: state == PeerConnection.GatheringState.Complete and has_gathered.set()
        )
        track = peer.add_track(_video(offer))
        track.set_media_handler(_media_handler(track, self._camera))
        viewing = _Viewing(peer, track)
        track.on_open(lambda: self._begin(viewing))
        peer.set_remote_description(Description(offer, Description.Type.Offer))
        if not has_gathered.wait(GATHER_S):
            raise RuntimeError("libdatachannel gathered no candidates")
        with self._lock:
            self._viewers.append(viewing)
        return str(peer.local_description())

    def leave(self) -> None:
        with self._lock:
            leaving, self._viewers = self._viewers, []
        for viewing in leaving:
            viewing.track.reset_callbacks()
            viewing.peer.reset_callbacks()
            viewing.peer.close()

    def _ask_if_old(self) -> None:
        """Ask for a key frame while it connects, if the kept one is old, as Doorward does."""
        with self._lock:
            begun_90k = self._gop[0].pts_90k if self._gop else 0
        if pts_90k_of(time.monotonic_ns()) - begun_90k > OLD_KEY_S * TICKS_PER_S:
            self._camera.request_key_frame()

    def _begin(self, viewing: "_Viewing") -> None:
        """Send the kept GOP at once, and what follows once it is through."""
        with self._lock:
            for unit in self._gop:
                viewing.send(unit)
            viewing.has_begun = True

    def _hand_on(self, unit: AccessUnit) -> None:
        with self._lock:
            if unit.is_key:
                self._gop = []
            self._gop.append(unit)
            for viewing in self._viewers:
                if viewing.has_begun:
                    viewing.send(unit)


@dataclass(slots=True)
class _Viewing:
    """One viewer; it is sent nothing before the kept GOP."""

    peer: PeerConnection
    track: Track
    has_begun: bool = False

    def send(self, unit: AccessUnit) -> None:
        """Send a picture, unless its viewer leaves at this moment."""
        if self.track.is_open():
            with contextlib.suppress(RuntimeError):
                self.track.send_frame(unit.data, FrameInfo(unit.pts_90k & 0xFFFFFFFF))


def _video(offer: str) -> Description.Video:
    video = Description.Video(_mid_of_video(offer), Description.Direction.SendOnly)
    payload_type, profile = _h264_of(offer)
    video.add_h264_codec(payload_type, profile)
    video.add_ssrc(random.getrandbits(32), "film", "film", "film-video")
    return video


def _media_handler(track: Track, camera: FilmCamera) -> H264RtpPacketizer:
    media = track.description()
    (ssrc,) = media.get_ssrcs()
    (payload_type,) = media.payload_types()
    rtp = RtpPacketizationConfig(ssrc, "film", payload_type, TICKS_PER_S)
    packetizer = H264RtpPacketizer(NalUnit.Separator.StartSequence, rtp, PAYLOAD_BYTES)
    packetizer.add_to_chain(RtcpSrReporter(rtp))
    packetizer.add_to_chain(RtcpNackResponder(HISTORY_PACKETS))
    packetizer.add_to_chain(PliHandler(camera.request_key_frame))
    return packetizer


def _mid_of_video(offer: str) -> str:
    found = re.search(r"^m=video .*?^a=mid:(\S+)", offer, re.MULTILINE | re.DOTALL)
    if found is None:
        raise ValueError("the offer has no video")
    return found[1]


def _h264_of(offer: str) -> tuple[int, str]:
    """Return payload type and format of the first H.264 that may be sent in fragments."""
    for payload_type in re.findall(r"^a=rtpmap:(\d+) H264/90000", offer, re.MULTILINE):
        found = re.search(rf"^a=fmtp:{payload_type} (\S+)", offer, re.MULTILINE)
        if found is not None and "packetization-mode=1" in found[1]:
            return int(payload_type), found[1]
    raise ValueError("the offer has no H.264 in packetization mode 1")


def main() -> None:
    camera = FilmCamera(Path(sys.argv[1]))
    obey(LibdatachannelSender(camera), camera)
    camera.stop()


if __name__ == "__main__":
    main()
