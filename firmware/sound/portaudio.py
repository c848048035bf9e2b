"""The machine's sound devices by PortAudio: the only importer of sounddevice.

Blocks of 20 ms, mono, 48 kHz. Which device, and how it is mixed with other programs' sound, is
ALSA's (or PulseAudio's, or PipeWire's) business. PortAudio looks for devices once, when it
starts: so it is started anew before a stream is opened while none is, and a card that was plugged
in since is found.

PortAudio's clock is the wall clock in Debian's build and stands still in others, so only
differences of its times are used: how old a block's first sample is when it comes. PulseAudio
says nonsense about that for a stream's first second (0.25 s where 0.02 is true: measured); an
age that no buffer could explain counts as one block.
"""

import logging
import threading
from contextlib import suppress
from typing import Any

from firmware.sound.audio_device import DeviceStream, Fill, OnBlock
from firmware.sound.errors import NoAudioDevice, SoundMissing
from firmware.sound.frames import FRAME_SAMPLES, SAMPLE_RATE
from firmware.system.clock import Clock

log = logging.getLogger(__name__)

BLOCK_S = FRAME_SAMPLES / SAMPLE_RATE
LATENCY_S = 0.06
"""Three blocks in the card's buffer: a garbage collection isn't heard, and talk stays quick."""
SILENT_AFTER_S = 2.0
MOST_NAMED = 8


class PortAudioDevices:
    """Implements `AudioDevices`. Its methods may be called from any thread; they take turns."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._streams: list[_Stream] = []

    def open_microphone(self, device: str, on_block: OnBlock) -> DeviceStream:
        """Open a microphone."""
        portaudio = _portaudio()

        def callback(indata: Any, _frames: int, times: Any, _status: Any) -> None:  # Any: cffi's
            now_ns = self._clock.monotonic_ns()
            stream.called_ns = now_ns
            age_s = _believed(times.currentTime - times.inputBufferAdcTime)
            on_block(bytes(indata), now_ns - int(age_s * 1e9))

        stream = _Stream(self._clock)
        with self._lock:
            self._look_again(portaudio)
            stream.open(portaudio, portaudio.RawInputStream, device, callback, "microphone")
            self._streams.append(stream)
        return stream

    def open_speaker(self, device: str, fill: Fill) -> DeviceStream:
        """Open a speaker."""
        portaudio = _portaudio()

        def callback(outdata: Any, frames: int, times: Any, _status: Any) -> None:  # Any: cffi's
            now_ns = self._clock.monotonic_ns()
            stream.called_ns = now_ns
            lead_s = _believed(times.outputBufferDacTime - times.currentTime)
            outdata[:] = fill(frames, now_ns + int(lead_s * 1e9))

        stream = _Stream(self._clock)
        with self._lock:
            self._look_again(portaudio)
            stream.open(portaudio, portaudio.RawOutputStream, device, callback, "speaker")
            self._streams.append(stream)
        return stream

    def _look_again(self, portaudio: Any) -> None:  # Any: sounddevice has no types
        """Restart PortAudio, so that it detects the present devices.

        That frees all streams of the old one, so each is closed before.
        """
        for stream in self._streams:
            if not stream.is_alive():
                stream.close()
        self._streams = [stream for stream in self._streams if not stream.is_closed]
        if self._streams:
            return
        with suppress(portaudio.PortAudioError):
            portaudio._terminate()
        try:
            portaudio._initialize()
        except portaudio.PortAudioError as error:
            raise NoAudioDevice(f"the system's sound can't be used: {error}") from error


class _Stream:
    """One open PortAudio stream."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._stream: Any = None  # Any: sounddevice has no types
        self._closing = threading.Lock()
        self.is_closed = False
        self.called_ns = clock.monotonic_ns()

    def open(self, portaudio: Any, kind: Any, device: str, callback: Any, what: str) -> None:
        """Open and start; `kind` is sounddevice's class."""
        try:
            self._stream = kind(
                samplerate=SAMPLE_RATE,
                blocksize=FRAME_SAMPLES,
                channels=1,
                dtype="int16",
                latency=LATENCY_S,
                device=device or None,
                callback=callback,
            )
            self._stream.start()
        except (portaudio.PortAudioError, ValueError) as error:
            self.close()
            raise NoAudioDevice(_what_to_do(portaudio, what, device, error)) from error
        self.called_ns = self._clock.monotonic_ns()

    def is_alive(self) -> bool:
        """Whether the device still calls back."""
        if self.is_closed:
            return False
        silent_ns = self._clock.monotonic_ns() - self.called_ns
        return bool(self._stream.active) and silent_ns < SILENT_AFTER_S * 1e9

    def close(self) -> None:
        """Close the device at once, even with sound still to be played; may be called twice."""
        with self._closing:
            if not self.is_closed and self._stream is not None:
                self._stream.close(ignore_errors=True)
            self.is_closed = True


def _believed(seconds: float) -> float:
    return seconds if 0 <= seconds <= LATENCY_S + 3 * BLOCK_S else BLOCK_S


def _portaudio() -> Any:  # Any: sounddevice has no types
    try:
        import sounddevice
    except ModuleNotFoundError as error:
        raise SoundMissing("sounddevice", "pip install 'doorward[firmware,sound]'") from error
    except OSError as error:
        raise SoundMissing("PortAudio", "sudo apt install libportaudio2") from error
    return sounddevice


def _what_to_do(portaudio: Any, what: str, device: str, error: Exception) -> str:
    """Return an error text: the devices that were found and the remedy."""
    channels = "max_input_channels" if what == "microphone" else "max_output_channels"
    key = "sound.microphone" if what == "microphone" else "sound.speaker"
    names = [str(found["name"]) for found in portaudio.query_devices() if found[channels] > 0]
    if not names:
        listing = "arecord -l" if what == "microphone" else "aplay -l"
        return (
            f"this machine has no {what}: plug one in (a USB sound card will do), and see that "
            f"`{listing}` lists it and that the doorbell's user is in the group audio"
        )
    known = ", ".join(names[:MOST_NAMED])
    asked = f'{key} = "{device}"' if device else f"the system's own {what}"
    return f"{asked} can't be used ({error}). Set {key} to one of: {known}"
