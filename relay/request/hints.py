"""Hints on words for which moderators may refuse (R5), shown to officers before they sign. Pure.

Hints, never a refusal: a person decides. The lists are short on purpose, in English and Swedish;
what they miss a moderator sees, and what they find by mistake the officer passes over.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from firmware.protocol.register.entries import RefusedCategory
from relay.base.hint_words import (
    DESCRIPTION_BY_RACE,
    IDENTITY_OF_A_VICTIM,
    first_matches,
    whole_words,
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
    "description_by_race": DESCRIPTION_BY_RACE,
    "identity_of_a_victim": IDENTITY_OF_A_VICTIM,
    "pressure": r"must|have to|required|obliged|obligation|mandatory|duty|subpoena\w*|warrants?"
    r"|fail(?:ure)? to|obstruct\w*|immediately|at once|will be (?:charged|fined|visited)"
    r"|måste|skyldig\w*|tvung\w*|plikt\w*|vite|husrannsakan|omedelbart|genast",
}
_PATTERNS: Final = {category: whole_words(words) for category, words in _WORDS.items()}


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
        for category, word in first_matches(_PATTERNS, text):
            yield Hint(field=field, category=category, word=word)
