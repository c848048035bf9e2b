"""The client of the data channel "asked": answers are parsed strictly, with a limit on each.

The doorbell is whom its key says; what it says is still held to its form, so that a fault of it is
said and not shown.
"""

import asyncio
from typing import Protocol, TypeVar

import msgspec

from firmware.companion.owner.errors import LineFailed, NotTaken
from firmware.protocol.asking import (
    CHUNK_BYTES,
    MAX_LIST_BYTES,
    MAX_PART_BYTES,
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
from firmware.protocol.encoding import Digest, WireError, decode_canonical, sha256_hex
from firmware.protocol.grants import SignedStatement

ANSWER_S = 30.0
"""For each message; a part is put together whole before its first byte comes."""
MAX_TEXT_BYTES = 4096

D = TypeVar("D", WaitingNow, HouseholdNow, RequestsNow, ClipsNow)


class MessageLine(Protocol):
    """The channel's messages, as `connection.AskedConnection`."""

    def send(self, text: str) -> None:
        """Send one text, or raise LineFailed."""
        ...

    async def receive(self) -> str | bytes:
        """Return the next message, or raise LineFailed."""
        ...


class _Sized(msgspec.Struct, frozen=True, kw_only=True, tag_field="type"):
    size: int
    sha256: Digest


class _Waiting(_Sized, frozen=True, kw_only=True, tag="waiting"):
    pass


class _Part(_Sized, frozen=True, kw_only=True, tag="part"):
    pass


class _Household(_Sized, frozen=True, kw_only=True, tag="household"):
    pass


class _Requests(_Sized, frozen=True, kw_only=True, tag="requests"):
    pass


class _Clips(_Sized, frozen=True, kw_only=True, tag="clips"):
    pass


class _End(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="end"):
    pass


class _Confirmed(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="confirmed"):
    pass


class _Refused(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="refused"):
    reason: str
    detail: str


class _Error(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="error"):
    reason: str
    detail: str


_Answer = _Waiting | _Part | _Household | _Requests | _Clips | _End | _Confirmed | _Refused | _Error
_DECODER: msgspec.json.Decoder[_Answer] = msgspec.json.Decoder(_Answer)


class AskedClient:
    """The client of one doorbell over an open channel. Each method raises LineFailed."""

    def __init__(self, line: MessageLine, *, answer_s: float = ANSWER_S) -> None:
        self._line = line
        self._answer_s = answer_s

    async def waiting(self) -> WaitingNow:
        """Return what of the owner's waits."""
        return await self._list(WaitingWanted(), _Waiting, WaitingNow)

    async def household(self) -> HouseholdNow:
        """Return who lives there."""
        return await self._list(HouseholdWanted(), _Household, HouseholdNow)

    async def part(self, statement_digest: str, number: int) -> bytes:
        """Return exactly what would leave of a waiting grant's clip, as MP4."""
        self._say(PartWanted(statement_digest=statement_digest, number=number))
        return await self._body(_Part, MAX_PART_BYTES)

    async def requests(self) -> RequestsNow:
        """Return the published requests that concern the door."""
        return await self._list(RequestsWanted(), _Requests, RequestsNow)

    async def clips(self, wish: ClipsWanted) -> ClipsNow:
        """Return what there is to give for a request."""
        return await self._list(wish, _Clips, ClipsNow)

    async def look(self, wish: LookWanted) -> bytes:
        """Return exactly what would leave of a clip if it were granted so, as MP4."""
        self._say(wish)
        return await self._body(_Part, MAX_PART_BYTES)

    async def confirm(self, signed: SignedStatement) -> None:
        """Give an approver's word; NotTaken if the doorbell refuses it."""
        self._say(ConfirmWanted(signed=signed))
        answer = await self._text()
        if isinstance(answer, _Refused):
            raise NotTaken(answer.reason, answer.detail)
        if not isinstance(answer, _Confirmed):
            raise _unexpected(answer)

    async def _list(self, wish: Wish, head: type[_Sized], kind: type[D]) -> D:
        self._say(wish)
        data = await self._body(head, MAX_LIST_BYTES)
        try:
            return decode_canonical(kind, data.rstrip(b" "), max_bytes=MAX_LIST_BYTES)
        except WireError as error:
            raise LineFailed(
                f"the doorbell said what this program doesn't know; are both up to date? ({error})"
            ) from error

    def _say(self, wish: Wish) -> None:
        self._line.send(wish.encode().decode())

    async def _body(self, kind: type[_Sized], max_bytes: int) -> bytes:
        head = await self._text()
        if not isinstance(head, kind):
            raise _unexpected(head)
        if not 0 <= head.size <= max_bytes:
            raise LineFailed(f"the doorbell would send {head.size} bytes; that is too much")
        data = bytearray()
        while isinstance(chunk := await self._next(), bytes):
            data += chunk
            if len(data) > head.size or len(chunk) > CHUNK_BYTES:
                raise LineFailed("the doorbell sent more than it announced; try again")
        if not isinstance(answer := _parse(chunk), _End):
            raise _unexpected(answer)
        if len(data) != head.size or sha256_hex(bytes(data)) != head.sha256:
            raise LineFailed("not all arrived that the doorbell announced; try again")
        return bytes(data)

    async def _text(self) -> _Answer:
        message = await self._next()
        if isinstance(message, bytes):
            raise LineFailed("the doorbell answered something else than expected")
        return _parse(message)

    async def _next(self) -> str | bytes:
        try:
            async with asyncio.timeout(self._answer_s):
                return await self._line.receive()
        except TimeoutError as error:
            raise LineFailed("the doorbell doesn't answer any more; try again") from error


def _parse(text: str) -> _Answer:
    if len(text) > MAX_TEXT_BYTES:
        raise LineFailed("the doorbell answered something else than expected")
    try:
        return _DECODER.decode(text)
    except (msgspec.DecodeError, RecursionError) as error:
        raise LineFailed("the doorbell answered something else than expected") from error


def _unexpected(answer: _Answer) -> LineFailed:
    if isinstance(answer, _Error | _Refused):
        return LineFailed(f"the doorbell refused ({answer.reason}): {answer.detail}")
    return LineFailed("the doorbell answered something else than expected")
