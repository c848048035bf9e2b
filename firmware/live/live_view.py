"""The adapters from the relay's commands to live view, and to the camera that reads codes.

And back: who watches, as notes to the owners.
"""

import asyncio
import logging
from dataclasses import dataclass

from firmware.capture.camera_output import LumaFrame
from firmware.capture.qr_reader import read_texts
from firmware.capture.unit_hub import LumaHub
from firmware.enrolment.pairing import Pairing
from firmware.live.errors import LiveError
from firmware.live.sessions import LiveSessions
from firmware.live.signature_checks import SignatureChecks
from firmware.live.watchers import Watcher
from firmware.notes.sealed_notes import Notes
from firmware.outbox.publisher import EventPublisher
from firmware.protocol.commands import (
    Accepted,
    Answer,
    Candidates,
    CloseSession,
    LiveCommand,
    LiveNonce,
    NonceWanted,
    Offer,
    Refused,
    ReplyBody,
)
from firmware.protocol.encoding import as_line
from firmware.protocol.events import PairingAnswered
from firmware.protocol.notes import WatchingBegan, WatchingEnded
from firmware.system.clock import Clock
from firmware.system.ownership import Ownership
from firmware.wifi.window import WifiWindow

log = logging.getLogger(__name__)

NOTE_PAUSE_S = 10.0
"""Who watches again so soon after leaving has stayed, as far as the owners are told."""


class LiveView:
    """The handler of the relay's live-view commands: nonces, offers, candidates."""

    def __init__(
        self,
        live: LiveSessions,
        *,
        owners: Ownership,
        checks: SignatureChecks,
        notes: Notes,
        clock: Clock,
        note_pause_s: float = NOTE_PAUSE_S,
    ) -> None:
        self.live = live
        self._owners = owners
        self._checks = checks
        self._watch_notes = WatcherNotes(notes, clock, pause_s=note_pause_s)
        live.watch_began.add(self._watch_notes.began)
        live.watch_ended.add(self._watch_notes.ended)

    async def on_command(self, command: LiveCommand) -> ReplyBody:
        """Answer one of live view's commands; nobody watches a doorbell that has no owner."""
        if not self._owners.has_owner():
            return Refused(reason="not_paired", detail="this doorbell has no owner yet")
        try:
            match command:
                case NonceWanted():
                    self.live.expect_viewer()
                    return LiveNonce(nonce=self._checks.give_nonce())
                case Offer():
                    signed = await self.live.answer(
                        command.session_id, command.signed, command.ice_servers
                    )
                    return Answer(session_id=command.session_id, signed=signed)
                case Candidates():
                    await self.live.add_candidates(command.session_id, command.signed)
                case CloseSession():
                    await self.live.close(command.session_id)
        except LiveError as error:
            return refused(error)
        return Accepted()

    async def aclose(self) -> None:
        """End all sessions and finish pending notifications."""
        await self.live.aclose()
        await self._watch_notes.aclose()


@dataclass(slots=True, kw_only=True)
class _Told:
    """A browser whose watching was notified to the owners."""

    session_id: str
    open_count: int = 0
    has_talked: bool = False
    ended_ms: int = 0
    ending: asyncio.TimerHandle | None = None


