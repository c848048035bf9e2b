"""The clip cutter: decides which pictures become which clip. On the recorder's thread alone.

A clip begins at the key frame at or before trigger − pre-roll, and ends with the first picture at
or after its last trigger, or the last motion, + post-roll. A trigger during a clip prolongs it;
after `longest_s` the next clip goes on at the next key frame without a gap, and so it does after a
new mask: a manifest tells of one mask only. Which mask a picture was filmed under is read with the
picture. If a clip can't be written on, another is begun from the ring as soon as storage may take
it.

Pictures are taken from the ring, a turn at a time. Until a sync has made them durable the ring
keeps them, whatever their age.
"""

import logging
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import msgspec

from firmware.capture.camera_output import TICKS_PER_S, AccessUnit, pts_90k_of
from firmware.clips.clip_span import ClipSpan
from firmware.clips.library import Library
from firmware.clips.record import ClipStart, Ended
from firmware.clips.ring import Filmed, Ring
from firmware.clips.triggers import Trigger
from firmware.clips.writer import ClipWriter
from firmware.protocol.encoding import new_id
from firmware.protocol.media.rotation import Rotation
from firmware.sound.clip_sound import ClipSound
from firmware.system.clock import Clock

log = logging.getLogger(__name__)

MAX_TRIGGERS = 100
MAX_GOPS = 900
"""A manifest takes 1,000; viewers may ask for many key frames."""
SILENT_90K = TICKS_PER_S
"""So long after its end was due, a picture is no longer a clip's last: the camera was silent."""
LAST_TURN_S = 0.05
"""So soon after its end was due, and again until it is there, the last picture is looked for: a
clip is listed at once."""
STALL_S = 2.0
"""So long after its end was due, a clip without new video is closed as cut short."""
RETRY_FOR_S = 30.0
"""So long after its end was due, a clip that couldn't be written is tried again."""
PRE_ROLLS_KEPT = 10
"""How many clips the health's shortest pre-roll is of."""


class RecordedCamera(Protocol):
    """The camera that is recorded (`firmware.app.camera.CameraWiring`)."""

    ring: Ring

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the coded pictures."""
        ...

    @property
    def rotation(self) -> Rotation:
        """By how many degrees clockwise they are turned to be shown."""
        ...


class WitnessedRegister(Protocol):
    """The public register (`firmware.transparency.public_record.PublicRecord`)."""

    @property
    def newest_checkpoint(self) -> str | None:
        """The newest witnessed checkpoint, which a clip that begins now names."""
        ...


@dataclass(slots=True)
class _Waiting:
    """Triggers that have no clip yet."""

    triggers: list[Trigger] = field(default_factory=list)
    wanted_to_90k: int = 0
    """The last of them, or the last motion."""
    is_tried: bool = False
    """Whether the camera had no picture for them at first."""


@dataclass(slots=True)
class _Clip:
    """The clip that is being recorded."""

    start: ClipStart
    first_pts_90k: int
    last_pts_90k: int
    triggers: list[Trigger]
    wanted_to_90k: int
    """The last trigger, or the last motion; post-roll comes after it."""
    gop_count: int = 0
    again_from_90k: int | None = None
    """Set while it can't be written: where another is to begin."""
    again_at_ns: int = 0


