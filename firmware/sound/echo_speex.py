"""The echo canceller of Speex (MDF), by the system's libspeexdsp and ctypes.

Small, and part of Debian (libspeexdsp1, BSD). It keeps more of a visitor who speaks at the same
time than AEC3 does, and cancels little of a speaker that distorts. API:
https://www.speex.org/docs/api/speex-api-reference/group__SpeexEchoState.html
"""

import ctypes

from firmware.sound.errors import SoundMissing
from firmware.sound.frames import FRAME_BYTES, FRAME_SAMPLES, SAMPLE_RATE

LIBRARY = "libspeexdsp.so.1"
FILTER_SAMPLES = SAMPLE_RATE // 5
"""200 ms: the margin for the card's times, and how long a porch echoes."""
SET_SAMPLING_RATE = 24


def find_speex() -> type["SpeexCanceller"]:
    """Return the canceller if the system has its library, or raise SoundMissing."""
    try:
        ctypes.CDLL(LIBRARY)
    except OSError as error:
        raise SoundMissing("libspeexdsp", "sudo apt install libspeexdsp1") from error
    return SpeexCanceller


class SpeexCanceller:
    """Implements `EchoCanceller`."""

    def __init__(self) -> None:
        library = ctypes.CDLL(LIBRARY)
        library.speex_echo_state_init.restype = ctypes.c_void_p
        library.speex_echo_state_init.argtypes = [ctypes.c_int, ctypes.c_int]
        library.speex_echo_ctl.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p]
        library.speex_echo_cancellation.argtypes = [
            ctypes.c_void_p, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_void_p,
        ]  # fmt: skip
        library.speex_echo_cancellation.restype = None
        library.speex_echo_state_destroy.argtypes = [ctypes.c_void_p]
        library.speex_echo_state_destroy.restype = None
        self._library = library
        self._state = library.speex_echo_state_init(FRAME_SAMPLES, FILTER_SAMPLES)
        if not self._state:
            raise OSError("libspeexdsp gives no canceller; is there memory left?")
        rate = ctypes.c_int(SAMPLE_RATE)
        library.speex_echo_ctl(self._state, SET_SAMPLING_RATE, ctypes.byref(rate))

    def cancel(self, near: bytes, far: bytes) -> bytes:
        """Return `near` without `far`."""
        if len(near) != FRAME_BYTES or len(far) != FRAME_BYTES:
            raise ValueError(f"frames have {FRAME_BYTES} bytes, not {len(near)} and {len(far)}")
        out = ctypes.create_string_buffer(FRAME_BYTES)
        self._library.speex_echo_cancellation(self._state, near, far, out)
        return out.raw

    def __del__(self) -> None:
        if getattr(self, "_state", None):
            self._library.speex_echo_state_destroy(self._state)
            self._state = None