class WatcherNotes:
    """The notifications to all owners that somebody began or ended to watch, in order.

    Who comes back within `pause_s` had not left: one that joins and leaves without end makes no
    more notes than one that stays.
    """

    def __init__(self, notes: Notes, clock: Clock, *, pause_s: float) -> None:
        self._notes = notes
        self._clock = clock
        self._pause_s = pause_s
        self._watching: dict[str, _Told] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._turn = asyncio.Lock()

    def began(self, watcher: Watcher) -> None:
        """Notify that somebody began to watch."""
        browser = watcher.who.browser
        known = self._watching.get(browser)
        if known is None:
            known = self._watching[browser] = _Told(session_id=watcher.session_id)
            self._tell(
                WatchingBegan(
                    session_id=watcher.session_id,
                    name=watcher.who.name,
                    browser_name=watcher.who.browser_name,
                    holder=watcher.who.right.holder,
                    at_ms=watcher.since_ms,
                )
            )
        known.open_count += 1
        if known.ending is not None:
            known.ending.cancel()
            known.ending = None

    def ended(self, watcher: Watcher, has_talked: bool) -> None:
        """Notify that somebody ended to watch, unless they are back soon."""
        browser = watcher.who.browser
        known = self._watching[browser]
        known.open_count -= 1
        known.has_talked = known.has_talked or has_talked
        known.ended_ms = self._clock.wall_ms()
        if known.open_count == 0:
            loop = asyncio.get_running_loop()
            known.ending = loop.call_later(self._pause_s, self._end, browser)

    async def aclose(self) -> None:
        """Send the delayed notifications at once."""
        for browser, known in list(self._watching.items()):
            if known.ending is not None:
                known.ending.cancel()
                self._end(browser)
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _end(self, browser: str) -> None:
        known = self._watching.pop(browser)
        self._tell(
            WatchingEnded(
                session_id=known.session_id, at_ms=known.ended_ms, has_talked=known.has_talked
            )
        )

    def _tell(self, body: WatchingBegan | WatchingEnded) -> None:
        task = asyncio.create_task(self._in_turn(body), name="note of watching")
        self._tasks.add(task)
        task.add_done_callback(self._told)

    async def _in_turn(self, body: WatchingBegan | WatchingEnded) -> None:
        async with self._turn:
            await self._notes.to_all(body)

    def _told(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("owners can't be notified of viewers: %r", task.exception())


def refused(error: LiveError) -> Refused:
    """Return the refusal that the relay carries back; its detail may quote what came in."""
    return Refused(reason=error.reason, detail=as_line(error.detail, otherwise=error.reason))


class CodeScanner:
    """Reads pairing codes and Wi-Fi codes in what the camera sees, while a window is open.

    Once a pairing code is answered no Wi-Fi code is taken, and once a network is offered no pairing
    code: the service button's second press means one of them.
    """

    def __init__(
        self,
        luma: LumaHub,
        pairing: Pairing,
        wifi: WifiWindow,
        *,
        clock: Clock,
        events: EventPublisher,
    ) -> None:
        self._luma = luma
        self._pairing = pairing
        self._wifi = wifi
        self._clock = clock
        self._events = events
        self._is_opened = asyncio.Event()
        pairing.opened.add(self._is_opened.set)
        wifi.opened.add(self._is_opened.set)

    async def run(self) -> None:
        """Scan until cancelled; without an open window no frame is asked for."""
        while True:
            self._is_opened.clear()
            if self._is_reading():
                await self._scan()
            else:
                await self._is_opened.wait()

    async def _scan(self) -> None:
        """Scan frames as long as one of them wants to read."""
        with self._luma.subscribe(sees_withheld=True) as frames:
            while self._is_reading():
                await self._read(await frames.next())

    def _is_reading(self) -> bool:
        now_ms = self._now_ms()
        return self._pairing.is_reading(now_ms) or self._wifi.is_reading(now_ms)

    async def _read(self, frame: LumaFrame) -> None:
        texts = await asyncio.to_thread(read_texts, frame)
        now_ms = self._now_ms()
        if self._pairing.has_code(now_ms):
            self._wifi.close(now_ms)
        self._wifi.take(
            texts,
            now_ms=now_ms,
            wall_ms=self._clock.wall_ms(),
            is_clock_trusted=self._clock.is_trusted(),
        )
        if self._wifi.view(now_ms).state in ("offered", "joining"):
            return
        for text in texts:
            answer = self._pairing.read_code(text, self._now_ms())
            if answer is None:
                continue
            signed = await asyncio.to_thread(self._pairing.sign, answer)
            if self._pairing.keep(signed, self._now_ms()):
                await self._events.publish(
                    PairingAnswered(pairing_id=answer.pairing_id, signed=signed)
                )

    def _now_ms(self) -> int:
        return self._clock.monotonic_ns() // 1_000_000
