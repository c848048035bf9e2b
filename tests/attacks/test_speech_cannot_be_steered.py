"""What an agency or an officer writes can't change what the doorbell says before a knock.

Each test names the check without which it was seen to fail. What is heard is compared by
espeak-ng's own phonemes (`-x`), where it is installed.
"""

import itertools
import os
import shutil
import stat
import string
import subprocess
import sys
import wave
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.knock.announcement import (
    SAYABLE,
    SAYINGS,
    SIGNS,
    KnockableClip,
    announcement,
    spelled,
    spoken_name,
)
from firmware.knock.errors import KnockRefused
from firmware.sound.errors import SpeechFailed
from firmware.sound.speech import Language, Speech
from tests.fakes.knock import NOW_MS, STOCKHOLM, knockable

needs_espeak = pytest.mark.skipif(
    shutil.which("espeak-ng") is None, reason="espeak-ng is missing (apt: espeak-ng)"
)
LANGUAGES: tuple[Language, ...] = ("en", "sv")
CASE_NUMBER = string.ascii_uppercase + string.digits + "-/"


def phonemes(text: str, language: Language) -> list[str]:
    """Return what espeak-ng makes of a text with the arguments that the doorbell gives it."""
    told = subprocess.run(
        ["espeak-ng", "--stdin", "-q", "-x", "-v", language],
        input=text.encode(),
        capture_output=True,
        check=True,
    )
    return [line.strip() for line in told.stdout.decode().splitlines() if line.strip()]


@pytest.mark.parametrize(
    "name",
    [
        "[[h@l'oU]] Police",
        "<prosody volume='silent'>Lakeland</prosody> Police",
        "Lakeland Police <break time='60s'/>",
        "Lakeland {Police}",
        "Lаkeland Police",  # a Cyrillic а
        "Ｌakeland Police",  # a full-width L
        "Lakeland\u202epolice",
        "Lakeland\u200bPolice",
        "Lakeland\x01 9S Police",  # espeak-ng's own way to change its speed
        "Полиция",
        "№ 5",
        "La\u0338keland",
        "...",
        "",
        "P" * 61,
    ],
)
def test_a_name_that_could_steer_or_pass_for_another_is_refused(name: str) -> None:
    """The letters in `spoken_name`."""
    with pytest.raises(KnockRefused, match="own page"):
        spoken_name(name)
    with pytest.raises(KnockRefused):
        announcement(knockable(agency_name=name), "en", STOCKHOLM)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("Lakeland Police", "Lakeland Police"),
        ("Polisen i Växjö", "Polisen i Växjö"),
        ("Polisen i Va\u0308xjo\u0308", "Polisen i Växjö"),
        ("St. Mary's P.D. (North)", "St Mary s P D North"),
        ("Lakeland, Police.\u2013 5", "Lakeland Police 5"),
    ],
)
def test_an_ordinary_name_is_said(name: str, said: str) -> None:
    assert spoken_name(name) == said


@pytest.mark.parametrize(
    "case_number",
    ["LK 1", "lk-1", "L[[k]]", "LK<1>", "ÅK-1", "LК-1", "LK-1\n", "LK.1", "LK,1", "٣"],
)
@pytest.mark.parametrize("language", LANGUAGES)
def test_a_case_number_with_any_other_sign_is_refused(case_number: str, language: Language) -> None:
    """The list of signs in `spelled`."""
    with pytest.raises(KnockRefused, match="own page"):
        spelled(case_number, language)


@given(st.text(alphabet=CASE_NUMBER, min_size=1, max_size=24), st.sampled_from(LANGUAGES))
def test_every_sign_of_a_case_number_is_one_word_of_ours(
    case_number: str, language: Language
) -> None:
    words = " ".join(spelled(case_number, language)).replace(",", "").replace(".", "").split()
    back = {word: sign for sign, word in SIGNS[language].items()}
    assert "".join(back[word] for word in words) == case_number


