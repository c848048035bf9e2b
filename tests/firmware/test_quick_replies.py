"""firmware.sound.quick_replies, speech and unanswered: what the doorbell says for its owner."""

import asyncio
import contextlib
import io
import random
import shutil
import stat
import sys
import wave
from array import array
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.sound.echo_reference import EchoReference
from firmware.sound.errors import ReplyRefused, ReplyUnknown, SoundMissing, SpeechFailed
from firmware.sound.frames import FRAME_SAMPLES, SAMPLE_RATE, SILENCE
from firmware.sound.quick_replies import MAX_REPLIES, QuickReplies
from firmware.sound.sounds import Sound, parse_wav
from firmware.sound.speaker import Speaker
from firmware.sound.speech import MAX_TEXT_CHARS, Speech
from firmware.sound.unanswered import Unanswered
from tests.fakes.clock import ManualClock
from tests.fakes.own_time import own_time
from tests.fakes.sound import FakeCard, tone
from tests.fakes.waiting import PATIENCE_S, eventually, in_time

needs_espeak = pytest.mark.skipif(
    shutil.which("espeak-ng") is None, reason="espeak-ng is missing (apt: espeak-ng)"
)


def wav(
    samples: bytes = tone(440, SAMPLE_RATE),
    *,
    rate: int = SAMPLE_RATE,
    channels: int = 1,
    width: int = 2,
) -> bytes:
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate)
        file.writeframes(samples)
    return out.getvalue()


class Voice:
    """Quick replies on a fake card, with a program that speaks as told."""

    def __init__(self, folder: Path, program: tuple[str, ...] = ("espeak-ng",)) -> None:
        self.clock = ManualClock()
        self.card = FakeCard(self.clock)
        self.speaker = Speaker(
            self.card, device="", clock=self.clock, source=random.Random(1), played=EchoReference()
        )
        self.folder = folder
        self.played = 0
        self.replies = QuickReplies(folder, speaker=self.speaker, speech=Speech(program))
        self.replies.played.add(self._count)
        self.running = asyncio.create_task(self.speaker.run())

    def _count(self) -> None:
        self.played += 1

    async def hear(self, seconds: float) -> bytes:
        """Return what the speaker plays from when it opens."""
        await eventually(lambda: self.card.open_now("speaker"))
        said = b""
        for _ in range(round(seconds * 50)):
            self.clock.advance(0.02)
            said += self.card.say()
            await asyncio.sleep(0)
        return said


@pytest.fixture
async def voice(tmp_path: Path):
    made = Voice(tmp_path / "replies")
    yield made
    await made.replies.aclose()
    made.running.cancel()


def speaking(folder: Path, script: str) -> tuple[str, ...]:
    """Make a program that stands in for espeak-ng."""
    path = folder / "speak.py"
    path.write_text(script)
    return (sys.executable, str(path))


async def test_a_recording_is_kept_and_said_as_it_was(voice: Voice) -> None:
    sound = tone(440, SAMPLE_RATE)
    reply = await voice.replies.add_recording("Coming!", wav(sound))
    again = Voice(voice.folder)
    again.running.cancel()
    assert [(r.name, r.kind) for r in again.replies.replies] == [("Coming!", "recording")]
    playing = asyncio.create_task(voice.replies.play(reply.id))
    assert (await voice.hear(1.5)).startswith(sound)
    await in_time(playing)
    assert voice.played == 1


async def test_a_recording_of_16_khz_sounds_the_same(voice: Voice) -> None:
    step = array("h", tone(300, SAMPLE_RATE))[::3]
    sound = parse_wav(wav(step.tobytes(), rate=16_000))
    assert len(sound.samples) == 2 * SAMPLE_RATE
    errors = [
        abs(a - b)
        for a, b in zip(array("h", sound.samples), array("h", tone(300, SAMPLE_RATE)), strict=True)
    ]
    assert max(errors[50:-50]) < 50
    assert max(errors) < 1000  # where it begins and ends, the filter has half of what it needs


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"", "not a WAV file"),
        (b"RIFF" + bytes(100), "not a WAV file"),
        (wav()[:30], "not a WAV file"),
        (wav(b""), "empty"),
        (wav(bytes(2), rate=8_000), "empty"),
        (wav(tone(440, SAMPLE_RATE * 6)), "5 s long"),
        (wav(bytes(9600), channels=2), "mono"),
        (wav(bytes(4800), width=1), "16 bits"),
        (wav(rate=96_000), "8000 to 48000"),
        (wav(rate=4_000), "8000 to 48000"),
        (wav() + bytes(1_000_001), "bytes"),
    ],
)
async def test_refuses_what_is_no_short_mono_recording_and_keeps_nothing(
    voice: Voice, data: bytes, what: str
) -> None:
    with pytest.raises(ReplyRefused, match=what):
        await voice.replies.add_recording("x", data)
    assert voice.replies.replies == ()
    assert list(voice.folder.glob("*")) == [] if voice.folder.exists() else True


