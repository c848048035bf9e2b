"""The recorder: the thread that records, and its handle on the loop.

The loop only leaves triggers here; deciding and all disk writes are the thread's. It sleeps until a
trigger, then takes what was filmed every `TURN_S`, and when a clip ends: so neither the camera nor
the loop is woken or stopped by a recording. Nothing is recorded before an owner is paired.
"""

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Callable
from functools import partial

from firmware.clips.clip_cutter import MAX_TRIGGERS, ClipCutter
from firmware.clips.clip_span import ClipSpan
from firmware.clips.folder_lock import locked
from firmware.clips.library import Library
from firmware.clips.record import ClipRecord, StorageState
from firmware.clips.thumbnail import Thumbnails
from firmware.clips.triggers import Trigger, TriggerKind
from firmware.clips.writer import LISTING_RETRY_S, ClipWriter
from firmware.system.daemon_call import call_in_daemon
from firmware.system.listeners import Listeners
from firmware.system.ownership import Ownership

log = logging.getLogger(__name__)

TURN_S = 0.4
"""What a power cut may take at most is as much, and a sync."""


class Recorder:
    """Records clips from the ring into the library.

    `clips` is notified of each clip that is in the library, `card_states` of how storage is
    doing; both on the loop.
    """

    def __init__(
        self,
        *,
        cutter: ClipCutter,
        writer: ClipWriter,
        library: Library,
        owners: Ownership,
        thumbnails: Thumbnails | None = None,
        turn_s: float = TURN_S,
    ) -> None:
        """The cutter, and the writer that it writes by, are this recorder's alone."""
        self.clips = Listeners[ClipRecord]()
        self.card_states = Listeners[StorageState]()
        self._cutter = cutter
        self._library = library
        self._owners = owners
        self._thumbnails = thumbnails
        self._turn_s = turn_s
        self._loop = asyncio.get_running_loop()
        self._writer = writer
        writer.listed.add(self._on_listed)
        writer.card.states.add(self._on_card_state)
        self._changed = threading.Condition()
        self._triggers: list[Trigger] = []
        self._extended_90k: int | None = None
        self._is_stopping = False
        self._is_paused = False
        self._expected_90k: int | None = None
        self._making_thumbnails: set[asyncio.Task[None]] = set()

    @property
    def clip_id(self) -> str | None:
        """The clip that is being recorded."""
        return self._cutter.clip_id

    @property
    def sync_p99_ms(self) -> int | None:
        """The 99th percentile of the last syncs' durations; None before the first."""
        return self._writer.card.sync_p99_ms

    @property
    def shortest_pre_roll_ms(self) -> int | None:
        """The shortest pre-roll of the last clips; None before the first. Those that began before
        memory was filled don't count."""
        return self._cutter.shortest_pre_roll_ms

    def set_reach(self, reach: ClipSpan) -> None:
        """Cut clips by this span from now on, the one that is being recorded too."""
        self._cutter.set_reach(reach)

    def trigger(
        self, event_id: str, kind: TriggerKind, at_pts_90k: int, *, told_pts_90k: int = 0
    ) -> None:
        """Have a clip begun, or the running one prolonged; nothing if nobody is paired, or paused.

        If the camera has no picture yet, the clip begins once the first comes. What is told long
        after it happened says when it was told: the clip goes on after that.
        """
        if self._is_paused or not self._owners.has_owner():
            return
        trigger = Trigger(
            event_id=event_id,
            kind=kind,
            at_pts_90k=at_pts_90k,
            expected_90k=self._expected_90k,
            told_pts_90k=told_pts_90k,
        )
        with self._changed:
            self._cutter.keep_for(trigger)  # the thread may be waiting for the disk
            if len(self._triggers) < MAX_TRIGGERS:
                self._triggers.append(trigger)
            self._changed.notify()

    def pause(self, is_paused: bool) -> None:
        """Let no trigger begin a clip from now on, or again."""
        self._is_paused = is_paused

    def extend(self, at_pts_90k: int) -> None:
        """Prolong the running clip, because motion goes on; nothing if there is none."""
        with self._changed:
            self._extended_90k = at_pts_90k

    def expect(self, from_pts_90k: int | None) -> None:
        """Begin the next clip early enough for motion from this time on, which may be told after
        its trigger; None: nothing is expected."""
        self._expected_90k = from_pts_90k

    async def run(self) -> None:
        """Record until cancelled; what is being recorded then is finished as cut short."""
        with locked(self._library.clips_dir):
            self._is_stopping = False
            thread = asyncio.create_task(call_in_daemon(self._run, name="recorder"))
            try:
                await asyncio.shield(thread)
            finally:
                with self._changed:
                    self._is_stopping = True
                    self._changed.notify()
                await asyncio.shield(thread)
                await self.settle()

    async def settle(self) -> None:
        """Wait for what is made of the clips that the thread has handed over."""
        await asyncio.sleep(0)
        await asyncio.gather(*self._making_thumbnails, return_exceptions=True)

    def turn(self) -> None:
        """Take what was filmed, and carry out what was asked for. On the thread."""
        with self._changed:
            triggers, self._triggers = self._triggers, []
            extended_90k, self._extended_90k = self._extended_90k, None
        if extended_90k is not None:  # before its clip may end
            self._cutter.extend(extended_90k)
        self._cutter.turn(triggers)
        if extended_90k is not None:  # the clip that has begun
            self._cutter.extend(extended_90k)
        self._writer.list_late_ones()

    def finish(self) -> None:
        """Take what was filmed, and finish the clip as cut short. On the thread."""
        self.turn()
        self._cutter.stop()
        self._writer.list_late_ones(is_last_try=True)

    def _run(self) -> None:
        while not self._is_stopping:
            began_s = time.monotonic()
            self.turn()
            self._sleep(began_s)
        self.finish()

    def _sleep(self, began_s: float) -> None:
        """Sleep until a trigger comes, or the next turn is due."""
        if not self._cutter.is_idle:
            turn_s = self._cutter.next_turn_s(self._turn_s)
            left_s: float | None = began_s + turn_s - time.monotonic()
        else:
            left_s = LISTING_RETRY_S if self._writer.has_unlisted else None
        with self._changed:
            if not self._triggers and not self._is_stopping and (left_s is None or left_s > 0):
                self._changed.wait(left_s)

    def _on_listed(self, record: ClipRecord) -> None:
        self._on_loop(partial(self._hand_over, record))

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
        """Bring something from the thread to the loop."""
        with contextlib.suppress(RuntimeError):  # how asyncio says that the loop is closed
            self._loop.call_soon_threadsafe(call)
