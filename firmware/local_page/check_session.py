"""The measurements of one check, while its window is open; nothing of them is kept afterwards.

    small pictures ─► sharpness, JPEG ─┐
    microphone ─► level ───────────────┤
    button, chime, speaker, card ──────┼─► facts ─► results ─► check page
    board, clock ──────────────────────┘

The camera's small pictures and the microphone are taken when the window opens and given back when
it closes. A picture is in memory until the next one comes; of sound there is only its level.
"""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from av.error import FFmpegError

from firmware.capture.camera_output import SmallPicture
from firmware.capture.jpeg import fitting_jpeg
from firmware.capture.sharpness import sharpness
from firmware.capture.small_frames import frame_of
from firmware.capture.unit_hub import SmallHub, SmallSlot
from firmware.capture.video_source import DescribedCamera
from firmware.health.readings import BoardReadings, Reading
from firmware.health.storage_speed import StorageSpeed, measure_storage
from firmware.local_page.check_results import (
    CheckFacts,
    CheckId,
    CheckResult,
    PictureFacts,
    SoundFacts,
    results,
)
from firmware.local_page.check_window import CheckWindow
from firmware.panel.button import Press
from firmware.protocol.events import CameraState
from firmware.sound.errors import SoundError
from firmware.sound.microphone import Microphone
from firmware.sound.sound_level import SoundLevel
from firmware.sound.sounds import rising_notes
from firmware.sound.speaker import Speaker
from firmware.system.clock import Clock
from firmware.system.listeners import Listeners

MAX_JPEG_BYTES = 120_000
TRIES = ((640, 4), (640, 8), (480, 10), (320, 16))
PICTURE_S = 2.0
READ_EVERY_NS = 2 * 10**9
MAX_CARD_RUNS = 3
"""In one window, so that nobody wears the card by asking."""

log = logging.getLogger(__name__)


class MeasuredCamera(Protocol):
    """The camera's keeper (`firmware.capture.camera_keeper.CameraKeeper`)."""

    @property
    def fps_milli(self) -> int:
        """Pictures per 1,000 s, measured over the last few seconds."""
        ...


class CheckedCamera(Protocol):
    """The camera (`firmware.app.camera.CameraWiring`)."""

    small: SmallHub

    @property
    def state(self) -> CameraState:
        """Whether there are pictures, or why not."""
        ...

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the coded pictures."""
        ...

    @property
    def keeper(self) -> MeasuredCamera:
        """What measures it."""
        ...

    @property
    def described(self) -> DescribedCamera | None:
        """The camera, if it knows its own name and where its lens is."""
        ...


class CheckedPanel(Protocol):
    """Button, chime and light (`firmware.panel.panel.Panel`)."""

    pressed: Listeners[Press]

    @property
    def has_chime(self) -> bool:
        """Whether a chime is fitted."""
        ...

    @property
    def has_light(self) -> bool:
        """Whether a light is fitted."""
        ...

    def chime(self) -> bool:
        """Sound the chime once; False if it was rung too often."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedParts:
    """The parts of a doorbell that are checked."""

    camera: CheckedCamera
    panel: CheckedPanel
    microphone: Microphone
    speaker: Speaker
    board: BoardReadings
    card: Path
    """A folder on the memory card."""
    clock: Clock


