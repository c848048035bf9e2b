"""What a visit is made of: its connection, as a visit sees it, and what all visits use.

Shapes only; what a visit does with them is in visit.py. No aiortc here: peer.py.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from firmware.live.asked_channel import AskedDesk
from firmware.live.data_channel import Channel
from firmware.live.feed import ClipShelf
from firmware.live.ice_servers import UsedServer
from firmware.live.quality import LiveSources
from firmware.live.rtp_sender import Viewer
from firmware.live.sdp_answer import AnswerSigner
from firmware.live.sdp_offer import Candidate, TakenOffer
from firmware.live.signature_checks import Who
from firmware.live.stream_source import Source
from firmware.live.voice import LiveSound
from firmware.sound.opus import OpusFeed


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


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerEvents:
    """What a connection tells its visit, on the loop."""

    connected: Callable[[], None]
    ended: Callable[[], None]
    channel: Callable[[str, Channel], bool]
    """A data channel was opened: False if nobody wants it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerSound:
    """The sound of one connection; `opus` is None where live view carries none."""

    opus: OpusFeed | None
    is_talking: Callable[[], bool]
    hear: Callable[[bytes], object]


MakePeer = Callable[[Sequence[UsedServer], Source, PeerEvents, PeerSound | None], VisitPeer]
"""Returns a connection that isn't connected yet, or raises ValueError: no such ICE server."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VisitParts:
    """What every visit uses of the doorbell."""

    make_peer: MakePeer
    sources: LiveSources
    idle: Source
    sound: LiveSound | None
    shelf: ClipShelf
    signer: AnswerSigner
    may_watch: Callable[[str], Who]
    """Raises LiveError if a browser may watch no more."""
    asked: Callable[[], AskedDesk | None]
    """What waits for an owner's word; None: that can't be asked here."""
    wall_ms: Callable[[], int]
    monotonic_s: Callable[[], float]
    session_s: float
    connect_s: float
