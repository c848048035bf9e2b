"""A doorbell's live view with a small real camera, real keys and real stores, and who visits it.

The relay is whoever calls `LiveView.on_command`: a test hands over what a relay would carry, or
changes it on the way.
"""

import asyncio
import json
import random
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from aiortc import (
    RTCConfiguration,
    RTCDataChannel,
    RTCPeerConnection,
    RTCRtpTransceiver,
    RTCSessionDescription,
)

from firmware.capture.unit_hub import UnitHub
from firmware.enrolment.browsers import BrowserStore
from firmware.enrolment.keys import DeviceKeys, load_or_make_keys
from firmware.enrolment.owners import OwnerStore
from firmware.live.asked_channel import AskedService
from firmware.live.feed import ClipFile, ClipGops, ClipSource, ClipSummary, Unit
from firmware.live.live_view import LiveView
from firmware.live.nonces import Nonces
from firmware.live.quality import live_sources
from firmware.live.ring_feed import RingFeed
from firmware.live.sdp_answer import AnswerSigner
from firmware.live.session_parts import LiveLimits
from firmware.live.sessions import LiveSessions, RealPeers
from firmware.live.signature_checks import SignatureChecks
from firmware.live.voice import LiveSound
from firmware.notes.sealed_notes import Notes
from firmware.protocol.commands import (
    Answer,
    Candidates,
    CloseSession,
    IceServer,
    LiveNonce,
    NonceWanted,
    Offer,
    Refused,
    ReplyBody,
)
from firmware.protocol.encoding import new_id, unb64u
from firmware.protocol.events import EventBody, Note
from firmware.protocol.footage import SignedManifest
from firmware.protocol.grants import Owner
from firmware.protocol.live import LiveAnswer, LiveCandidates, LiveOffer, SignedLive, check_answer
from firmware.protocol.notes import NoteBody, open_note
from firmware.system.clock import SystemClock
from tests.fakes.events import OnPublish, PublishedEvents
from tests.fakes.sink import FunctionSink, PictureList
from tests.fakes.source import QuickSource
from tests.story.authenticator import SoftPasskey
from tests.story.browser import SoftBrowser

CLIP_ID = "a" * 26
STARTED_MS = 1_790_000_000_000
CLIP_MP4 = bytes(range(256)) * 8192 + b"end"
OWNER = "Mary"
FRAME_90K = 3000


class OneClip:
    """A shelf with one clip: `units` of it, and bytes that stand for its MP4."""

    def __init__(self, units: list[Unit] | None = None) -> None:
        self.units = units or []

    def newest(self, limit: int, skip: int = 0) -> list[ClipSummary]:
        line = ClipSummary(
            clip_id=CLIP_ID,
            started_ms=STARTED_MS,
            duration_ms=12_000,
            manifest_digest="d" * 64,
            pre_roll_ms=6000,
        )
        return [line][skip : skip + limit]

    async def plain_mp4(self, clip_id: str) -> ClipFile | None:
        if clip_id != CLIP_ID:
            return None
        manifest = SignedManifest(manifest="{}", signature="AA")
        return ClipFile(
            mp4=CLIP_MP4,
            manifest_digest="d" * 64,
            manifest=manifest,
            started_ms=STARTED_MS,
            dating="latest",
        )

    async def read_gops(self, clip_id: str, from_ms: int) -> ClipGops | None:
        if clip_id != CLIP_ID:
            return None
        firsts = [one.pts_90k for one in self.units if one.is_key and one.pts_90k <= from_ms * 90]
        first_90k = max(firsts, default=0)
        duration_ms = (self.units[-1].pts_90k + FRAME_90K) // 90 if self.units else 0
        return ClipGops(
            started_ms=STARTED_MS,
            from_ms=first_90k // 90,
            duration_ms=duration_ms,
            gops=self._gops(first_90k),
        )

    async def _gops(self, first_90k: int) -> AsyncIterator[list[Unit]]:
        gop: list[Unit] = []
        for unit in self.units:
            if unit.is_key and gop:
                yield gop
                gop = []
            if unit.pts_90k >= first_90k:
                gop.append(unit)
        if gop:
            yield gop


