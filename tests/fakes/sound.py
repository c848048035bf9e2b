"""A sound card that a test plays on and listens to, and one that can be unplugged."""

import math
from array import array
from collections.abc import Callable

from firmware.sound.audio_device import DeviceStream, Fill, OnBlock
from firmware.sound.errors import NoAudioDevice
from firmware.sound.frames import FRAME_SAMPLES, SAMPLE_RATE
from tests.fakes.clock import ManualClock


def tone(frequency_hz: float, count: int, *, level: float = 0.3, start: int = 0) -> bytes:
    """Return a sine of so many samples."""
    step = 2 * math.pi * frequency_hz / SAMPLE_RATE
    return array(
        "h", (round(32767 * level * math.sin(step * (start + n))) for n in range(count))
    ).tobytes()


class FakeStream:
    """One open stream of a `FakeCard`."""

    def __init__(self, card: "FakeCard", what: str) -> None:
        self._card = card
        self.what = what
        self.is_closed = False

    def is_alive(self) -> bool:
        return not self.is_closed and self._card.is_plugged_in

    def close(self) -> None:
        self.is_closed = True


class FakeCard:
    """Implements `firmware.sound.audio_device.AudioDevices`; time is the clock's, 20 ms a block."""

    def __init__(self, clock: ManualClock) -> None:
        self._clock = clock
        self.is_plugged_in = True
        self.opened: list[FakeStream] = []
        self.before_open: Callable[[], None] = lambda: None
        self._on_block: OnBlock | None = None
        self._fill: Fill | None = None

    def open_microphone(self, device: str, on_block: OnBlock) -> DeviceStream:
        self._on_block = on_block
        return self._open(f"microphone {device}".strip())

    def open_speaker(self, device: str, fill: Fill) -> DeviceStream:
        self._fill = fill
        return self._open(f"speaker {device}".strip())

    def _open(self, what: str) -> FakeStream:
        self.before_open()
        if not self.is_plugged_in:
            raise NoAudioDevice("this machine has no sound: plug a card in")
        stream = FakeStream(self, what)
        self.opened.append(stream)
        return stream

    def open_now(self, what: str) -> list[FakeStream]:
        """Return the open streams of a kind."""
        return [s for s in self.opened if s.what.startswith(what) and s.is_alive()]

    def hear(self, samples: bytes, at_ns: int | None = None) -> None:
        """Let the microphone hear a block that began 20 ms ago (or then)."""
        assert self._on_block is not None
        self._on_block(samples, self._clock.monotonic_ns() - 20_000_000 if at_ns is None else at_ns)

    def say(self) -> bytes:
        """Return what the speaker plays in the next 20 ms."""
        assert self._fill is not None
        return self._fill(FRAME_SAMPLES, self._clock.monotonic_ns())