@given(st.binary(max_size=200), st.integers(0, 300), st.integers(0, 7))
def test_whatever_a_recording_holds_it_is_a_sound_or_refused(
    junk: bytes, at: int, bit: int
) -> None:
    data = bytearray(wav(tone(440, 960)))
    data[at % len(data)] ^= 1 << bit
    for attempt in (bytes(data), bytes(data)[:at], junk, bytes(data[:44]) + junk):
        with contextlib.suppress(ReplyRefused):
            assert isinstance(parse_wav(attempt), Sound)


@pytest.mark.parametrize("name", ["", "  ", "a" * 41, "two\nlines"])
async def test_refuses_a_name_that_is_no_short_line(voice: Voice, name: str) -> None:
    with pytest.raises(ReplyRefused, match="name"):
        await voice.replies.add_recording(name, wav())


async def test_there_are_at_most_eight(voice: Voice) -> None:
    for number in range(MAX_REPLIES):
        await voice.replies.add_recording(f"n{number}", wav(tone(440, 960)))
    with pytest.raises(ReplyRefused, match="most"):
        await voice.replies.add_recording("one more", wav())
    assert len(list(voice.folder.glob("*.wav"))) == MAX_REPLIES


async def test_a_removed_reply_is_gone_with_its_sound_and_its_place_as_default(
    voice: Voice,
) -> None:
    first = await voice.replies.add_recording("a", wav())
    second = await voice.replies.add_recording("b", wav())
    assert voice.replies.default == first
    await voice.replies.set_default(second.id)
    await voice.replies.remove(second.id)
    assert voice.replies.default is None
    assert [path.name for path in voice.folder.glob("*.wav")] == [f"{first.id}.wav"]
    with pytest.raises(ReplyUnknown):
        voice.replies.start(second.id)
    with pytest.raises(ReplyUnknown):
        await voice.replies.remove("../../etc/passwd")


async def test_files_are_the_owners_alone_and_leftovers_go(voice: Voice) -> None:
    reply = await voice.replies.add_recording("a", wav())
    (voice.folder / "left.wav").write_bytes(b"")
    (voice.folder / "left.wav.new").write_bytes(b"")
    again = Voice(voice.folder)
    again.running.cancel()
    assert [path.name for path in voice.folder.glob("*.wav*")] == [f"{reply.id}.wav"]
    for path in voice.folder.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


async def test_a_damaged_index_leaves_no_replies_and_touches_no_recording(
    voice: Voice, caplog: pytest.LogCaptureFixture
) -> None:
    await voice.replies.add_recording("a", wav())
    (voice.folder / "replies.json").write_text("{")
    again = Voice(voice.folder)
    again.running.cancel()
    assert again.replies.replies == ()
    assert "replies.json can't be read" in caplog.text
    assert len(list(voice.folder.glob("*.wav"))) == 1
    reply = await again.replies.add_recording("b", wav())
    afterwards = Voice(voice.folder)
    afterwards.running.cancel()
    assert afterwards.replies.replies == (reply,)
    assert [path.name for path in voice.folder.glob("*.wav")] == [f"{reply.id}.wav"]


async def test_changes_at_one_time_are_all_kept(voice: Voice) -> None:
    added = await asyncio.gather(*(voice.replies.add_recording(n, wav()) for n in "abc"))
    await asyncio.gather(*(voice.replies.remove(reply.id) for reply in added[:2]))
    again = Voice(voice.folder)
    again.running.cancel()
    assert again.replies.replies == (added[2],)
    assert [path.name for path in voice.folder.glob("*.wav")] == [f"{added[2].id}.wav"]


@needs_espeak
@pytest.mark.parametrize(
    ("text", "language"), [("Leave it by the door", "en"), ("Ställ det vid dörren", "sv")]
)
async def test_a_text_is_spoken(text: str, language: str) -> None:
    sound = await Speech().speak(text, language)  # type: ignore[arg-type]
    assert 0.5 < len(sound.samples) / 2 / SAMPLE_RATE < 5
    assert max(array("h", sound.samples)) > 5_000


@needs_espeak
async def test_a_spoken_reply_is_said(voice: Voice) -> None:
    reply = await voice.replies.add_text("Parcel", "Leave it by the door", "en")
    voice.replies.start(reply.id)
    said = await voice.hear(0.5)
    assert max(array("h", said)) > 1_000


