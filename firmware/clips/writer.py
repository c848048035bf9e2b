"""The writer thread of the recorder: all disk writes of a recording.

One thread, one bounded queue. Orders (begin, mark, flush, finish) are never dropped. Overflow
rule for access units: when `max_bytes` of them wait for slow storage, new ones are dropped up to
the next key frame that finds room. The clip then has a gap but decodes, its manifest says how
many units were lost, and the owner is told. Sound is dropped first, once half of `max_bytes`
waits: the clip is silent for so long, and its manifest says so.

Sync rule: a fragment closes after `FRAGMENT_90K` of video, or once its first unit has waited
`FRAGMENT_AGE_S`, also inside a GOP. What is closed is synced at once if no more units wait, else
after `SYNC_AGE_S` or `SYNC_BYTES`: so a pre-roll costs one sync, not twelve.

Wake rule: a fragment's first unit wakes the thread, those that follow wait until the fragment is
due, an order comes or the queue is half full. Waking for each took 1.6 times the CPU.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

from firmware.capture.camera_output import TICKS_PER_S, AccessUnit
from firmware.clips.crash_recovery import close_cut_short
from firmware.clips.library import Library
from firmware.clips.open_clip import OpenClip
from firmware.clips.record import ClipRecord, ClipSigner, ClipStart, Ended
from firmware.clips.retention import Retention
from firmware.clips.storage import FULL_ERRORS, StorageHealth
from firmware.errors import DoorwardError
from firmware.sound.frames import SoundFrame
from firmware.system.listeners import Listeners
from firmware.vault.sealed_file import Vault

log = logging.getLogger(__name__)

FRAGMENT_90K = TICKS_PER_S * 38 // 100
"""0.4 s at 10, 15 and 30 pictures a second, also if one comes a little early."""
FRAGMENT_AGE_S = 0.38
SYNC_AGE_S = 0.5
SYNC_BYTES = 4_000_000
LISTING_RETRY_S = 4.0
QUEUE_EXTRA_BYTES = 8_000_000
"""What the queue takes beyond a whole ring: half a minute of stalled storage."""

T = TypeVar("T")


@dataclass(slots=True)
class _Loss:
    """The number of one clip's dropped units; counted on the loop, read by the thread."""

    units: int = 0


@dataclass(frozen=True, slots=True)
class _Begin:
    start: ClipStart
    first_pts_90k: int
    loss: _Loss


@dataclass(frozen=True, slots=True)
class _Mark:
    start: ClipStart


@dataclass(frozen=True, slots=True)
class _Sound:
    frames: tuple[SoundFrame, ...]

    @property
    def size_bytes(self) -> int:
        return sum(len(frame.samples) for frame in self.frames)


@dataclass(frozen=True, slots=True)
class _Flush:
    pass


@dataclass(frozen=True, slots=True)
class _Finish:
    ended: Ended


@dataclass(frozen=True, slots=True)
class _Stop:
    pass


@dataclass(frozen=True, slots=True)
class _Unlisted:
    """A closed clip that isn't in the index yet."""

    start: ClipStart
    lost_units: int


