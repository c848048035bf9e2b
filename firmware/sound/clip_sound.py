"""Sound for clips: the last seconds of it, in memory, and what a running clip hasn't taken yet.

Beside the ring of pictures, and as bounded: `keep_s` of samples as the microphone gives them (96
kB a second); older ones are dropped. Nothing is encoded before a clip wants it. Lives on the
loop; never waits, so pictures never wait for sound. While it is switched off it listens to
nobody, and what it held is forgotten.
"""

import asyncio
from collections import deque

from firmware.sound.frames import FRAME_90K, FRAMES_PER_S, SoundFeed, SoundFrame, SoundStream

QUEUE_FRAMES = 10 * FRAMES_PER_S
LISTEN_AGAIN_S = 1.0
FRAMES_A_PICTURE = FRAMES_PER_S // 2
"""So much at most is handed over with a picture: pre-roll is encoded little by little."""


class ClipSound:
    """Keeps the sound that a clip may want."""

    def __init__(self, feed: SoundFeed, *, keep_s: float, is_on: bool = True) -> None:
        self._feed = feed
        max_frames = max(1, round(keep_s * FRAMES_PER_S))
        self._kept: deque[SoundFrame] = deque(maxlen=max_frames)
        self._wanted: deque[SoundFrame] | None = None
        self._stream: SoundStream | None = None
        self._switched_on = asyncio.Event()
        self.switch(is_on=is_on)

    @property
    def is_on(self) -> bool:
        """Whether clips get sound while the microphone is on."""
        return self._switched_on.is_set()

    def switch(self, *, is_on: bool) -> None:
        """Let clips have sound, or not; what is being recorded follows at once."""
        if is_on:
            self._switched_on.set()
            return
        self._switched_on.clear()
        self.forget()
        if self._stream is not None:
            self._stream.close()

    def forget(self) -> None:
        """Forget what no clip has taken yet; call it when the microphone is switched off."""
        self._kept.clear()
        if self._wanted is not None:
            self._wanted.clear()

    async def run(self) -> None:
        """Listen until cancelled, whenever it is switched on."""
        while True:
            await self._switched_on.wait()
            self._stream = self._feed.subscribe("clips", max_frames=QUEUE_FRAMES)
            try:
                async for frame in self._stream:
                    self._keep(frame)
            finally:
                self._stream.close()
                self._stream = None
            if self.is_on:  # the microphone ended it
                await asyncio.sleep(LISTEN_AGAIN_S)

    def begin(self, from_pts_90k: int) -> None:
        """A clip wants what there is from this moment on; another's wishes end."""
        if not self._feed.is_on:
            self.forget()
        wanted = (frame for frame in self._kept if frame.pts_90k + FRAME_90K > from_pts_90k)
        self._wanted = deque(wanted, maxlen=self._kept.maxlen)

    def take(self, to_pts_90k: int, *, most: int = FRAMES_A_PICTURE) -> tuple[SoundFrame, ...]:
        """Return what the clip wants up to this moment and hasn't had yet."""
        wanted = self._wanted
        taken: list[SoundFrame] = []
        while wanted and wanted[0].pts_90k <= to_pts_90k and len(taken) < most:
            taken.append(wanted.popleft())
        return tuple(taken)

    def end(self, to_pts_90k: int) -> tuple[SoundFrame, ...]:
        """The clip has ended at this moment: return the rest."""
        rest = self.take(to_pts_90k, most=len(self._wanted or ()))
        self._wanted = None
        return rest

    def _keep(self, frame: SoundFrame) -> None:
        self._kept.append(frame)
        if self._wanted is not None:
            self._wanted.append(frame)
