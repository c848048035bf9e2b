"""Carries an owner's offer to a doorbell and its answer back. Nothing is kept."""

from typing import Protocol

from firmware.protocol.commands import (
    Answer,
    CloseSession,
    IceServer,
    Offer,
    ReplyBody,
)
from firmware.protocol.sdp import check_offer
from relay.clock import Clock
from relay.errors import RelayError

ANSWER_TIMEOUT_S = 10.0
CLOSE_LIFE_MS = 60_000


class OfferRefused(RelayError):
    """The doorbell said no; the text is its reason."""


class Commands(Protocol):
    """What signalling needs of the way down to doorbells."""

    async def send(self, device: str, body: CloseSession, expires_ms: int) -> str:
        """Keep a command and repeat it until it is answered; return its id."""
        ...

    async def ask(self, device: str, body: Offer, timeout_s: float) -> ReplyBody:
        """Send a command and wait for its reply, or raise CommandUnanswered."""
        ...


class Signalling:
    """Opens and closes sessions of live view."""

    def __init__(
        self, commands: Commands, clock: Clock, ice_servers: tuple[IceServer, ...] = ()
    ) -> None:
        self._commands = commands
        self._clock = clock
        self._ice_servers = list(ice_servers)

    @property
    def ice_servers(self) -> list[IceServer]:
        """STUN and TURN servers for both sides."""
        return self._ice_servers

    async def offer(self, device: str, session_id: str, sdp: str) -> str:
        """Return the doorbell's SDP answer.

        Raises WireError for a bad offer, OfferRefused, or CommandUnanswered.
        """
        check_offer(sdp)
        body = Offer(session_id=session_id, sdp=sdp, ice_servers=self._ice_servers)
        reply = await self._commands.ask(device, body, ANSWER_TIMEOUT_S)
        if isinstance(reply, Answer) and reply.session_id == session_id:
            return reply.sdp
        detail = getattr(reply, "detail", "the doorbell answered something else")
        raise OfferRefused(detail)

    async def close(self, device: str, session_id: str) -> None:
        """Tell the doorbell that the viewer left."""
        body = CloseSession(session_id=session_id)
        await self._commands.send(device, body, self._clock.wall_ms() + CLOSE_LIFE_MS)
