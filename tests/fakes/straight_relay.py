"""A relay between a player's gateway and a porch, without HTTP: honest, or what a test makes it."""

from collections.abc import Callable
from dataclasses import dataclass, field

from firmware.companion.viewer.errors import RelayRefused
from firmware.companion.viewer.relay_client import Ice, IceServer
from firmware.protocol.commands import (
    Answer,
    Candidates,
    CloseSession,
    LiveNonce,
    NonceWanted,
    Offer,
    Refused,
    ReplyBody,
)
from firmware.protocol.live import SignedLive
from tests.fakes.porch import Porch, as_it_is


@dataclass
class StraightRelay:
    """Carries what the gateway signs to the porch, and its answer back."""

    here: Porch
    carry: Callable[[SignedLive], SignedLive] = as_it_is
    """What it makes of an offer on its way."""
    bring: Callable[[SignedLive], SignedLive] = as_it_is
    """What it makes of an answer on its way back."""
    nonces: list[str] = field(default_factory=list)
    """Given out before any of the doorbell's."""
    offered: list[SignedLive] = field(default_factory=list)
    trickled: list[SignedLive] = field(default_factory=list)
    closed: list[str] = field(default_factory=list)

    async def nonce(self) -> str:
        if self.nonces:
            return self.nonces.pop(0)
        reply = _accepted(await self.here.viewing.on_command(NonceWanted()))
        assert isinstance(reply, LiveNonce)
        return reply.nonce

    async def ice(self) -> Ice:
        return Ice(ice_servers=[IceServer(urls=["stun:stun.test:3478"])], reach="stun_only")

    async def offer(self, session_id: str, signed: SignedLive) -> SignedLive:
        self.offered.append(signed)
        body = Offer(session_id=session_id, signed=self.carry(signed), ice_servers=[])
        reply = _accepted(await self.here.viewing.on_command(body))
        assert isinstance(reply, Answer)
        return self.bring(reply.signed)

    async def candidates(self, session_id: str, signed: SignedLive) -> None:
        self.trickled.append(signed)
        body = Candidates(session_id=session_id, signed=signed)
        _accepted(await self.here.viewing.on_command(body))

    async def close(self, session_id: str) -> None:
        self.closed.append(session_id)
        await self.here.viewing.on_command(CloseSession(session_id=session_id))


def _accepted(reply: ReplyBody) -> ReplyBody:
    if isinstance(reply, Refused):
        raise RelayRefused(reply.reason, reply.detail)
    return reply
