"""The spoken announcement before a knock: fixed words, which no request can steer. Pure.

Of a request only the case number is said, and of the register only the agency's name; the rest
are words of ours and numbers. espeak-ng reads `[[…]]` as phonemes, wherever it stands, and markup
where that is on; a name in Cyrillic letters can look like another's on a page. So each sentence
consists of the letters below, digits, commas, full stops and spaces. What doesn't isn't mended but
refused: the doorbell's own page shows it.

A case number's letters are said by a spelling alphabet, because B, D, P and T sound alike
through a small speaker. Seconds are said, so that two recordings of one minute can be told apart.
"""

import re
import string
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Literal

from firmware.knock.errors import KnockRefused
from firmware.sound.speech import MAX_TEXT_CHARS, Language

MAX_CLIPS = 4
"""More than these nobody can compare by ear."""
MAX_NAME_CHARS = 60
GROUP = 4
"""Signs of a case number that are said in one breath."""
LETTERS = string.ascii_letters + "ÅÄÖÆØÉÜåäöæøéü"
SAYABLE = re.compile(rf"[{LETTERS}0-9 ,.]{{1,{MAX_TEXT_CHARS}}}")
TO_SPACE = str.maketrans(dict.fromkeys("&'()*+,-./:;!?_’–", " "))
"""Marks that a name may have and that are not said."""

_SIGNS = string.ascii_uppercase + string.digits + "-/"
_ENGLISH = (
    "Alfa Bravo Charlie Delta Echo Foxtrot Golf Hotel India Juliett Kilo Lima Mike November Oscar"
    " Papa Quebec Romeo Sierra Tango Uniform Victor Whiskey Xray Yankee Zulu"
    " zero one two three four five six seven eight nine dash slash"
)
_SWEDISH = (
    "Adam Bertil Cesar David Erik Filip Gustav Helge Ivar Johan Kalle Ludvig Martin Niklas Olof"
    " Petter Kvintus Rudolf Sigurd Tore Urban Viktor Wilhelm Xerxes Yngve Zäta"
    " noll ett två tre fyra fem sex sju åtta nio bindestreck snedstreck"
)
SIGNS: Mapping[Language, Mapping[str, str]] = {
    "en": dict(zip(_SIGNS, _ENGLISH.split(), strict=True)),
    "sv": dict(zip(_SIGNS, _SWEDISH.split(), strict=True)),
}
"""ICAO's spelling alphabet, and the Swedish one."""

IdentityField = Literal["name", "address", "contact"]


@dataclass(frozen=True, slots=True, kw_only=True)
class KnockableClip:
    """The granted part of one clip (wall time)."""

    from_ms: int
    to_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Knockable:
    """A grant that waits for its owner's confirmation: the announcement's facts and its expiry.

    `agency_name` is the register's, never the request's. `identity` is what of themselves the
    owner ticked.
    """

    digest: str
    agency_name: str
    case_number: str
    clips: tuple[KnockableClip, ...]
    has_audio: bool
    identity: tuple[IdentityField, ...]
    expires_ms: int


Saying = Literal["confirmed", "not_done", "wrong", "locked", "over"]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Words:
    weekdays: str
    months: str
    agency: str
    one_clip: str
    clips: str
    with_sound: str
    without_sound: str
    clip: str
    one_second: str
    seconds: str
    identity: str
    name: str
    address: str
    contact: str
    case_number: str
    press_now: str
    zero: str


