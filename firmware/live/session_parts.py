"""What a visit is made of: its connection, as a visit sees it, and the visit, as that sees it.

Shapes only; what a visit does with them is in visit.py. No aiortc here: peer.py.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from firmware.live.data_channel import Channel
from firmware.live.ice_servers import UsedServer
from firmware.live.rtp_sender import Viewer
from firmware.live.sdp_offer import Candidate, TakenOffer
from firmware.live.signature_checks import CheckedOffer
from firmware.live.stream_source import Source
from firmware.protocol.live import SignedLive
from firmware.sound.opus import OpusFeed

SESSION_S = 600.0
CONNECT_S = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveLimits:
    """How many may watch, and for how long."""

    max_viewers: int
    session_s: float = SESSION_S
    """Unless it is renewed."""
    connect_s: float = CONNECT_S
    private_ice_hosts: tuple[str, ...] = ()
    """STUN and TURN servers that may lie in the owner's own network."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VisitRequest:
    """A checked offer: what was signed, what its SDP says, and the ICE servers to be used."""

    checked: CheckedOffer
    signed: SignedLive
    offer: TakenOffer
    servers: Sequence[UsedServer]


class VisitPeer(Protocol):
    """The connection, as `firmware.live.peer.Peer`."""

    @property
    def viewer(self) -> Viewer:
        """Whom its pictures are sent to."""
        ...

    async def answer(self, offer: TakenOffer) -> str:
        """Return the SDP of our answer."""
        ...

    def add_candidates(self, candidates: Sequence[Candidate], *, is_last: bool) -> None:
        """Let ICE try these as well."""
        ...

    def listen(self, is_on: bool) -> None:
        """Begin or end to send the microphone's sound, or raise LiveError."""
        ...

    async def close(self) -> None:
        """End it and all that was begun for it."""
        ...


class ConnectedVisit(Protocol):
    """What a connection belongs to (`firmware.live.session.Visit`); all on the loop."""

    def on_connected(self) -> None:
        """Media and data channels can be sent from now on."""
        ...

    def end(self) -> None:
        """The connection is gone, or can't be used any more."""
        ...

    def open_channel(self, label: str, channel: Channel) -> bool:
        """Take a data channel that was opened; False if it isn't wanted."""
        ...


class PeerSound(Protocol):
    """The sound of one connection (`firmware.live.voice.Voice`)."""

    @property
    def opus(self) -> OpusFeed | None:
        """What may be heard of the door; None where live view carries no sound."""
        ...

    @property
    def is_talking(self) -> bool:
        """Whether this viewer is heard at the door."""
        ...

    def hear(self, frame: bytes) -> None:
        """Take 20 ms of what the viewer says."""
        ...


class PeerMaker(Protocol):
    """Makes the connections of visits."""

    def make(
        self,
        servers: Sequence[UsedServer],
        source: Source,
        visit: ConnectedVisit,
        sound: PeerSound | None,
    ) -> VisitPeer:
        """Return one that isn't connected yet; ValueError if an ICE server isn't one."""
        ...
