"""The clock jumps by −1 h and ±10 years while a doorbell records and while it tells.

Whatever the clock says, clips keep their order, their pictures and their durations, and events
theirs. A time that nobody vouches for is told as such; once NTP sets the clock, everything is
dated to when it really was, and what was told first is kept. Nothing is deleted by such a clock.
"""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import pytest
from msgspec.structs import replace

from firmware.app.camera import CameraWiring
from firmware.app.clips import ClipWiring
from firmware.capture.camera_output import pts_90k_of
from firmware.clips.record import ClipRecord
from firmware.config.settings import Config
from firmware.enrolment.keys import load_or_make_keys
from firmware.health.clock_watch import LOOK_EVERY_S, ClockWatch
from firmware.outbox.publisher import EventWriter
from firmware.outbox.queue import Outbox
from firmware.protocol.encoding import new_id
from firmware.protocol.events import ClipReady, ClockSet, Event, Pressed
from firmware.protocol.footage import ClipManifest, check_manifest
from firmware.store.database import Database
from firmware.system.clock import SystemClock
from tests.fakes.clock import ManualKernel
from tests.fakes.footage import FPS
from tests.fakes.ownership import Owned
from tests.fakes.waiting import PATIENCE_S
from tests.faults.named_units import name_of, named
from tests.faults.recording_process import CLIPS, TinyFilming

TRUE_MS = 1_790_000_000_000
HOUR_MS = 3_600_000
YEARS_MS = 10 * 365 * 24 * HOUR_MS
JUMPS_MS = (-HOUR_MS, YEARS_MS, -YEARS_MS)
NEAR_MS = 250
"""Neighbours with nearly the same offset share one ClockSet."""
FRAME_MS = 1000 // FPS
ALL = 10_000

jumps = pytest.mark.parametrize("by_ms", JUMPS_MS)


@dataclass(frozen=True, slots=True)
class Pressing:
    """A press, and when it really was."""

    event_id: str
    true_ms: int


class JumpyDoorbell:
    """The real parts from ring to outbox, over a kernel whose clocks a test moves."""

    def __init__(self, folder: Path, *, wrong_ms: int = 0) -> None:
        self.kernel = ManualKernel(wall_ms=TRUE_MS + wrong_ms)
        self._began_ms = self.kernel.monotonic_ns() // 1_000_000
        self.clock = SystemClock(kept_in=folder / "clock.json", kernel=self.kernel)
        keys = load_or_make_keys(folder)
        self._spki = keys.signer.spki
        self.outbox_file = folder / "outbox.sqlite3"
        self.outbox = Outbox(self.outbox_file, keys.device, boot=self.clock.boot_id)
        self.teller = EventWriter(self.outbox, self.clock)
        self._filming = TinyFilming(pts_90k_of(self.kernel.monotonic_ns()))
        self.recording = ClipWiring(
            Config(data_dir=folder, clips=replace(CLIPS, keep_days=30)),
            keys=keys,
            filming=cast("CameraWiring", self._filming),
            clock=self.clock,
            boot_id=new_id(),
            database=Database(folder / "library.sqlite3"),
            owners=Owned(),
            events=self.teller,
        )
        self.watch = ClockWatch(
            clock=self.clock,
            outbox=self.outbox,
            events=self.teller,
            undated=[self.recording],
        )
        self.pressings: list[Pressing] = []
        self._clip_ids: set[str] = set()
        self.telling: list[asyncio.Task[Event]] = []
        self.filmed_ms: list[int] = []

    @property
    def true_ms(self) -> int:
        return TRUE_MS + self.kernel.monotonic_ns() // 1_000_000 - self._began_ms

    def jump(self, by_ms: int) -> None:
        """Somebody sets the clock; nobody vouches for it."""
        self.kernel.wall += by_ms

    async def learn_the_time(self) -> None:
        """NTP sets the clock right."""
        self.kernel.wall = self.true_ms
        self.kernel.synchronise()
        await self.watch.look()

    async def film(self, seconds: float) -> None:
        """Let time pass with pictures, and the clock's watch look when it would."""
        for _ in range(round(seconds * FPS)):
            (unit,) = self._filming.camera.film(1 / FPS)
            self._filming.hub.put(named(unit, f"film-{len(self.filmed_ms)}"))
            self.recording.recorder.turn()
            self.filmed_ms.append(self.true_ms)
            self.kernel.advance(1 / FPS)
            await asyncio.sleep(0.001)
            if len(self.filmed_ms) % round(LOOK_EVERY_S * FPS) == 0:
                await self.watch.look()

    async def press(self) -> None:
        """Ring now: the clip first, then the event, as firmware.app.bell does it."""
        event_id = new_id()
        self.pressings.append(Pressing(event_id, self.true_ms))
        at_90k = pts_90k_of(self.clock.monotonic_ns())
        self.recording.recorder.trigger(event_id, "pressed", at_90k)
        self.recording.recorder.turn()
        clip_id = self.recording.recorder.clip_id
        assert clip_id is not None
        self._clip_ids.add(clip_id)
        telling = self.teller.publish(Pressed(), event_id=event_id)
        self.telling.append(asyncio.create_task(telling))
        await asyncio.sleep(0)  # the clock is read before it goes on

    async def film_a_clip(self) -> None:
        """Ring, and film until the clip has ended and is told."""
        await self.press()
        await self.film(CLIPS.post_roll_s + 0.5)
        await self.settle()

    async def settle(self) -> None:
        """Wait until the writer and the outbox have done what they were to do."""
        await asyncio.gather(*self.telling)
        async with asyncio.timeout(PATIENCE_S):
            while not self._is_all_told():  # noqa: ASYNC110 (threads change it)
                await asyncio.sleep(0.01)

    def _is_all_told(self) -> bool:
        """Every clip that is still there is told, with the time that it has now."""
        bodies = [event.body for event in self.events()]
        told = {body.clip_id: body.started_ms for body in bodies if isinstance(body, ClipReady)}
        has = {clip.clip_id: clip.started_ms for clip in self.clips()}
        return self._clip_ids <= told.keys() and has.items() <= told.items()

    def events(self) -> list[Event]:
        return self.outbox.pending(ALL)

    def clips(self) -> list[ClipRecord]:
        return self.recording.library.in_order()

    def manifests(self) -> list[ClipManifest]:
        return [check_manifest(clip.signed_manifest, self._spki) for clip in self.clips()]

    def numbers_of(self, clip: ClipRecord) -> list[int]:
        units = self.recording.playback.units(clip)
        return [int(name_of(unit.data).rpartition("-")[2]) for unit in units]

    def dated_ms(self, event: Event) -> int:
        """Return when an event was, as whoever reads the outbox finds it."""
        if event.is_clock_trusted:
            return event.time_ms
        bodies = [event.body for event in self.events()]
        offsets_ms = [
            body.offset_ms
            for body in bodies
            if isinstance(body, ClockSet) and body.from_seq <= event.seq <= body.to_seq
        ]
        assert len(offsets_ms) == 1
        return event.time_ms + offsets_ms[0]