WORDS: Mapping[Language, _Words] = {
    "en": _Words(
        weekdays="Monday Tuesday Wednesday Thursday Friday Saturday Sunday",
        months="January February March April May June July August September October November"
        " December",
        agency="Agency. {name}.",
        one_clip="It would get one recording, {sound}.",
        clips="It would get {count} recordings, {sound}.",
        with_sound="with sound",
        without_sound="without sound",
        clip="Recording {number}. {weekday} {day} {month}, {hour}, {minute}, and {second}."
        " {length} long.",
        one_second="one second",
        seconds="{count} seconds",
        identity="It would be told {what}.",
        name="your name",
        address="your address",
        contact="how to reach you",
        case_number="Case number.",
        press_now="To give it, press your pattern now. To give nothing, do nothing.",
        zero="zero",
    ),
    "sv": _Words(
        weekdays="Måndag Tisdag Onsdag Torsdag Fredag Lördag Söndag",
        months="januari februari mars april maj juni juli augusti september oktober november"
        " december",
        agency="Myndighet. {name}.",
        one_clip="Den skulle få en inspelning, {sound}.",
        clips="Den skulle få {count} inspelningar, {sound}.",
        with_sound="med ljud",
        without_sound="utan ljud",
        clip="Inspelning {number}. {weekday} {day} {month}, klockan {hour}, {minute}, och"
        " {second}. {length} lång.",
        one_second="en sekund",
        seconds="{count} sekunder",
        identity="Den skulle få veta {what}.",
        name="ditt namn",
        address="din adress",
        contact="hur du nås",
        case_number="Ärendenummer.",
        press_now="För att lämna ut, tryck ditt mönster nu. För att inte göra det, gör ingenting.",
        zero="noll",
    ),
}
SAYINGS: Mapping[Language, Mapping[Saying, str]] = {
    "en": {
        "confirmed": "Confirmed.",
        "not_done": "It was not done. Your app says why.",
        "wrong": "That was not it.",
        "locked": "That was not it. No more tries today.",
        "over": "The time is over. Nothing was given.",
    },
    "sv": {
        "confirmed": "Bekräftat.",
        "not_done": "Det blev inte gjort. Din app säger varför.",
        "wrong": "Det var inte rätt.",
        "locked": "Det var inte rätt. Inga fler försök i dag.",
        "over": "Tiden är ute. Ingenting lämnades ut.",
    },
}


def announcement(knockable: Knockable, language: Language, zone: tzinfo | None) -> tuple[str, ...]:
    """Return what is said of a grant, a sentence or two each; KnockRefused if it can't be said.

    `zone` None is the machine's own.
    """
    words, clips = WORDS[language], knockable.clips
    if len(clips) > MAX_CLIPS:
        detail = f"more than {MAX_CLIPS} recordings can't be told apart by ear"
        raise KnockRefused("too_many", f"{detail}: confirm them at the doorbell's own page")
    sound = words.with_sound if knockable.has_audio else words.without_sound
    how_many = words.one_clip if len(clips) == 1 else words.clips
    told = ", ".join(getattr(words, field) for field in knockable.identity)
    sentences = (
        words.agency.format(name=spoken_name(knockable.agency_name)),
        how_many.format(count=len(clips), sound=sound),
        *(_clip(clip, number, language, zone) for number, clip in enumerate(clips, start=1)),
        *([words.identity.format(what=told)] if told else []),
        words.case_number,
        *spelled(knockable.case_number, language),
        words.press_now,
    )
    for sentence in sentences:
        if SAYABLE.fullmatch(sentence) is None:
            raise KnockRefused("words", "it can't be said: confirm at the doorbell's own page")
    return sentences


def spoken_name(name: str) -> str:
    """Return an agency's name as it may be said."""
    said = " ".join(unicodedata.normalize("NFC", name).translate(TO_SPACE).split())
    if not 0 < len(said) <= MAX_NAME_CHARS or set(said) - set(LETTERS + string.digits + " "):
        detail = "the agency's name can't be said: read it at the doorbell's own page"
        raise KnockRefused("name", detail)
    return said


def spelled(case_number: str, language: Language) -> tuple[str, ...]:
    """Return a case number sign by sign, some signs a sentence."""
    try:
        signs = [SIGNS[language][sign] for sign in case_number]
    except KeyError as error:
        detail = "the case number can't be said: read it at the doorbell's own page"
        raise KnockRefused("case_number", detail) from error
    groups = [signs[at : at + GROUP] for at in range(0, len(signs), GROUP)]
    return tuple(f"{', '.join(group)}." for group in groups)


def _clip(clip: KnockableClip, number: int, language: Language, zone: tzinfo | None) -> str:
    begun = datetime.fromtimestamp(clip.from_ms // 1000, UTC).astimezone(zone)
    length_s = -(-clip.to_ms // 1000) - clip.from_ms // 1000
    words = WORDS[language]
    return words.clip.format(
        number=number,
        weekday=words.weekdays.split()[begun.weekday()],
        day=begun.day,
        month=words.months.split()[begun.month - 1],
        hour=_two_digits(begun.hour, words),
        minute=_two_digits(begun.minute, words),
        second=_seconds(begun.second, words),
        length=_seconds(length_s, words),
    )


def _two_digits(number: int, words: _Words) -> str:
    return str(number) if number >= 10 else f"{words.zero} {number}"


def _seconds(count: int, words: _Words) -> str:
    return words.one_second if count == 1 else words.seconds.format(count=count)