@given(
    st.text(max_size=80),
    st.text(max_size=30),
    st.sampled_from(LANGUAGES),
    st.lists(st.integers(0, 4_000_000_000_000), max_size=6),
    st.booleans(),
)
def test_whatever_is_said_is_letters_digits_commas_and_full_stops(
    name: str, case_number: str, language: Language, starts_ms: list[int], has_audio: bool
) -> None:
    """`SAYABLE`, where the other checks are out."""
    clips = tuple(KnockableClip(from_ms=at, to_ms=at + 61_000) for at in starts_ms)
    changed = knockable(agency_name=name, case_number=case_number, clips=clips, has_audio=has_audio)
    try:
        sentences = announcement(changed, language, STOCKHOLM)
    except KnockRefused:
        return
    assert all(SAYABLE.fullmatch(sentence) for sentence in sentences)


def test_a_sentence_with_another_sign_is_refused_wherever_it_came_from() -> None:
    """`SAYABLE` in `announcement`: a year of five digits and a minus is none of ours."""
    clips = (KnockableClip(from_ms=NOW_MS, to_ms=NOW_MS - 3_600_000),)
    with pytest.raises(KnockRefused, match="own page"):
        announcement(knockable(clips=clips), "en", STOCKHOLM)


def test_more_recordings_than_anybody_compares_by_ear_are_refused() -> None:
    """`MAX_CLIPS`."""
    clips = tuple(KnockableClip(from_ms=NOW_MS + at, to_ms=NOW_MS + at + 1) for at in range(5))
    with pytest.raises(KnockRefused, match="own page"):
        announcement(knockable(clips=clips), "en", STOCKHOLM)


@pytest.mark.parametrize("language", LANGUAGES)
def test_everything_that_differs_is_heard_to_differ(language: Language) -> None:
    """Of two grants that differ in what is said of them, the words differ."""
    one = announcement(knockable(), language, STOCKHOLM)
    begun_ms, ended_ms = NOW_MS - 3_600_000, NOW_MS - 3_540_000
    clip = KnockableClip(from_ms=begun_ms, to_ms=ended_ms)
    others = [
        knockable(agency_name="Lakeland Sheriff"),
        knockable(case_number="LK-2026/0118"),
        knockable(case_number="LK-2026/01177"),
        knockable(has_audio=True),
        knockable(identity=("address",)),
        knockable(clips=(KnockableClip(from_ms=begun_ms + 1000, to_ms=ended_ms + 1000),)),
        knockable(clips=(KnockableClip(from_ms=begun_ms, to_ms=ended_ms + 1000),)),
        knockable(clips=(KnockableClip(from_ms=begun_ms - 86_400_000, to_ms=ended_ms),)),
        knockable(clips=(clip, clip)),
    ]
    assert len({one, *(announcement(other, language, STOCKHOLM) for other in others)}) == 10


def test_nothing_else_of_a_request_is_said() -> None:
    """All of it, word by word: agency, what, when, case number, and how to answer."""
    clips = (KnockableClip(from_ms=1_789_999_380_000, to_ms=1_789_999_441_300),)
    assert announcement(knockable(clips=clips), "en", STOCKHOLM) == (
        "Agency. Lakeland Police.",
        "It would get one recording, without sound.",
        "Recording 1. Monday 21 September, 16, zero 3, and 0 seconds. 62 seconds long.",
        "Case number.",
        "Lima, Kilo, dash, two.",
        "zero, two, six, slash.",
        "zero, one, one, seven.",
        "To give it, press your pattern now. To give nothing, do nothing.",
    )
    assert announcement(
        knockable(clips=clips, has_audio=True, identity=("name", "contact")), "sv", STOCKHOLM
    ) == (
        "Myndighet. Lakeland Police.",
        "Den skulle få en inspelning, med ljud.",
        "Inspelning 1. Måndag 21 september, klockan 16, noll 3, och 0 sekunder. 62 sekunder lång.",
        "Den skulle få veta ditt namn, hur du nås.",
        "Ärendenummer.",
        "Ludvig, Kalle, bindestreck, två.",
        "noll, två, sex, snedstreck.",
        "noll, ett, ett, sju.",
        "För att lämna ut, tryck ditt mönster nu. För att inte göra det, gör ingenting.",
    )


@needs_espeak
@pytest.mark.parametrize("language", LANGUAGES)
def test_no_two_signs_of_a_case_number_sound_alike(language: Language) -> None:
    heard = {sign: phonemes(word, language) for sign, word in SIGNS[language].items()}
    assert all(len(sounds) == 1 for sounds in heard.values())
    for (sign, sounds), (other, others) in itertools.combinations(heard.items(), 2):
        assert sounds != others, f"{sign} and {other} sound alike"


