"""Hints on words for which moderators may refuse (R5), shown to officers before they sign. Pure.

Hints, never a refusal: a person decides. The lists are short on purpose, in English and Swedish;
what they miss a moderator sees, and what they find by mistake the officer passes over.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from firmware.protocol.register.entries import RefusedCategory

_PERSON: Final = (
    r"(?:m[ae]n|wom[ae]n|(?:fe)?males?|boys?|girls?|guys?|persons?|people|youths?|teens?"
    r"|teenagers?|kids?|adults?|suspects?|individuals?)"
)
_WORDS: Final[dict[RefusedCategory, str]] = {
    "assembly": r"protest\w*|demonstra(?:tion|tor|tör|nt)\w*|rall(?:y|ies)|picket\w*|marchers?"
    r"|activists?|aktivist\w*|folksamling\w*",
    "worship": r"church\w*|mosques?|synagogues?|temples?|worship\w*|congregations?|prayers?"
    r"|kyrk(?:a|an|or|orna)|mosk[ée]\w*|synagog\w*|gudstjänst\w*|församling\w*",
    "immigration": r"immigra\w*|migrants?|undocumented|deport\w*|asylum|illegal aliens?"
    r"|invandr\w*|migrant\w*|papperslös\w*|utvis\w*|asyl\w*|flykting\w*",
    "reproductive_care": r"abort\w*|contracepti\w*|fertility|planned parenthood|family planning"
    r"|preventivmed\w*|fertilitet\w*|barnmorskemottagning\w*",
    "announcement": r"please (?:share|spread)|community (?:meeting|event)|reminder|newsletter"
    r"|sprid gärna|informationsmöte\w*|påminnelse\w*|kampanj\w*",
    "description_by_race": rf"(?:black|white|brown) {_PERSON}|asian\w*|hispanic\w*|latin[oax]s?"
    r"|african\w*|arab\w*|caucasian\w*|middle[ -]eastern|(?:dark|light|brown)[ -]skinned"
    r"|gyps(?:y|ies)|romsk\w*|romer\w*|zigenar\w*|mörkhyad\w*|ljushyad\w*|sydländsk\w*"
    r"|afrikansk\w*|arabisk\w*|asiatisk\w*|utländsk\w* (?:utseende|härkomst|bakgrund)"
    r"|(?:svart|vit) (?:man|kvinna|person|pojke|flicka)",
    "identity_of_a_victim": r"victim(?:'s|’s)? (?:named|called|name|address|is)"
    r"|date of birth|born on|offret heter|offrets (?:namn|adress)|målsägande\w*"
    r"|(?:\d{2})?\d{6}[-+]\d{4}",
    "pressure": r"must|have to|required|obliged|obligation|mandatory|duty|subpoena\w*|warrants?"
    r"|fail(?:ure)? to|obstruct\w*|immediately|at once|will be (?:charged|fined|visited)"
    r"|måste|skyldig\w*|tvung\w*|plikt\w*|vite|husrannsakan|omedelbart|genast",
}
_PATTERNS: Final = {
    category: re.compile(rf"(?<!\w)(?:{words})(?!\w)", re.IGNORECASE)
    for category, words in _WORDS.items()
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Hint:
    """A word for which a moderator may refuse, and its field."""

    field: str
    category: RefusedCategory
    word: str


def hints_on(texts: dict[str, str]) -> list[Hint]:
    """Return the hints on texts by field, one a field and category."""
    return list(_find(texts))


def _find(texts: dict[str, str]) -> Iterator[Hint]:
    for field, text in texts.items():
        for category, pattern in _PATTERNS.items():
            found = pattern.search(text)
            if found is not None:
                yield Hint(field=field, category=category, word=found.group())
