"""Live view sessions: an owner's offer in, an answer out, access units as they come.

The only importer of aiortc and aioice, and the one place where they are bent:
`_tune_aiortc` (a history long enough for a key frame; 127.0.0.1 where there is no other
address) and `_hear_picture_loss` (PLI and FIR reach the camera). Access units are packed, never
decoded. A session ends when its viewer leaves or falls silent, after `session_s`, or by
`close`; whatever ends it, nothing of it stays.
"""

import asyncio
import fractions
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from aioice import ice
from aiortc import (
    MediaStreamTrack,
    RTCBundlePolicy,
    RTCConfiguration,
    RTCDataChannel,
    RTCIceServer,
    RTCPeerConnection,
    RTCRtpSender,
    RTCRtpTransceiver,
    RTCSessionDescription,
    rtcrtpsender,
)
from aiortc.mediastreams import MediaStreamError
from aiortc.rtcrtpparameters import RTCRtpCodecCapability
from av import Packet

from firmware.live.clip_channel import ClipChannel
from firmware.live.errors import LiveError
from firmware.live.feed import ClipShelf, UnitFeed, UnitStream
from firmware.live.keyframes import KeyFrameGate
from firmware.protocol.commands import IceServer
from firmware.protocol.encoding import WireError
from firmware.protocol.sdp import check_offer, without_mdns_candidates

logger = logging.getLogger(__name__)

MAX_VIEWERS = 4
SESSION_S = 600.0
CONNECT_S = 30.0
ANSWER_S = 10.0
CLOSE_S = 10.0
MAX_QUEUED_UNITS = 60
CLIPS_LABEL = "clips"
RTP_HISTORY_PACKETS = 2048
"""A power of two, so that sequence numbers wrap cleanly; one 1080p key frame is about 130."""
TIME_BASE = fractions.Fraction(1, 90_000)

_stock_host_addresses = ice.get_host_addresses


def _host_addresses_or_loopback(use_ipv4: bool, use_ipv6: bool) -> list[str]:
    addresses = _stock_host_addresses(use_ipv4, use_ipv6)
    return addresses or (["127.0.0.1"] if use_ipv4 else [])


def _tune_aiortc() -> None:
    """Set what aiortc and aioice offer no parameter for; doing so twice changes nothing."""
    rtcrtpsender.RTP_HISTORY_SIZE = RTP_HISTORY_PACKETS  # type: ignore[attr-defined]
    ice.get_host_addresses = _host_addresses_or_loopback


def _hear_picture_loss(sender: RTCRtpSender, gate: KeyFrameGate) -> None:
    """Send PLI and FIR to the camera: aiortc only tells its own encoder, which is not used."""
    sender._send_keyframe = gate.ask  # type: ignore[method-assign]  # no public hook exists


class UnitTrack(MediaStreamTrack):
    """One viewer's video: hands access units to aiortc as they are, from a key frame on.

    It subscribes when the sender first asks, so that nothing queues up while ICE connects.
    """

    kind = "video"

    def __init__(self, feed: UnitFeed, gate: KeyFrameGate) -> None:
        super().__init__()
        self._feed = feed
        self._gate = gate
        self._units: UnitStream | None = None
        self._dropped_units = 0

    async def recv(self) -> "Packet[Any]":  # Any: the kind of stream, which no one asks for
        """Return the next access unit; its bytes are not copied."""
        try:
            unit = await anext(self._subscribed())
        except StopAsyncIteration as end:
            self.stop()
            raise MediaStreamError from end
        packet = Packet(unit.data)
        packet.pts = unit.pts_90k
        packet.time_base = TIME_BASE
        return packet

    def stop(self) -> None:
        """End the subscription and the track."""
        if self._units is not None:
            self._units.close()
        super().stop()

    def _subscribed(self) -> UnitStream:
        if self._units is None:
            self._units = self._feed.subscribe("live", max_units=MAX_QUEUED_UNITS)
            self._gate.ask()
        if self._units.dropped_units != self._dropped_units:
            self._dropped_units = self._units.dropped_units
            self._gate.ask()
        return self._units


@dataclass(slots=True)
class _Session:
    """One viewer, from the offer to the end."""

    id: str
    offer_sdp: str
    peer: RTCPeerConnection
    track: UnitTrack
    clips: ClipChannel
    answer: asyncio.Task[str] = field(init=False)
    life: asyncio.Task[None] = field(init=False)
    connected: asyncio.Event = field(default_factory=asyncio.Event)
    ended: asyncio.Event = field(default_factory=asyncio.Event)


