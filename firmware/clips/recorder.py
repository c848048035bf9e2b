"""The recorder: decides when a clip begins and ends.

Lives on the loop and never waits for the disk; the writer's thread does. A clip begins at the
key frame at or before trigger − pre-roll, and ends post-roll after its last trigger. A trigger
during a clip prolongs it; at `MAX_CLIP_S` the next clip goes on at the next key frame without
a gap. Nothing is recorded before an owner is paired.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from firmware.capture.hub import UnitHub
from firmware.capture.packets import TICKS_PER_S, AccessUnit, pts_90k_of
from firmware.clips.library import Library
from firmware.clips.record import ClipRecord, ClipStart, Ended, SignManifest
from firmware.clips.ring import LONGEST_GOP_S, Ring
from firmware.clips.writer import ClipWriter
from firmware.clock import Clock
from firmware.protocol.encoding import new_id
from firmware.protocol.footage import ClipTrigger

log = logging.getLogger(__name__)

MAX_CLIP_S = 120.0
MAX_TRIGGERS = 100
STALL_S = 2.0
"""So long after its end was due, a clip without new video is closed as cut short."""
SUBSCRIPTION_MAX_UNITS = 900

TriggerKind = Literal["pressed", "motion"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trigger:
    """What starts or prolongs a clip; the time is a pts of the camera's clock."""

    event_id: str
    kind: TriggerKind
    at_pts_90k: int


@dataclass(slots=True)
class _Recording:
    start: ClipStart
    first_pts_90k: int
    last_pts_90k: int
    triggers: list[Trigger]

    @property
    def last_trigger_90k(self) -> int:
        return max(trigger.at_pts_90k for trigger in self.triggers)


