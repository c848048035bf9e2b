"""The hub that carries frames from the driver's thread to subscribers on the asyncio loop.

`SoundHub.put` runs on the card's thread and only appends; all else runs on the loop. No samples
are copied.
"""

import asyncio
import contextlib
import logging
import threading
from collections import deque
from typing import Protocol, TypeVar

from firmware.capture.loop_queue import LoopQueue
from firmware.sound.frames import FRAMES_PER_S, SoundFrame
from firmware.system.listeners import Listeners

log = logging.getLogger(__name__)

F = TypeVar("F")
HANDOVER_MAX_FRAMES = 10 * FRAMES_PER_S


class FrameSource(Protocol[F]):
    """The source of a queue: the hub, or the Opus feed."""

    def leave(self, queue: "FrameQueue[F]") -> None:
        """Remove this queue; called once, when it is closed."""
        ...


class SoundHub:
    """Hands frames to all subscriptions; `left` is notified when one of them ends.

    Overflow rule of the handover queue: when the loop stood still for so long that it is full
    (10 s), the oldest frames are dropped; the times of the rest say where the hole is.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, *, max_frames: int = HANDOVER_MAX_FRAMES
    ) -> None:
        self._loop = loop
        self._lock = threading.Lock()
        self._queue: deque[SoundFrame] = deque(maxlen=max_frames)
        self._is_scheduled = False
        self._subscriptions: list[FrameQueue[SoundFrame]] = []
        self.left = Listeners[()]()
        self.dropped_frames = 0

    @property
    def has_readers(self) -> bool:
        """Whether anybody is subscribed."""
        return bool(self._subscriptions)

    def put(self, frame: SoundFrame) -> None:
        """Hand in one frame on the driver's thread; never waits for the loop."""
        with self._lock:
            self.dropped_frames += len(self._queue) == self._queue.maxlen
            self._queue.append(frame)
            if self._is_scheduled:
                return
            self._is_scheduled = True
        with contextlib.suppress(RuntimeError):  # how asyncio says that a loop is closed
            self._loop.call_soon_threadsafe(self._drain)

    def discard(self) -> None:
        """Drop the frames queued here and at the subscriptions (on the loop)."""
        with self._lock:
            self._queue.clear()
        for subscription in self._subscriptions:
            subscription.discard()

    def subscribe(self, name: str, *, max_frames: int) -> "FrameQueue[SoundFrame]":
        """Return the frames from now on."""
        subscription = FrameQueue[SoundFrame](name, max_frames, self)
        self._subscriptions.append(subscription)
        return subscription

    def leave(self, queue: "FrameQueue[SoundFrame]") -> None:
        """Remove a closed subscription."""
        self._subscriptions.remove(queue)
        self.left.notify()

    def _drain(self) -> None:
        with self._lock:
            frames = list(self._queue)
            self._queue.clear()
            self._is_scheduled = False
        for frame in frames:
            for subscription in self._subscriptions:
                subscription.offer(frame)


class FrameQueue(LoopQueue[F]):
    """One reader's frames.

    Overflow rule: a reader that is too slow loses the oldest frames (`dropped_frames` counts), so
    it is late by at most the queue.
    """

    def __init__(self, name: str, max_frames: int, source: FrameSource[F]) -> None:
        super().__init__(max_frames)
        self._source = source
        self.name = name
        self.dropped_frames = 0

    def offer(self, frame: F) -> None:
        """Take one frame (on the loop)."""
        if self._is_full:
            if self.dropped_frames == 0:
                log.warning("%s is too slow for the sound: its oldest is dropped", self.name)
            self.dropped_frames += 1
        self._put(frame)

    def _leave(self) -> None:
        self._source.leave(self)


SoundSubscription = FrameQueue[SoundFrame]
"""A `SoundStream`."""
