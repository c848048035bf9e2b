"""The knock service: announces a waiting grant at the door and listens for the pattern.

One session at a time, for one statement's digest. It ends two minutes after it was woken at the
latest, and never outlives the statement's own ten. It listens once everything was said: a run of
presses that began before then doesn't count, nor does one while nothing was woken. Three wrong
tries close it for a day (`store`). The right pattern confirms that digest and nothing else; every
check of the grant is then made again, elsewhere.

Build it inside the running loop; all on the loop, except for storage writes.
"""

import asyncio
import logging
from dataclasses import dataclass
from datetime import tzinfo
from typing import Literal, Protocol

from firmware.knock.announcement import SAYINGS, Knockable, Saying, announcement
from firmware.knock.errors import KnockRefused
from firmware.knock.pattern_store import KnockSettings, KnockStore, locked
from firmware.panel.button import Edge
from firmware.panel.pattern import Rhythm, Run
from firmware.sound.errors import SoundError
from firmware.sound.frames import SAMPLE_RATE
from firmware.sound.sounds import Sound
from firmware.sound.speech import Language
from firmware.system.clock import Clock
from firmware.system.listeners import Listeners

log = logging.getLogger(__name__)

SESSION_S = 120.0
LISTEN_AT_LEAST_S = 20.0
"""If less would be left after everything was said, nothing is."""
PAUSE_S = 0.3
LOOK_EVERY_S = 0.1

KnockEnd = Literal[
    "confirmed",  # the pattern was right; the statements' desk carries the grant out
    "refused",  # the pattern was right, and a check of the grant failed
    "locked",  # the last wrong try
    "over",  # nobody pressed the pattern in time
    "not_heard",  # something else was said over it, or the speaker failed
    "changed",  # the owner chose other settings meanwhile
    "failed",  # a try couldn't be counted
]


@dataclass(frozen=True, slots=True, kw_only=True)
class KnockEnded:
    """The end of a session: its outcome and its wall time."""

    end: KnockEnd
    at_ms: int


class SpeechSource(Protocol):
    """The service's interface to `firmware.sound.speech.Speech`."""

    async def speak(self, text: str, language: Language, *, volume_percent: int) -> Sound:
        """Return the spoken text."""
        ...


class SoundOutput(Protocol):
    """The service's interface to `firmware.sound.speaker.Speaker`."""

    async def say(self, samples: bytes) -> bool:
        """Say a sound; True if it was said whole."""
        ...


