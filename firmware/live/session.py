"""One viewer's live session, from a checked offer to its end.

A visit ends when its viewer leaves or falls silent, when its time is over and nobody renewed it,
when its browser's right is over, or by `close`; whatever ends it, nothing of it stays. What
the viewer wants comes over the channel "control", clips over "clips", what is changed in quick
replies over "replies", what waits for the owner's word over "asked". No aiortc here: peer.py.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from firmware.live.asked_channel import AskedChannel, AskedService
from firmware.live.clip_channel import CLIPS_LABEL, ClipChannel
from firmware.live.clip_feed import ClipFeed, EmptyFeed
from firmware.live.control_channel import (
    CONTROL_LABEL,
    ControlChannel,
    Listen,
    Renew,
    RepliesWanted,
    Reply,
    State,
    SwitchMicrophone,
    Talk,
    WatcherLine,
    Wish,
)
from firmware.live.control_channel import (
    Quality as QualityWish,
)
from firmware.live.data_channel import Channel
from firmware.live.errors import LiveError
from firmware.live.feed import ClipGops, ClipSource
from firmware.live.permitted_clips import PermittedClips
from firmware.live.quality import LiveSources, StreamSelector
from firmware.live.reply_channel import REPLIES_LABEL, ReplyChannel
from firmware.live.ring_channel import RINGS_LABEL, PlayerRights, RingChannel
from firmware.live.ring_feed import RingFeed
from firmware.live.sdp_answer import AnswerSigner
from firmware.live.sdp_offer import Candidate
from firmware.live.session_parts import LiveLimits, PeerMaker, VisitRequest
from firmware.live.signature_checks import RIGHT_OF, SignatureChecks, Who
from firmware.live.stream_source import StreamSource
from firmware.live.voice import LiveSound, SessionVoice, switch_microphone
from firmware.live.watch_limit import WatchLimit
from firmware.live.watchers import Watcher
from firmware.protocol.asking import ASKED_LABEL
from firmware.protocol.encoding import WireError
from firmware.protocol.live import LiveCandidates, Purpose, SignedLive
from firmware.system.clock import Clock
from firmware.system.listeners import Listeners

logger = logging.getLogger(__name__)

ANSWER_S = 10.0
CLOSE_S = 10.0
LISTENERS: Mapping[Purpose, str] = {"mirror": CLIPS_LABEL, "rings": RINGS_LABEL}
"""The one channel, beside "control", of what a program keeps open all the time, by purpose."""
RIGHT_CHECK_S = 2.0
"""How long a session goes on at most after its browser's right has ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionServices:
    """What a session serves besides pictures; the same parts for all sessions of a doorbell."""

    shelf: ClipSource
    sound: LiveSound | None
    asked: AskedService | None
    rings: RingFeed