class ClipCutter:
    """Cuts the film in the ring into clips, around their triggers."""

    def __init__(
        self,
        *,
        camera: RecordedCamera,
        writer: ClipWriter,
        library: Library,
        clock: Clock,
        boot_id: str,
        reach: ClipSpan,
        register: WitnessedRegister | None = None,
        sound: ClipSound | None = None,
    ) -> None:
        """The writer is this cutter's alone. Without `register`, a clip names no checkpoint."""
        self._camera = camera
        self._ring = camera.ring
        self._writer = writer
        self._library = library
        self._clock = clock
        self._boot_id = boot_id
        self._reach = reach
        self._register = register
        self._sound = sound
        self._clip: _Clip | None = None
        self._waiting = _Waiting()
        self._lost_before = 0
        self._pre_rolls_ms: deque[int] = deque(maxlen=PRE_ROLLS_KEPT)

    def set_reach(self, reach: ClipSpan) -> None:
        """Cut by this span from now on, the clip that is being recorded too. Any thread."""
        self._reach = reach

    @property
    def clip_id(self) -> str | None:
        """The clip that is being recorded. Any thread may look."""
        clip = self._clip
        return None if clip is None else clip.start.clip_id

    @property
    def is_idle(self) -> bool:
        """Whether there is nothing to do before the next trigger."""
        return self._clip is None and not self._waiting.triggers

    @property
    def shortest_pre_roll_ms(self) -> int | None:
        """The shortest pre-roll of the last clips; None before the first. Those that began before
        memory was filled don't count. Any thread may look."""
        return min(tuple(self._pre_rolls_ms), default=None)

    def next_turn_s(self, turn_s: float) -> float:
        """Return in how long to take the next turn: sooner than usual when the clip ends."""
        clip = self._clip
        if clip is None:
            return turn_s
        end_90k = clip.wanted_to_90k + self._reach.post_roll_90k
        left_90k = end_90k - pts_90k_of(self._clock.monotonic_ns())
        if left_90k < -SILENT_90K:
            return turn_s
        return min(turn_s, max(0, left_90k) / TICKS_PER_S + LAST_TURN_S)

    def keep_for(self, trigger: Trigger) -> None:
        """Have the ring keep its clip's beginning from now on. Any thread may call it."""
        self._ring.keep_also_from(self._earliest_90k(trigger) - self._reach.back_90k)

    def extend(self, at_pts_90k: int) -> None:
        """Prolong the clip, if there is one, because motion goes on."""
        if self._clip is not None:
            self._clip.wanted_to_90k = max(self._clip.wanted_to_90k, at_pts_90k)
        elif self._waiting.triggers:
            self._waiting.wanted_to_90k = max(self._waiting.wanted_to_90k, at_pts_90k)

    def turn(self, triggers: Sequence[Trigger] = ()) -> None:
        """Take what was filmed since the last turn, begin what was triggered, make it durable."""
        later = [trigger for trigger in triggers if not self._is_prolonged_by(trigger)]
        self._attempt(self._take_new)
        for trigger in later:
            self._want(trigger)
        self._attempt(self._begin_wanted)
        self._keep()

    def stop(self) -> None:
        """Finish the clip as cut short: no picture comes any more."""
        try:
            clip = self._clip
            if clip is not None and clip.again_from_90k is not None:  # its last chance
                self._clip = None
                filmed = self._ring.snapshot(clip.again_from_90k)
                if filmed.units:
                    self._begin(filmed, clip.triggers, clip.wanted_to_90k)
            if self._clip is not None:
                self._finish("cut_short")
        except Exception as error:  # the supervisor: it is kept as far as it is readable
            log.exception("the last clip can't be finished; what is readable is kept")
            self._writer.give_up(error)
        self._clip = None
        self._ring.release()

    def _attempt(self, step: Callable[[], None]) -> None:
        try:
            step()
        except Exception as error:  # the supervisor: this clip is over, not the recording
            log.exception("recording failed; what is readable is kept")
            self._give_up(error)

    def _is_prolonged_by(self, trigger: Trigger) -> bool:
        """Prolong the clip if it hasn't ended by then; return whether it did."""
        clip = self._clip
        if clip is None or trigger.at_pts_90k > clip.wanted_to_90k + self._reach.post_roll_90k:
            return False
        self._attempt(lambda: self._prolong(clip, trigger))
        return True

    def _begin_wanted(self) -> None:
        clip = self._clip
        if clip is None:
            self._begin_for_waiting()
        elif clip.again_from_90k is not None:
            self._begin_again(clip, clip.again_from_90k)

    def _begin_for_waiting(self) -> None:
        waiting = self._waiting
        if not waiting.triggers:
            return
        filmed = self._filmed_for(waiting.triggers)
        if not filmed.units:
            waiting.is_tried = True
            if waiting.wanted_to_90k < self._overdue_90k:
                log.warning("the camera gave no picture; a trigger has no clip")
                self._waiting = _Waiting()
            return
        self._waiting = _Waiting()
        first_90k = filmed.units[0].pts_90k
        if first_90k > waiting.wanted_to_90k + self._reach.post_roll_90k:
            log.warning("the first picture came too late; a trigger has no clip")
            return
        if self._ring.is_filled and not waiting.is_tried:
            earliest_90k = min(trigger.at_pts_90k for trigger in waiting.triggers)
            self._note_pre_roll(earliest_90k - first_90k)
        self._begin(filmed, waiting.triggers, waiting.wanted_to_90k)

    def _filmed_for(self, triggers: Sequence[Trigger]) -> Filmed:
        """Return what a clip of these triggers begins with; empty if the camera is silent."""
        at_90k = min(trigger.at_pts_90k for trigger in triggers)
        filmed = self._ring.snapshot(at_90k - self._reach.back_90k)
        earliest_90k = min(map(self._earliest_90k, triggers))
        if not filmed.units or earliest_90k == at_90k:
            return filmed
        return self._ring.snapshot(earliest_90k - self._reach.back_90k)

    def _earliest_90k(self, trigger: Trigger) -> int:
        """Return the trigger, or the motion that was expected when it came.

        What is expected counts no longer than memory is kept for it: only a frame renews it, and
        a camera that has halted gives none.
        """
        at_90k, expected_90k = trigger.at_pts_90k, trigger.expected_90k
        is_kept = expected_90k is not None and at_90k - self._ring.late_90k <= expected_90k
        return min(at_90k, expected_90k) if is_kept and expected_90k is not None else at_90k

    def _begin_again(self, clip: _Clip, from_90k: int) -> None:
        """After a lost clip: begin another from the ring, once storage may take it."""
        end_90k = clip.wanted_to_90k + self._reach.post_roll_90k
        now_ns = self._clock.monotonic_ns()
        if pts_90k_of(now_ns) > end_90k + round(RETRY_FOR_S * TICKS_PER_S):
            log.error("a recording was lost: storage took nothing")
            self._clip = None
            return
        if now_ns < clip.again_at_ns:
            return
        filmed = self._ring.snapshot(from_90k)
        if not filmed.units:  # none yet under a new mask, or the camera is silent
            return
        if filmed.units[0].pts_90k > end_90k:
            self._clip = None
            return
        self._begin(filmed, clip.triggers, clip.wanted_to_90k)

    def _take_new(self) -> None:
        clip = self._clip
        if clip is None or clip.again_from_90k is not None:
            return
        filmed = self._ring.after(clip.last_pts_90k)
        lost, self._lost_before = filmed.lost_units - self._lost_before, filmed.lost_units
        if lost:
            self._writer.note_lost(lost)
        is_silent = not filmed.units
        while filmed.units:
            self._take(filmed.units.popleft(), filmed.mask_digest)
            if self._clip is None:
                return
        self._writer.flush()
        if is_silent and clip.wanted_to_90k < self._overdue_90k:
            log.warning("the camera gave no picture up to the clip's end")
            self._finish("cut_short")

    def _take(self, unit: AccessUnit, mask_digest: str) -> None:
        clip = self._clip
        if clip is None:
            return
        end_90k = clip.wanted_to_90k + self._reach.post_roll_90k
        if clip.last_pts_90k >= end_90k or unit.pts_90k > end_90k + SILENT_90K:
            self._finish("complete")
            return
        is_last = unit.pts_90k >= end_90k
        is_long = unit.pts_90k - clip.first_pts_90k >= self._reach.split_90k
        is_full = not is_last and (is_long or clip.gop_count >= MAX_GOPS)
        if unit.is_key and (is_full or mask_digest != clip.start.mask_digest):
            self._finish("complete")
            last = max(clip.triggers, key=lambda trigger: trigger.at_pts_90k)
            self._begin(
                Filmed(deque([unit]), mask_digest, self._lost_before), [last], clip.wanted_to_90k
            )
            return
        self._write(clip, unit)
        if is_last:
            self._finish("complete")

    def _begin(self, filmed: Filmed, triggers: list[Trigger], wanted_to_90k: int) -> None:
        """Begin a clip with these units, and make them durable at once."""
        units = filmed.units
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
            rotation=self._camera.rotation,
            pre_roll_90k=min(mark.at_90k for mark in marks),
            mask_digest=filmed.mask_digest,
            triggers=marks,
            witnessed=None if self._register is None else self._register.newest_checkpoint,
        )
        clip = _Clip(start, first.pts_90k, first.pts_90k - 1, list(triggers), wanted_to_90k)
        self._clip = clip
        self._lost_before = filmed.lost_units
        self._writer.begin(start, first.pts_90k)
        while units and clip.last_pts_90k < wanted_to_90k + self._reach.post_roll_90k:
            self._write(clip, units.popleft())
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

    def _want(self, trigger: Trigger) -> None:
        """Have a clip begun, or one that goes on prolonged."""
        clip, waiting = self._clip, self._waiting
        if clip is not None:
            self._attempt(lambda: self._prolong(clip, trigger))
            return
        if len(waiting.triggers) < MAX_TRIGGERS:
            waiting.triggers.append(trigger)
        waiting.wanted_to_90k = max(waiting.wanted_to_90k, trigger.wanted_to_90k)

    def _prolong(self, clip: _Clip, trigger: Trigger) -> None:
        clip.wanted_to_90k = max(clip.wanted_to_90k, trigger.wanted_to_90k)
        if len(clip.triggers) >= MAX_TRIGGERS:
            return  # it is told by its event
        clip.triggers.append(trigger)
        if clip.again_from_90k is not None:
            return
        mark = trigger.marked(clip.first_pts_90k)
        clip.start = msgspec.structs.replace(clip.start, triggers=[*clip.start.triggers, mark])
        self._writer.mark(clip.start)

    def _write(self, clip: _Clip, unit: AccessUnit) -> None:
        clip.last_pts_90k = unit.pts_90k
        clip.gop_count += unit.is_key
        if self._sound is not None:  # before the picture, which may close the fragment
            self._writer.write_sound(self._sound.take(unit.pts_90k))
        if self._writer.write(unit):  # the ring may let go of what is durable now
            self._keep()

    def _finish(self, ended: Ended) -> None:
        clip = self._clip
        if self._sound is not None and clip is not None:
            self._writer.write_sound(self._sound.end(clip.last_pts_90k))
        self._writer.finish(ended)
        self._clip = None

    def _give_up(self, error: Exception) -> None:
        """After a failure: keep what is readable; another clip is to begin where it ends."""
        failure = self._writer.give_up(error)
        clip = self._clip
        if clip is None:
            return
        if self._sound is not None:
            self._sound.end(0)  # the lost clip's; the next one has its own from its beginning
        kept_to_90k = failure.kept_to_90k
        is_over = clip.last_pts_90k >= clip.wanted_to_90k + self._reach.post_roll_90k
        if is_over and kept_to_90k is not None and kept_to_90k >= clip.last_pts_90k:
            self._clip = None
            return
        # What was kept may reach to the end of the newest picture; its GOP is wanted all the same.
        from_90k = clip.first_pts_90k if kept_to_90k is None else kept_to_90k
        clip.again_from_90k = min(from_90k, self._ring.newest_pts_90k or 0)
        clip.again_at_ns = self._clock.monotonic_ns() + round(failure.retry_after_s * 1e9)

    def _keep(self) -> None:
        """Have the ring keep what isn't durable."""
        clip = self._clip
        if clip is not None and clip.again_from_90k is not None:
            self._ring.keep_from(clip.again_from_90k)
        elif clip is not None:
            durable_90k = self._writer.durable_to_90k
            self._ring.keep_from(clip.first_pts_90k if durable_90k is None else durable_90k)
        elif self._waiting.triggers:
            earliest_90k = min(map(self._earliest_90k, self._waiting.triggers))
            self._ring.keep_from(earliest_90k - self._reach.back_90k)
        else:
            self._ring.release()

    @property
    def _overdue_90k(self) -> int:
        """The time before which a clip, or a trigger, waits in vain for a silent camera."""
        patience_90k = self._reach.post_roll_90k + round(STALL_S * TICKS_PER_S)
        return pts_90k_of(self._clock.monotonic_ns()) - patience_90k
