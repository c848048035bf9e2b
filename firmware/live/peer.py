"""A session's peer connection: an offer in, an answer out, candidates as they trickle.

With aiortc_sender.py, audio_tracks.py and *_edge.py, all that imports aiortc and aioice. It takes a
third of a second on a fast machine to import, so nothing that the bell needs does (session.py).

ICE gets the viewer's candidates apart from its offer: what has an address at once, and `.local`
names when somebody answers for them, which holds nothing up.
"""

import asyncio
import logging
import random
from collections.abc import Coroutine, Iterable, Sequence
from typing import Any

from aiortc import (
    MediaStreamTrack,
    RTCBundlePolicy,
    RTCConfiguration,
    RTCDataChannel,
    RTCIceCandidate,
    RTCIceServer,
    RTCPeerConnection,
    RTCRtpSender,
    RTCSessionDescription,
)
from aiortc.rtcrtpparameters import RTCRtpCodecCapability

from firmware.live.aiortc_sender import attach
from firmware.live.audio_tracks import MicrophoneTrack, read_voice, stamp_by_capture
from firmware.live.dtls_edge import tune_dtls
from firmware.live.errors import LiveError
from firmware.live.ice_edge import check_turn_by_name, tune_ice
from firmware.live.ice_servers import UsedServer
from firmware.live.rtp_sender import RtpSender
from firmware.live.sctp_edge import bound_incoming
from firmware.live.sdp_offer import MAX_SESSION_CANDIDATES, Candidate, ParsedOffer
from firmware.live.session_parts import ConnectedVisit, PeerSound
from firmware.live.stream_source import StreamSource
from firmware.system.clock import Clock

logger = logging.getLogger(__name__)

END_OF_CANDIDATES_S = 10.0
"""ICE may give up no sooner than this after it was told of the last candidate: the answer still
travels, or a name is unresolved, while the viewer's own checks may come any moment."""


