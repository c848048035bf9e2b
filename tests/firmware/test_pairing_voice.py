"""firmware.sound.pairing_voice: the four words are said while they are looked for, and hold
nothing up."""

import asyncio
import logging
import random
import shutil
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from firmware.capture.unit_hub import LumaHub
from firmware.enrolment.keys import load_or_make_keys
from firmware.enrolment.pairing import WINDOW_MS, Pairing
from firmware.enrolment.pairing_messages import PairingMessages
from firmware.live.live_view import CodeScanner
from firmware.protocol.commands import Accepted, PairingRevealed
from firmware.protocol.events import PairingAnswered
from firmware.protocol.grants import OwnerKeys
from firmware.sound.echo_reference import EchoReference
from firmware.sound.frames import SAMPLE_RATE, SILENCE
from firmware.sound.pairing_voice import INTRODUCTIONS, PAUSE_BEFORE_AGAIN_S, PairingVoice
from firmware.sound.sounds import Sound
from firmware.sound.speaker import Speaker
from firmware.sound.speech import MAX_TEXT_CHARS, Language, Speech
from tests.fakes.clock import ManualClock
from tests.fakes.events import PublishedEvents
from tests.fakes.pairing_app import PairingApp, code_picture, no_newcomers
from tests.fakes.sound import FakeCard
from tests.fakes.waiting import eventually
from tests.fakes.wifi_codes import closed_window
from tests.story.authenticator import SoftPasskey
from tests.story.browser import SoftBrowser

needs_espeak = pytest.mark.skipif(
    shutil.which("espeak-ng") is None, reason="espeak-ng is missing (apt: espeak-ng)"
)
KEYS = load_or_make_keys(Path(tempfile.mkdtemp()))
PASSKEY = SoftPasskey.create(rp_id="localhost", origin="http://localhost").key


def new_app() -> PairingApp:
    return PairingApp(OwnerKeys(name="Ada", passkey=PASSKEY, browser=SoftBrowser.create().keys))


class NotedSpeech(Speech):
    """The real program, and what it was told to speak."""

    def __init__(self, program: tuple[str, ...] = ("espeak-ng",)) -> None:
        super().__init__(program)
        self.spoken: list[tuple[str, Language, bytes]] = []

    async def speak(self, text: str, language: Language, *, volume_percent: int = 100) -> Sound:
        sound = await super().speak(text, language, volume_percent=volume_percent)
        self.spoken.append((text, language, sound.samples))
        return sound


class Door:
    """A doorbell whose service button was held, with a card that is listened to."""

    def __init__(
        self,
        *,
        program: tuple[str, ...] = ("espeak-ng",),
        language: Language = "en",
        has_card: bool = True,
        has_owner: bool = False,
    ) -> None:
        self.clock = ManualClock()
        self.card = FakeCard(self.clock)
        self.speaker = Speaker(
            self.card if has_card else None,
            device="",
            clock=self.clock,
            source=random.Random(1),
            played=EchoReference(),
        )
        self.speech = NotedSpeech(program)
        self.pairing = Pairing(keys=KEYS, has_owner=has_owner)
        self.pairing.recover_if(lambda: has_owner)
        self.voice = PairingVoice(
            self.pairing,
            speech=self.speech,
            speaker=self.speaker,
            clock=self.clock,
            language=language,
        )
        self.running = asyncio.create_task(self.speaker.run())

    @property
    def now_ms(self) -> int:
        return self.clock.monotonic_ns() // 1_000_000

    @property
    def words(self) -> str:
        return ". ".join(self.pairing.view(self.now_ms).words)

    def read(self) -> None:
        """Hold the service button, then a new code before the camera; its app reveals its keys."""
        assert self.pairing.hold_service(self.now_ms)
        new_app().meet(self.pairing, self.now_ms)
        self.voice.start()

    def confirm(self) -> None:
        """Press the service button after the words."""
        assert self.pairing.press_service(self.now_ms)
        assert self.pairing.confirm(self.now_ms) is not None

    async def hear(self, seconds: float) -> bytes:
        """Return what the card plays."""
        await eventually(lambda: self.card.open_now("speaker"))
        said = b""
        for _ in range(round(seconds * 50)):
            self.clock.advance(0.02)
            said += self.card.say()
            await asyncio.sleep(0)
        return said

    async def is_said(self) -> None:
        """Wait until something is heard."""
        await eventually(lambda: self.card.open_now("speaker"))
        await eventually(lambda: self.card.say() != SILENCE)

    async def falls_silent(self) -> None:
        """Wait until it stops; nothing is left to be heard then, which would last many seconds."""
        await eventually(lambda: not any(t.get_name() == "four words" for t in asyncio.all_tasks()))
        assert {self.card.say() for _ in range(1500)} == {SILENCE}

    async def aclose(self) -> None:
        await self.voice.aclose()
        self.running.cancel()


