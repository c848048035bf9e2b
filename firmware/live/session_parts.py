"""The interfaces between a live session and its peer connection.

Protocols only; session.py uses them. No aiortc here: peer.py.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from firmware.live.data_channel import Channel
from firmware.live.ice_servers import UsedServer
from firmware.live.rtp_sender import RtpSender
from firmware.live.sdp_offer import Candidate, ParsedOffer
from firmware.live.signature_checks import CheckedOffer
from firmware.live.stream_source import StreamSource
from firmware.protocol.live import SignedLive
from firmware.sound.opus import OpusFeed

SESSION_S = 600.0
RECORDER_S = 24 * 3600.0
CONNECT_S = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveLimits:
    """The limits of live view: number of viewers, session times."""

    max_viewers: int
    max_listeners: int = 4
    """Players that are sent what happens at the door, or copy recordings: they see nothing live."""
    session_s: float = SESSION_S
    """Unless it is renewed."""
    recorder_s: float = RECORDER_S
    """Of a player with the right to record all the time."""
    connect_s: float = CONNECT_S
    private_ice_hosts: tuple[str, ...] = ()
    """STUN and TURN servers that may lie in the owner's own network."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VisitRequest:
    """A checked offer: what was signed, what its SDP says, and the ICE servers to be used."""

    checked: CheckedOffer
    signed: SignedLive
    offer: ParsedOffer
    servers: Sequence[UsedServer]


class SessionPeer(Protocol):
    """The connection, as `firmware.live.peer.Peer`."""

    @property
    def viewer(self) -> RtpSender:
        """The RTP sender of its video."""
        ...

    async def answer(self, offer: ParsedOffer) -> str:
        """Return the SDP of our answer."""
        ...

    def add_candidates(self, candidates: Sequence[Candidate], *, is_last: bool) -> None:
        """Add remote candidates to ICE."""
        ...

    def listen(self, is_on: bool) -> None:
        """Begin or end to send the microphone's sound, or raise LiveError."""
        ...

    async def close(self) -> None:
        """End it and all that was begun for it."""
        ...


class ConnectedVisit(Protocol):
    """The session of a connection (`firmware.live.session.LiveSession`); all on the loop."""

    def on_connected(self) -> None:
        """Called once when media and data channels can be sent."""
        ...

    def end(self) -> None:
        """Called when the connection is gone, or can't be used any more."""
        ...

    def open_channel(self, label: str, channel: Channel) -> bool:
        """Attach a data channel that was opened; False if it is refused."""
        ...


class PeerSound(Protocol):
    """The sound of one connection (`firmware.live.voice.SessionVoice`)."""

    @property
    def opus(self) -> OpusFeed | None:
        """The door's sound as Opus; None where live view carries no sound."""
        ...

    @property
    def is_talking(self) -> bool:
        """Whether this viewer talks: their voice is played at the door."""
        ...

    def play(self, frame: bytes) -> None:
        """Play 20 ms of the viewer's voice."""
        ...


class PeerMaker(Protocol):
    """The factory of live sessions' connections."""

    def make(
        self,
        servers: Sequence[UsedServer],
        source: StreamSource,
        visit: ConnectedVisit,
        sound: PeerSound | None,
        *,
        has_video: bool,
    ) -> SessionPeer:
        """Return a connection that isn't connected yet; ValueError if an ICE server isn't one."""
        ...
