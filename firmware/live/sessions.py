"""All live sessions of this doorbell: signed offers in, signed answers out, who watches.

An offer counts only when an enrolled browser signed it with a fresh nonce of ours
(signature_checks.py), and each answer is signed for it alone (sdp_answer.py). session.py serves one
session; aiortc is reached through a `PeerMaker` only, and imported when somebody asks for a nonce,
so that neither the bell waits for it nor a doorbell pays for it that nobody watches.
"""

import asyncio
import contextlib
import importlib
import random
from collections.abc import Sequence

from firmware.live.asked_channel import AskedService
from firmware.live.errors import LiveError
from firmware.live.feed import ClipSource
from firmware.live.ice_servers import IceServerRule, UsedServer
from firmware.live.quality import LiveSources
from firmware.live.ring_feed import RingFeed
from firmware.live.sdp_answer import AnswerSigner
from firmware.live.sdp_offer import parse_candidates, parse_offer
from firmware.live.session import LISTENERS, LiveSession, SessionServices
from firmware.live.session_parts import (
    ConnectedVisit,
    LiveLimits,
    PeerMaker,
    PeerSound,
    SessionPeer,
    VisitRequest,
)
from firmware.live.signature_checks import CheckedOffer, SignatureChecks
from firmware.live.stream_source import StreamSource
from firmware.live.voice import LiveSound
from firmware.live.watch_limit import WatchLimit
from firmware.live.watchers import Watcher
from firmware.protocol.commands import IceServer
from firmware.protocol.encoding import WireError
from firmware.protocol.live import Purpose, SignedLive
from firmware.system.clock import Clock
from firmware.system.listeners import Listeners

PEER_MODULE = "firmware.live.peer"