async def test_the_text_comes_by_standard_input_and_never_as_an_argument(tmp_path: Path) -> None:
    script = f"""
import sys, pathlib
pathlib.Path({str(tmp_path / "argv")!r}).write_text(repr(sys.argv))
pathlib.Path({str(tmp_path / "stdin")!r}).write_bytes(sys.stdin.buffer.read())
sys.stdout.buffer.write({wav(tone(440, 960))!r})
"""
    program = speaking(tmp_path, script)
    await Speech(program, speak_s=PATIENCE_S).speak("-w /etc/passwd --help", "en")
    assert "passwd" not in (tmp_path / "argv").read_text()
    assert (tmp_path / "stdin").read_text() == "-w /etc/passwd --help"


@pytest.mark.parametrize("text", ["", " \n ", "a" * (MAX_TEXT_CHARS + 1), "a\x00b", "a\x1b[0m"])
async def test_refuses_a_text_that_is_none_or_too_long(text: str) -> None:
    with pytest.raises(SpeechFailed, match="characters"):
        await Speech(("/nowhere",)).speak(text, "en")


async def test_a_missing_program_says_what_to_install() -> None:
    with pytest.raises(SoundMissing, match="apt install espeak-ng"):
        await Speech(("/nowhere/espeak-ng",)).speak("hello", "en")


@pytest.mark.parametrize(
    "script",
    [
        "raise SystemExit(3)",
        "print('no wav')",
        "import sys; sys.stdout.buffer.write(bytes(5_000_000))",
    ],
)
async def test_a_program_that_gives_no_speech_is_told(tmp_path: Path, script: str) -> None:
    speech = Speech(speaking(tmp_path, script), speak_s=PATIENCE_S)
    with pytest.raises(SpeechFailed, match="no speech"):
        await speech.speak("hello", "en")


async def test_a_program_that_hangs_is_ended(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    script = f"""
import os, pathlib, time
pathlib.Path({str(pid_file)!r}).write_text(str(os.getpid()))
time.sleep(60)
"""
    program = speaking(tmp_path, script)
    for speak_s in (1, 5, 20):  # on a busy machine it may not have begun
        with pytest.raises(SpeechFailed, match=f"more than {speak_s} s"):
            await Speech(program, speak_s=speak_s).speak("hello", "en")
        if pid_file.exists() and pid_file.read_text():
            break
    pid = int(pid_file.read_text())
    await eventually(lambda: not Path(f"/proc/{pid}").exists())


class LiveView:
    """Implements `firmware.sound.unanswered.LiveView`."""

    def __init__(self, is_watched: bool = False) -> None:
        self.watchers = ["somebody"] if is_watched else []


async def test_nobody_answers_and_the_default_is_said_once(voice: Voice) -> None:
    await voice.replies.add_recording("Nobody home", wav(tone(440, FRAME_SAMPLES * 5)))
    unanswered = Unanswered(voice.replies, LiveView(), after_s=0.1)
    unanswered.on_pressed()
    assert any(await voice.hear(0.5))
    await asyncio.sleep(0.3)
    assert voice.played == 1


@pytest.mark.parametrize("how", ["answered", "attended", "off", "no default"])
async def test_nothing_is_said_when_somebody_answers_or_nobody_wants_it(
    voice: Voice, how: str
) -> None:
    if how != "no default":
        await voice.replies.add_recording("Nobody home", wav(tone(440, FRAME_SAMPLES * 5)))
    live = LiveView(how == "attended")
    unanswered = Unanswered(voice.replies, live, after_s=0 if how == "off" else 0.1)
    unanswered.on_pressed()
    if how == "answered":
        unanswered.on_answered()
    await asyncio.sleep(0.4)
    assert voice.played == 0


async def test_somebody_who_looked_and_left_again_has_answered(voice: Voice) -> None:
    await voice.replies.add_recording("Nobody home", wav(tone(440, FRAME_SAMPLES * 5)))
    live = LiveView(True)
    unanswered = Unanswered(voice.replies, live, after_s=0.2)
    unanswered.on_pressed()
    await asyncio.sleep(0.05)
    live.watchers = []
    await asyncio.sleep(0.4)
    assert voice.played == 0


async def test_a_second_press_begins_the_wait_anew(voice: Voice) -> None:
    await voice.replies.add_recording("Nobody home", wav(tone(440, FRAME_SAMPLES * 5)))
    unanswered = Unanswered(voice.replies, LiveView(), after_s=0.4)
    with own_time():
        unanswered.on_pressed()
        await asyncio.sleep(0.25)
        unanswered.on_pressed()
        await asyncio.sleep(0.25)
        assert voice.played == 0
    await eventually(lambda: voice.played == 1)


async def test_silence_is_what_a_speaker_without_anything_to_say_says(voice: Voice) -> None:
    voice.speaker.wake()
    assert await voice.hear(0.1) == SILENCE * 5
