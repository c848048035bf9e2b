"""Lookalike letters: words of two alphabets, and names that only look like an agency's. Pure.

Unicode's technical standard 39 compares the *skeletons* of two texts: what is left of each once
letters that look the same are one. The skeleton here is NFKC, without accents, and a short table
of the lookalikes of Latin letters; all else of other alphabets is caught by `mixed_words`.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from typing import Final

_ALIKE: Final = frozenset({"LATIN", "CYRILLIC", "GREEK", "COPTIC", "ARMENIAN", "CHEROKEE", "LISU"})
"""The alphabets whose letters pass for each other's. (Others mix: Japanese words hold Latin.)"""
_WORD: Final = re.compile(r"[^\W\d_]{2,}")
_NO_WORD: Final = re.compile(r"[\W_]+")
_PAIRS: Final = (
    "аa вb гr ԁd еe ѕs іi јj кk ӏl мm нh пn оo рp сc тt уy хx һh ԛq ԝw "  # Cyrillic
    "αa γy εe ηn ιi κk νv οo ρp τt υu χx ωw "  # Greek
    "ıi ɩi łl øo |l 0o 1l 3e 5s"
)
_LATIN_OF: Final = {ord(pair[0]): pair[1] for pair in _PAIRS.split()}
_I_AND_L: Final = str.maketrans("i", "l")
_SWEDISH: Final = str.maketrans("åäö", "aao")


def mixed_words(text: str) -> Iterator[str]:
    """Yield the words that mix alphabets whose letters look alike."""
    for word in _WORD.findall(unicodedata.normalize("NFKC", text)):
        if word.isascii():
            continue
        if len({_alphabet(letter) for letter in word} & _ALIKE) > 1:
            yield word


def imitated_name(text: str, names: Sequence[str]) -> str | None:
    """Return the first of these names that a text has only by lookalikes, if any.

    The name itself, in capitals or without its dots and rings, is no imitation.
    """
    plain, skeleton = _plain(text), _skeleton(text)
    for name in names:
        written = {_plain(name), _plain(name).translate(_SWEDISH)}
        seen = _count(_skeleton(name), skeleton)
        if seen > sum(_count(one, plain) for one in written):
            return name
    return None


def _alphabet(letter: str) -> str:
    return unicodedata.name(letter, "").partition(" ")[0]


def _plain(text: str) -> str:
    """Return a text as it is compared: small letters, one space between its words."""
    return _NO_WORD.sub(" ", unicodedata.normalize("NFC", text).casefold()).strip()


def _skeleton(text: str) -> str:
    """Return what is left of a text once letters that look alike are one."""
    small = unicodedata.normalize("NFKC", text).casefold().translate(_LATIN_OF)
    apart = unicodedata.normalize("NFD", small)
    bare = "".join(sign for sign in apart if not unicodedata.combining(sign))
    letters = bare.translate(_I_AND_L).replace("rn", "m").replace("vv", "w")
    return _NO_WORD.sub(" ", letters).strip()


def _count(name: str, text: str) -> int:
    """Return how often a name stands in a text, as whole words."""
    if not name:
        return 0
    apart = f" {text} ".replace(" ", "  ")  # so that two names beside each other share no space
    return apart.count(" " + name.replace(" ", "  ") + " ")