@asynccontextmanager
async def doorbell(folder: Path, *, wrong_ms: int = 0) -> AsyncIterator[JumpyDoorbell]:
    """A doorbell that films and records; its first seconds of film are there."""
    jumpy = JumpyDoorbell(folder, wrong_ms=wrong_ms)
    try:
        await jumpy.film(CLIPS.pre_roll_s + 2)
        yield jumpy
    finally:
        jumpy.recording.recorder.finish()
        await jumpy.recording.recorder.settle()
        await asyncio.to_thread(jumpy.teller.close)
        await jumpy.recording.aclose()
        jumpy.outbox.close()


def assert_order_and_durations_are_right(jumpy: JumpyDoorbell) -> None:
    """Each clip is one piece of the film, as long as that was, and none comes before its turn."""
    all_numbers = [jumpy.numbers_of(clip) for clip in jumpy.clips()]
    assert all_numbers == sorted(all_numbers)
    for clip, numbers in zip(jumpy.clips(), all_numbers, strict=True):
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
        assert abs(clip.duration_ms - len(numbers) * FRAME_MS) <= 5
        assert clip.pre_roll_ms >= CLIPS.pre_roll_s * 1000
    seqs = [event.seq for event in jumpy.events()]
    assert seqs == list(range(1, len(seqs) + 1))


def assert_all_is_dated(jumpy: JumpyDoorbell) -> None:
    """Every press and every clip is found at the time at which it really was."""
    events = {event.id: event for event in jumpy.events()}
    for pressing in jumpy.pressings:
        assert abs(jumpy.dated_ms(events[pressing.event_id]) - pressing.true_ms) <= NEAR_MS
    for clip in jumpy.clips():
        true_ms = jumpy.filmed_ms[jumpy.numbers_of(clip)[0]]
        assert abs(clip.started_ms - true_ms) <= 5  # and so it is told: `settle` has seen it


@jumps
async def test_a_jump_while_recording_breaks_neither_order_nor_duration(
    tmp_path: Path, by_ms: int
) -> None:
    async with doorbell(tmp_path) as jumpy:
        await jumpy.learn_the_time()
        await jumpy.film(1)
        await jumpy.press()
        await jumpy.film(1)
        jumpy.jump(by_ms)
        await jumpy.film_a_clip()
        await jumpy.film_a_clip()
        await jumpy.learn_the_time()
        await jumpy.film_a_clip()
        assert_order_and_durations_are_right(jumpy)
        assert len(jumpy.clips()) == 3