class LiveSessions:
    """All viewers of this doorbell. `answer` is idempotent for one session id and offer."""

    def __init__(
        self,
        feed: UnitFeed,
        shelf: ClipShelf,
        *,
        request_key_frame: Callable[[], None],
        max_viewers: int = MAX_VIEWERS,
        session_s: float = SESSION_S,
        connect_s: float = CONNECT_S,
    ) -> None:
        _tune_aiortc()
        self._feed = feed
        self._shelf = shelf
        self._max_viewers = max_viewers
        self._session_s = session_s
        self._connect_s = connect_s
        self._gate = KeyFrameGate(request_key_frame)
        self._sessions: dict[str, _Session] = {}

    @property
    def viewers(self) -> int:
        """How many sessions are open or opening."""
        return len(self._sessions)

    async def answer(
        self, session_id: str, offer_sdp: str, ice_servers: Sequence[IceServer] = ()
    ) -> str:
        """Open a session and return the SDP answer, or raise LiveError with a reason."""
        try:
            check_offer(offer_sdp)
        except WireError as error:
            raise LiveError("bad_offer", str(error)) from error
        session = self._sessions.get(session_id)
        if session is None:
            session = self._open(session_id, offer_sdp, ice_servers)
        elif session.offer_sdp != offer_sdp:
            raise LiveError("session_in_use", "this session has another offer; take a new id")
        return await self._answer_of(session)

    async def close(self, session_id: str) -> None:
        """End a session; one that is not there is already ended."""
        session = self._sessions.get(session_id)
        if session is not None:
            session.ended.set()
            await asyncio.wait([session.life])

    async def aclose(self) -> None:
        """End all sessions."""
        self._gate.stop()
        for session_id in list(self._sessions):
            await self.close(session_id)

    def _open(self, session_id: str, offer_sdp: str, servers: Sequence[IceServer]) -> _Session:
        if len(self._sessions) >= self._max_viewers:
            detail = f"{self._max_viewers} are watching already; close one and try again"
            raise LiveError("too_many_viewers", detail)
        session = _Session(
            id=session_id,
            offer_sdp=offer_sdp,
            peer=_peer(servers),
            track=UnitTrack(self._feed, self._gate),
            clips=ClipChannel(self._shelf),
        )
        self._sessions[session_id] = session
        session.answer = asyncio.create_task(self._negotiate(session), name="live answer")
        session.life = asyncio.create_task(self._live(session), name="live session")
        return session

    async def _answer_of(self, session: _Session) -> str:
        """Wait for the session's answer; when it fails, return only after all is cleared away."""
        await asyncio.wait([session.answer])
        if session.answer.cancelled():
            raise LiveError("closed", "the session was closed before it was answered")
        try:
            return session.answer.result()
        except LiveError:
            await self.close(session.id)
            raise

    async def _negotiate(self, session: _Session) -> str:
        """Answer the offer within ANSWER_S; whatever is wrong with it ends the session."""
        try:
            async with asyncio.timeout(ANSWER_S):
                return await self._answer(session)
        except LiveError:
            session.ended.set()
            raise
        except TimeoutError as error:
            session.ended.set()
            raise LiveError("timeout", "no answer in time; are the ICE servers well?") from error
        except Exception as error:
            # The text comes from outside and aiortc's parser raises nearly anything.
            logger.info("an offer could not be taken: %r", error)
            session.ended.set()
            raise LiveError("bad_offer", "the offer's SDP could not be understood") from error

    async def _answer(self, session: _Session) -> str:
        peer = session.peer
        transceiver = peer.addTransceiver(session.track, direction="sendonly")
        # Before setRemoteDescription: later, VP8 would be answered and H.264 packed as VP8.
        transceiver.setCodecPreferences(_h264_codecs())
        _hear_picture_loss(transceiver.sender, self._gate)
        self._listen(session)
        offer = RTCSessionDescription(sdp=without_mdns_candidates(session.offer_sdp), type="offer")
        await peer.setRemoteDescription(offer)
        _refuse_uplink(peer, transceiver)
        await peer.setLocalDescription(await peer.createAnswer())
        if transceiver.currentDirection != "sendonly":
            raise LiveError("bad_offer", "the offer doesn't receive video (recvonly)")
        return peer.localDescription.sdp

    def _listen(self, session: _Session) -> None:
        peer = session.peer

        def on_state() -> None:
            if peer.connectionState == "connected":
                session.connected.set()
            elif peer.connectionState in ("failed", "closed"):
                session.ended.set()

        def on_channel(channel: RTCDataChannel) -> None:
            if channel.label != CLIPS_LABEL or not session.clips.attach(channel):
                channel.close()

        session.track.on("ended", session.ended.set)
        peer.on("connectionstatechange", on_state)
        peer.on("datachannel", on_channel)

    async def _live(self, session: _Session) -> None:
        """Supervise one session: connect in time, serve, and leave nothing behind."""
        try:
            async with asyncio.timeout(self._connect_s):
                await _first(session.connected, session.ended)
            async with asyncio.timeout(self._session_s):
                await self._serve(session)
        except TimeoutError:
            logger.info("live session ended: its time is over")
        except Exception:
            logger.exception("live session ended by a fault")
        finally:
            await self._clear(session)

    async def _clear(self, session: _Session) -> None:
        session.answer.cancel()
        session.track.stop()
        try:
            async with asyncio.timeout(CLOSE_S):
                await session.peer.close()
        except TimeoutError:
            logger.warning("a peer connection could not be closed in %s s", CLOSE_S)
        finally:
            del self._sessions[session.id]

    async def _serve(self, session: _Session) -> None:
        async with asyncio.TaskGroup() as group:
            clips = group.create_task(session.clips.serve(), name="live clips")
            await session.ended.wait()
            clips.cancel()


def _peer(servers: Sequence[IceServer]) -> RTCPeerConnection:
    ice_servers = [
        RTCIceServer(
            urls=list(server.urls),
            username=server.username or None,
            credential=server.credential or None,
        )
        for server in servers
    ]
    # An empty list, not None: None would ask a public STUN server.
    return RTCPeerConnection(
        RTCConfiguration(iceServers=ice_servers, bundlePolicy=RTCBundlePolicy.MAX_BUNDLE)
    )


def _h264_codecs() -> list[RTCRtpCodecCapability]:
    codecs = RTCRtpSender.getCapabilities("video").codecs
    return [codec for codec in codecs if codec.mimeType.lower() in ("video/h264", "video/rtx")]


def _refuse_uplink(peer: RTCPeerConnection, ours: RTCRtpTransceiver) -> None:
    """Take no sound or picture from the viewer: nobody would read it and memory would fill."""
    for transceiver in peer.getTransceivers():
        if transceiver is not ours:
            transceiver.direction = "inactive"


async def _first(*events: asyncio.Event) -> None:
    """Wait until one of the events is set."""
    waits = [asyncio.create_task(event.wait()) for event in events]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
