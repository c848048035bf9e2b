"""The speaker: plays a talker's voice or a quick reply, one at a time.

A visitor should hear one voice: so what a talker says ends a quick reply, and nothing is mixed.
A talker's frames pass a small jitter buffer; the card takes from it on its own thread. The device
is open only while there is something to say, and some seconds longer.

Overflow rule of the jitter buffer: at most MAX_FRAMES wait; when more come the oldest go, so that
talk is never late by more than 240 ms. It begins anew, with START_FRAMES, after it ran dry.
"""

import asyncio
import contextlib
import random
import threading
from array import array
from collections import deque

from firmware.sound.audio_device import AudioDevices, DeviceStream
from firmware.sound.echo_reference import EchoReference
from firmware.sound.errors import NO_CARD, NoAudioDevice
from firmware.sound.frames import FRAME_BYTES, SAMPLE_RATE, SILENCE
from firmware.sound.sample_clock import YOUNG_JUMP_SAMPLES, SampleClock
from firmware.sound.stream_keeper import StreamKeeper
from firmware.system.clock import Clock

START_FRAMES = 2
MAX_FRAMES = 12
OPEN_FOR_S = 5.0
NEW_TALK_S = 0.5
"""After such a pause, a frame that was left over isn't said any more."""


class Speaker:
    """Plays one voice at a time, a `KeptDevice`.

    Build it inside the running loop; `run` until cancelled.
    """

    def __init__(
        self,
        card: AudioDevices | None,
        *,
        device: str,
        clock: Clock,
        source: random.Random,
        played: EchoReference,
        open_for_s: float = OPEN_FOR_S,
    ) -> None:
        self._open_for_s = open_for_s
        self._card = card
        self._device = device
        self._clock = clock
        self._played = played
        self._loop = asyncio.get_running_loop()
        self._gain_256 = 256
        self._line = _line()
        self._lock = threading.Lock()
        self._frames: deque[bytes] = deque()
        self._is_talking = False
        self._rest = b""
        self._saying: _Saying | None = None
        self._used_ns: int | None = None
        self._talked_ns: int | None = None
        self.dropped_frames = 0
        self._keeper = StreamKeeper("speaker", self, source=source)

    def set_volume(self, percent: int) -> None:
        """Play with this much of the full volume from now on."""
        self._gain_256 = percent * 256 // 100

    @property
    def has_device(self) -> bool:
        """Whether this doorbell has a speaker."""
        return self._card is not None

    @property
    def trouble(self) -> str:
        """Why the speaker can't be used; "" while all is well."""
        return self._keeper.detail if self._keeper.state == "failing" else ""

    @property
    def has_failed(self) -> bool:
        """Whether the speaker failed when it was last wanted."""
        return self._keeper.has_failed

    def wake(self) -> None:
        """Open the device: somebody is about to talk (on the loop)."""
        self._used_ns = self._clock.monotonic_ns()
        self._keeper.look()

    def play(self, frame: bytes) -> None:
        """Play 20 ms of a talker's voice (FRAME_BYTES of s16le, mono, 48 kHz; on the loop)."""
        if len(frame) != FRAME_BYTES:
            raise ValueError(f"a frame has {FRAME_BYTES} bytes, not {len(frame)}")
        before_ns = self._talked_ns
        self.wake()
        self._talked_ns = self._clock.monotonic_ns()
        with self._lock:
            saying, self._saying = self._saying, None
            if before_ns is not None and self._talked_ns - before_ns > NEW_TALK_S * 1e9:
                self._frames.clear()
            self._frames.append(frame)
            while len(self._frames) > MAX_FRAMES:
                self._frames.popleft()
                self.dropped_frames += 1
        if saying is not None:
            saying.end()

    async def say(self, samples: bytes) -> bool:
        """Play a sound and return when it is over: True if it was played to its end.

        Raise NoAudioDevice if the speaker doesn't take it.
        """
        if self._card is None:
            raise NoAudioDevice(NO_CARD)
        saying = _Saying(samples, self._loop)
        with self._lock:
            before, self._saying = self._saying, saying
        if before is not None:
            before.end()
        try:
            await self._said(saying)
        finally:
            with self._lock:
                if self._saying is saying:
                    self._saying = None
        return saying.is_whole

    async def run(self) -> None:
        """Keep the device open while it is used, until cancelled."""
        await self._keeper.run()

    async def _said(self, saying: "_Saying") -> None:
        limit_s = len(saying.samples) / 2 / SAMPLE_RATE + self._open_for_s
        try:
            async with asyncio.timeout(limit_s):
                while not saying.is_over.is_set():
                    self.wake()
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(self._open_for_s / 2):
                            await saying.is_over.wait()
        except TimeoutError as error:
            raise NoAudioDevice(self.trouble or "the speaker takes no sound") from error

    @property
    def is_wanted(self) -> bool:
        """Whether something is playing, or was a moment ago."""
        if self._used_ns is None or self._card is None:
            return False
        return self._clock.monotonic_ns() - self._used_ns < self._open_for_s * 1e9

    def open_stream(self) -> DeviceStream:
        """Open the speaker's stream; for the keeper."""
        if self._card is None:
            raise NoAudioDevice(NO_CARD)
        self._line = _line()
        return self._card.open_speaker(self._device, self._fill)

    def _fill(self, count: int, at_ns: int) -> bytes:
        """Return the next block to be played (on the driver's thread)."""
        size = count * 2
        with self._lock:
            while len(self._rest) < size:
                self._rest += self._next()
            block, self._rest = self._rest[:size], self._rest[size:]
        block = _quieter(block, self._gain_256)
        placed = self._line.place(block, at_ns)
        if placed is not None:
            self._played.put(placed, is_silent=not any(block))
        return block

    def _next(self) -> bytes:
        """Return the next 20 ms."""
        if not self._is_talking and len(self._frames) >= START_FRAMES:
            self._is_talking = True
        if self._is_talking:
            if self._frames:
                return self._frames.popleft()
            self._is_talking = False
        if self._saying is not None:
            return self._saying.next()
        return SILENCE


def _quieter(block: bytes, gain_256: int) -> bytes:
    """Return samples at a part of their volume, in 256ths."""
    if gain_256 == 256 or not any(block):
        return block
    return array("h", [one * gain_256 >> 8 for one in memoryview(block).cast("h")]).tobytes()


def _line() -> SampleClock:
    """Return a sample clock for one stream: it may jump at once, as only the canceller reads it."""
    return SampleClock(settle_blocks=0, jump_samples=YOUNG_JUMP_SAMPLES)


class _Saying:
    """One sound that is being played."""

    def __init__(self, samples: bytes, loop: asyncio.AbstractEventLoop) -> None:
        self.samples = samples
        self.is_over = asyncio.Event()
        self.is_whole = False
        self._loop = loop
        self._at = 0

    def next(self) -> bytes:
        """Return the next 20 ms, silence after the end (on the driver's thread)."""
        piece = self.samples[self._at : self._at + FRAME_BYTES]
        self._at += FRAME_BYTES
        if self._at >= len(self.samples):
            self.is_whole = True
            with contextlib.suppress(RuntimeError):  # the loop is closed
                self._loop.call_soon_threadsafe(self.end)
        return piece + bytes(FRAME_BYTES - len(piece))

    def end(self) -> None:
        """End the sound and wake its waiter (on the loop)."""
        self.is_over.set()
