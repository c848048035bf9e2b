"""Hints for moderators on words in posts for which they may refuse (R22). Pure.

Hints, never a refusal: they stand beside the post on the moderators' page, and a person decides.
"""

import re
from dataclasses import dataclass
from typing import Final, Literal, get_args

from relay.base.hint_words import (
    DESCRIPTION_BY_RACE,
    IDENTITY_OF_A_VICTIM,
    first_matches,
    whole_words,
)

HintCategory = Literal[
    "race_only", "named_person", "victim", "minor", "call_to_gather", "plate", "house_number",
    "advertising",
]  # fmt: skip
HINT_CATEGORIES: tuple[HintCategory, ...] = get_args(HintCategory)

_NAME: Final = r"[A-ZÅÄÖ][a-zåäöé]+(?:[ -][A-ZÅÄÖ][a-zåäöé]+)+"
_ACCUSED: Final = (
    r"stole|took|did (?:it|this)|broke|smashed|is (?:a|the) (?:thief|burglar|robber|liar|vandal)"
    r"|stal|tog|gjorde (?:det|detta)|bröt|krossade|är (?:en |ett )?(?:tjuv\w*|inbrottstjuv\w*)"
)
_SMALL: Final = r"(?:[1-9]|1[0-7])"
_PATTERNS: Final[dict[HintCategory, re.Pattern[str]]] = {
    "race_only": whole_words(DESCRIPTION_BY_RACE),
    "named_person": re.compile(  # names are known by their capitals
        rf"\b(?:(?:Mr|Mrs|Ms|Dr)\.? [A-Z]\w+|(?:[Hh]err|[Ff]ru|[Ff]röken) [A-ZÅÄÖ]\w+"
        rf"|(?:[Hh]is|[Hh]er|[Tt]heir) name is \w+|(?:[Hh]an|[Hh]on) heter \w+"
        rf"|{_NAME} (?:{_ACCUSED}))(?!\w)"
    ),
    "victim": whole_words(rf"{IDENTITY_OF_A_VICTIM}|victims?|offr(?:et|en|ets)|brottsoffer"),
    "minor": whole_words(
        rf"{_SMALL}[- ]?(?:year|yr)s?[- ]old|{_SMALL}[- ]?åri(?:g|ng)\w*|child(?:ren)?|kids?"
        r"|toddlers?|bab(?:y|ies)|schoolboys?|schoolgirls?|minors?|teen(?:s|agers?)?"
        r"|barn(?:et|en)?|skolbarn\w*|småbarn\w*|bebis\w*|minderårig\w*|tonåring\w*"
    ),
    "call_to_gather": whole_words(
        r"let(?:'|’)?s (?:all )?(?:meet|go|get|gather|find|chase|catch)|meet(?:ing)? (?:up )?at"
        r"|(?:everyone|everybody|all) (?:come|meet)|come (?:along|together)|gather(?:ing)?"
        r"|vigilante\w*|patrol\w*|teach (?:him|her|them) a lesson|protest\w*|demonstrat\w*"
        r"|(?:ska|låt oss) (?:vi )?(?:träffas|samlas|gå)|samlas|samling|möt upp|alla kommer"
        r"|medborgargard\w*|patrullera\w*|ge (?:honom|henne|dem) en läxa"
    ),
    "plate": re.compile(r"(?<!\w)(?:[A-ZÅÄÖ]{3}[ -]?\d{2}[\dA-Z]|[A-Z]{2,3}[ -]\d{3,4})(?!\w)"),
    "house_number": whole_words(
        r"(?:no\.?|number|house|nr\.?|nummer) ?\d{1,4}"
        r"|\d{1,5}[a-z]? (?:\w+ ){1,3}(?:street|st|road|rd|avenue|ave|lane|ln|drive|dr|court|way)"
        r"|\w*(?:gatan|vägen|gränd(?:en)?|stigen|torget|backen|allén) \d{1,4}[a-z]?"
    ),
    "advertising": whole_words(
        r"for sale|discount\w*|\d+ ?% off|promo ?code|special offer|buy (?:now|one|yours)"
        r"|till salu|säljes|rabatt\w*|rabattkod\w*|erbjudande\w*|köp (?:nu|här)"
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TextHint:
    """A word for which a moderator may refuse a post."""

    category: HintCategory
    word: str


def hints_on_post(text: str) -> list[TextHint]:
    """Return the hints on a post's text, one a category."""
    return [TextHint(category=one, word=word) for one, word in first_matches(_PATTERNS, text)]
