"""The echo canceller of libwebrtc (AEC3), by livekit: the only importer of livekit.

Its audio processing works without any server and sends nothing. It takes frames of 10 ms. Gain
control and noise suppression stay off: a clip shall hold what was to be heard at the door.
"""

from importlib.util import find_spec
from typing import Any

from firmware.sound.errors import SoundMissing
from firmware.sound.frames import SAMPLE_RATE

HALF_SAMPLES = SAMPLE_RATE // 100
HALF_BYTES = HALF_SAMPLES * 2


def find_livekit() -> type["LiveKitCanceller"]:
    """Return the canceller without loading it, or raise SoundMissing."""
    if find_spec("livekit") is None:
        raise SoundMissing("livekit", "pip install 'doorward[firmware,sound,echo]'")
    return LiveKitCanceller


class LiveKitCanceller:
    """Implements `EchoCanceller`."""

    def __init__(self) -> None:
        from livekit import rtc  # a large library: loaded with the first microphone

        self._frame: Any = rtc.AudioFrame  # Any: frames are opaque here
        self._apm = rtc.AudioProcessingModule(echo_cancellation=True)

    def cancel(self, near: bytes, far: bytes) -> bytes:
        """Return `near` without `far`."""
        return b"".join(
            self._half(near[at : at + HALF_BYTES], far[at : at + HALF_BYTES])
            for at in range(0, len(near), HALF_BYTES)
        )

    def _half(self, near: bytes, far: bytes) -> bytes:
        reverse = self._frame(bytearray(far), SAMPLE_RATE, 1, HALF_SAMPLES)
        self._apm.process_reverse_stream(reverse)
        capture = self._frame(bytearray(near), SAMPLE_RATE, 1, HALF_SAMPLES)
        self._apm.set_stream_delay_ms(0)
        self._apm.process_stream(capture)
        return bytes(capture.data)