class WaitingGrants(Protocol):
    """The grants that may be knocked for, as `firmware.app.knock.KnockableGrants`."""

    async def find(self, digest: str) -> Knockable | None:
        """Return the grant that waits under a digest, if there is one."""
        ...

    async def confirm(self, digest: str) -> object | None:
        """Take the owner's yes to exactly this statement; return why not, if it isn't done."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class _Session:
    digest: str
    language: Language
    settings: KnockSettings
    deadline_ns: int


class KnockService:
    """The confirmation of grants by a pattern of presses, one session at a time."""

    def __init__(
        self,
        *,
        store: KnockStore,
        voice: SpeechSource,
        mouth: SoundOutput,
        grants: WaitingGrants,
        clock: Clock,
        zone: tzinfo | None = None,
        look_every_s: float = LOOK_EVERY_S,
    ) -> None:
        """`zone` None is the machine's own."""
        self.ended = Listeners[str, KnockEnd]()
        """How the session for a digest ended."""
        self._store = store
        self._voice = voice
        self._mouth = mouth
        self._grants = grants
        self._clock = clock
        self._zone = zone
        self._look_every_s = look_every_s
        self._rhythm = Rhythm()
        self._opening = asyncio.Lock()
        self._listening: asyncio.Task[None] | None = None
        self._last: KnockEnded | None = None

    @property
    def is_open(self) -> bool:
        """Whether a session is under way."""
        return self._listening is not None and not self._listening.done()

    def on_edge(self, edge: Edge) -> None:
        """Hear the outer button, always: what began before a session must be known in it."""
        self._rhythm.take(edge)

    async def open(self, digest: str, language: Language) -> None:
        """The owner wakes the knock for one grant; KnockRefused or SoundError if that can't be.

        Returns once it is being said; how it ended is told by `ended`.
        """
        async with self._opening:
            woken_ns = self._clock.monotonic_ns()
            settings = self._check_may_open()
            knockable = await self._grants.find(digest)
            if knockable is None or knockable.digest != digest:
                raise KnockRefused("unknown", "no grant waits under that digest; sign it again")
            left_s = (knockable.expires_ms - self._clock.wall_ms()) / 1000
            session = _Session(
                digest=digest,
                language=language,
                settings=settings,
                deadline_ns=woken_ns + round(min(left_s, SESSION_S) * 1e9),
            )
            samples = await self._spoken(knockable, session)
            ready_s = (session.deadline_ns - self._clock.monotonic_ns()) / 1e9
            if ready_s - len(samples) / 2 / SAMPLE_RATE < LISTEN_AT_LEAST_S:
                raise KnockRefused("late", "too little time is left for that; sign it again")
            self._listening = asyncio.create_task(self._run(session, samples), name="knock")

    @property
    def last(self) -> KnockEnded | None:
        """How the last session since the start ended."""
        return self._last

    async def aclose(self) -> None:
        """End the session, if there is one: nothing is confirmed any more."""
        if self._listening is not None:
            self._listening.cancel()
            await asyncio.gather(self._listening, return_exceptions=True)

    def _check_may_open(self) -> KnockSettings:
        settings = self._store.settings
        if not settings.is_on:
            detail = "the knock is off: confirm at the doorbell's own page, and switch it on there"
            raise KnockRefused("off", detail)
        if self._store.locked_for_s > 0:
            raise locked(self._store.locked_for_s)
        if self.is_open:
            raise KnockRefused("busy", "the doorbell listens for another pattern; wait two minutes")
        return settings

    async def _spoken(self, knockable: Knockable, session: _Session) -> bytes:
        """Return all that is to be said: if a part of it can't be, nothing is."""
        sounds = [
            await self._voice.speak(
                sentence, session.language, volume_percent=session.settings.volume_percent
            )
            for sentence in announcement(knockable, session.language, self._zone)
        ]
        return bytes(round(PAUSE_S * SAMPLE_RATE) * 2).join(sound.samples for sound in sounds)

    async def _run(self, session: _Session, samples: bytes) -> None:
        try:
            end = await self._hear_out(session, samples)
        except SoundError as error:
            log.warning("a knock can't be asked for: %s", error)
            end = "not_heard"
        except Exception:  # supervisor: whatever failed, nothing was confirmed
            log.exception("a knock failed")
            end = "failed"
        log.info("a knock ended: %s", end)
        self._last = KnockEnded(end=end, at_ms=self._clock.wall_ms())
        self.ended.notify(session.digest, end)
        last: dict[KnockEnd, Saying] = {
            "confirmed": "confirmed", "refused": "not_done", "locked": "locked", "over": "over",
        }  # fmt: skip
        if end in last:
            await self._say(session, last[end])

    async def _hear_out(self, session: _Session, samples: bytes) -> KnockEnd:
        """Say it, listen until the pattern came or the time is over; return how it ended."""
        if not await self._mouth.say(samples):
            return "not_heard"
        from_ns = self._clock.monotonic_ns()
        while (now_ns := self._clock.monotonic_ns()) < session.deadline_ns:
            run = self._rhythm.read(now_ns)
            if run is None:
                await asyncio.sleep(self._look_every_s)
            elif run.begun_ns >= from_ns and run.is_try:
                end = await self._judge(session, run)
                if end is not None:
                    return end
        return "over"

    async def _judge(self, session: _Session, run: Run) -> KnockEnd | None:
        """Try a run; None if there are tries left."""
        if self._store.settings != session.settings:
            return "changed"
        try:
            is_right = await asyncio.to_thread(self._store.attempt, run.presses)
        except OSError as error:
            log.error("a pattern isn't looked at, because it can't be counted: %s", error)
            return "failed"
        if not is_right and self._store.tries_left == 0:
            return "locked"
        if not is_right:
            await self._say(session, "wrong")
            return None
        if self._clock.monotonic_ns() >= session.deadline_ns:
            return "over"
        return "confirmed" if await self._grants.confirm(session.digest) is None else "refused"

    async def _say(self, session: _Session, saying: Saying) -> None:
        try:
            sound = await self._voice.speak(
                SAYINGS[session.language][saying],
                session.language,
                volume_percent=session.settings.volume_percent,
            )
            await self._mouth.say(sound.samples)
        except SoundError as error:
            log.warning("how a knock ended can't be said: %s", error)
