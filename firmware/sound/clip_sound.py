"""Sound for clips: the last seconds in memory, and a running clip's share not yet taken.

Beside the ring of pictures, and as bounded: `keep_s` of samples as the microphone gives them (96
kB a second); older ones are dropped. Nothing is encoded before a clip wants it. Filled on the
loop, taken on the recorder's thread; never waits, so pictures never wait for sound. When the
microphone is switched off, what it held is forgotten.
"""

import asyncio
import threading
from collections import deque

from firmware.sound.frames import FRAME_90K, FRAMES_PER_S, SoundFeed, SoundFrame, SoundStream

QUEUE_FRAMES = 10 * FRAMES_PER_S
FRAMES_A_PICTURE = FRAMES_PER_S // 2
"""So much at most is handed over with a picture: pre-roll is encoded little by little."""


class ClipSound:
    """Buffers the sound for clips."""

    def __init__(self, feed: SoundFeed, *, keep_s: float) -> None:
        self._feed = feed
        self._lock = threading.Lock()
        max_frames = max(1, round(keep_s * FRAMES_PER_S))
        self._kept: deque[SoundFrame] = deque(maxlen=max_frames)
        self._wanted: deque[SoundFrame] | None = None
        self._is_listening = asyncio.Event()
        self._is_listening.set()
        self._frames: SoundStream | None = None

    def listen(self, is_wanted: bool) -> None:
        """Capture the microphone for clips from now on, or no more: then what it held is forgotten.

        On the loop.
        """
        if is_wanted:
            self._is_listening.set()
            return
        self._is_listening.clear()
        if self._frames is not None:
            self._frames.close()
        self.forget()

    def set_keep(self, keep_s: float) -> None:
        """Keep this much from now on."""
        with self._lock:
            self._kept = deque(self._kept, maxlen=max(1, round(keep_s * FRAMES_PER_S)))

    def forget(self) -> None:
        """Drop the sound that no clip has taken yet; called when the microphone is switched off."""
        with self._lock:
            self._kept.clear()
            if self._wanted is not None:
                self._wanted.clear()

    async def run(self) -> None:
        """Listen while it is wanted, until cancelled."""
        while True:
            await self._is_listening.wait()
            frames = self._frames = self._feed.subscribe("clips", max_frames=QUEUE_FRAMES)
            try:
                async for frame in frames:
                    if self._is_listening.is_set():
                        self._keep(frame)
            finally:
                self._frames = None
                frames.close()

    def begin(self, from_pts_90k: int) -> None:
        """Begin a clip's sound at this moment; a previous clip's ends."""
        if not self._feed.is_on or not self._is_listening.is_set():
            self.forget()
        with self._lock:
            wanted = (frame for frame in self._kept if frame.pts_90k + FRAME_90K > from_pts_90k)
            self._wanted = deque(wanted, maxlen=self._kept.maxlen)

    def take(self, to_pts_90k: int, *, most: int = FRAMES_A_PICTURE) -> tuple[SoundFrame, ...]:
        """Return the clip's sound up to this moment that wasn't taken yet."""
        taken: list[SoundFrame] = []
        with self._lock:
            wanted = self._wanted
            while wanted and wanted[0].pts_90k <= to_pts_90k and len(taken) < most:
                taken.append(wanted.popleft())
        return tuple(taken)

    def end(self, to_pts_90k: int) -> tuple[SoundFrame, ...]:
        """End the clip's sound at this moment; return the rest."""
        rest = self.take(to_pts_90k, most=len(self._wanted or ()))
        self._wanted = None
        return rest

    def _keep(self, frame: SoundFrame) -> None:
        with self._lock:
            self._kept.append(frame)
            if self._wanted is not None:
                self._wanted.append(frame)