class LiveSessions:
    """All viewers of this doorbell. `answer` is idempotent for one session id and signed offer.

    `watch_began` is notified of each who begins to watch live view, `watch_ended` of each who no
    longer does, and whether their voice was heard at the door.
    """

    def __init__(
        self,
        *,
        sources: LiveSources,
        shelf: ClipSource,
        checks: SignatureChecks,
        signer: AnswerSigner,
        clock: Clock,
        limits: LiveLimits,
        peers: PeerMaker,
        sound: LiveSound | None = None,
        asked: AskedService | None = None,
        rings: RingFeed | None = None,
    ) -> None:
        """`asked` None: what waits for an owner's word can't be asked over a session.

        `rings` is what players are sent of presses and motion; without it nothing ever happens.
        """
        self.watch_began = Listeners[Watcher]()
        self.watch_ended = Listeners[Watcher, bool]()
        self._sources = sources
        self._checks = checks
        self._signer = signer
        self._clock = clock
        self._limits = limits
        self._peers = peers
        self._services = SessionServices(
            shelf=shelf, sound=sound, asked=asked, rings=rings or RingFeed()
        )
        self.watch_limit = WatchLimit()
        self._ice_rule = IceServerRule(limits.private_ice_hosts)
        self._small_bps: int | None = None
        self._is_warm = False
        self._warming: asyncio.Task[None] | None = None
        self._visits: dict[str, LiveSession] = {}
        self._opening: dict[str, asyncio.Task[LiveSession]] = {}

    @property
    def sessions(self) -> int:
        """The number of sessions, with those not connected yet and those for recordings."""
        return len(self._visits)

    @property
    def watchers(self) -> tuple[Watcher, ...]:
        """The current viewers of live view, in order of arrival."""
        watchers = (visit.watcher for visit in self._visits.values())
        return tuple(watcher for watcher in watchers if watcher is not None)

    def expect_viewer(self) -> None:
        """Begin to import slow modules: who asks for a nonce will send an offer."""
        if not self._is_warm and self._warming is None:
            self._warming = asyncio.create_task(self._warm_up(), name="live warm-up")

    async def _warm_up(self) -> None:
        if not self._is_warm:
            await asyncio.to_thread(importlib.import_module, PEER_MODULE)
            self._is_warm = True

    async def answer(
        self, session_id: str, signed: SignedLive, ice_servers: Sequence[IceServer] = ()
    ) -> SignedLive:
        """Open a session and return the signed answer, or raise LiveError with a reason."""
        await self._warm_up()
        if session_id not in self._visits and session_id not in self._opening:
            self._begin_to_open(session_id, signed, ice_servers)
        visit = await self._opened(session_id)
        if visit is None:
            raise LiveError("closed", "the session was closed before it was answered")
        if visit.signed != signed:
            raise LiveError("session_in_use", "this session has another offer; take a new id")
        return await visit.answer()

    async def add_candidates(self, session_id: str, signed: SignedLive) -> None:
        """Add candidates of a session's viewer, or raise LiveError."""
        more = self._checks.candidates(session_id, signed)
        visit = await self._opened(session_id)
        if visit is None:
            raise LiveError("no_session", "this session isn't open (any more); begin a new one")
        try:
            candidates = parse_candidates(more.candidates)
        except WireError as error:
            raise LiveError("bad_form", str(error)) from error
        visit.add_candidates(more, candidates)

    async def close(self, session_id: str) -> None:
        """End a session; idempotent."""
        with contextlib.suppress(LiveError):
            visit = await self._opened(session_id)
            if visit is not None:
                await visit.close()

    async def end_browser(self, browser_id: str) -> None:
        """End all sessions of a browser that may watch no longer."""
        ending = [visit for visit in self._visits.values() if visit.browser == browser_id]
        await asyncio.gather(*(visit.close() for visit in ending))

    def send_states(self) -> None:
        """Send every viewer the session's state, if that has changed."""
        watchers = self.watchers
        for visit in self._visits.values():
            visit.send_state(watchers)
        self._tell_small_stream()

    def hide(self) -> None:
        """Discard all pictures filmed until now, because the mask has changed."""
        self._sources.discard()
        self._services.rings.hide()

    async def aclose(self) -> None:
        """End all sessions."""
        for opening in list(self._opening.values()):
            opening.cancel()
        await asyncio.gather(*(visit.close() for visit in list(self._visits.values())))
        if self._warming is not None:
            await asyncio.gather(self._warming, return_exceptions=True)

    def _begin_to_open(
        self, session_id: str, signed: SignedLive, servers: Sequence[IceServer]
    ) -> None:
        def opened(opening: asyncio.Task[LiveSession]) -> None:
            del self._opening[session_id]
            if not opening.cancelled():
                opening.exception()  # whoever waits is told; nobody may be left

        opening = asyncio.create_task(self._open(session_id, signed, servers), name="live opening")
        self._opening[session_id] = opening
        opening.add_done_callback(opened)

    async def _opened(self, session_id: str) -> LiveSession | None:
        """Return a session once it is open, None if there is none; LiveError if opening failed."""
        opening = self._opening.get(session_id)
        if opening is None:
            return self._visits.get(session_id)
        await asyncio.wait([opening])
        return None if opening.cancelled() else opening.result()

    async def _open(
        self, session_id: str, signed: SignedLive, servers: Sequence[IceServer]
    ) -> LiveSession:
        checked = self._checks.offer(session_id, signed)
        try:
            offer = parse_offer(checked.offer.sdp)
        except WireError as error:
            raise LiveError("bad_offer", str(error)) from error
        if checked.offer.purpose == "live" and not offer.has_video:
            raise LiveError("bad_offer", "live view needs an offer that receives H.264 video")
        if checked.offer.purpose == "live":
            self.watch_limit.check(checked.who, self._now_s())
        used = await self._ice_rule.used(servers)
        await self._make_room(checked)
        self._checks.who(checked.who.browser)  # it may have been ended meanwhile
        if self._is_full(checked.offer.purpose):
            detail = f"{self.sessions} are watching already; close one and try again"
            raise LiveError("too_many_viewers", detail)
        try:
            visit = LiveSession(
                VisitRequest(checked=checked, signed=signed, offer=offer, servers=used),
                sources=self._sources,
                services=self._services,
                checks=self._checks,
                signer=self._signer,
                clock=self._clock,
                limits=self._limits,
                peers=self._peers,
                watch_limit=self.watch_limit,
            )
        except ValueError as error:
            raise LiveError("bad_form", f"an ICE server that isn't one: {error}") from error
        visit.changes.add(self.send_states)
        visit.watch_began.add(self._began)
        visit.cleared.add(self._cleared)
        self._visits[session_id] = visit
        visit.begin()
        return visit

    def _is_full(self, purpose: Purpose) -> bool:
        """Return whether all places are taken; programs that don't watch have their own."""
        listeners = sum(visit.is_listener for visit in self._visits.values())
        if purpose in LISTENERS:
            return listeners >= self._limits.max_listeners
        return self.sessions - listeners >= self._limits.max_viewers

    async def _make_room(self, checked: CheckedOffer) -> None:
        """End this browser's oldest session if all places are taken, or for an owner a guest's.

        A page that was loaded anew is gone without a word, which shows only half a minute later.
        """
        if not self._is_full(checked.offer.purpose):
            return
        is_listener, who = checked.offer.purpose in LISTENERS, checked.who
        visits = [one for one in self._visits.values() if one.is_listener == is_listener]
        own = [visit for visit in visits if visit.browser == who.browser]
        is_owners = who.right.holder == "owner"
        guests = [visit for visit in visits if is_owners and visit.is_guests]
        for visit in (own + guests)[:1]:
            await visit.close()

    def _began(self, watcher: Watcher) -> None:
        self.watch_limit.began(watcher.who, watcher.session_id, self._now_s())
        self.watch_began.notify(watcher)

    def _now_s(self) -> float:
        return self._clock.monotonic_ns() / 1e9

    def _cleared(self, visit: LiveSession) -> None:
        del self._visits[visit.id]
        if visit.watcher is not None:
            self.watch_limit.ended(visit.watcher.who, visit.id, self._now_s())
            self.watch_ended.notify(visit.watcher, visit.has_talked)
        self.send_states()

    def _tell_small_stream(self) -> None:
        """Set the shared small stream's bitrate to what the slowest viewer's link carries."""
        wanted = [visit.small_bps for visit in self._visits.values()]
        small_bps = min((bps for bps in wanted if bps is not None), default=None)
        encoder = self._sources.small_encoder
        if encoder is not None and small_bps is not None and small_bps != self._small_bps:
            encoder.set_bitrate(small_bps)
        self._small_bps = small_bps


class RealPeers:
    """The factory of aiortc connections (`PeerMaker`), which `LiveSessions` has imported before."""

    def __init__(self, clock: Clock, random_source: random.Random) -> None:
        self._clock = clock
        self._random = random_source

    def make(
        self,
        servers: Sequence[UsedServer],
        source: StreamSource,
        visit: ConnectedVisit,
        sound: PeerSound | None,
        *,
        has_video: bool,
    ) -> SessionPeer:
        """Return a real connection; ValueError if an ICE server isn't one."""
        module = importlib.import_module(PEER_MODULE)
        peer: SessionPeer = module.Peer(
            servers,
            source,
            visit,
            sound=sound,
            has_video=has_video,
            clock=self._clock,
            random_source=self._random,
        )
        return peer
