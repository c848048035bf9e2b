"""What waits for an owner's word, over the data channel "asked" (protocol/asking.py).

Serving only: what a browser may know, and what a confirmation leads to, is decided behind
`AskedDesk` and by the verifier. A browser that may watch no more gets nothing. No aiortc here.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import msgspec

from firmware.live.channel import Channel, ChannelClosed, ChannelEnd, parse_text
from firmware.live.errors import LiveError
from firmware.protocol.asking import (
    CHUNK_BYTES,
    ConfirmWanted,
    HouseholdNow,
    HouseholdWanted,
    PartWanted,
    WaitingNow,
    WaitingWanted,
    Wish,
)
from firmware.protocol.encoding import WireError, sha256_hex
from firmware.protocol.grants import SignedStatement

logger = logging.getLogger(__name__)

_DECODER: msgspec.json.Decoder[Wish] = msgspec.json.Decoder(Wish)


@dataclass(frozen=True, slots=True, kw_only=True)
class NotConfirmed:
    """Why a confirmation wasn't taken; `reason` names the check."""

    reason: str
    detail: str


class AskedDesk(Protocol):
    """The statements that wait, as one enrolled browser may know them."""

    async def waiting(self, browser_id: str) -> WaitingNow:
        """Return what waits of the owner whose browser it is."""
        ...

    async def part(self, browser_id: str, digest: str, number: int) -> bytes | None:
        """Return exactly what would leave of that owner's waiting grant, as MP4."""
        ...

    async def confirm(self, browser_id: str, signed: SignedStatement) -> NotConfirmed | None:
        """Take an approver's word; None: it is taken."""
        ...

    async def household(self, browser_id: str) -> HouseholdNow:
        """Return who lives here."""
        ...


def parse_wish(message: str | bytes) -> Wish:
    """Parse one message of the peer, or raise WireError."""
    return parse_text(_DECODER, message, what="message about what waits")


class AskedChannel:
    """Serves one viewer's data channel until cancelled; nothing that it hears can break it."""

    def __init__(
        self, desk: AskedDesk | None, *, browser: str, may_watch: Callable[[str], object]
    ) -> None:
        """`may_watch` raises LiveError if the browser may watch no more."""
        self._desk = desk
        self._browser = browser
        self._may_watch = may_watch
        self._end = ChannelEnd(lambda: self._say_error("too_many", "wait for the answers"))

    def attach(self, channel: Channel) -> bool:
        """Take the first channel that the peer opens; return False for any further one."""
        return self._end.attach(channel)

    async def serve(self) -> None:
        """Answer messages in order."""
        while True:
            message = await self._end.next()
            try:
                await self._answer(parse_wish(message))
            except WireError as error:
                self._say_error("bad_form", str(error))
            except LiveError as error:
                self._say_error(error.reason, error.detail)
            except ChannelClosed:
                return
            except Exception:  # the supervisor of wishes: the session goes on
                logger.exception("a viewer's wish about what waits failed")
                self._say_error("fault", "the doorbell failed at it; its log says why")

    async def _answer(self, wish: Wish) -> None:
        self._may_watch(self._browser)
        if self._desk is None:
            raise LiveError("not_found", "nothing can be confirmed over this line")
        match wish:
            case WaitingWanted():
                now = await self._desk.waiting(self._browser)
                await self._send("waiting", now.encode())
            case HouseholdWanted():
                household = await self._desk.household(self._browser)
                await self._send("household", household.encode())
            case PartWanted():
                part = await self._desk.part(self._browser, wish.statement_digest, wish.number)
                if part is None:
                    raise LiveError("not_found", "no grant of yours waits that gives such a clip")
                await self._send("part", part)
            case ConfirmWanted():
                refused = await self._desk.confirm(self._browser, wish.signed)
                self._end.say(
                    {"type": "confirmed"}
                    if refused is None
                    else {"type": "refused", "reason": refused.reason, "detail": refused.detail}
                )

    async def _send(self, kind: str, data: bytes) -> None:
        self._end.say({"type": kind, "size": len(data), "sha256": sha256_hex(data)})
        view = memoryview(data)
        for begin in range(0, len(view), CHUNK_BYTES):
            await self._end.room()
            self._end.send(bytes(view[begin : begin + CHUNK_BYTES]))
        self._end.say({"type": "end"})

    def _say_error(self, reason: str, detail: str) -> None:
        if not self._end.is_flooded:
            self._end.say({"type": "error", "reason": reason, "detail": detail})
