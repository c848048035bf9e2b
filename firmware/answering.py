"""What the relay carries to the live view and to the pairing camera, put into their words."""

import asyncio
from collections.abc import Callable

from firmware.capture.hub import LumaSlot
from firmware.capture.qr import read_texts
from firmware.clock import Clock
from firmware.enrolment.pairing import Pairing
from firmware.live.errors import LiveError
from firmware.live.session import LiveSessions
from firmware.protocol.commands import (
    Accepted,
    Answer,
    CloseSession,
    Offer,
    Refused,
    ReplyBody,
)
from firmware.telling import Tell


class Viewing:
    """Answers offers of live view."""

    def __init__(self, live: LiveSessions, has_owner: Callable[[], bool]) -> None:
        self._live = live
        self._has_owner = has_owner

    async def on_offer(self, offer: Offer) -> ReplyBody:
        """Open a session; nobody watches a doorbell that has no owner."""
        if not self._has_owner():
            return Refused(reason="not_paired", detail="this doorbell has no owner yet")
        try:
            sdp = await self._live.answer(offer.session_id, offer.sdp, offer.ice_servers)
        except LiveError as error:
            return Refused(reason=error.reason, detail=error.detail)
        return Answer(session_id=offer.session_id, sdp=sdp)

    async def on_close_session(self, close: CloseSession) -> ReplyBody:
        """End a session."""
        await self._live.close(close.session_id)
        return Accepted()


class CodeWatch:
    """Reads pairing codes in what the camera sees, while pairing is open."""

    def __init__(self, luma: LumaSlot, pairing: Pairing, clock: Clock, tell: Tell) -> None:
        self._luma = luma
        self._pairing = pairing
        self._clock = clock
        self._tell = tell

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            frame = await self._luma.next()
            if not self._pairing.is_reading(self._now_ms()):
                continue
            for text in await asyncio.to_thread(read_texts, frame):
                answer = await asyncio.to_thread(self._pairing.read_code, text, self._now_ms())
                if answer is not None:
                    await self._tell(answer)

    def _now_ms(self) -> int:
        return self._clock.monotonic_ns() // 1_000_000
