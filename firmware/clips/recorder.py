"""The recorder: starts, prolongs and ends clips.

Lives on the loop and never waits for the disk; the writer's thread does. A clip begins at the
key frame at or before trigger − pre-roll, and ends with the first picture at or after its last
trigger, or the last motion, + post-roll. A trigger during a clip prolongs it; after `longest_s`
the next clip goes on at the next key frame without a gap, and so it does after a new mask: a
manifest tells of one mask only. If a clip can't be written on, another is begun from the ring as
soon as storage may take it.
Nothing is recorded before an owner is paired.
"""

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import msgspec

from firmware.capture.camera_output import TICKS_PER_S, AccessUnit, pts_90k_of
from firmware.capture.unit_hub import Subscription, UnitHub
from firmware.clips.clip_span import ClipSpan
from firmware.clips.folder_lock import locked
from firmware.clips.library import Library
from firmware.clips.record import ClipRecord, ClipStart, Ended, StorageState
from firmware.clips.ring import Ring
from firmware.clips.thumbnail import Thumbnails
from firmware.clips.triggers import Trigger, TriggerKind, Waiting
from firmware.clips.writer import ClipWriter, Failure
from firmware.protocol.encoding import new_id
from firmware.sound.clip_sound import ClipSound
from firmware.system.clock import Clock
from firmware.system.listeners import Listeners
from firmware.system.ownership import Ownership

log = logging.getLogger(__name__)

MAX_TRIGGERS = 100
MAX_GOPS = 900
"""A manifest takes 1,000; viewers may ask for many key frames."""
SILENT_90K = TICKS_PER_S
"""So long after its end was due, a picture is no longer a clip's last: the camera was silent."""
STALL_S = 2.0
"""So long after its end was due, a clip without new video is closed as cut short."""
RETRY_FOR_S = 30.0
"""So long after its end was due, a clip that couldn't be written is tried again."""
SUBSCRIPTION_MAX_UNITS = 900
PRE_ROLLS_KEPT = 10
"""How many clips the health's shortest pre-roll is of."""


@dataclass(slots=True)
class _Recording:
    start: ClipStart
    first_pts_90k: int
    last_pts_90k: int
    triggers: list[Trigger]
    wanted_to_90k: int
    """The last trigger, or the last motion; post-roll comes after it."""
    gop_count: int = 0
    unwritten: Ring | None = None
    """Set while the clip can't be written: what another is to begin with."""
    retry_at_ns: int = 0