@dataclass
class Porch:
    """A camera, its hub, and the live view under test."""

    source: QuickSource
    hub: UnitHub
    viewing: LiveView
    keys: DeviceKeys
    owners: OwnerStore
    browsers: BrowserStore
    told: list[EventBody]
    checks: SignatureChecks
    rings: RingFeed

    @property
    def live(self):
        return self.viewing.live

    def enrol(self, name: str = "Phone", owner: str = OWNER) -> SoftBrowser:
        """Let a browser of one of the owners in."""
        browser = SoftBrowser.create(name)
        known = next((o for o in self.owners.owners if o.name == owner), None)
        credential_id = known.passkey.credential_id if known else self.add_owner(owner)
        self.browsers.enrol(browser.keys, credential_id, SystemClock().wall_ms())
        return browser

    def add_owner(self, name: str) -> str:
        """Let another person be an owner; returns the passkey's id."""
        passkey = SoftPasskey.create(rp_id="localhost", origin="https://localhost").key
        self.owners.add(Owner(name=name, passkey=passkey))
        return passkey.credential_id

    def notes_to(self, browser: SoftBrowser) -> list[NoteBody]:
        """Open what was told to one browser."""
        notes = (body for body in self.told if isinstance(body, Note))
        sealed = (note.sealed for note in notes if note.browser == browser.keys.id)
        key, spki = browser.viewing_private_key, self.keys.signer.spki
        return [open_note(unb64u(one), key, spki).body for one in sealed]

    async def nonce(self) -> str:
        """Ask for one, as the relay does for a browser."""
        reply = await self.viewing.on_command(NonceWanted())
        assert isinstance(reply, LiveNonce)
        return reply.nonce


class MainEncoder:
    """Implements `firmware.live.quality.MainEncoder`."""

    def __init__(self, source: QuickSource, wanted_bps: int) -> None:
        self._source = source
        self.wanted_bps = wanted_bps

    def request_key_frame(self) -> None:
        self._source.request_key_frame()


class StoredOwners:
    """Implements `firmware.system.ownership.Ownership`."""

    def __init__(self, owners: OwnerStore) -> None:
        self._owners = owners

    def has_owner(self) -> bool:
        return bool(self._owners.owners)


@asynccontextmanager
async def porch(
    *,
    shelf: ClipSource | None = None,
    sound: LiveSound | None = None,
    max_viewers: int = 4,
    small: object | None = None,
    checks: type[SignatureChecks] = SignatureChecks,
    note_pause_s: float = 0.0,
    source: QuickSource | None = None,
    main_bps: int = 1_000_000,
    asked: AskedService | None = None,
    keys: DeviceKeys | None = None,
    clock: SystemClock | None = None,
    owner: str | None = OWNER,
    on_told: OnPublish | None = None,
    **limits: object,
) -> AsyncIterator[Porch]:
    """A running doorbell; `limits` are those of `firmware.live.sessions.LiveLimits`.

    `owner` None: nobody has paired it yet. `on_told` gets what it tells, as well.
    """
    source = source or QuickSource()
    hub = UnitHub(PictureList(), asyncio.get_running_loop())
    told: list[EventBody] = []

    async def tell(body: EventBody, **_: object) -> None:
        told.append(body)
        if on_told is not None:
            await on_told(body)

    with tempfile.TemporaryDirectory() as folder:
        keys = keys or load_or_make_keys(Path(folder))
        owners = OwnerStore(Path(folder) / "owners.json")
        browsers = BrowserStore(Path(folder) / "browsers.json", owners)

        clock, rings = clock or SystemClock(), RingFeed()
        desk = checks(
            device=keys.device,
            nonces=Nonces(clock=clock),
            browsers=browsers,
            owners=owners,
            clock=clock,
        )
        sessions = LiveSessions(
            sources=live_sources(hub.late, MainEncoder(source, main_bps), small),
            shelf=shelf or OneClip(),
            checks=desk,
            signer=AnswerSigner(keys.signer, device=keys.device, clock=clock),
            clock=clock,
            limits=LiveLimits(max_viewers=max_viewers, **limits),
            peers=RealPeers(clock, random.Random(1)),
            sound=sound,
            asked=asked,
            rings=rings,
        )
        viewing = LiveView(
            sessions,
            owners=StoredOwners(owners),
            checks=desk,
            notes=Notes(
                keys=keys,
                owners=owners,
                browsers=browsers,
                clock=clock,
                events=PublishedEvents(tell),
            ),
            clock=clock,
            note_pause_s=note_pause_s,
        )
        source.start(FunctionSink(hub.put))
        here = Porch(source, hub, viewing, keys, owners, browsers, told, desk, rings)
        if owner is not None:
            here.add_owner(owner)
        try:
            yield here
        finally:
            await viewing.aclose()
            await asyncio.to_thread(source.stop)


class Refusal(Exception):
    """The doorbell refused."""

    def __init__(self, refused: Refused) -> None:
        super().__init__(f"{refused.reason}: {refused.detail}")
        self.reason = refused.reason
        self.detail = refused.detail


def accepted(reply: ReplyBody) -> ReplyBody:
    """Return the reply, or raise what it refuses."""
    if isinstance(reply, Refused):
        raise Refusal(reply)
    return reply


def as_it_is(signed: SignedLive) -> SignedLive:
    """An honest relay."""
    return signed