@needs_espeak
@pytest.mark.parametrize("language", LANGUAGES)
def test_each_sign_is_heard_in_its_place(language: Language) -> None:
    heard = [
        sound
        for group in spelled(CASE_NUMBER[:24], language)
        for sound in phonemes(group, language)
    ]
    alone = [
        sound for sign in CASE_NUMBER[:24] for sound in phonemes(SIGNS[language][sign], language)
    ]
    assert heard == alone


@needs_espeak
@pytest.mark.parametrize("language", LANGUAGES)
async def test_all_that_the_doorbell_can_say_can_be_spoken(language: Language) -> None:
    for text in SAYINGS[language].values():
        assert SAYABLE.fullmatch(text)
        sound = await Speech().speak(text, language, volume_percent=30)
        assert len(sound.samples) > 48_000


@needs_espeak
def test_brackets_do_steer_espeak_which_is_why_they_never_reach_it() -> None:
    assert phonemes("[[h@l'oU]]", "en") == phonemes("hello", "en")


@needs_espeak
async def test_the_knock_is_quieter_than_a_quick_reply() -> None:
    loud = await Speech().speak("Case number.", "en")
    quiet = await Speech().speak("Case number.", "en", volume_percent=30)
    assert len(loud.samples) == len(quiet.samples)
    assert _loudest(quiet.samples) < 0.4 * _loudest(loud.samples)


def _loudest(samples: bytes) -> int:
    return max(map(abs, memoryview(samples).cast("h")))


def program(folder: Path, script: str) -> tuple[str, ...]:
    """Return a program that stands in for espeak-ng and writes its answer as WAV."""
    file = folder / "espeak-ng"
    out = BytesIO()
    with wave.open(out, "wb") as wav:
        wav.setnchannels(1)
        wav.setsampwidth(2)
        wav.setframerate(22_050)
        wav.writeframes(bytes(4_410))
    answer = f"import sys\nsys.stdout.buffer.write({out.getvalue()!r})\n"
    file.write_text(f"#!{sys.executable}\n{script}\n{answer}")
    file.chmod(file.stat().st_mode | stat.S_IXUSR)
    return (str(file),)


async def test_espeak_is_started_with_no_markup_no_shell_and_nothing_of_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The arguments and `env` in speech.py."""
    monkeypatch.setenv("DOORWARD_SECRET", "of ours")
    monkeypatch.setenv("ESPEAK_DATA_PATH", "/somewhere/else")
    told = tmp_path / "told"
    script = f"""
import os, sys, pathlib
text = sys.stdin.read()
pathlib.Path({str(told)!r}).write_text(repr((sys.argv[1:], sorted(os.environ), text)))
"""
    await Speech(program(tmp_path, script)).speak("; touch /tmp/x $(id)", "sv", volume_percent=30)
    words = ["--stdin", "--stdout", "-b", "1", "-v", "sv", "-a", "30", "-s", "150"]
    assert told.read_text() == repr((words, ["LC_ALL", "PATH"], "; touch /tmp/x $(id)"))


@pytest.mark.parametrize(
    "script",
    [
        "import sys; sys.stdin.read(); bytearray(1024**3)",
        "import sys; sys.stdin.read(); open('large', 'wb').write(bytes(1024 * 1024))",
        "import sys; sys.stdin.read(); kept = [open('/dev/null') for _ in range(100)]",
    ],
    ids=["memory", "disk", "files"],
)
async def test_a_program_that_wants_too_much_gets_nothing(
    tmp_path: Path, script: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`_limit` in speech.py."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SpeechFailed):
        await Speech(program(tmp_path, script)).speak("hello", "en")


async def test_a_program_that_never_ends_its_sum_is_ended(tmp_path: Path) -> None:
    script = "import sys; sys.stdin.read()\nwhile True: pass"
    with pytest.raises(SpeechFailed, match="more than 1 s"):
        await Speech(program(tmp_path, script), speak_s=1.0).speak("hello", "en")


@pytest.mark.parametrize("language", ["de", "-w/tmp/x", "en -m", "../en", ""])
async def test_only_our_two_voices_speak(language: str) -> None:
    """`VOICES` in speech.py."""
    with pytest.raises(SpeechFailed, match="voice"):
        await Speech((os.devnull,)).speak("hello", language)  # type: ignore[arg-type]
