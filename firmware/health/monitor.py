"""Health monitor: publishes the doorbell's health each minute and on change, troubles as events.

One check every ten seconds, or at once after `check_now`. A check steps the heat ladder and sets
the camera's frame rate by it; it also finds troubles. An event that can't be stored now (a storage
error) is stored later and delays no check: heat is watched whatever storage does.
"""

import asyncio
import contextlib
import logging
from collections.abc import Collection, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from firmware.clips.record import StorageState
from firmware.errors import DoorwardError
from firmware.health.ladder import HeatLadder
from firmware.health.readings import BoardReadings, Reading
from firmware.health.reporter import TroubleReporter
from firmware.protocol.events import CameraState, Health, TroubleCode
from firmware.system.clock import Clock
from firmware.system.listeners import Listeners

LOOK_EVERY_S = 10.0
PUBLISH_EVERY_S = 60.0
GAPS_REPORTED = 3
"""So many gaps between pictures in ten minutes are a trouble; one may be a hiccup."""
LEAST_PAUSE_S = 1.0
"""However often something changes, looks are at least this far apart."""

CARD_TROUBLES: dict[str, TroubleCode] = {
    "full": "card_full",
    "slow": "card_slow",
    "failing": "card_failing",
    "no_key": "storage_key",
}

log = logging.getLogger(__name__)


class WatchedCamera(Protocol):
    """The camera as health needs it (firmware.capture.camera_keeper.CameraKeeper)."""

    @property
    def state(self) -> CameraState:
        """Whether it gives pictures, or why not."""
        ...

    @property
    def fps_milli(self) -> int:
        """Pictures per 1,000 s, measured."""
        ...

    @property
    def recent_gaps_ms(self) -> Sequence[int]:
        """How long each gap between pictures was in the last ten minutes."""
        ...

    def set_max_fps(self, fps: int) -> Coroutine[Any, Any, None]:
        """Film with at most this many pictures a second."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipFacts:
    """Facts of the recorder and the library."""

    sync_p99_ms: int | None = None
    clip_count: int = 0
    oldest_clip_ms: int | None = None
    pre_roll_ms: int | None = None
    """The shortest of the last clips; None before the first."""
    pre_roll_set_ms: int | None = None
    holds_days: int | None = None
    """How many days of clips the card holds as they come now; None: not known yet."""


class WatchedClips(Protocol):
    """The recorder and its library (`firmware.app.clips.ClipWiring`)."""

    def facts(self) -> ClipFacts:
        """Return the facts. Blocks."""
        ...


class WatchedSound(Protocol):
    """Microphone and speaker (`firmware.sound.sound_system.SoundWiring`)."""

    @property
    def has_failed(self) -> bool:
        """Whether microphone or speaker couldn't be used when last wanted."""
        ...


class TroubleSource(Protocol):
    """Another part that knows by itself of troubles that are there now, such as the register
    (`firmware.transparency.public_record.PublicRecord`)."""

    @property
    def present_troubles(self) -> Collection[TroubleCode]:
        """The troubles of this moment."""
        ...