@jumps
async def test_after_a_jump_clips_and_events_say_that_their_time_isnt_trusted(
    tmp_path: Path, by_ms: int
) -> None:
    async with doorbell(tmp_path) as jumpy:
        await jumpy.learn_the_time()
        await jumpy.film_a_clip()
        jumpy.jump(by_ms)
        await jumpy.film_a_clip()
        assert [manifest.is_clock_trusted for manifest in jumpy.manifests()] == [True, False]
        (before, after) = (e for e in jumpy.events() if isinstance(e.body, Pressed))
        assert (before.is_clock_trusted, after.is_clock_trusted) == (True, False)
        await jumpy.learn_the_time()
        await jumpy.settle()
        assert_all_is_dated(jumpy)


@jumps
async def test_what_came_before_the_first_synchronisation_is_dated_and_keeps_both_times(
    tmp_path: Path, by_ms: int
) -> None:
    async with doorbell(tmp_path, wrong_ms=by_ms) as jumpy:
        await jumpy.film_a_clip()
        told = jumpy.events()
        await jumpy.learn_the_time()
        await jumpy.film_a_clip()
        assert_all_is_dated(jumpy)
        assert_order_and_durations_are_right(jumpy)
        assert jumpy.events()[: len(told)] == told
        (first, second) = jumpy.manifests()
        assert (first.is_clock_trusted, second.is_clock_trusted) == (False, True)
        assert abs(first.started_ms - jumpy.clips()[0].started_ms - by_ms) <= 5
        assert jumpy.clips()[0].told_ms == first.started_ms


async def test_a_clip_of_a_run_that_never_knew_the_time_is_dated_as_soon_as_the_next_does(
    tmp_path: Path,
) -> None:
    """Else a slot would commit to it before, and its end be later than what witnesses saw."""
    async with doorbell(tmp_path, wrong_ms=-YEARS_MS) as jumpy:
        await jumpy.film_a_clip()
    async with doorbell(tmp_path, wrong_ms=-YEARS_MS) as jumpy:
        assert [clip.dating for clip in jumpy.clips()] == ["unknown"]
        await jumpy.learn_the_time()
        assert [(c.dating, c.ended_ms) for c in jumpy.clips()] == [("latest", jumpy.true_ms)]
        await jumpy.settle()


@jumps
async def test_a_jump_before_the_first_synchronisation_is_reckoned_with(
    tmp_path: Path, by_ms: int
) -> None:
    async with doorbell(tmp_path, wrong_ms=-7 * HOUR_MS) as jumpy:
        await jumpy.film_a_clip()
        jumpy.jump(by_ms)
        await jumpy.film_a_clip()
        await jumpy.press()
        await jumpy.film(1)
        await jumpy.learn_the_time()  # in the middle of a clip
        await jumpy.film(CLIPS.post_roll_s)
        await jumpy.settle()
        assert_all_is_dated(jumpy)
        assert_order_and_durations_are_right(jumpy)


@jumps
async def test_a_jump_while_a_press_waits_for_the_card_leaves_it_its_own_time(
    tmp_path: Path, by_ms: int
) -> None:
    async with doorbell(tmp_path, wrong_ms=-7 * HOUR_MS) as jumpy:
        with closing(sqlite3.connect(jumpy.outbox_file, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            for _ in range(2):  # the second waits for the first
                await jumpy.press()
                await jumpy.film(0.3)
            jumpy.jump(by_ms)
            await jumpy.film(CLIPS.post_roll_s)
            assert not any(telling.done() for telling in jumpy.telling)
            other.execute("ROLLBACK")
        await jumpy.settle()
        await jumpy.learn_the_time()
        await jumpy.settle()
        told_ms = [e.time_ms for e in jumpy.events() if isinstance(e.body, Pressed)]
        assert told_ms == [pressing.true_ms - 7 * HOUR_MS for pressing in jumpy.pressings]
        assert_all_is_dated(jumpy)


@jumps
@pytest.mark.parametrize("who", ["somebody", "NTP"])
async def test_a_jump_deletes_nothing(tmp_path: Path, by_ms: int, who: str) -> None:
    async with doorbell(tmp_path) as jumpy:
        await jumpy.learn_the_time()
        for _ in range(2):
            await jumpy.film_a_clip()
        jumpy.jump(by_ms)
        if who == "NTP":
            jumpy.kernel.synchronise()
        await jumpy.film_a_clip()  # old clips are removed after each new one
        await asyncio.sleep(0.1)
        assert len(jumpy.clips()) == 3
        assert jumpy.recording.library.deletions() == []


@jumps
async def test_once_ntp_has_told_the_truth_again_the_clock_is_trusted_again(
    tmp_path: Path, by_ms: int
) -> None:
    async with doorbell(tmp_path) as jumpy:
        await jumpy.learn_the_time()
        jumpy.jump(by_ms)
        await jumpy.film(LOOK_EVERY_S)
        jumpy.clock.remember()
        await jumpy.learn_the_time()
        assert jumpy.clock.is_trusted()