class CheckSession:
    """The measurements of the window that is open; all on the loop. Build it with its window."""

    def __init__(self, window: CheckWindow, parts: CheckedParts) -> None:
        self.window = window
        self._parts = parts
        self._pictures = _Pictures(parts.camera.small)
        self._level: SoundLevel | None = None
        self._reading: tuple[int, Reading] | None = None
        self._is_open = False
        self._one_card_run_at_a_time = asyncio.Lock()
        self._one_reading_at_a_time = asyncio.Lock()
        self._done = _Done()
        window.changes.add(self._on_change)
        parts.panel.pressed.add(self._on_press)

    async def results(self, *, page_ms: int | None = None) -> Sequence[CheckResult]:
        """Judge every part now; `page_ms` is the wall time that the browser has."""
        reading = await self._read_board()
        return results(self._facts(reading, page_ms))

    async def jpeg(self) -> bytes | None:
        """Return the next picture; None if the camera gives none, or the window is closed."""
        return await self._pictures.jpeg()

    @property
    def sharpness(self) -> tuple[int, int] | None:
        """How sharp the last picture was, and the best one; None before the first."""
        now, best = self._pictures.sharpness, self._pictures.best_sharpness
        return None if now is None or best is None else (now, best)

    @property
    def level_dbfs(self) -> float | None:
        """How loud it is; None without a microphone."""
        return None if self._level is None else self._level.now_dbfs

    def chime(self) -> bool:
        """Sound the chime; False if it was rung too often."""
        if not self._parts.panel.chime():
            return False
        self._done.tried.add("chime")
        self._done.answers.pop("chime", None)
        return True

    async def play(self) -> bool:
        """Play three notes; return whether the speaker took them."""
        notes = await asyncio.to_thread(rising_notes)
        self._done.answers.pop("speaker", None)
        self._done.tried.add("speaker")
        try:
            return await self._parts.speaker.say(notes.samples)
        except SoundError as error:
            log.warning("the check page can't play its notes: %s", error)
            return False

    async def measure_card(self) -> bool:
        """Measure how fast the card writes; False: it was measured often enough."""
        async with self._one_card_run_at_a_time:
            done = self._done
            if done.card_runs >= MAX_CARD_RUNS or not self._is_open:
                return False
            done.card_runs += 1
            try:
                done.card_speed = await asyncio.to_thread(measure_storage, self._parts.card)
                done.has_card_failed = False
            except OSError as error:
                log.warning("the card can't be measured: %s", error)
                done.has_card_failed = True
        return True

    def answer(self, check: CheckId, *, is_good: bool) -> None:
        """Note what the person said of a part."""
        self._done.answers[check] = is_good
        if check == "focus" and not is_good:
            self._pictures.best_sharpness = None  # the lens is turned, or another scene is there

    def _facts(self, reading: Reading, page_ms: int | None) -> CheckFacts:
        parts, level, clock = self._parts, self._level, self._parts.clock
        width, height = parts.camera.size
        described = parts.camera.described
        return CheckFacts(
            picture=PictureFacts(
                state=parts.camera.state,
                model="" if described is None else described.model,
                width=width,
                height=height,
                fps_milli=parts.camera.keeper.fps_milli,
                sharpness=self._pictures.sharpness,
                best_sharpness=self._pictures.best_sharpness,
                lens_milli_dioptres=None if described is None else described.lens_milli_dioptres,
            ),
            sound=SoundFacts(
                has_card=parts.microphone.has_device,
                speaker_trouble=parts.speaker.trouble,
                microphone_trouble=parts.microphone.trouble,
                level_dbfs=None if level is None else level.now_dbfs,
                highest_dbfs=None if level is None else level.highest_dbfs,
            ),
            reading=reading,
            has_chime=parts.panel.has_chime,
            has_light=parts.panel.has_light,
            presses=self._done.presses,
            tried=frozenset(self._done.tried),
            answers=dict(self._done.answers),
            is_clock_trusted=clock.is_trusted(),
            off_ms=None if page_ms is None else page_ms - clock.wall_ms(),
            card_speed=self._done.card_speed,
            has_card_failed=self._done.has_card_failed,
        )

    async def _read_board(self) -> Reading:
        async with self._one_reading_at_a_time:
            now_ns = self._parts.clock.monotonic_ns()
            if self._reading is None or now_ns - self._reading[0] >= READ_EVERY_NS:
                self._reading = (now_ns, await asyncio.to_thread(self._parts.board.read))
            return self._reading[1]

    def _on_change(self) -> None:
        is_open = self.window.is_open
        if is_open == self._is_open:
            return
        self._is_open = is_open
        self._done, self._reading, self._level = _Done(), None, None
        if is_open:
            self._pictures.begin()
            self._level = self._parts.microphone.measure()
        else:
            self._pictures.end()
            self._parts.microphone.end_measuring()

    def _on_press(self, _press: Press) -> None:
        if self._is_open:
            self._done.presses += 1


@dataclass(slots=True)
class _Done:
    """What was tried and answered since the window opened."""

    presses: int = 0
    tried: set[CheckId] = field(default_factory=set)
    answers: dict[CheckId, bool] = field(default_factory=dict)
    card_speed: StorageSpeed | None = None
    has_card_failed: bool = False
    card_runs: int = 0


class _Pictures:
    """The camera's small pictures as JPEG, one at a time, and how sharp they are."""

    def __init__(self, small: SmallHub) -> None:
        self._small = small
        self._slot: SmallSlot | None = None
        self._one_at_a_time = asyncio.Lock()
        self.sharpness: int | None = None
        self.best_sharpness: int | None = None

    def begin(self) -> None:
        self._slot = self._small.subscribe()

    def end(self) -> None:
        slot, self._slot = self._slot, None
        if slot is not None:
            slot.close()
        self.sharpness = self.best_sharpness = None

    async def jpeg(self) -> bytes | None:
        async with self._one_at_a_time:
            slot = self._slot
            if slot is None:
                return None
            try:
                async with asyncio.timeout(PICTURE_S):
                    picture = await slot.next()
                jpeg, sharp = await asyncio.to_thread(_seen, picture)
            except (TimeoutError, StopAsyncIteration):
                return None
            except FFmpegError as error:
                log.warning("the check page's picture can't be made: %s", error)
                return None
            if self._slot is not slot:  # closed meanwhile
                return None
            self.sharpness = sharp
            self.best_sharpness = max(sharp, self.best_sharpness or 0)
            return jpeg


def _seen(picture: SmallPicture) -> tuple[bytes | None, int]:
    return fitting_jpeg(frame_of(picture), TRIES, MAX_JPEG_BYTES), sharpness(picture)