class Recorder:
    """Records clips from the ring and the hub into the library."""

    def __init__(
        self,
        *,
        hub: UnitHub,
        ring: Ring,
        library: Library,
        sign_manifest: SignManifest,
        clock: Clock,
        boot_id: str,
        size: tuple[int, int],
        pre_roll_s: float,
        post_roll_s: float,
        may_record: Callable[[], bool],
        on_clip: Callable[[ClipRecord], None],
        max_clip_s: float = MAX_CLIP_S,
    ) -> None:
        self._hub = hub
        self._ring = ring
        self._clock = clock
        self._boot_id = boot_id
        self._size = size
        self._pre_roll_90k = round(pre_roll_s * TICKS_PER_S)
        self._post_roll_90k = round(post_roll_s * TICKS_PER_S)
        self._split_90k = round((max_clip_s - LONGEST_GOP_S) * TICKS_PER_S)
        self._may_record = may_record
        self._on_clip = on_clip
        self._loop = asyncio.get_running_loop()
        self._writer = ClipWriter(
            library=library, sign_manifest=sign_manifest, clock=clock, on_clip=self._hand_over
        )
        self._recording: _Recording | None = None
        self._waiting: list[Trigger] = []

    @property
    def clip_id(self) -> str | None:
        """The clip that is being recorded."""
        return None if self._recording is None else self._recording.start.clip_id

    def trigger(self, event_id: str, kind: TriggerKind, at_pts_90k: int) -> str | None:
        """Start a clip or prolong the running one; return its id.

        None if nobody is paired, or if the camera has no picture yet: then the clip begins at
        the first key frame that comes.
        """
        if not self._may_record():
            return None
        trigger = Trigger(event_id=event_id, kind=kind, at_pts_90k=at_pts_90k)
        if self._recording is not None:
            self._prolong(self._recording, trigger)
            return self.clip_id
        units = self._ring.snapshot(at_pts_90k - self._pre_roll_90k)
        if not units:
            self._waiting.append(trigger)
            return None
        self._begin(units[0], [trigger])
        for unit in units:
            self._write(unit)
        return self.clip_id

    async def run(self) -> None:
        """Record until cancelled; what is being recorded then is finished as cut short."""
        self._writer.start()
        try:
            with self._hub.subscribe("recorder", max_units=SUBSCRIPTION_MAX_UNITS) as units:
                while True:
                    try:
                        async with asyncio.timeout(1.0):
                            unit = await anext(units)
                    except TimeoutError:
                        self._check_stall()
                    else:
                        self._take(unit)
        finally:
            if self._recording is not None:
                self._finish("cut_short")
            await asyncio.shield(asyncio.to_thread(self._writer.stop))

    def _take(self, unit: AccessUnit) -> None:
        recording = self._recording
        if recording is None:
            if self._waiting and unit.is_key:
                self._begin(unit, self._waiting)
                self._waiting = []
                self._write(unit)
            return
        if unit.pts_90k <= recording.last_pts_90k:
            return  # the ring gave it already
        if unit.pts_90k > recording.last_trigger_90k + self._post_roll_90k:
            self._finish("complete")
            return
        if unit.is_key and unit.pts_90k - recording.first_pts_90k >= self._split_90k:
            self._finish("complete")
            self._begin(unit, [max(recording.triggers, key=lambda t: t.at_pts_90k)])
        self._write(unit)

    def _begin(self, first: AccessUnit, triggers: list[Trigger]) -> None:
        age_ms = (pts_90k_of(self._clock.monotonic_ns()) - first.pts_90k) // 90
        width, height = self._size
        marks = [_mark(trigger, first.pts_90k) for trigger in triggers]
        start = ClipStart(
            clip_id=new_id(),
            boot_id=self._boot_id,
            started_ms=max(0, self._clock.wall_ms() - age_ms),
            is_clock_trusted=self._clock.is_trusted(),
            width=width,
            height=height,
            pre_roll_90k=min(mark.at_90k for mark in marks),
            triggers=marks,
        )
        self._recording = _Recording(start, first.pts_90k, first.pts_90k - 1, triggers)
        self._writer.begin(start)

    def _prolong(self, recording: _Recording, trigger: Trigger) -> None:
        if len(recording.triggers) >= MAX_TRIGGERS:
            recording.triggers.pop()  # told by its event; here only the last one's time counts
        else:
            mark = _mark(trigger, recording.first_pts_90k)
            start = recording.start
            recording.start = _with_triggers(start, [*start.triggers, mark])
            self._writer.mark(recording.start)
        recording.triggers.append(trigger)

    def _write(self, unit: AccessUnit) -> None:
        if self._recording is not None:
            self._recording.last_pts_90k = unit.pts_90k
            self._writer.write(unit)

    def _finish(self, ended: Ended) -> None:
        self._recording = None
        self._writer.finish(ended)

    def _check_stall(self) -> None:
        """Close a clip, and forget triggers, that wait for a camera which has gone silent."""
        patience_90k = self._post_roll_90k + round(STALL_S * TICKS_PER_S)
        oldest_90k = pts_90k_of(self._clock.monotonic_ns()) - patience_90k
        if self._recording is not None and self._recording.last_trigger_90k < oldest_90k:
            log.warning("the camera gave no picture up to the clip's end")
            self._finish("cut_short")
        if any(trigger.at_pts_90k < oldest_90k for trigger in self._waiting):
            log.warning("the camera gave no picture; a trigger has no clip")
            self._waiting = [t for t in self._waiting if t.at_pts_90k >= oldest_90k]

    def _hand_over(self, record: ClipRecord) -> None:
        """Bring a finished clip from the writer's thread to the loop."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._on_clip, record)


def _mark(trigger: Trigger, first_pts_90k: int) -> ClipTrigger:
    """Return the trigger as the manifest tells it; one from before the clip counts as 0."""
    at_90k = max(0, trigger.at_pts_90k - first_pts_90k)
    return ClipTrigger(event_id=trigger.event_id, kind=trigger.kind, at_90k=at_90k)


def _with_triggers(start: ClipStart, triggers: list[ClipTrigger]) -> ClipStart:
    return ClipStart(
        clip_id=start.clip_id,
        boot_id=start.boot_id,
        started_ms=start.started_ms,
        is_clock_trusted=start.is_clock_trusted,
        width=start.width,
        height=start.height,
        pre_roll_90k=start.pre_roll_90k,
        triggers=triggers,
    )