_Order = _Begin | _Mark | _Sound | _Flush | _Finish | _Stop | AccessUnit


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A clip whose writing failed; its readable part is kept."""

    clip_id: str
    kept_to_90k: int | None
    """The pts (camera's clock) up to which the clip is surely durable; None if nothing is."""
    retry_after_s: float


class ClipWriter:
    """Writes one clip after another on a thread of its own. Called from the loop; never blocks.

    `listed` is notified of each clip that is in the library, `failed` of each that couldn't be
    written on, and `card.states` of the state of storage; all on the writer's thread, the last
    also on the loop.
    """

    def __init__(
        self,
        *,
        library: Library,
        vault: Vault,
        retention: Retention,
        signer: ClipSigner,
        max_bytes: int,
    ) -> None:
        self._library = library
        self._vault = vault
        self._retention = retention
        self._signer = signer
        self.card = StorageHealth()
        self.listed = Listeners[ClipRecord]()
        self.failed = Listeners[Failure]()
        self._max_bytes = max_bytes
        self._changed = threading.Condition()
        self._queue: deque[_Order] = deque()
        self._queued_bytes = 0
        self._waiting_units = 0
        self._is_key_wanted = False
        self._is_gathering = False
        self._loss = _Loss()
        self._thread: threading.Thread | None = None
        self._clip: OpenClip | None = None
        self._begun: _Begin | None = None
        self._is_row_wanted = False
        self._unlisted: list[_Unlisted] = []
        self._list_again_s = 0.0

    def start(self) -> None:
        """Start the thread; after `stop`, another."""
        self._thread = threading.Thread(target=self._run, name="clip-writer", daemon=True)
        self._thread.start()

    def begin(self, start: ClipStart, first_pts_90k: int) -> None:
        """Open a new clip; the units that follow belong to it, the first of this pts."""
        self._is_key_wanted = False
        self._loss = _Loss()
        self._order(_Begin(start, first_pts_90k, self._loss))

    def mark(self, start: ClipStart) -> None:
        """Note the open clip's triggers anew."""
        self._order(_Mark(start))

    def write(self, unit: AccessUnit) -> None:
        """Append one unit to the open clip."""
        with self._changed:
            has_room = self._queued_bytes + len(unit.data) <= self._max_bytes
            if has_room and (unit.is_key or not self._is_key_wanted):
                self._is_key_wanted = False
                self._queued_bytes += len(unit.data)
                self._waiting_units += 1
                self._queue.append(unit)
                if not self._is_gathering or 2 * self._queued_bytes > self._max_bytes:
                    self._changed.notify()
                return
        self._is_key_wanted = True
        self.note_lost(1)
        self.card.lost()

    def write_sound(self, frames: tuple[SoundFrame, ...]) -> None:
        """Add sound to the open clip; it is written with the next picture."""
        if not frames:
            return
        sound = _Sound(frames)
        with self._changed:
            if 2 * (self._queued_bytes + sound.size_bytes) <= self._max_bytes:
                self._queued_bytes += sound.size_bytes
                self._queue.append(sound)

    def note_lost(self, count: int) -> None:
        """Count units that the open clip lacks."""
        self._loss.units += count

    def flush(self) -> None:
        """Sync what was written so far: the pre-roll is complete."""
        self._order(_Flush())

    def finish(self, ended: Ended) -> None:
        """Close the open clip, sign it and list it."""
        self._order(_Finish(ended))

    def stop(self) -> None:
        """Finish all orders, then end the thread. Waits for the disk."""
        self._order(_Stop())
        if self._thread is not None:
            self._thread.join()

    def _order(self, order: _Order) -> None:
        with self._changed:
            self._queue.append(order)
            self._changed.notify()

    def _next(self) -> _Order | None:
        """Return the next order, or None when an open fragment has waited long enough."""
        with self._changed:
            if not self._queue:
                age_s = self._clip.age_s if self._clip is not None else None
                timeout_s = None if age_s is None else FRAGMENT_AGE_S - age_s
                if self._unlisted:
                    timeout_s = LISTING_RETRY_S if timeout_s is None else timeout_s
                self._is_gathering = age_s is not None
                self._changed.wait(None if timeout_s is None else max(0.0, timeout_s))
                self._is_gathering = False
            if not self._queue:
                return None
            order = self._queue.popleft()
            if isinstance(order, AccessUnit):
                self._queued_bytes -= len(order.data)
                self._waiting_units -= 1
            elif isinstance(order, _Sound):
                self._queued_bytes -= order.size_bytes
            return order

    def _run(self) -> None:
        while not isinstance(order := self._next(), _Stop):
            try:
                self._carry_out(order)
            except Exception as error:  # the supervisor: this clip is over, not the recording
                log.exception("recording failed; what is readable is kept")
                self._give_up(error)
            self._list_late_ones()
        if self._clip is not None:
            self._clip.file.close()
            self._clip = None
        self._list_again_s = 0.0
        self._list_late_ones()

    def _carry_out(self, order: _Order | None) -> None:
        if isinstance(order, _Begin):
            self._begin(order)
            return
        clip = self._clip
        if clip is None:
            return
        match order:
            case AccessUnit():
                clip.add(order)
                if clip.span_90k >= FRAGMENT_90K:
                    self._close_fragment(clip)
            case _Sound(frames):
                clip.add_sound(frames)
            case _Mark(start):
                self._with_room(lambda: clip.mark(start), clip.file.write_rest)
            case _Finish(ended):
                self._finish(clip, ended)
            case _Flush():
                self._flush(clip)
            case None if (clip.age_s or 0.0) >= FRAGMENT_AGE_S:
                self._flush(clip)

    def _begin(self, order: _Begin) -> None:
        if self._clip is not None:  # its recorder never said how it ended
            self._clip.file.close()
        start = order.start
        self._clip, self._begun = None, order
        path = self._library.path_of(start.clip_id)
        file = self._with_room(lambda: self._vault.create(path, start.clip_id))
        clip = self._clip = OpenClip(start, order.first_pts_90k, file)
        self._is_row_wanted = True
        self._with_room(lambda: clip.mark(start), file.write_rest)

    def _close_fragment(self, clip: OpenClip) -> None:
        self._with_room(clip.close_fragment, clip.close_rest)
        is_last = self._waiting_units == 0
        if is_last or clip.unsynced_bytes >= SYNC_BYTES or clip.unsynced_s >= SYNC_AGE_S:
            self._sync(clip)

    def _flush(self, clip: OpenClip) -> None:
        self._with_room(clip.close_fragment, clip.close_rest)
        if clip.unsynced_bytes:
            self._sync(clip)

    def _sync(self, clip: OpenClip) -> None:
        self._with_room(lambda: self.card.timed(clip.sync))
        self.card.worked()
        if not self._is_row_wanted:
            return
        self._is_row_wanted = False
        try:
            self._library.save_open(clip.start)
            self._retention.keep_free()
        except (OSError, DoorwardError) as error:  # its file says by itself what it is
            log.exception("the clip index can't be written; recording goes on")
            self.card.index_failed(error)
        else:
            self.card.index_worked()

    def _finish(self, clip: OpenClip, ended: Ended) -> None:
        clip.end_sound()
        self._with_room(clip.close_fragment, clip.close_rest)
        loss = self._begun.loss.units if self._begun is not None else 0
        end = clip.end(ended, lost_units=loss)
        if end is None:
            self._clip = None
            clip.file.close()
            self._list(clip.start, lost_units=loss)
            return
        signed = self._signer.sign(clip.start, end)
        self._with_room(lambda: clip.seal(signed), clip.file.write_rest)
        self._with_room(lambda: self.card.timed(clip.sync))
        self._clip = self._begun = None
        clip.file.close()
        self.card.worked()
        if loss == 0:
            self.card.kept_up()
        end = replace(end, size_bytes=clip.file.size_bytes)
        self._list(
            clip.start,
            lost_units=loss,
            list_it=lambda: self._library.finish(clip.start, end, signed),
        )
        try:
            self._retention.apply()
        except (OSError, DoorwardError):
            log.exception("old clips could not be removed")

    def _list(
        self,
        start: ClipStart,
        *,
        lost_units: int,
        list_it: Callable[[], ClipRecord | None] | None = None,
    ) -> ClipRecord | None:
        """Bring a closed clip into the index, now or, if that fails, again and again."""

        def as_cut_short() -> ClipRecord | None:
            return close_cut_short(
                self._library, self._vault, start, self._signer, lost_units=lost_units
            )

        try:
            record = self._with_room(list_it or as_cut_short)
        except Exception as error:  # the supervisor: it lies in its file; later, or next start
            log.exception("clip %s can't be written to the index yet", start.clip_id)
            self.card.index_failed(error)
            self._unlisted.append(_Unlisted(start, lost_units))
            self._list_again_s = time.monotonic() + LISTING_RETRY_S
            return None
        self.card.index_worked()
        if record is not None:
            log.info(
                "clip %s: %d ms, %d bytes", record.clip_id, record.duration_ms, record.size_bytes
            )
            self.listed.notify(record)
        return record

    def _list_late_ones(self) -> None:
        if self._unlisted and time.monotonic() >= self._list_again_s:
            waiting, self._unlisted = self._unlisted, []
            for late in waiting:
                self._list(late.start, lost_units=late.lost_units)

    def _give_up(self, error: Exception) -> None:
        """After a failure, keep the readable part as a clip that was cut short, and report it."""
        begun, clip = self._begun, self._clip
        self._clip = self._begun = None
        delay_s = self.card.failed(error)
        if begun is None:
            return
        kept_to_90k = None
        if clip is not None:
            clip.file.close()
            record = self._list(clip.start, lost_units=begun.loss.units)
            if record is not None and clip.synced_to_90k is not None:
                kept_to_90k = begun.first_pts_90k + clip.synced_to_90k
        self.failed.notify(
            Failure(clip_id=begun.start.clip_id, kept_to_90k=kept_to_90k, retry_after_s=delay_s)
        )

    def _with_room(self, action: Callable[[], T], again: Callable[[], T] | None = None) -> T:
        """Call it; while storage is full, remove the oldest clip and call it (or `again`) again."""
        while True:
            try:
                return action()
            except OSError as error:
                if error.errno not in FULL_ERRORS or not self._retention.make_room():
                    raise
            action = again or action