@dataclass
class Visitor:
    """An owner's browser and its connection, with the checks that an owner's app makes."""

    here: Porch
    browser: SoftBrowser
    carry: Callable[[SignedLive], SignedLive] = as_it_is
    """What the relay makes of the offer on its way."""
    bring: Callable[[SignedLive], SignedLive] = as_it_is
    """What the relay makes of the answer on its way back."""
    session_id: str = field(default_factory=new_id)
    nonce: str | None = None
    purpose: str = "live"
    has_video: bool = True
    has_audio: bool = False
    peer: RTCPeerConnection = field(
        default_factory=lambda: RTCPeerConnection(RTCConfiguration(iceServers=[]))
    )
    clips: asyncio.Queue[str | bytes] = field(default_factory=asyncio.Queue)
    control: asyncio.Queue[str | bytes] = field(default_factory=asyncio.Queue)

    async def local_sdp(self) -> str:
        """Make the offer's SDP, once."""
        if self.peer.localDescription is not None:
            return self.peer.localDescription.sdp
        if self.has_video:
            self.video: RTCRtpTransceiver = self.peer.addTransceiver("video", direction="recvonly")
        if self.has_audio:
            self.peer.addTransceiver("audio", direction="sendrecv")
        self.opened = asyncio.Event()
        self.clips_channel = self._channel("clips", self.clips)
        self.control_channel = self._channel("control", self.control)
        self.control_channel.on("open", self.opened.set)
        await self.peer.setLocalDescription(await self.peer.createOffer())
        return self.peer.localDescription.sdp

    async def offer(self, sdp: str | None = None) -> LiveOffer:
        """Make the document that is signed."""
        return LiveOffer(
            device=self.here.keys.device,
            session_id=self.session_id,
            nonce=self.nonce or await self.here.nonce(),
            browser=self.browser.keys.id,
            purpose=self.purpose,
            sdp=sdp or await self.local_sdp(),
        )

    async def send(self, signed: SignedLive, servers: list[IceServer] | None = None) -> SignedLive:
        """Let the relay carry a signed offer; returns the signed answer, or raises Refusal."""
        reply = accepted(
            await self.here.viewing.on_command(
                Offer(session_id=self.session_id, signed=signed, ice_servers=servers or [])
            )
        )
        assert isinstance(reply, Answer)
        return reply.signed

    async def watch(self) -> LiveAnswer:
        """Offer, check the answer as an app does (WireError), and connect."""
        self.offered = await self.offer()
        signed = self.bring(await self.send(self.carry(self.browser.sign(self.offered))))
        answer = check_answer(
            signed,
            self.here.keys.signer.spki,
            offer=self.offered,
            now_ms=SystemClock().wall_ms(),
        )
        await self.peer.setRemoteDescription(RTCSessionDescription(sdp=answer.sdp, type="answer"))
        return answer

    async def trickle(self, number: int, *lines: str, is_last: bool = False) -> ReplyBody:
        """Send more candidates."""
        candidates = LiveCandidates(
            device=self.here.keys.device,
            session_id=self.session_id,
            nonce=self.offered.nonce,
            browser=self.browser.keys.id,
            number=number,
            candidates=list(lines),
            is_last=is_last,
        )
        return await self.carry_candidates(self.browser.sign(candidates))

    async def carry_candidates(self, signed: SignedLive) -> ReplyBody:
        return accepted(
            await self.here.viewing.on_command(
                Candidates(session_id=self.session_id, signed=signed)
            )
        )

    async def leave(self) -> None:
        """Say goodbye through the relay."""
        await self.here.viewing.on_command(CloseSession(session_id=self.session_id))

    async def frames(self, count: int) -> list:
        """Return so many decoded pictures."""
        return [await self.video.receiver.track.recv() for _ in range(count)]

    def say(self, **wish: object) -> None:
        """Send a wish over the control channel."""
        self.control_channel.send(json.dumps(wish))

    async def told(self, kind: str = "state") -> dict:
        """Return the next message of this type on the control channel."""
        while True:
            message = json.loads(await self.control.get())
            if message["type"] == kind:
                return message

    async def told_of_clips(self) -> dict:
        """Return the next text on the channel of clips."""
        message = await self.clips.get()
        assert isinstance(message, str)
        return json.loads(message)

    def _channel(self, label: str, messages: asyncio.Queue[str | bytes]) -> RTCDataChannel:
        channel = self.peer.createDataChannel(label)
        channel.on("message", messages.put_nowait)
        return channel


@asynccontextmanager
async def visitor(here: Porch, browser: SoftBrowser | None = None, **how) -> AsyncIterator[Visitor]:
    """Somebody with an enrolled browser; the connection is closed at the end."""
    someone = Visitor(here, browser or here.enrol(), **how)
    try:
        yield someone
    finally:
        await someone.peer.close()
