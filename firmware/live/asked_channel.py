"""The data channel "asked": statements that wait for an owner's confirmation (protocol/asking.py).

Serving only: what a browser may know, and what a confirmation leads to, is decided behind
`AskedService` and by the verifier. Only an owner's own browser gets anything. No aiortc here.
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
    ExportFinished,
    ExportWanted,
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
    """A confirmation was refused; `reason` names the check."""

    reason: str
    detail: str


class AskedService(Protocol):
    """The waiting statements, limited to those that one enrolled browser may see."""

    async def waiting(self, browser_id: str) -> WaitingNow:
        """Return the waiting statements of the browser's owner."""
        ...

    async def part(self, browser_id: str, digest: str, number: int) -> bytes | None:
        """Return exactly the footage that the owner's waiting grant would release, as MP4."""
        ...

    async def confirm(self, browser_id: str, signed: SignedStatement) -> NotConfirmed | None:
        """Take an approver's confirmation; None if it is accepted."""
        ...

    async def household(self, browser_id: str) -> HouseholdNow:
        """Return the household's members."""
        ...

    async def requests(self, browser_id: str) -> RequestsNow:
        """Return the published requests that concern this door."""
        ...

    async def clips(self, browser_id: str, wish: ClipsWanted) -> ClipsNow | None:
        """Return the clips that match a request; None: no such request concerns this door."""
        ...

    async def look(self, browser_id: str, wish: LookWanted) -> bytes | None:
        """Return the footage that would be released, as MP4; None: the request doesn't allow it."""
        ...

    async def export(self, browser_id: str) -> bytes:
        """Return the signed index of the browser's export; LiveError if it has none."""
        ...

    async def finish_export(self, browser_id: str, *, is_complete: bool) -> None:
        """End the browser's export."""
        ...


class WatchRights(Protocol):
    """The check whose a browser is (`firmware.live.signature_checks.SignatureChecks`)."""

    def owner(self, browser_id: str) -> object:
        """Return the owner whose own browser it is; LiveError if it is nobody's, or a guest's."""
        ...


def parse_wish(message: str | bytes) -> Wish:
    """Parse one message of the peer, or raise WireError."""
    return parse_text(_DECODER, message, what="message about what waits")


class AskedChannel(WishChannel[Wish]):
    """Answers one browser's queries about waiting statements."""

    def __init__(self, desk: AskedService | None, *, browser: str, checks: WatchRights) -> None:
        super().__init__()
        self._desk = desk
        self._browser = browser
        self._checks = checks

    def _parse(self, message: str | bytes) -> Wish:
        return parse_wish(message)

    async def _grant(self, wish: Wish) -> None:
        self._checks.owner(self._browser)
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
            case ExportWanted():
                await self._send("export", await self._desk.export(self._browser))
            case ExportFinished():
                await self._desk.finish_export(self._browser, is_complete=wish.is_complete)
                self._end.send_json({"type": "finished"})
            case ConfirmWanted():
                refused = await self._desk.confirm(self._browser, wish.signed)
                self._end.send_json(
                    {"type": "confirmed"}
                    if refused is None
                    else {"type": "refused", "reason": refused.reason, "detail": refused.detail}
                )

    async def _send(self, kind: str, data: bytes) -> None:
        self._end.send_json({"type": kind, "size": len(data), "sha256": sha256_hex(data)})
        view = memoryview(data)
        for begin in range(0, len(view), CHUNK_BYTES):
            await self._end.wait_for_room()
            self._end.send(bytes(view[begin : begin + CHUNK_BYTES]))
        self._end.send_json({"type": "end"})


def _padded(data: bytes) -> bytes:
    """Pad an answer, so that its size on the wire doesn't reveal the query."""
    return data.ljust(-(-len(data) // LIST_STEP_BYTES) * LIST_STEP_BYTES)
