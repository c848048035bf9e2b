"""Acoustic echo cancellation: removes the speaker's sound from the microphone's, by a library.

`Echo` lines both up by the sample, so a canceller sees a steady delay however the card, the
system's mixer and the process dawdle. It runs on the microphone's thread, and only while the
speaker says something and a second longer: else it costs nothing. Which libraries there are, and
what each is good for: docs/decisions/0020-sound.md.
"""

import logging
from collections.abc import Callable
from typing import Literal, Protocol

from firmware.sound.echo_livekit import find_livekit
from firmware.sound.echo_reference import EchoReference
from firmware.sound.echo_speex import find_speex
from firmware.sound.errors import SoundMissing
from firmware.sound.frames import FRAME_SAMPLES, SAMPLE_RATE

log = logging.getLogger(__name__)

MARGIN_SAMPLES = SAMPLE_RATE * 30 // 1000
"""The canceller is told of a sound this much before it is heard, as no card's times are exact."""
GOES_ON_SAMPLES = SAMPLE_RATE
TAIL_SAMPLES = SAMPLE_RATE * 300 // 1000
"""How long a wall or a street goes on sounding."""

EchoChoice = Literal["auto", "livekit", "speex", "none"]


class EchoCanceller(Protocol):
    """A library's canceller for frames of 20 ms."""

    def cancel(self, near: bytes, far: bytes) -> bytes:
        """Return the microphone's signal (`near`) without the speaker's (`far`)."""
        ...


MakeCanceller = Callable[[], EchoCanceller]


class Echo:
    """The speaker's echo in the microphone's signal. `cancel` is the microphone's thread's."""

    def __init__(self, played: EchoReference, make_canceller: MakeCanceller | None) -> None:
        self._played = played
        self._make_canceller = make_canceller
        self._canceller: EchoCanceller | None = None

    @property
    def can_cancel(self) -> bool:
        """Whether full duplex is possible: both sides may speak at once."""
        return self._make_canceller is not None

    def prepare(self) -> None:
        """Make a fresh canceller for a microphone that is being opened; may take a second."""
        if self._make_canceller is None:
            return
        try:
            self._canceller = self._make_canceller()
        except (SoundMissing, OSError, RuntimeError):
            log.exception("the echo canceller fails; from now on one side speaks at a time")
            self._canceller = self._make_canceller = None

    def cancel(self, index: int, samples: bytes) -> bytes:
        """Return a frame that begins at sample `index` without the speaker's sound."""
        if self._canceller is None:
            return samples
        reach = GOES_ON_SAMPLES + FRAME_SAMPLES
        if not self._played.was_heard(index - GOES_ON_SAMPLES, reach + MARGIN_SAMPLES):
            return samples
        far = self._played.take(index + MARGIN_SAMPLES, FRAME_SAMPLES)
        return self._canceller.cancel(samples, far)

    def is_heard(self, index: int) -> bool:
        """Return whether a frame that begins at sample `index` may hold an echo."""
        reach = TAIL_SAMPLES + FRAME_SAMPLES + MARGIN_SAMPLES
        return self._played.was_heard(index - TAIL_SAMPLES, reach)


def choose_canceller(choice: EchoChoice) -> MakeCanceller | None:
    """Return the factory of the configured canceller; "auto" takes the best available.

    Nothing large is loaded yet. Raise SoundMissing if the one that is named isn't there.
    """
    finders: dict[EchoChoice, Callable[[], MakeCanceller]] = {
        "livekit": find_livekit,
        "speex": find_speex,
    }
    if choice in finders:
        return finders[choice]()
    if choice == "none":
        return None
    for name, find in finders.items():
        try:
            make = find()
        except SoundMissing as error:
            log.debug("%s", error)
        else:
            log.info("the echo is cancelled by %s", name)
            return make
    log.warning("no echo is cancelled: one side speaks at a time (sudo apt install libspeexdsp1)")
    return None
