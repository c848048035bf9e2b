"""Lists of words that hint at what a moderator may refuse, in English and Swedish. Pure.

Requests and the feed's posts are read with the same lists where they mean the same. The lists are
short on purpose: a person decides, and what they miss a moderator sees.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Final, TypeVar

_PERSON: Final = (
    r"(?:m[ae]n|wom[ae]n|(?:fe)?males?|boys?|girls?|guys?|persons?|people|youths?|teens?"
    r"|teenagers?|kids?|adults?|suspects?|individuals?)"
)
DESCRIPTION_BY_RACE: Final = (
    rf"(?:black|white|brown) {_PERSON}|asian\w*|hispanic\w*|latin[oax]s?"
    r"|african\w*|arab\w*|caucasian\w*|middle[ -]eastern|(?:dark|light|brown)[ -]skinned"
    r"|gyps(?:y|ies)|romsk\w*|romer\w*|zigenar\w*|mörkhyad\w*|ljushyad\w*|sydländsk\w*"
    r"|afrikansk\w*|arabisk\w*|asiatisk\w*|utländsk\w* (?:utseende|härkomst|bakgrund)"
    r"|(?:svart|vit) (?:man|kvinna|person|pojke|flicka)"
)
IDENTITY_OF_A_VICTIM: Final = (
    r"victim(?:'s|’s)? (?:named|called|name|address|is)"
    r"|date of birth|born on|offret heter|offrets (?:namn|adress)|målsägande\w*"
    r"|(?:\d{2})?\d{6}[-+]\d{4}"
)
C = TypeVar("C", bound=str)


def whole_words(words: str) -> re.Pattern[str]:
    """Return the pattern that finds any of these, as whole words, in capitals or not."""
    return re.compile(rf"(?<!\w)(?:{words})(?!\w)", re.IGNORECASE)


def first_matches(patterns: Mapping[C, re.Pattern[str]], text: str) -> Iterator[tuple[C, str]]:
    """Yield each category that a text hints at, with the first word that does."""
    for category, pattern in patterns.items():
        found = pattern.search(text)
        if found is not None:
            yield category, found.group()
