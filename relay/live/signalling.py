"""Live view's signalling: carries browsers' signed documents to doorbells, and answers back.

What is signed passes as it came: the doorbell judges it, and a browser judges the answer, so that
a relay can refuse and delay, and change nothing. Nothing is kept: an SDP holds addresses.
"""

from typing import Protocol

from firmware.protocol.commands import (
    Accepted,
    Answer,
    Candidates,
    CloseSession,
    CommandBody,
    LiveNonce,
    NonceWanted,
    Offer,
    Refused,
    ReplyBody,
    SealedOrder,
)
from firmware.protocol.live import SignedLive
from relay.base.allowances import Allowances, Rate
from relay.base.clock import Clock
from relay.errors import RelayError
from relay.live.ice import Ice, IceServers

ANSWER_TIMEOUT_S = 10.0
CLOSE_LIFE_MS = 60_000

JOINING = Rate(at_once=30, each_s=1.0)
"""Of nonces, offers and credentials: a page that is opened again and again stays below it."""
TRICKLING = Rate(at_once=64, each_s=0.5)
ORDERING = Rate(at_once=10, each_s=3.0)


class LiveRefused(RelayError):
    """The doorbell refused; `reason` is its reply's word, the text its sentence."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


class Commands(Protocol):
    """The operations on commands to doorbells that signalling needs."""

    async def send(self, device: str, body: CommandBody, expires_ms: int) -> str:
        """Keep a command and repeat it until it is answered; return its id."""
        ...

    async def ask(self, device: str, body: CommandBody, timeout_s: float) -> ReplyBody:
        """Send a command, keeping nothing, and wait for its reply, or raise CommandUnanswered."""
        ...


class Signalling:
    """Opens and closes live sessions for accounts that follow the doorbell.

    Each method raises RateExceeded, and all but `ice` and `close` LiveRefused or
    CommandUnanswered.
    """

    def __init__(self, commands: Commands, clock: Clock, ice: IceServers) -> None:
        self._commands = commands
        self._clock = clock
        self._ice = ice
        self._allowances = Allowances(clock)

    def ice(self, *, account: str) -> Ice:
        """Return STUN and TURN servers with credentials for one browser's session."""
        self._allowances.take(f"ice {account}", JOINING)
        return self._ice.fresh(f"browsers of {account}")

    async def nonce(self, device: str, *, account: str) -> str:
        """Return a nonce from the doorbell for a browser's next signed document."""
        self._allowances.take(f"nonce {account}", JOINING)
        reply = await self._asked(device, NonceWanted())
        if not isinstance(reply, LiveNonce):
            raise _refusal(reply)
        return reply.nonce

    async def offer(
        self, device: str, session_id: str, signed: SignedLive, *, account: str
    ) -> SignedLive:
        """Return the doorbell's signed answer to a signed offer."""
        self._allowances.take(f"offer {account}", JOINING)
        servers = self._ice.fresh(f"doorbells for {account}").servers  # counted by themselves
        body = Offer(session_id=session_id, signed=signed, ice_servers=servers)
        reply = await self._asked(device, body)
        if not isinstance(reply, Answer) or reply.session_id != session_id:
            raise _refusal(reply)
        return reply.signed

    async def candidates(
        self, device: str, session_id: str, signed: SignedLive, *, account: str
    ) -> None:
        """Send the doorbell more of a browser's ICE candidates."""
        self._allowances.take(f"candidates {account}", TRICKLING)
        await self._accepted(device, Candidates(session_id=session_id, signed=signed))

    async def order(self, device: str, sealed: str, *, account: str) -> None:
        """Send the doorbell a browser's sealed order."""
        self._allowances.take(f"order {account}", ORDERING)
        await self._accepted(device, SealedOrder(sealed=sealed))

    async def close(self, device: str, session_id: str, *, account: str) -> None:
        """End the session at the doorbell."""
        self._allowances.take(f"close {account}", JOINING)
        body = CloseSession(session_id=session_id)
        await self._commands.send(device, body, self._clock.wall_ms() + CLOSE_LIFE_MS)

    async def _accepted(self, device: str, body: CommandBody) -> None:
        reply = await self._asked(device, body)
        if not isinstance(reply, Accepted):
            raise _refusal(reply)

    async def _asked(self, device: str, body: CommandBody) -> ReplyBody:
        return await self._commands.ask(device, body, ANSWER_TIMEOUT_S)


def _refusal(reply: ReplyBody) -> LiveRefused:
    if isinstance(reply, Refused):
        return LiveRefused(reply.reason, reply.detail)
    return LiveRefused("refused", "the doorbell answered something else; is it up to date?")
