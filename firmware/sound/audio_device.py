"""The interface of audio devices: microphone and speaker streams.

Pure protocols; `portaudio.py` satisfies them with PortAudio, tests/fakes/sound.py without. All
calls but the callbacks may block, and one into a driver that hangs may never return:
`stream_keeper.py` makes them on threads of their own.
"""

from collections.abc import Callable
from typing import Protocol

OnBlock = Callable[[bytes, int], None]
"""Takes samples (s16le, mono, 48 kHz), and the monotonic time (ns) of the first in the air."""
Fill = Callable[[int, int], bytes]
"""Returns so many samples to play; the first will be in the air at that monotonic time (ns)."""


class DeviceStream(Protocol):
    """One open stream. Its callback is called on the driver's thread."""

    def is_alive(self) -> bool:
        """Whether the device still calls back; it doesn't once it is unplugged."""
        ...

    def close(self) -> None:
        """Close the device."""
        ...


class AudioDevices(Protocol):
    """The machine's sound devices. `device` is a part of a name, or "" for the system's choice."""

    def open_microphone(self, device: str, on_block: OnBlock) -> DeviceStream:
        """Open a microphone; raise SoundError if that fails."""
        ...

    def open_speaker(self, device: str, fill: Fill) -> DeviceStream:
        """Open a speaker; raise SoundError if that fails."""
        ...