class Peer:
    """One viewer's connection. `answer` once, then `add_candidates` as they come, then `close`."""

    def __init__(
        self,
        servers: Sequence[UsedServer],
        source: StreamSource,
        visit: ConnectedVisit,
        *,
        sound: PeerSound | None,
        has_video: bool = True,
        clock: Clock,
        random_source: random.Random,
    ) -> None:
        """Without `has_video` only data channels. ValueError if an ICE server isn't one."""
        tune_ice()
        tune_dtls()
        self._connection = _connection(servers)
        self.viewer = RtpSender(source, clock=clock, random_source=random_source)
        self._video = self._add_video(random_source) if has_video else None
        self._names = [server.name for server in servers if server.scheme == "turns"]
        self.viewer.on_end(visit.end)
        self._visit = visit
        self._sound = sound
        self._microphone = MicrophoneTrack(sound.opus) if sound and sound.opus else None
        self._candidate_count = 0
        self._is_bundled = asyncio.Event()
        self._working: set[asyncio.Task[None]] = set()
        self._connection.on("connectionstatechange", self._state_changed)
        self._connection.on("datachannel", self._channel_opened)
        self._connection.on("track", self._track_added)

    async def answer(self, offer: ParsedOffer) -> str:
        """Return the answer's SDP, with all our candidates; anything may be wrong with an offer."""
        connection = self._connection
        self.viewer.expect()
        audio = self._add_audio() if offer.has_audio else None
        await connection.setRemoteDescription(RTCSessionDescription(sdp=offer.sdp, type="offer"))
        if connection.sctp is not None:
            bound_incoming(connection.sctp, self._visit.end)
        for transceiver in connection.getTransceivers():
            if transceiver not in (self._video, audio):
                # Nobody would read what the viewer sends, and memory would fill.
                transceiver.direction = "inactive"
        for transport in self._ice_transports():
            check_turn_by_name(transport, self._names)
        await connection.setLocalDescription(await connection.createAnswer())
        if self._video is not None and self._video.currentDirection != "sendonly":
            raise LiveError("bad_offer", "the offer doesn't receive video (recvonly)")
        self.add_candidates(offer.candidates, is_last=offer.is_complete)
        self._is_bundled.set()
        return str(connection.localDescription.sdp)

    def add_candidates(self, candidates: Sequence[Candidate], *, is_last: bool) -> None:
        """Add remote candidates to ICE; names are resolved in the background."""
        self._candidate_count += len(candidates)
        if self._candidate_count > MAX_SESSION_CANDIDATES:
            detail = f"more than {MAX_SESSION_CANDIDATES} candidates in one session"
            raise LiveError("bad_form", detail)
        for candidate in candidates:
            self._work(self._add_candidate(candidate), "live candidate")
        if is_last:
            self._work(self._end_candidates(), "live end of candidates")

    def listen(self, is_on: bool) -> None:
        """Begin or end to send the microphone's sound, or raise LiveError."""
        if self._microphone is None:
            raise LiveError("no_sound", "live view carries no sound here; see [sound]")
        self._microphone.listen(is_on)

    async def close(self) -> None:
        """End the connection and all that was begun for it."""
        for task in self._working:
            task.cancel()
        if self._microphone is not None:
            self._microphone.stop()
        self.viewer.close()
        await self._connection.close()

    def _add_video(self, random_source: random.Random) -> Any:  # Any: aiortc's transceiver
        video = self._connection.addTransceiver("video", direction="sendonly")
        # Before setRemoteDescription: later, VP8 would be answered and H.264 packed as VP8.
        video.setCodecPreferences(_codecs("video", "video/h264", "video/rtx"))
        attach(video.sender, self.viewer, random_source=random_source)
        return video

    def _add_audio(self) -> Any:  # Any: aiortc's transceiver, or None
        if self._sound is None:
            return None
        audio = self._connection.addTransceiver(
            self._microphone or "audio", direction="sendrecv" if self._microphone else "recvonly"
        )
        audio.setCodecPreferences(_codecs("audio", "audio/opus"))
        if self._microphone is not None:
            stamp_by_capture(audio.sender, self._microphone)
        return audio

    def _track_added(self, track: MediaStreamTrack) -> None:
        """Read the viewer's audio track, even while it isn't played: it would pile up."""
        if track.kind == "audio" and self._sound is not None:
            voice = read_voice(track, self._sound)
            self._work(voice, "live voice")

    def _state_changed(self) -> None:
        state = self._connection.connectionState
        if state == "connected":
            self._visit.on_connected()
        elif state in ("failed", "closed"):
            self._visit.end()

    def _channel_opened(self, channel: RTCDataChannel) -> None:
        if not self._visit.open_channel(channel.label, channel):
            channel.close()

    def _work(self, work: Coroutine[Any, Any, None], name: str) -> None:  # Any: not used
        task = asyncio.create_task(work, name=name)
        self._working.add(task)
        task.add_done_callback(self._working.discard)

    async def _add_candidate(self, candidate: Candidate) -> None:
        """Give one candidate to ICE; aioice asks once for a name, and waits a second at most."""
        await self._is_bundled.wait()  # until then there are transports that will be thrown away
        try:
            for transport in self._ice_transports():
                await transport.addRemoteCandidate(_ice_candidate(candidate))
        except (OSError, ValueError, RuntimeError) as error:
            # No multicast here, or ICE has ended. A candidate only helps: nothing else breaks.
            logger.info("an ICE candidate was rejected: %r", error)

    async def _end_candidates(self) -> None:
        await asyncio.sleep(END_OF_CANDIDATES_S)
        for transport in self._ice_transports():
            await transport.addRemoteCandidate(None)

    def _ice_transports(self) -> Iterable[Any]:  # Any: aiortc's RTCIceTransport, once each
        transports = [one.receiver.transport for one in self._connection.getTransceivers()]
        if self._connection.sctp is not None:
            transports.append(self._connection.sctp.transport)
        return dict.fromkeys(one.transport for one in transports)


def _connection(servers: Sequence[UsedServer]) -> RTCPeerConnection:
    ice_servers = [
        RTCIceServer(
            urls=[server.url],
            username=server.username or None,
            credential=server.credential or None,
        )
        for server in servers
    ]
    # An empty list, not None: None would ask a public STUN server.
    # Not MAX_BUNDLE: with it aiortc stops the one transport that there is unless our first
    # transceiver is the offer's first section. sdp_offer.py sees to it that all are bundled.
    return RTCPeerConnection(
        RTCConfiguration(iceServers=ice_servers, bundlePolicy=RTCBundlePolicy.BALANCED)
    )


def _ice_candidate(candidate: Candidate) -> RTCIceCandidate:
    return RTCIceCandidate(
        component=1,
        foundation=candidate.foundation,
        ip=candidate.address,
        port=candidate.port,
        priority=candidate.priority,
        protocol="udp",
        type=candidate.type,
    )


def _codecs(kind: str, *names: str) -> list[RTCRtpCodecCapability]:
    codecs = RTCRtpSender.getCapabilities(kind).codecs
    return [codec for codec in codecs if codec.mimeType.lower() in names]
