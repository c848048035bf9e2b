"""A doorbell with an owner that records pictures and sound, and whose check page may be opened.

Window, session, ring, recorder, microphone and their wiring are the real ones.
"""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from firmware.capture.camera_output import pts_90k_of
from firmware.capture.unit_hub import SmallHub
from firmware.clips.ring import Ring
from firmware.config.settings import SoundConfig
from firmware.enrolment.check_code import CheckCode
from firmware.local_page.check_service import CheckService, CheckSurroundings
from firmware.local_page.check_session import CheckedParts
from firmware.panel.button import Press
from firmware.sound.digits_voice import DigitsVoice
from firmware.sound.errors import SpeechFailed
from firmware.sound.sound_system import SoundWiring
from firmware.sound.sounds import Sound
from firmware.sound.speech import Language, Speech
from firmware.system.listeners import Listeners
from tests.fakes.board import ManualBoard
from tests.fakes.check_page import FakeCamera, FakePanel, picture
from tests.fakes.clock import ManualClock
from tests.fakes.recorder import RecordingRig, running
from tests.fakes.sound import FakeCard
from tests.fakes.waiting import eventually


@dataclass
class RingCamera(FakeCamera):
    """Implements `firmware.local_page.check_service.KeepingCamera`, around a ring."""

    ring: Ring | None = None
    kept_nothing: list[bool] = field(default_factory=list)

    def keep_nothing(self, is_so: bool) -> None:
        assert self.ring is not None
        self.kept_nothing.append(is_so)
        self.ring.pause(is_so)


@dataclass
class FakeButton:
    """Implements `firmware.local_page.check_service.ServiceButton`."""

    other_presses: Listeners[()] = field(default_factory=lambda: Listeners[()]())


class Silent(Speech):
    """Has no voice."""

    async def speak(self, text: str, language: Language, **_: object) -> Sound:
        raise SpeechFailed(f"nobody says {len(text)} characters of {language}")


class CheckedRecorder:
    """The doorbell. Build it inside the running loop."""

    def __init__(self, folder: Path) -> None:
        self.clock = clock = ManualClock()
        self.folder = folder
        self.sound_card = FakeCard(clock)
        self.sounding = SoundWiring(
            SoundConfig(card="system", is_microphone_on=True, is_in_clips=True, echo="none"),
            folder,
            clock=clock,
            source=random.Random(1),
            card=self.sound_card,
        )
        self.rig = RecordingRig(folder, clock, feed=self.sounding.microphone)
        self.small = SmallHub(asyncio.get_running_loop())
        self.button = FakeButton()
        self.panel = FakePanel(Listeners[Press]())
        self.camera = camera = RingCamera(self.small, ring=self.rig.ring)
        sounding = self.sounding
        self.checking = CheckService(
            CheckSurroundings(
                code=CheckCode(folder / "check.json", clock=clock),
                owners=self.rig,
                camera=camera,
                button=self.button,
                recorder=self.rig.recorder,
                clip_sound=self.rig.sound,
                voice=DigitsVoice(speech=Silent(), speaker=sounding.speaker, language="en"),
            ),
            CheckedParts(
                camera=camera,
                panel=self.panel,
                microphone=sounding.microphone,
                speaker=sounding.speaker,
                board=ManualBoard(),
                card=folder,
                clock=clock,
            ),
        )
        self.window = self.checking.window

    async def open_check(self) -> None:
        """Open the check as an owner does."""
        self.button.other_presses.notify()
        await eventually(lambda: self.window.missing(is_unlocked=True) is None)
        await self.window.begin(is_unlocked=True)
        assert self.window.digits is not None
        await self.window.enter(self.window.digits, is_unlocked=True)

    async def live(self, seconds: float, *, filler: bytes, block: bytes) -> None:
        """Let time pass; each picture has the filler, and the microphone hears the block."""
        for _ in range(round(seconds * 10)):
            for number in range(5):
                if self.sound_card.open_now("microphone"):
                    at_ns = self.clock.monotonic_ns() + number * 20_000_000
                    self.sound_card.hear(block, at_ns)
            await self.rig.film(0.1, filler=filler)
            self.small.put(picture(pts_90k_of(self.clock.monotonic_ns())))
            await asyncio.sleep(0)


@asynccontextmanager
async def checked_recorder(folder: Path) -> AsyncIterator[CheckedRecorder]:
    """Let recorder and sound run."""
    door = CheckedRecorder(folder)
    listening = asyncio.create_task(door.sounding.run())
    try:
        async with running(door.rig):
            await eventually(lambda: door.sound_card.open_now("microphone"))
            yield door
    finally:
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
