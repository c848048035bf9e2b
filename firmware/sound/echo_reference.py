"""The far-end reference for echo cancellation: the speaker's latest samples.

Written on the speaker's thread, read on the microphone's. It reaches a second back; what is
older, or was never said, is silence.
"""

import threading

from firmware.sound.frames import SAMPLE_RATE
from firmware.sound.sample_clock import Placed

REACH_SAMPLES = SAMPLE_RATE
NEVER = -(10**18)


class EchoReference:
    """A ring of samples, addressed by their place on the line of `sample_clock`."""

    def __init__(self) -> None:
        self._ring = bytearray(REACH_SAMPLES * 2)
        self._lock = threading.Lock()
        self._begin = 0
        """The first sample of the run that is still in the ring without a hole."""
        self._end = 0
        self._heard_from = self._heard_to = NEVER

    def put(self, block: Placed, *, is_silent: bool) -> None:
        """Append a block that is being played."""
        with self._lock:
            if block.index != self._end:
                self._begin = block.index
            self._write(block.index, block.samples)
            self._end = block.index + len(block.samples) // 2
            if is_silent:
                return
            if block.index - self._heard_to > REACH_SAMPLES // 2:
                self._heard_from = block.index
            self._heard_to = self._end

    def take(self, index: int, count: int) -> bytes:
        """Return the samples played from `index` on."""
        with self._lock:
            oldest = max(self._begin, self._end - REACH_SAMPLES)
            first = min(max(index, oldest), index + count)
            last = max(min(index + count, self._end), first)
            said = self._read(first, last - first)
        return bytes((first - index) * 2) + said + bytes((index + count - last) * 2)

    def was_heard(self, index: int, count: int) -> bool:
        """Return whether anything but silence was played then, or a pause in speech."""
        with self._lock:
            return self._heard_from < index + count and index < self._heard_to

    def _write(self, index: int, samples: bytes) -> None:
        at = index % REACH_SAMPLES * 2
        head = samples[: len(self._ring) - at]
        self._ring[at : at + len(head)] = head
        rest = samples[len(head) :]
        self._ring[: len(rest)] = rest

    def _read(self, index: int, count: int) -> bytes:
        at = index % REACH_SAMPLES * 2
        head = bytes(self._ring[at : at + count * 2])
        return head + bytes(self._ring[: count * 2 - len(head)])
