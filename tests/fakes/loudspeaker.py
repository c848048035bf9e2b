"""The sound of a doorbell whose loudspeaker is a list: what was said at the door, in frames."""

import asyncio
import io
import wave
from array import array
from pathlib import Path

from firmware.live.voice import LiveSound
from firmware.sound.errors import SoundMissing
from firmware.sound.frames import SAMPLE_RATE
from firmware.sound.opus import OpusFeed
from firmware.sound.quick_replies import QuickReplies
from firmware.sound.sounds import Sound
from firmware.sound.talk_floor import TalkFloor
from firmware.system.clock import SystemClock
from tests.fakes.heard import HandFeed, tone


class Loudspeaker:
    """Implements what is used of `firmware.sound.speaker.Speaker`."""

    has_card = True
    trouble = ""

    def __init__(self) -> None:
        self.frames: list[bytes] = []

    def wake(self) -> None:
        """It never sleeps."""

    def play(self, frame: bytes) -> None:
        self.frames.append(frame)

    async def say(self, *_: object, **__: object) -> None:
        """A quick reply: it is over at once."""
        self.frames.append(b"reply")

    @property
    def loudest(self) -> int:
        """The largest sample that was said so far."""
        return max((max(map(abs, array("h", f))) for f in self.frames if f != b"reply"), default=0)


class PerfectEcho:
    """Stands for an echo canceller, which these tests have no echo for."""

    can_cancel = True


class NoSpeech:
    """A doorbell on which nothing speaks texts."""

    async def speak(self, _text: str, _language: str) -> Sound:
        raise SoundMissing("espeak-ng", "sudo apt install espeak-ng")


class Sounding:
    """A doorbell's sound on the running loop."""

    def __init__(self, folder: Path) -> None:
        self.speaker = Loudspeaker()
        self.microphone = HandFeed()
        self.floor = TalkFloor(self.speaker, PerfectEcho(), clock=SystemClock())  # type: ignore[arg-type]
        self.replies = QuickReplies(folder, speaker=self.speaker, speech=NoSpeech())  # type: ignore[arg-type]
        self.live = LiveSound(
            opus=OpusFeed(self.microphone, clock=SystemClock()),
            floor=self.floor,
            replies=self.replies,
            microphone=self.microphone,
        )

    async def hum(self) -> None:
        """Let the microphone hear a tone, in real time, until cancelled."""
        clock = SystemClock()
        while True:
            self.microphone.put(tone(clock.monotonic_ns() * 9 // 100_000, 0.02))
            await asyncio.sleep(0.02)


def short_wav() -> bytes:
    """A tenth of a second of silence, as an owner might record it."""
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes(bytes(SAMPLE_RATE // 10 * 2))
    return out.getvalue()