class RecordedCamera(Protocol):
    """The camera that is recorded (`firmware.app.camera.CameraWiring`)."""

    hub: UnitHub
    ring: Ring

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the pictures."""
        ...

    @property
    def mask_digest(self) -> str:
        """SHA-256 over the current mask."""
        ...


class WitnessedRegister(Protocol):
    """The public register (`firmware.transparency.public_record.PublicRecord`)."""

    @property
    def newest_checkpoint(self) -> str | None:
        """The newest witnessed checkpoint, which a clip that begins now names."""
        ...


class Recorder:
    """Records clips from the ring and the hub into the library.

    `clips` is notified of each clip that is in the library, `card_states` of how storage is
    doing; both on the loop.
    """

    def __init__(
        self,
        *,
        camera: RecordedCamera,
        writer: ClipWriter,
        library: Library,
        clock: Clock,
        boot_id: str,
        reach: ClipSpan,
        owners: Ownership,
        thumbnails: Thumbnails | None = None,
        register: WitnessedRegister | None = None,
        sound: ClipSound | None = None,
    ) -> None:
        """The writer is this recorder's alone. Without `register`, a clip names no checkpoint."""
        self.clips = Listeners[ClipRecord]()
        self.card_states = Listeners[StorageState]()
        self._camera = camera
        self._hub = camera.hub
        self._ring = camera.ring
        self._sound = sound
        self._library = library
        self._clock = clock
        self._boot_id = boot_id
        self._reach = reach
        self._owners = owners
        self._thumbnails = thumbnails
        self._register = register
        self._loop = asyncio.get_running_loop()
        self._writer = writer
        writer.listed.add(self._on_listed)
        writer.failed.add(self._on_failed)
        writer.card.states.add(self._on_card_state)
        self._is_running = False
        """Whether each picture arrives here: else a clip would lack those until it does."""
        self._recording: _Recording | None = None
        self._ended: _Recording | None = None
        """The last one, which the writer may not have written to its end yet."""
        self._waiting = Waiting()
        self._lost_before = 0
        self._expected_90k: int | None = None
        self._pre_rolls_ms: deque[int] = deque(maxlen=PRE_ROLLS_KEPT)
        self._making_thumbnails: set[asyncio.Task[None]] = set()

    @property
    def clip_id(self) -> str | None:
        """The clip that is being recorded."""
        return None if self._recording is None else self._recording.start.clip_id

    @property
    def sync_p99_ms(self) -> int | None:
        """The 99th percentile of the last syncs' durations; None before the first."""
        return self._writer.card.sync_p99_ms

    @property
    def shortest_pre_roll_ms(self) -> int | None:
        """The shortest pre-roll of the last clips; None before the first. Those that began before
        memory was filled don't count."""
        return min(self._pre_rolls_ms, default=None)

    def trigger(self, event_id: str, kind: TriggerKind, at_pts_90k: int) -> str | None:
        """Start a clip or prolong the running one; return its id.

        None if nobody is paired, if the camera has no picture yet, or before `run`: then the
        clip begins once the next key frame comes, with what the ring has before it.
        """
        if not self._owners.has_owner():
            return None
        trigger = Trigger(event_id=event_id, kind=kind, at_pts_90k=at_pts_90k)
        if self._recording is not None:
            self._prolong(self._recording, trigger)
            return self.clip_id
        units = self._units_for(at_pts_90k) if self._is_running else ()
        if not units:
            if len(self._waiting.triggers) < MAX_TRIGGERS:
                self._waiting.triggers.append(trigger)
            self._waiting.wanted_to_90k = max(self._waiting.wanted_to_90k, at_pts_90k)
            return None
        self._begin(units, [trigger], at_pts_90k)
        if self._ring.is_filled:
            self._note_pre_roll(at_pts_90k - units[0].pts_90k)
        return self.clip_id

    def _units_for(self, at_pts_90k: int) -> tuple[AccessUnit, ...]:
        """Return what a clip of this trigger begins with; empty if the camera is silent.

        What is expected counts no longer than memory is kept for it: only a frame renews it, and
        a camera that has halted gives none.
        """
        units = self._ring.snapshot(at_pts_90k - self._reach.back_90k)
        expected_90k = self._expected_90k
        if not units or expected_90k is None:
            return units
        if not at_pts_90k - self._ring.late_90k <= expected_90k < at_pts_90k:
            return units
        return self._ring.snapshot(expected_90k - self._reach.back_90k)

    def extend(self, at_pts_90k: int) -> str | None:
        """Prolong the running clip, because motion goes on; None if there is none to prolong."""
        recording = self._recording
        if recording is None:
            if self._waiting.triggers:
                self._waiting.wanted_to_90k = max(self._waiting.wanted_to_90k, at_pts_90k)
            return None
        recording.wanted_to_90k = max(recording.wanted_to_90k, at_pts_90k)
        return recording.start.clip_id

    def expect(self, from_pts_90k: int | None) -> None:
        """Begin the next clip early enough for motion from this time on, which may be told after
        its trigger; None: nothing is expected."""
        self._expected_90k = from_pts_90k

    async def run(self) -> None:
        """Record until cancelled; what is being recorded then is finished as cut short."""
        self._writer.start()
        try:
            with (
                locked(self._library.clips_dir),
                self._hub.subscribe("recorder", max_units=SUBSCRIPTION_MAX_UNITS) as units,
            ):
                self._is_running = True
                await self._record(units)
        finally:
            self._is_running = False
            if self._recording is not None:
                self._finish("cut_short")
            await asyncio.shield(asyncio.to_thread(self._writer.stop))
            await asyncio.sleep(0)  # what the thread handed over last
            await asyncio.gather(*self._making_thumbnails, return_exceptions=True)

    async def _record(self, units: Subscription) -> None:
        while True:
            try:
                async with asyncio.timeout(1.0):
                    unit = await anext(units)
            except TimeoutError:
                self._check_stall()
            else:
                self._count_lost(units)
                self._take(unit)

    def _take(self, unit: AccessUnit) -> None:
        recording = self._recording
        if recording is None:
            if self._waiting.triggers and unit.is_key:
                waiting, self._waiting = self._waiting, Waiting()
                earliest_90k = min(trigger.at_pts_90k for trigger in waiting.triggers)
                units = self._ring.snapshot(earliest_90k - self._reach.back_90k) or (unit,)
                if units[0].pts_90k > waiting.wanted_to_90k + self._reach.post_roll_90k:
                    log.warning("the first picture came too late; a trigger has no clip")
                    return
                self._begin(units, waiting.triggers, waiting.wanted_to_90k)
            return
        if recording.unwritten is not None:
            self._retry(recording, recording.unwritten, unit)
            return
        if unit.pts_90k <= recording.last_pts_90k:
            return  # the ring gave it already
        end_90k = recording.wanted_to_90k + self._reach.post_roll_90k
        if recording.last_pts_90k >= end_90k or unit.pts_90k > end_90k + SILENT_90K:
            self._finish("complete")
            return
        is_last = unit.pts_90k >= end_90k
        is_long = unit.pts_90k - recording.first_pts_90k >= self._reach.split_90k
        is_full = not is_last and (is_long or recording.gop_count >= MAX_GOPS)
        if unit.is_key and (is_full or self._is_masked_anew(recording)):
            self._finish("complete")
            last = max(recording.triggers, key=lambda t: t.at_pts_90k)
            self._begin((unit,), [last], recording.wanted_to_90k)
            return
        self._write(recording, unit)
        if is_last:
            self._finish("complete")

    def _begin(
        self, units: tuple[AccessUnit, ...], triggers: list[Trigger], wanted_to_90k: int
    ) -> None:
        """Begin a clip with these units, and sync them at once."""
        first = units[0]
        wall_ms, monotonic_ns = self._clock.wall_ms(), self._clock.monotonic_ns()
        age_ms = (pts_90k_of(monotonic_ns) - first.pts_90k) // 90
        width, height = self._camera.size
        marks = [trigger.marked(first.pts_90k) for trigger in triggers]
        start = ClipStart(
            clip_id=new_id(),
            boot_id=self._boot_id,
            counter=self._library.next_counter(),
            started_ms=max(0, wall_ms - age_ms),
            is_clock_trusted=self._clock.is_trusted(),
            clock_difference_ms=wall_ms - monotonic_ns // 1_000_000,
            width=width,
            height=height,
            pre_roll_90k=min(mark.at_90k for mark in marks),
            mask_digest=self._camera.mask_digest,
            triggers=marks,
            witnessed=None if self._register is None else self._register.newest_checkpoint,
        )
        recording = _Recording(
            start, first.pts_90k, first.pts_90k - 1, list(triggers), wanted_to_90k
        )
        self._recording = recording
        self._writer.begin(start, first.pts_90k)
        for unit in units:
            if recording.last_pts_90k < wanted_to_90k + self._reach.post_roll_90k:
                self._write(recording, unit)
        self._writer.flush()
        if self._sound is not None:  # from the next picture on: the pre-roll's pictures come first
            self._sound.begin(first.pts_90k)

    def _note_pre_roll(self, pre_roll_90k: int) -> None:
        self._pre_rolls_ms.append(max(0, pre_roll_90k) // 90)
        if pre_roll_90k < self._reach.pre_roll_90k:
            log.warning(
                "a clip has %d ms before its trigger, not %d: clips.ring_max_bytes is too small, "
                "or the machine too busy",
                pre_roll_90k // 90,
                self._reach.pre_roll_90k // 90,
            )

    def _prolong(self, recording: _Recording, trigger: Trigger) -> None:
        recording.wanted_to_90k = max(recording.wanted_to_90k, trigger.at_pts_90k)
        if len(recording.triggers) >= MAX_TRIGGERS:
            return  # it is told by its event
        recording.triggers.append(trigger)
        mark = trigger.marked(recording.first_pts_90k)
        recording.start = msgspec.structs.replace(
            recording.start, triggers=[*recording.start.triggers, mark]
        )
        self._writer.mark(recording.start)

    def _write(self, recording: _Recording, unit: AccessUnit) -> None:
        recording.last_pts_90k = unit.pts_90k
        recording.gop_count += unit.is_key
        if self._sound is not None:  # before the picture, which may close the fragment
            self._writer.write_sound(self._sound.take(unit.pts_90k))
        self._writer.write(unit)

    def _finish(self, ended: Ended) -> None:
        recording = self._recording
        if recording is not None and recording.unwritten is not None:  # its last chance
            self._forget_what_is_hidden_now(recording, recording.unwritten)
            units = recording.unwritten.snapshot(0)
            if units:
                self._begin(units, recording.triggers, recording.wanted_to_90k)
        if self._sound is not None and self._recording is not None:
            self._writer.write_sound(self._sound.end(self._recording.last_pts_90k))
        self._ended, self._recording = self._recording, None
        self._writer.finish(ended)

    def _retry_later(self, failure: Failure) -> None:
        """After a lost clip: begin another from the ring, once storage may take it.

        So it is, too, if the writer was behind and lost the end of a clip that had ended here.
        """
        recording = self._recording or self._ended
        if recording is None or recording.start.clip_id != failure.clip_id:
            return
        if recording is self._ended and (failure.kept_to_90k or 0) >= recording.last_pts_90k:
            return
        self._recording = recording
        if self._sound is not None:
            self._sound.end(0)  # the lost clip's; the next one has its own from its beginning
        unwritten = Ring(pre_roll_s=RETRY_FOR_S, max_bytes=self._ring.max_bytes)
        # What was kept may reach to the end of the newest picture; its GOP is wanted all the same.
        from_90k = min(
            failure.kept_to_90k or recording.first_pts_90k, self._ring.newest_pts_90k or 0
        )
        for unit in self._ring.snapshot(from_90k):
            unwritten.add(unit)
        recording.unwritten = unwritten
        recording.start = msgspec.structs.replace(
            recording.start, mask_digest=self._camera.mask_digest
        )  # the ring's: a new mask has emptied it
        recording.retry_at_ns = self._clock.monotonic_ns() + round(failure.retry_after_s * 1e9)

    def _retry(self, recording: _Recording, unwritten: Ring, unit: AccessUnit) -> None:
        self._forget_what_is_hidden_now(recording, unwritten)
        if unit.pts_90k > (unwritten.newest_pts_90k or 0):
            unwritten.add(unit)
        end_90k = recording.wanted_to_90k + self._reach.post_roll_90k
        if unit.pts_90k > end_90k + round(RETRY_FOR_S * TICKS_PER_S):
            log.error("a recording was lost: storage took nothing")
            self._recording = None
            return
        if self._clock.monotonic_ns() < recording.retry_at_ns:
            return
        units = unwritten.snapshot(0)
        if (units[0] if units else unit).pts_90k > end_90k:
            self._recording = None
        elif units:
            self._begin(units, recording.triggers, recording.wanted_to_90k)

    def _is_masked_anew(self, recording: _Recording) -> bool:
        """Return whether the mask has changed since this was filmed."""
        return self._camera.mask_digest != recording.start.mask_digest

    def _forget_what_is_hidden_now(self, recording: _Recording, unwritten: Ring) -> None:
        """Drop footage that waits for failing storage: it was filmed without the new mask."""
        if self._is_masked_anew(recording):
            unwritten.clear()
            recording.start = msgspec.structs.replace(
                recording.start, mask_digest=self._camera.mask_digest
            )

    def _count_lost(self, units: Subscription) -> None:
        """Count the units that were dropped before the recorder, because the loop stood still.

        Those that a new mask took away belong to no clip.
        """
        lost = self._hub.dropped_units + units.dropped_units
        more, self._lost_before = lost - self._lost_before, lost
        recording = self._recording
        if more > 0 and recording is not None and not self._is_masked_anew(recording):
            self._writer.note_lost(more)

    def _check_stall(self) -> None:
        """Close a clip, and forget triggers, that wait for a camera which has gone silent."""
        patience_90k = self._reach.post_roll_90k + round(STALL_S * TICKS_PER_S)
        oldest_90k = pts_90k_of(self._clock.monotonic_ns()) - patience_90k
        recording = self._recording
        if recording is not None and recording.wanted_to_90k < oldest_90k:
            log.warning("the camera gave no picture up to the clip's end")
            self._finish("cut_short")
        if self._waiting.triggers and self._waiting.wanted_to_90k < oldest_90k:
            log.warning("the camera gave no picture; a trigger has no clip")
            self._waiting = Waiting()

    def _on_listed(self, record: ClipRecord) -> None:
        self._on_loop(partial(self._hand_over, record))

    def _on_failed(self, failure: Failure) -> None:
        self._on_loop(partial(self._retry_later, failure))

    def _on_card_state(self, state: StorageState) -> None:
        self._on_loop(partial(self.card_states.notify, state))

    def _hand_over(self, record: ClipRecord) -> None:
        self.clips.notify(record)
        if self._thumbnails is None:
            return
        task = asyncio.create_task(self._picture(self._thumbnails, record), name="thumbnail")
        self._making_thumbnails.add(task)
        task.add_done_callback(self._making_thumbnails.discard)

    async def _picture(self, thumbnails: Thumbnails, record: ClipRecord) -> None:
        try:
            await asyncio.to_thread(thumbnails.make, record)
        except Exception:  # the supervisor: a clip without a picture is a clip
            log.exception("clip %s has no thumbnail", record.clip_id)

    def _on_loop(self, call: Callable[[], None]) -> None:
        """Bring something from the writer's thread to the loop."""
        with contextlib.suppress(RuntimeError):  # how asyncio says that the loop is closed
            self._loop.call_soon_threadsafe(call)
