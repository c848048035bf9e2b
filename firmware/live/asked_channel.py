"""What is asked, and waits for an owner's word, over the data channel "asked" (protocol/asking.py).

Serving only: what a browser may know, and what a confirmation leads to, is decided behind
`AskedDesk` and by the verifier. A browser that may watch no more gets nothing. No aiortc here.
"""

from dataclasses import dataclass
from typing import Protocol

import msgspec

from firmware.live.data_channel import parse_text
from firmware.live.errors import LiveError
from firmware.live.wish_channel import WishChannel
from firmware.protocol.asking import (
    CHUNK_BYTES,
    LIST_STEP_BYTES,
    ClipsNow,
    ClipsWanted,
    ConfirmWanted,
    HouseholdNow,
    HouseholdWanted,
    LookWanted,
    PartWanted,
    RequestsNow,
    RequestsWanted,
    WaitingNow,
    WaitingWanted,
    Wish,
)
from firmware.protocol.encoding import sha256_hex
from firmware.protocol.grants import SignedStatement

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

    async def requests(self, browser_id: str) -> RequestsNow:
        """Return the published requests that concern this door."""
        ...

    async def clips(self, browser_id: str, wish: ClipsWanted) -> ClipsNow | None:
        """Return what there is to give for a request; None: no such request concerns this door."""
        ...

    async def look(self, browser_id: str, wish: LookWanted) -> bytes | None:
        """Return what would leave, as MP4; None: that couldn't be given for such a request."""
        ...


class WatchRights(Protocol):
    """Knows which browsers may watch (`firmware.live.signature_checks.SignedChecks`)."""

    def who(self, browser_id: str) -> object:
        """Return whose browser it is; LiveError if it may watch no more."""
        ...


def parse_wish(message: str | bytes) -> Wish:
    """Parse one message of the peer, or raise WireError."""
    return parse_text(_DECODER, message, what="message about what waits")


class AskedChannel(WishChannel[Wish]):
    """Answers what one browser asks of what waits."""

    def __init__(self, desk: AskedDesk | None, *, browser: str, checks: WatchRights) -> None:
        super().__init__()
        self._desk = desk
        self._browser = browser
        self._checks = checks

    def _parse(self, message: str | bytes) -> Wish:
        return parse_wish(message)

    async def _grant(self, wish: Wish) -> None:
        self._checks.who(self._browser)
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
            case RequestsWanted():
                requests = await self._desk.requests(self._browser)
                await self._send("requests", _padded(requests.encode()))
            case ClipsWanted():
                clips = await self._desk.clips(self._browser, wish)
                if clips is None:
                    raise LiveError("not_found", "no such request concerns this door (any more)")
                await self._send("clips", _padded(clips.encode()))
            case LookWanted():
                look = await self._desk.look(self._browser, wish)
                if look is None:
                    raise LiveError("not_found", "that can't be given for this request")
                await self._send("part", look)
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


def _padded(data: bytes) -> bytes:
    """Let whoever counts bytes on the way not learn what is asked."""
    return data.ljust(-(-len(data) // LIST_STEP_BYTES) * LIST_STEP_BYTES)
