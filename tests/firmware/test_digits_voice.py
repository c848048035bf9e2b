"""firmware.sound.digits_voice: the check page's digits are said again and again, until stopped."""

import asyncio
import random
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest

from firmware.sound.digits_voice import INTRODUCTIONS, TIMES, DigitsVoice
from firmware.sound.echo_reference import EchoReference
from firmware.sound.errors import SpeechFailed
from firmware.sound.sounds import Sound
from firmware.sound.speaker import Speaker
from firmware.sound.speech import MAX_TEXT_CHARS, Language, Speech
from tests.fakes.clock import ManualClock
from tests.fakes.sound import FakeCard
from tests.fakes.waiting import eventually

SAID = b"\x11\x22" * 960


@dataclass
class FakeSpeech(Speech):
    """Speaks nothing but 20 ms of a mark, and remembers the texts."""

    texts: list[tuple[str, Language]] = field(default_factory=list)
    fails: bool = False

    async def speak(self, text: str, language: Language, **_: object) -> Sound:
        self.texts.append((text, language))
        if self.fails:
            raise SpeechFailed("no")
        return Sound(samples=SAID)


@dataclass
class Mouth:
    """The voice, and what is heard of it."""

    voice: DigitsVoice
    speech: FakeSpeech
    card: FakeCard

    def heard(self, blocks: int) -> int:
        """Let so many blocks be played; return how often the mark was among them."""
        return sum(self.card.say() == SAID for _ in range(blocks))


@pytest.fixture
async def mouth() -> AsyncIterator[Mouth]:
    clock = ManualClock()
    card = FakeCard(clock)
    speaker = Speaker(card, device="", clock=clock, source=random.Random(1), played=EchoReference())
    running = asyncio.create_task(speaker.run())
    speech = FakeSpeech()
    yield Mouth(DigitsVoice(speech=speech, speaker=speaker, language="sv"), speech, card)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_says_each_digit_by_itself_and_all_of_them_again(mouth: Mouth) -> None:
    mouth.voice.start("4071")
    heard = 0
    for _ in range(TIMES):
        await eventually(lambda: mouth.card.open_now("speaker"))
        heard += mouth.heard(150)
        await asyncio.sleep(0.01)

    assert mouth.speech.texts == [(f"{INTRODUCTIONS['sv']} 4. 0. 7. 1.", "sv")]
    assert heard == TIMES


async def test_stopped_it_says_no_more(mouth: Mouth) -> None:
    mouth.voice.start("4071")
    await eventually(lambda: mouth.card.open_now("speaker"))
    mouth.voice.stop()
    await asyncio.sleep(0.01)

    assert mouth.heard(400) == 0


async def test_without_speech_nothing_breaks(mouth: Mouth) -> None:
    mouth.speech.fails = True
    mouth.voice.start("4071")
    await eventually(lambda: mouth.speech.texts)
    await asyncio.sleep(0.01)

    mouth.voice.start("1234")
    await eventually(lambda: len(mouth.speech.texts) == 2)


def test_every_introduction_leaves_room_for_the_digits() -> None:
    assert all(len(text) + 12 <= MAX_TEXT_CHARS for text in INTRODUCTIONS.values())