class LiveSession:
    """The live session of one viewer. `begin` once; the task `life` ends after all cleanup.

    `changes` is notified when what viewers are told of it may differ, `watch_began` when its viewer
    begins to watch live view, `cleared` when nothing of it is left.
    """

    def __init__(
        self,
        request: VisitRequest,
        *,
        sources: LiveSources,
        services: SessionServices,
        checks: SignatureChecks,
        signer: AnswerSigner,
        clock: Clock,
        limits: LiveLimits,
        peers: PeerMaker,
        watch_limit: WatchLimit,
    ) -> None:
        """ValueError if an ICE server isn't one."""
        checked, sound = request.checked, services.sound
        self.id = checked.offer.session_id
        self.signed = request.signed
        self.watcher: Watcher | None = None
        self.changes = Listeners[()]()
        self.watch_began = Listeners[Watcher]()
        self.cleared = Listeners[LiveSession]()
        self._checked = checked
        self._offer = request.offer
        self._checks = checks
        self._signer = signer
        self._clock = clock
        self._limits = limits
        self._sound = sound
        self._is_live = checked.offer.purpose == "live"
        self._voice = self._make_voice(sound) if self._is_live else None
        self._connected, self._ended = asyncio.Event(), asyncio.Event()
        idle = StreamSource("none", EmptyFeed())
        first = sources.main if self._is_live else idle
        self._peer = peers.make(
            request.servers, first, self, self._voice, has_video=request.offer.has_video
        )
        self._quality = StreamSelector(
            self._peer.viewer, sources if self._is_live else None, idle=idle, clock=clock
        )
        self._quality.changes.add(self.changes.notify)
        own = checked.who.browser
        self._clips = ClipChannel(PermittedClips(services.shelf, browser=own, checks=checks), self)
        self._replies = ReplyChannel(sound)
        self._watch_limit = watch_limit
        self._rings = RingChannel(services.rings, _rights_of(checked.who))
        self._asked = AskedChannel(services.asked, browser=own, checks=checks)
        self._control = ControlChannel(self)
        self._numbers: set[int] = set()
        self._ends_s = 0.0

    def begin(self) -> None:
        """Start the negotiation and the session's task."""
        self._answer = asyncio.create_task(self._negotiate(), name="live answer")
        self.life = asyncio.create_task(self._live(), name="live visit")

    @property
    def browser(self) -> str:
        """The viewer's browser and its owner."""
        return self._checked.who.browser

    @property
    def is_listener(self) -> bool:
        """Whether it has a listener's place: it carries no live pictures."""
        return self._checked.offer.purpose in LISTENERS

    @property
    def is_guests(self) -> bool:
        """Whether the viewer is a guest."""
        return self._checked.who.right.holder == "guest"

    @property
    def has_talked(self) -> bool:
        """Whether this viewer's voice was played at the door."""
        return self._voice is not None and self._voice.has_talked

    @property
    def small_bps(self) -> int | None:
        """The small stream's bitrate limit for this viewer; None if they don't take it."""
        return self._quality.small_bps

    async def answer(self) -> SignedLive:
        """Wait for the answer; when it fails, raise only after all cleanup."""
        await asyncio.wait([self._answer])
        if self._answer.cancelled():
            raise LiveError("closed", "the session was closed before it was answered")
        try:
            return self._answer.result()
        except LiveError:
            await self.close()
            raise

    def add_candidates(self, more: LiveCandidates, candidates: Sequence[Candidate]) -> None:
        """Add trickled candidates, in any order, or raise LiveError; each number once."""
        offer = self._checked.offer
        if more.browser != offer.browser:
            raise LiveError("bad_form", "the session is another browser's")
        if more.nonce != offer.nonce:
            raise LiveError("nonce", "candidates carry the nonce of their session's offer")
        if more.number in self._numbers:
            return
        self._numbers.add(more.number)
        self._peer.add_candidates(candidates, is_last=more.is_last)

    async def close(self) -> None:
        """End the session, and return after all cleanup."""
        self._ended.set()
        await asyncio.wait([self.life])

    # `visit_parts.ConnectedVisit`

    def on_connected(self) -> None:
        """Begin to serve."""
        self._connected.set()

    def end(self) -> None:
        """End it soon."""
        self._ended.set()

    def open_channel(self, label: str, channel: Channel) -> bool:
        """Attach a data channel that the viewer opened; False if it is refused."""
        own = LISTENERS.get(self._checked.offer.purpose)
        if own is not None and label not in (own, CONTROL_LABEL):
            return False
        if label == RINGS_LABEL:
            return self._checked.offer.purpose == "rings" and self._rings.attach(channel)
        if label == CLIPS_LABEL:
            return self._clips.attach(channel)
        is_owners = self._checked.who.right.holder == "owner"
        if label == REPLIES_LABEL:
            return is_owners and self._replies.attach(channel)
        if label == ASKED_LABEL:
            return is_owners and self._asked.attach(channel)
        if label == CONTROL_LABEL and self._control.attach(channel):
            self.changes.notify()
            return True
        return False

    def send_state(self, watchers: Sequence[Watcher]) -> None:
        """Send the session's state to the viewer."""
        sound = self._sound
        talker = None if sound is None else sound.floor.talker
        lines = tuple(
            WatcherLine(
                name=one.who.name,
                browser=one.who.browser_name,
                since_ms=one.since_ms,
                is_you=one.session_id == self.id,
            )
            for one in watchers
        )
        self._control.send_state(
            State(
                ends_in_s=max(0, round(self._ends_s - self._now_s())),
                stream=self._quality.stream,
                why=self._quality.why,
                microphone=sound.microphone.state if sound and sound.heard else "none",
                talk=sound.floor.manner if sound and self._voice else "none",
                talker=None if talker is None else talker.name,
                watching=lines,
            )
        )

    # `clip_channel.Player`

    def play(self, clip_id: str, reel: ClipGops) -> None:
        """Play a clip over the video track; WireError where the viewer has none."""
        if not self._offer.has_video or self.is_listener:
            raise WireError("this session has no video; fetch the clip")
        feed = ClipFeed(reel)
        clip = StreamSource("clip", feed, is_live=False, rotation=reel.rotation)
        feed.places.add(partial(self._clips.send_position, clip_id))
        feed.ended.add(partial(self._clips.send_played, clip_id))
        feed.ended.add(partial(self._quality.go_live, after=clip))
        self._quality.play(clip)

    def stop(self) -> None:
        """Return to live view."""
        self._quality.go_live()

    # From here on: how.

    def _make_voice(self, sound: LiveSound | None) -> SessionVoice | None:
        if sound is None:
            return None
        return SessionVoice(sound, self.id, name=self._checked.who.name)

    async def _negotiate(self) -> SignedLive:
        """Answer the offer within ANSWER_S; any fault in it ends the session."""
        try:
            async with asyncio.timeout(ANSWER_S):
                sdp = await self._peer.answer(self._offer)
                return await self._signer.signed(self._checked.offer, sdp, lasts_s=self._lasts_s)
        except LiveError:
            self.end()
            raise
        except TimeoutError as error:
            self.end()
            raise LiveError("timeout", "no answer in time; are the ICE servers well?") from error
        except Exception as error:
            # The text comes from outside and aiortc's parser raises nearly anything.
            logger.info("an SDP offer could not be applied: %r", error)
            self.end()
            raise LiveError("bad_offer", "the offer's SDP could not be understood") from error

    async def _live(self) -> None:
        """Supervise the session: connect in time, serve, clean up."""
        try:
            await _first(self._answer, self._ended.wait())
            async with asyncio.timeout(self._limits.connect_s):
                await _first(self._connected.wait(), self._ended.wait())
            if not self._ended.is_set():
                await self._serve()
        except TimeoutError:
            logger.info("live session ended: it was not connected in time")
        except Exception:
            logger.exception("live session ended by a fault")
        finally:
            await self._clear()

    async def _serve(self) -> None:
        self._renew()
        if self._is_live:
            self.watcher = Watcher(
                session_id=self.id, who=self._checked.who, since_ms=self._clock.wall_ms()
            )
            self.watch_began.notify(self.watcher)
            if self._checked.offer.hears:
                self._hear()
        self.changes.notify()
        async with asyncio.TaskGroup() as group:
            serving = [
                group.create_task(self._clips.serve(), name="live clips"),
                group.create_task(self._control.serve(), name="live control"),
                group.create_task(self._replies.serve(), name="live replies"),
                group.create_task(self._asked.serve(), name="live asked"),
                group.create_task(self._rings.serve(), name="live rings"),
            ]
            await self._until_over()
            for task in serving:
                task.cancel()

    def _hear(self) -> None:
        """Send the door's sound, if there is any; a viewer without it sees all the same."""
        with contextlib.suppress(LiveError):
            self._peer.listen(True)

    async def _until_over(self) -> None:
        """Wait until the session is ended, or its time is over."""
        while not self._ended.is_set():
            left_s = self._ends_s - self._now_s()
            if left_s <= 0:
                logger.info("live session ended: its time is over")
                return
            if not self._has_right():
                return
            try:
                async with asyncio.timeout(min(left_s, RIGHT_CHECK_S)):
                    await self._ended.wait()
            except TimeoutError:
                continue  # renewed meanwhile, perhaps

    def _has_right(self) -> bool:
        """Return whether the browser still has the right that this session needs."""
        try:
            who = self._checks.who(self.browser, RIGHT_OF[self._checked.offer.purpose])
            self._rings.send_rights(_rights_of(who))
        except LiveError as error:
            logger.info("live session ended: %s", error)
            return False
        return True

    async def _clear(self) -> None:
        self._answer.cancel()
        await asyncio.wait([self._answer])
        self._quality.go_live()
        if self._voice is not None:
            self._voice.leave()
        try:
            async with asyncio.timeout(CLOSE_S):
                await self._peer.close()
        except TimeoutError:
            logger.warning("a peer connection could not be closed in %s s", CLOSE_S)
        except Exception:
            logger.exception("a peer connection could not be closed")
        finally:
            self.cleared.notify(self)

    def _now_s(self) -> float:
        return self._clock.monotonic_ns() / 1e9

    @property
    def _lasts_s(self) -> float:
        """For how long the session goes on: a player that records all the time has no renewals."""
        is_recorder = self._is_live and self._checked.who.right.allows("record")
        return self._limits.recorder_s if is_recorder else self._limits.session_s

    def _renew(self) -> None:
        self._ends_s = self._now_s() + self._lasts_s

    # `control.WishGranter`

    async def grant(self, wish: Wish) -> None:
        """Carry out a viewer's request, or raise LiveError."""
        match wish:
            case Renew():
                who = self._checks.who(self.browser)
                if self._is_live:
                    self._watch_limit.check(who, self._now_s())
                self._renew()
                self._control.forget_state()
                self.changes.notify()
            case QualityWish():
                self._quality.prefer_small(wish.want == "small")
            case RepliesWanted():
                self._control.send_replies(self._voice.replies if self._voice else ())
            case SwitchMicrophone():
                self._checks.owner(self.browser)
                await switch_microphone(self._sound, wish)
            case Listen() if self._voice is not None:
                self._peer.listen(wish.is_on)
            case Talk() | Reply() if self._voice is not None:
                self._voice.grant(wish)
            case _:
                raise LiveError("no_sound", "there is no sound in this session")


def _rights_of(who: Who) -> PlayerRights:
    return PlayerRights(name=who.browser_name, what=tuple(who.right.what))


async def _first(*works: Awaitable[object]) -> None:
    """Wait until one of these is done, however; tasks go on, other waits end."""
    waits = [asyncio.ensure_future(work) for work in works]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for work, wait in zip(works, waits, strict=True):
            if wait is not work:
                wait.cancel()
