"""A speaker that is a file: what a doorbell without a sound card plays, as WAV in its data folder.

For trying a doorbell out on a machine without a loudspeaker. The file begins anew whenever the
speaker is opened, so it holds what was played last, with the pauses. There is no microphone.
"""

import logging
import threading
import wave
from pathlib import Path

from firmware.sound.audio_device import DeviceStream, Fill, OnBlock
from firmware.sound.errors import NoAudioDevice
from firmware.sound.frames import FRAME_SAMPLES, SAMPLE_RATE
from firmware.system.clock import Clock

log = logging.getLogger(__name__)

SPEAKER_FILE = "speaker.wav"
BLOCK_S = FRAME_SAMPLES / SAMPLE_RATE
MAX_FILE_S = 300.0
"""The file takes no more than this of one opening (29 MB); what comes later isn't kept."""
CLOSE_WITHIN_S = 1.0


class FileDevices:
    """Implements `AudioDevices` with a file."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        self._path = folder / SPEAKER_FILE
        self._clock = clock

    def open_microphone(self, device: str, on_block: OnBlock) -> DeviceStream:  # noqa: ARG002
        """Refuse: nothing is heard through a file."""
        raise NoAudioDevice('sound.card = "file" has no microphone; set it to "system" for one')

    def open_speaker(self, device: str, fill: Fill) -> DeviceStream:  # noqa: ARG002 (one file)
        """Begin the file anew, or raise NoAudioDevice."""
        try:
            self._path.unlink(missing_ok=True)
            self._path.touch(mode=0o600)
            file = wave.open(str(self._path), "wb")  # noqa: SIM115 (the stream closes it)
        except OSError as error:
            raise NoAudioDevice(f"{self._path} can't be written: {error}") from error
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        return _FileStream(file, fill, self._clock)


class _FileStream:
    """One opening of the file; a thread of its own takes a block every 20 ms."""

    def __init__(self, file: wave.Wave_write, fill: Fill, clock: Clock) -> None:
        self._file = file
        self._fill = fill
        self._clock = clock
        self._is_closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="speaker file", daemon=True)
        self._thread.start()

    def is_alive(self) -> bool:
        """Whether the file still takes sound."""
        return self._thread.is_alive()

    def close(self) -> None:
        """End the file."""
        self._is_closing.set()
        self._thread.join(timeout=CLOSE_WITHIN_S)

    def _run(self) -> None:
        try:
            with self._file:
                self._take_blocks()
        except OSError as error:
            log.warning("the speaker's file can't be written: %s", error)

    def _take_blocks(self) -> None:
        begun_ns, count = self._clock.monotonic_ns(), 0
        while not self._is_closing.is_set():
            due_ns = begun_ns + round(count * BLOCK_S * 1e9)
            block = self._fill(FRAME_SAMPLES, due_ns)
            if count * BLOCK_S < MAX_FILE_S:
                self._file.writeframes(block)
            count += 1
            left_s = (due_ns - self._clock.monotonic_ns()) / 1e9 + BLOCK_S
            if left_s > 0:
                self._is_closing.wait(left_s)
