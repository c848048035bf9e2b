"""One doorbell: its state, followed over `doorward-view`'s news, and its live sessions."""

import asyncio
import logging
from collections.abc import Callable

from .client import Client, DoorEvent, DoorState
from .errors import DoorwardError

BACK_OFF_S = (1, 3, 10, 30, 60)
TRICKLE_S = 0.06
"""How long ICE candidates are collected: a session takes a few messages only."""

LOGGER = logging.getLogger(__name__)


class Door:
    """The doorbell as the entities see it."""

    def __init__(self, client: Client, state: DoorState) -> None:
        self.client = client
        self.state = state
        self.is_followed = True
        """Whether `doorward-view` answers; the state is what it said last."""
        self._listeners: set[Callable[[DoorEvent | None], None]] = set()
        self._sessions: dict[str, LiveSession] = {}
        self._picture: tuple[int, bytes] | None = None

    @property
    def is_available(self) -> bool:
        """Whether what is shown is so now."""
        return self.is_followed and self.state.is_connected

    def listen(self, listener: Callable[[DoorEvent | None], None]) -> Callable[[], None]:
        """Call `listener` with each event, and with None when the state changes."""
        self._listeners.add(listener)
        return lambda: self._listeners.discard(listener)

    async def follow(self) -> None:
        """Follow the doorbell's news until cancelled."""
        failures = 0
        while True:
            try:
                async for news in self.client.news():
                    failures, self.is_followed = 0, True
                    if isinstance(news, DoorState):
                        self.state = news
                        self._tell(None)
                    else:
                        self._tell(news)
            except DoorwardError as error:
                LOGGER.debug("the doorbell's news broke off: %s", error)
            self.is_followed = False
            self._tell(None)
            await asyncio.sleep(BACK_OFF_S[min(failures, len(BACK_OFF_S) - 1)])
            failures += 1

    async def watch(self) -> None:
        """Open live view for ten minutes, or raise a DoorwardError."""
        self.state = await self.client.watch()
        self._tell(None)

    async def picture(self) -> bytes | None:
        """Return the last picture, fetched once; None if there is none."""
        taken_ms = self.state.picture_taken_ms
        if taken_ms is None:
            return None
        if self._picture is None or self._picture[0] != taken_ms:
            self._picture = (taken_ms, await self.client.picture())
        return self._picture[1]

    async def open_session(self, session_id: str, sdp: str) -> str:
        """Open live view; return the answer's SDP, or raise a DoorwardError."""
        session = self._sessions[session_id] = LiveSession(self.client)
        try:
            return await session.open(sdp)
        except BaseException:
            self._sessions.pop(session_id, None)
            raise

    def session(self, session_id: str) -> "LiveSession | None":
        """Return an open session."""
        return self._sessions.get(session_id)

    async def close_session(self, session_id: str) -> None:
        """End a session, if it is open."""
        session = self._sessions.pop(session_id, None)
        if session is not None:
            await session.close()

    async def close_sessions(self) -> None:
        """End all sessions."""
        await asyncio.gather(*(self.close_session(one) for one in list(self._sessions)))

    def _tell(self, event: DoorEvent | None) -> None:
        for listener in list(self._listeners):
            listener(event)


class LiveSession:
    """One WHEP session; candidates that come before its answer wait for it."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._path: str | None = None
        self._waiting: list[str] = []
        self._is_last = False
        self._is_closed = False
        self._sending: asyncio.Task[None] | None = None

    async def open(self, sdp: str) -> str:
        """Offer; return the answer's SDP."""
        answer = await self._client.offer(sdp)
        self._path = answer.path
        if self._is_closed:
            await self.close()
        self._send_soon()
        return answer.sdp

    def add_candidate(self, candidate: str) -> None:
        """Take one ICE candidate of the browser's; an empty one is the last."""
        if candidate:
            self._waiting.append(candidate)
        else:
            self._is_last = True
        self._send_soon()

    async def close(self) -> None:
        """End it."""
        self._is_closed = True
        if self._sending is not None:
            self._sending.cancel()
        path, self._path = self._path, None
        if path is not None:
            try:
                await self._client.close(path)
            except DoorwardError as error:
                LOGGER.debug("the end of live view couldn't be sent: %s", error)

    def _send_soon(self) -> None:
        if self._path is None or not (self._waiting or self._is_last):
            return
        if self._sending is None or self._sending.done():
            self._sending = asyncio.create_task(self._send())

    async def _send(self) -> None:
        while self._path is not None and (self._waiting or self._is_last):
            await asyncio.sleep(TRICKLE_S)
            candidates, self._waiting = self._waiting, []
            is_last, self._is_last = self._is_last, False
            try:
                await self._client.trickle(self._path, candidates, is_last=is_last)
            except DoorwardError as error:
                LOGGER.debug("candidates couldn't be sent: %s", error)
