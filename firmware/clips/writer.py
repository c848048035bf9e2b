"""The recorder's thread: everything of a recording that may wait for the disk.

One thread, one bounded queue. Orders (begin, mark, finish) are never dropped. Overflow rule for
access units: when `max_bytes` of them wait for a slow disk, new ones are dropped up to the next
key frame that finds room; the clip then has a gap but decodes (`dropped_units` counts).
"""

import logging
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from firmware.capture.packets import AccessUnit
from firmware.clips.library import Library
from firmware.clips.mp4 import FragmentWriter
from firmware.clips.record import ClipEnd, ClipRecord, ClipStart, Ended, SignManifest
from firmware.clips.recovery import close_cut_short
from firmware.clock import Clock
from firmware.protocol.footage import GopHasher, split_annex_b

log = logging.getLogger(__name__)

QUEUE_MAX_BYTES = 24_000_000
"""More than the ring holds, so that a whole pre-roll always fits."""
DEFAULT_FRAME_90K = 3000


@dataclass(frozen=True, slots=True)
class _Begin:
    start: ClipStart


@dataclass(frozen=True, slots=True)
class _Mark:
    start: ClipStart


@dataclass(frozen=True, slots=True)
class _Finish:
    ended: Ended


@dataclass(frozen=True, slots=True)
class _Stop:
    pass


_Order = _Begin | _Mark | _Finish | _Stop | AccessUnit


class ClipWriter:
    """Writes one clip after another on a thread of its own. Called from the loop; never blocks."""

    def __init__(
        self,
        *,
        library: Library,
        sign_manifest: SignManifest,
        clock: Clock,
        on_clip: Callable[[ClipRecord], None],
        max_bytes: int = QUEUE_MAX_BYTES,
    ) -> None:
        self._library = library
        self._sign_manifest = sign_manifest
        self._clock = clock
        self._on_clip = on_clip
        self._max_bytes = max_bytes
        self._changed = threading.Condition()
        self._queue: deque[_Order] = deque()
        self._queued_bytes = 0
        self._is_key_wanted = False
        self._thread = threading.Thread(target=self._run, name="clip-writer", daemon=True)
        self._clip: _OpenClip | None = None
        self.dropped_units = 0

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def begin(self, start: ClipStart) -> None:
        """Open a new clip; the units that follow belong to it."""
        self._is_key_wanted = False
        self._order(_Begin(start))

    def mark(self, start: ClipStart) -> None:
        """Note the open clip's triggers anew."""
        self._order(_Mark(start))

    def write(self, unit: AccessUnit) -> None:
        """Append one unit to the open clip."""
        if unit.is_key:
            self._is_key_wanted = False
        with self._changed:
            is_full = self._queued_bytes + len(unit.data) > self._max_bytes
            if is_full or self._is_key_wanted:
                self._is_key_wanted = True
                self.dropped_units += 1
                return
            self._queued_bytes += len(unit.data)
            self._queue.append(unit)
            self._changed.notify()

    def finish(self, ended: Ended) -> None:
        """Close the open clip, sign it and tell `on_clip` (on the writer's thread)."""
        self._order(_Finish(ended))

    def stop(self) -> None:
        """Do what was ordered, then end the thread. Waits for the disk."""
        self._order(_Stop())
        self._thread.join()

    def _order(self, order: _Order) -> None:
        with self._changed:
            self._queue.append(order)
            self._changed.notify()

    def _next(self) -> _Order:
        with self._changed:
            while not self._queue:
                self._changed.wait()
            order = self._queue.popleft()
            if isinstance(order, AccessUnit):
                self._queued_bytes -= len(order.data)
            return order

    def _run(self) -> None:
        while not isinstance(order := self._next(), _Stop):
            try:
                self._carry_out(order)
            except Exception:  # the supervisor: this clip is lost from here on, not the next
                log.exception("recording failed; what was written is kept")
                self._give_up()

    def _carry_out(self, order: _Order) -> None:
        clip = self._clip
        match order:
            case _Begin(start):
                self._library.save_open(start)
                path = self._library.path_of(start.clip_id)
                self._clip = _OpenClip(
                    start, FragmentWriter(path, width=start.width, height=start.height)
                )
            case _Mark(start) if clip is not None:
                clip.start = start
                self._library.save_open(start)
            case _Finish(ended) if clip is not None:
                self._clip = None
                self._finish(clip, ended)
            case AccessUnit() if clip is not None:
                clip.write(order)

    def _finish(self, clip: "_OpenClip", ended: Ended) -> None:
        clip.file.close()
        end = clip.end(ended)
        if end is None:
            self._library.remove(clip.start.clip_id)
            return
        signed = self._sign_manifest(clip.start, end)
        record = self._library.finish(clip.start.clip_id, end, signed)
        removed = self._library.apply_retention(self._clock.wall_ms())
        log.info(
            "clip %s: %d ms, %d bytes; %d old clips removed",
            record.clip_id,
            record.duration_ms,
            record.size_bytes,
            len(removed),
        )
        self._on_clip(record)

    def _give_up(self) -> None:
        """After a failure, keep what is on the disk as a clip that was cut short."""
        clip, self._clip = self._clip, None
        if clip is None:
            return
        try:
            clip.file.abandon()
            record = close_cut_short(self._library, clip.start, self._sign_manifest)
        except Exception:  # the supervisor: the next start tries once more
            log.exception("clip %s stays open until the next start", clip.start.clip_id)
            return
        if record is not None:
            self._on_clip(record)


class _OpenClip:
    """The clip being written: its file and its growing description."""

    def __init__(self, start: ClipStart, file: FragmentWriter) -> None:
        self.start = start
        self.file = file
        self._hasher = GopHasher()
        self._first_pts_90k: int | None = None
        self._last_pts_90k = 0
        self._frame_90k = DEFAULT_FRAME_90K

    def write(self, unit: AccessUnit) -> None:
        if self._first_pts_90k is None:
            self._first_pts_90k = unit.pts_90k
        else:
            self._frame_90k = unit.pts_90k - self._last_pts_90k
        self._last_pts_90k = unit.pts_90k
        self.file.write(unit)
        relative = unit.pts_90k - self._first_pts_90k
        self._hasher.add(relative, unit.is_key, split_annex_b(unit.data))

    def end(self, ended: Ended) -> ClipEnd | None:
        """Return the description of what was written, or None if nothing was."""
        if self._first_pts_90k is None:
            return None
        return ClipEnd(
            duration_90k=self._last_pts_90k - self._first_pts_90k + self._frame_90k,
            gops=self._hasher.finish(),
            ended=ended,
            size_bytes=self.file.size_bytes,
        )