@pytest.fixture
async def door() -> AsyncIterator[Door]:
    made = Door()
    yield made
    await made.aclose()


@needs_espeak
@pytest.mark.parametrize("language", ["en", "sv"])
@pytest.mark.parametrize("has_owner", [False, True])
async def test_the_words_are_said_twice_by_an_english_voice(
    language: Language, has_owner: bool
) -> None:
    """With an owner it is a recovery."""
    door = Door(language=language, has_owner=has_owner)
    door.read()
    said = await door.hear(40)
    (introduction, of, first), (words, by, second) = door.speech.spoken
    assert (introduction, of) == (INTRODUCTIONS[language], language)
    assert (words, by) == (door.words, "en")
    assert len(words.split(". ")) == 4
    begin = said.index(first[:4000])
    assert said[begin:].startswith(first)
    once = said.index(second)
    again = said.index(second, once + len(second))
    assert again - once - len(second) == PAUSE_BEFORE_AGAIN_S * SAMPLE_RATE * 2
    assert said.find(second, again + len(second)) == -1
    await door.aclose()


@pytest.mark.parametrize("language", INTRODUCTIONS)
def test_what_is_said_is_short_enough(language: Language) -> None:
    assert len(INTRODUCTIONS[language]) <= MAX_TEXT_CHARS


@needs_espeak
async def test_it_stops_when_the_pairing_is_confirmed(door: Door) -> None:
    door.read()
    await door.is_said()
    assert door.pairing.press_service(door.now_ms)
    await door.falls_silent()


@needs_espeak
async def test_it_stops_when_the_ten_minutes_are_over(door: Door) -> None:
    door.read()
    await door.is_said()
    door.clock.advance(WINDOW_MS / 1000 + 1)
    await door.falls_silent()


@needs_espeak
async def test_begun_anew_it_stops_and_says_the_new_words_alone(door: Door) -> None:
    door.read()
    await door.is_said()
    old = door.words
    assert door.pairing.hold_service(door.now_ms)
    await door.falls_silent()
    door.read()
    await door.is_said()
    await eventually(lambda: len(door.speech.spoken) == 4)
    assert door.speech.spoken[3][0] == door.words != old
    door.read()  # a code at once upon another
    await eventually(lambda: len(door.speech.spoken) == 6)
    assert door.speech.spoken[5][2] in await door.hear(40)


async def test_without_a_sound_card_a_log_line_says_why(caplog: pytest.LogCaptureFixture) -> None:
    door = Door(program=("/nowhere/espeak-ng",), has_card=False)
    with caplog.at_level(logging.INFO):
        door.read()
        await eventually(lambda: "no sound card" in caplog.text)
    assert len(door.pairing.view(door.now_ms).words) == 4
    door.confirm()
    await door.aclose()


async def test_without_espeak_pairing_goes_on_and_a_log_line_says_what_to_install(
    caplog: pytest.LogCaptureFixture,
) -> None:
    door = Door(program=("/nowhere/espeak-ng",))
    door.read()
    await eventually(lambda: "apt install espeak-ng" in caplog.text)
    assert not door.card.opened
    door.confirm()
    await door.aclose()


async def test_a_speech_that_hangs_delays_no_answer(tmp_path: Path) -> None:
    """The camera reads the code: the answer is told, and the pairing confirmed, all the same."""
    door = Door(program=("sleep", "60"))
    events = PublishedEvents()
    hub = LumaHub(asyncio.get_running_loop())
    watch = CodeScanner(hub, door.pairing, closed_window(), clock=door.clock, events=events)
    messages = PairingMessages(door.pairing, no_newcomers(), door.clock)
    messages.revealed.add(door.voice.start)
    watching = asyncio.create_task(watch.run())
    assert door.pairing.hold_service(door.now_ms)
    app = new_app()
    await asyncio.sleep(0)  # it asks for frames
    hub.put(code_picture(app.offer.code.text, tmp_path / "code.png"))
    await eventually(lambda: [type(body) for body in events.bodies] == [PairingAnswered])
    reveal = PairingRevealed(pairing_id=app.pairing_id, reveal=app.reveal.encode().decode())
    assert await messages.on_pairing(reveal) == Accepted()
    door.confirm()
    watching.cancel()
    await door.aclose()