class HealthMonitor:
    """Run it on the loop. `published` is notified of each new Health.

    `set_card` listens to the recorder's `card_states`, `set_storm` to the motion watch's `storms`,
    `check_now` to the camera keeper's `states`.
    """

    def __init__(
        self,
        *,
        board: BoardReadings,
        camera: WatchedCamera,
        clips: WatchedClips,
        ladder: HeatLadder,
        reporter: TroubleReporter,
        clock: Clock,
        sound: WatchedSound | None = None,
        sources: Sequence[TroubleSource] = (),
        gaps_reported: int = GAPS_REPORTED,
        look_every_s: float = LOOK_EVERY_S,
    ) -> None:
        """`gaps_reported` 0: gaps are no trouble."""
        self.published = Listeners[Health]()
        self._board = board
        self._camera = camera
        self._clips = clips
        self._ladder = ladder
        self._reporter = reporter
        self._clock = clock
        self._sound = sound
        self._sources = tuple(sources)
        self._gaps_reported = gaps_reported
        self._look_every_s = look_every_s
        self._facts = ClipFacts()
        self._is_wanted = asyncio.Event()
        self._card_trouble: TroubleCode | None = None
        self._is_storm = False
        self._had_weak_power = False
        self._max_fps_set = ladder.max_fps
        self._published_s: float | None = None
        self._health: Health | None = None

    @property
    def health(self) -> Health | None:
        """The last look's result."""
        return self._health

    def set_card(self, card: StorageState) -> None:
        """Set the state of storage, and check soon. Call it on the loop."""
        self._card_trouble = CARD_TROUBLES.get(card.code)
        self.check_now()

    @property
    def troubles(self) -> Sequence[TroubleCode]:
        """The troubles that the owner was notified of."""
        return self._reporter.told

    def set_gaps_reported(self, count: int) -> None:
        """Report so many gaps in ten minutes as a trouble from the next look on; 0: never."""
        self._gaps_reported = count

    def set_storm(self, is_storm: bool) -> None:
        """Set whether there is too much motion, and check soon. Call it on the loop."""
        self._is_storm = is_storm
        self.check_now()

    def check_now(self, *_: object) -> None:
        """Check soon, after a change such as of the camera's state. Call it on the loop."""
        self._is_wanted.set()

    async def run(self) -> None:
        """Look until cancelled."""
        try:
            while True:
                self._is_wanted.clear()
                await self.look()
                await asyncio.sleep(min(LEAST_PAUSE_S, self._look_every_s))
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._look_every_s):
                        await self._is_wanted.wait()
        finally:
            self._reporter.cancel()

    async def look(self) -> Health:
        """Check once; publish the health and troubles that are due."""
        reading, facts = await asyncio.gather(
            asyncio.to_thread(self._board.read), self._newest_facts()
        )
        await self._fit_to_heat(reading.temperature_milli_c)
        health = self._health_of(reading, facts)
        before, self._health = self._health, health
        is_due = self._published_s is None or self._now_s() - self._published_s >= PUBLISH_EVERY_S
        if is_due or before is None or _has_changed(before, health):
            self._published_s = self._now_s()
            self.published.notify(health)
        await self._reporter.report(self._present(health))
        return health

    async def _newest_facts(self) -> ClipFacts:
        """Return the facts about clips; while the index can't be read, the last ones."""
        try:
            self._facts = await asyncio.to_thread(self._clips.facts)
        except (DoorwardError, OSError) as error:
            log.warning("the index of clips can't be read: %s", error)
        return self._facts

    async def _fit_to_heat(self, temperature_milli_c: int | None) -> None:
        max_fps = self._ladder.step(temperature_milli_c, self._now_s())
        if max_fps == self._max_fps_set:
            return
        log.warning("%s milli-degrees: at most %d pictures/s", temperature_milli_c, max_fps)
        await self._camera.set_max_fps(max_fps)
        self._max_fps_set = max_fps

    def _health_of(self, reading: Reading, facts: ClipFacts) -> Health:
        throttling, gaps_ms = reading.throttling, self._camera.recent_gaps_ms
        if throttling is not None and throttling.had_weak_power:
            self._had_weak_power = True
        return Health(
            measured_ms=self._clock.wall_ms(),
            camera=self._camera.state,
            fps_milli=self._camera.fps_milli,
            max_fps=self._ladder.max_fps,
            gap_count=len(gaps_ms),
            longest_gap_ms=max(gaps_ms, default=0),
            temperature_milli_c=reading.temperature_milli_c,
            has_weak_power=None if throttling is None else throttling.has_weak_power,
            had_weak_power=None if throttling is None else self._had_weak_power,
            is_throttled=None if throttling is None else throttling.is_throttled,
            card_free_bytes=reading.card_free_bytes,
            card_total_bytes=reading.card_total_bytes,
            sync_p99_ms=facts.sync_p99_ms,
            signal_dbm=reading.signal_dbm,
            is_clock_trusted=self._clock.is_trusted(),
            memory_free_bytes=reading.memory_free_bytes,
            clip_count=facts.clip_count,
            oldest_clip_ms=facts.oldest_clip_ms,
            pre_roll_ms=facts.pre_roll_ms,
            pre_roll_set_ms=facts.pre_roll_set_ms,
            holds_days=facts.holds_days,
        )

    def _present(self, health: Health) -> set[TroubleCode]:
        present: set[TroubleCode] = set()
        if health.camera not in ("working", "starting", "off"):
            present.add("camera")
        if 0 < self._gaps_reported <= health.gap_count:
            present.add("camera_gaps")
        if self._card_trouble is not None:
            present.add(self._card_trouble)
        if self._sound is not None and self._sound.has_failed:
            present.add("sound")
        if self._is_storm:
            present.add("too_much_motion")
        if health.has_weak_power:
            present.add("power_weak")
        if self._ladder.is_too_hot:
            present.add("too_hot")
        if not health.is_clock_trusted:
            present.add("clock_unknown")
        for source in self._sources:
            present.update(source.present_troubles)
        return present

    def _now_s(self) -> float:
        return self._clock.monotonic_ns() / 1e9


def _has_changed(before: Health, after: Health) -> bool:
    """Return whether a value changed that doesn't change all the time."""
    return any(
        getattr(before, name) != getattr(after, name)
        for name in (
            "camera",
            "max_fps",
            "has_weak_power",
            "is_throttled",
            "is_clock_trusted",
        )
    )
