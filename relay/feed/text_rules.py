"""Rules for the text of a post, checked before a moderator reads it (R22, R23). Pure.

Refused is what needs no judgement: signs that hide or turn a text, lookalike letters, links,
telephone numbers and addresses, a text without words or without an act. An agency's text is
further held to inform and never to ask. What needs judgement is for moderators: text_hints.py
gives them hints. Pages have a sentence for each name of `TextRule`, in each language.
"""

import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal, get_args

from firmware.protocol.encoding import BLANK, ID_PATTERN, MISLEADING
from relay.base.hint_words import whole_words
from relay.errors import RelayError
from relay.feed.lookalikes import imitated_name, mixed_words

MAX_TEXT_CHARS = 1000
MAX_FOUND_CHARS = 60
"""So much of what is wrong is said again, at most."""
ACT_KINDS: Final = frozenset({"vehicle", "parcel_taken"})
"""Kinds of which a post says what was done: a parked car, or somebody at a door, is no act."""

Author = Literal["neighbour", "agency"]
TextRule = Literal[
    "letters", "long", "turned", "hidden", "alphabets", "imitation", "link", "phone", "email",
    "act", "promotion", "footage", "witnesses", "names", "contact",
]  # fmt: skip
TEXT_RULES: tuple[TextRule, ...] = get_args(TextRule)


@dataclass(frozen=True, slots=True, kw_only=True)
class TextProblem:
    """The rule that a text breaks, and what in it does: "" where it is the whole text."""

    rule: TextRule
    found: str = ""


class TextRefused(RelayError):
    """A post's text breaks a rule; pages have a sentence for each."""

    def __init__(self, problem: TextProblem) -> None:
        detail = f": {problem.found!r}" if problem.found else ""
        super().__init__(f"{_IN_ENGLISH[problem.rule]}{detail}")
        self.problem = problem


@dataclass(frozen=True, slots=True, kw_only=True)
class TextContext:
    """The facts about this relay that texts are checked against.

    `request_prefix` is what the address of a published request begins with, before its id;
    `is_published` says whether that id may be linked to by this author.
    """

    agency_names: Sequence[str]
    request_prefix: str
    is_published: Callable[[str], bool]


def check_text(text: str, *, kind: str, author: Author, context: TextContext) -> None:
    """Raise TextRefused, for the first rule that a text breaks."""
    for problem in text_problems(text, kind=kind, author=author, context=context):
        raise TextRefused(problem)


def text_problems(
    text: str, *, kind: str, author: Author, context: TextContext
) -> Iterator[TextProblem]:
    """Yield the rules that a text breaks, what hides others first."""
    if len(text) > MAX_TEXT_CHARS:
        yield TextProblem(rule="long")
        return
    signs = list(_sign_problems(text))
    yield from signs
    if signs:
        return
    plain = unicodedata.normalize("NFKC", text)
    if not any(sign.isalpha() for sign in plain):
        yield TextProblem(rule="letters")
        return
    yield from _letter_problems(text, author, context)
    unlinked, links = _without_requests(plain, context)
    yield from _contact_problems(unlinked)
    if kind in ACT_KINDS and not _ACT.search(unlinked):
        yield TextProblem(rule="act")
    if author == "agency":
        yield from _asking_problems(unlinked, has_link=bool(links))


def linked_requests(text: str, context: TextContext) -> list[str]:
    """Return the ids of the published requests that a text links to, in their order."""
    return _without_requests(unicodedata.normalize("NFKC", text), context)[1]


# --- signs that hide, letters that pass for others --------------------------------------------

_TURNED: Final = re.compile(f"[{MISLEADING}]")
_HIDDEN: Final = re.compile(f"[{BLANK}]")
_SPACES: Final = frozenset(" \r\n\t\u00a0\u202f")
_EMOJI_STYLE, _JOINER = "\ufe0f", "\u200d"
_DRAWN: Final = frozenset({"So", "Sk", "Sm", "Po"})
MAX_MARKS: Final = 2
"""Accents over each other: more hide what stands around them."""


def _sign_problems(text: str) -> Iterator[TextProblem]:
    if found := _TURNED.search(text):
        yield TextProblem(rule="turned", found=_around(text, found.start()))
    where = _hidden_at(text)
    if where is not None:
        yield TextProblem(rule="hidden", found=_around(text, where))


def _hidden_at(text: str) -> int | None:
    """Return where the first sign stands that can't be seen or covers others."""
    marks = 0
    for index, sign in enumerate(text):
        category = unicodedata.category(sign)
        marks = marks + 1 if category in ("Mn", "Me") and sign != _EMOJI_STYLE else 0
        before = text[index - 1] if index else ""
        if marks > MAX_MARKS or category in ("Cs", "Co"):
            return index
        is_hidden = category == "Cf" or (_HIDDEN.match(sign) and sign not in _SPACES)
        is_of_emoji = sign in (_EMOJI_STYLE, _JOINER) and _is_drawn(before)
        if is_hidden and not is_of_emoji:
            return index
    return None


def _is_drawn(sign: str) -> bool:
    """Return whether a sign may be of an emoji, which are joined and styled unseen."""
    is_key = sign in tuple("0123456789#*")
    return is_key or sign == _EMOJI_STYLE or unicodedata.category(sign or "a") in _DRAWN


def _letter_problems(text: str, author: Author, context: TextContext) -> Iterator[TextProblem]:
    for word in mixed_words(text):
        yield TextProblem(rule="alphabets", found=word[:MAX_FOUND_CHARS])
        break
    if author == "agency":
        return
    name = imitated_name(text, context.agency_names)
    if name is not None:
        yield TextProblem(rule="imitation", found=name[:MAX_FOUND_CHARS])


def _around(text: str, index: int) -> str:
    """Return what can be seen around a place of a text."""
    near = text[max(0, index - 12) : index + 13]
    return " ".join(re.sub(f"[{BLANK}\ud800-\udfff]", " ", near).split())


# --- ways out of the feed ---------------------------------------------------------------------

_LINKED: Final = "\u2060"
"""Stands for a link to a published request once it is recognised; no text holds it by then."""
_TOP_LEVEL: Final = (
    r"com|org|net|info|biz|edu|gov|mil|app|dev|page|shop|store|site|online|link|club|live|news|xyz"
    r"|eu|se|nu|us|uk|ca|fi|fr|dk|nl|ru|ch|io|ly|tv|gg|cc|ws|tel"
)
_LINK: Final = re.compile(
    r"[a-z][a-z0-9+.-]{1,15}://\S+|(?<!\w)www\.\S+"
    rf"|(?<![\w@.])(?:[\w-]{{1,63}}(?:\.|\s?\(dot\)\s?|\s?\[dot\]\s?|\s?\(punkt\)\s?))+"
    rf"(?:{_TOP_LEVEL})(?![\w])(?:[/?#:]\S*)?"
    r"|(?<!\w)(?:javascript|data|mailto|tel|sms):\S+",
    re.IGNORECASE,
)
_EMAIL: Final = re.compile(
    r"[\w.+%-]{1,64}\s?(?:@|\(at\)|\[at\]|\(a\)|\(snabel-?a\))\s?[\w-]{1,63}"
    r"(?:\s?(?:\.|\(dot\)|\[dot\]|\(punkt\))\s?[\w-]{2,63})+",
    re.IGNORECASE,
)
_HANDLE: Final = re.compile(r"(?<!\w)@[^\W\d]\w{1,40}")
_NO_PHONE: Final = re.compile(
    r"(?<![\d+])(?:\d{4}-\d{2}-\d{2}|\d{1,2}[./-]\d{1,2}[./-](?:\d{4}|\d{2})"
    r"|\d{1,2}[.:]\d{2}(?:[.:]\d{2})?|[1-9]\d?[/–-]\d{1,2})(?!\d|[.:/-]\d)"
)
"""Dates and times of day, which have as many figures."""
_PHONE: Final = re.compile(r"(?<![\w.,])(?:\+|\(?\d)(?:[\d()/.\-–\u2010\u2011 ]){5,24}\d(?!\w)")
_FEWEST_DIGITS: Final = 7


def _without_requests(text: str, context: TextContext) -> tuple[str, list[str]]:
    """Return a text with a sign in place of each link to a published request, and their ids."""
    links: list[str] = []
    pattern = re.compile(rf"{re.escape(context.request_prefix)}({ID_PATTERN[1:-1]})(?![\w/?#])")

    def replaced(found: re.Match[str]) -> str:
        if not context.is_published(found[1]):
            return found[0]
        links.append(found[1])
        return _LINKED

    return pattern.sub(replaced, text), links


def _contact_problems(text: str) -> Iterator[TextProblem]:
    emails = _EMAIL.search(text) or _HANDLE.search(text)
    if emails:
        yield TextProblem(rule="email", found=emails[0][:MAX_FOUND_CHARS])
    if link := _LINK.search(_EMAIL.sub(" ", text)):
        yield TextProblem(rule="link", found=link[0][:MAX_FOUND_CHARS])
    for number in _PHONE.finditer(_NO_PHONE.sub(" : ", text)):
        if sum(sign.isdecimal() for sign in number[0]) >= _FEWEST_DIGITS:
            yield TextProblem(rule="phone", found=number[0].strip()[:MAX_FOUND_CHARS])
            break


# --- an act, not a person ---------------------------------------------------------------------

_ACT: Final = whole_words(
    r"took|taken?|takes|taking|st[eo]al(?:s|ing)?|stole|stolen|theft|grab(?:s|bed|bing)?"
    r"|snatch\w*|carr(?:y|ies|ied|ying) (?:it |them )?(?:off|away)"
    r"|pick(?:ed|s|ing) (?:it |them )?up|lifted|removed|swiped|(?:ran|made) off"
    r"|walk(?:ed|s) (?:off|away)|dr(?:o|i)ve[sn]? (?:off|away)"
    r"|opened|ripped|tore|cut|missing|disappeared|vanished|gone|swapped"
    r"|br(?:oken?|eaks?|eaking)|smash\w*|scratch\w*|keyed|dent(?:ed|s)|damag\w*"
    r"|crash\w*|hit|rammed|back(?:ed|s) into|ran (?:over|into|a red)|slash\w*|siphon\w*|set fire"
    r"|set on fire|burn\w*|rac(?:ed|ing)|sped|speed(?:s|ed|ing)|tried"
    r"|forced|pried|threw|thrown|dump(?:ed|s|ing)|chas(?:ed|ing)|follow(?:ed|s|ing)"
    r"|tog|togs|ta(?:git|gits|gen|gna)|tar|tas|tagande|stal|stals|stulit|stulits|stul(?:en|et|na)"
    r"|stjäl\w*|stöld\w*|snod\w*|snattad\w*|norpa\w*|bar (?:iväg|bort|med)|plocka\w*|lyfte"
    r"|sprang (?:iväg|bort)|gick (?:iväg|därifrån)|körde (?:på|in i|iväg|bort|ifrån|över|mot)"
    r"|öppna\w*|rev|skar|klippte|försv(?:ann|unn\w*)"
    r"|borta|saknas|bröt\w*|bryt(?:er|s)|inbrott\w*|krossa\w*|slog|repa(?:de|des|t|d|s)|skada\w*"
    r"|krock\w*|backade|rammade|tände|brann|eldad\w*|slangade|rusade|försökte|kastade|dumpade"
    r"|jagade|följde|prejade"
)


# --- agencies inform, they never ask (R23) ------------------------------------------------------

_RECORDINGS: Final = (
    r"footage|cctv|videos?|recordings?|dash ?cams?|(?:door|ring)[ -]?bells?(?: cameras?)?"
    r"|cameras?|filmed|film(?:s|ing)?"
    r"|inspelning\w*|filmklipp\w*|filmer\w*|filmen|filmat|film|videoklipp\w*"
    r"|(?:dörr|ring)klock\w*|\w*kamer(?:a|an|or|orna)"
)
_EMERGENCY: Final = whole_words(
    r"(?:call|dial|phone|ring) (?:911|112)|(?:ring|larma|slå) (?:alltid |på |till )?(?:112|911)"
)
_ASKS: Final[dict[TextRule, re.Pattern[str]]] = {
    "promotion": whole_words(
        r"(?:buy|get|install|order|free|discount\w*|rebate|subsid\w*|register|sign up|voucher\w*)"
        r"\b[^.!?\n]{0,40}\b(?:(?:door|ring)[ -]?bells?|cameras?|app)"
        r"|(?:door|ring)[ -]?bells?\b[^.!?\n]{0,40}"
        r"\b(?:free|discount\w*|offer\w*|half price|credit\w*)"
        r"|(?:köp|skaffa|installera|beställ|gratis|rabatt\w*|bidrag\w*|registrera|ladda ner)"
        r"\b[^.!?\n]{0,40}(?:(?:dörr|ring)klock\w*|kamer\w*|app(?:en|ar)?)"
        r"|join doorward|(?:gå|var) med i doorward|doorward"
    ),
    "witnesses": whole_words(
        r"witness\w*|(?:anyone|anybody|those) (?:who|that|with) (?:saw|has|have|knows?|heard|was"
        r"|were|recogni[sz]e\w*|information)|if you (?:saw|know|heard|recogni[sz]e|were there"
        r"|have (?:any|seen|heard|information))|(?:did|have) you (?:see|seen|hear|heard|notice\w*)"
        r"|(?:saw|seen|heard|know) (?:something|anything)|come forward|any information"
        r"|information (?:about|on|that|leading)|tip[- ]?lines?|tip off"
        r"|(?:send|leave|give|submit|any)(?: us)?(?: an?)?(?: anonymous)? tips?"
        r"|help us (?:find|identify)|looking for (?:a |the )?(?:man|woman|person|driver|people)"
        r"|vittne\w*|vittna\w*|(?:någon|ni|du|dig|er|de|den) som (?:såg|sett|hört|vet"
        r"|har (?:sett|hört|information|uppgifter)|var (?:där|på plats))"
        r"|om (?:du|ni|någon) (?:såg|sett|hört|vet|känner|har (?:sett|hört|information|uppgifter))"
        r"|har (?:du|ni|någon) (?:sett|hört|information|uppgifter|lagt märke)"
        r"|(?:såg|hörde) (?:du|ni|någon)|(?:sett|hört|vet) något|upplysningar|iakttagelser|tipsa\w*"
        r"|(?:lämna|ge|skicka)(?: ett)? tips|tips (?:till|om)"
        r"|hjälp oss (?:att )?(?:hitta|finna|identifiera)|söker (?:en |efter )(?:man|kvinna|person)"
    ),
    "names": whole_words(
        r"who (?:is|are|was|were) (?:he|she|they|this|these|that|the)"
        r"|(?:do|can) you (?:know|identify|recogni[sz]e|name)"
        r"|(?:identify|recogni[sz]e) (?:him|her|them|this|these|the)"
        r"|(?:give|tell|send) us (?:the |a |his |her |their )?names?"
        r"|names? of (?:the |this |that )?(?:man|woman|person|driver|owner|suspect|offender)s?"
        r"|vem (?:är|var)|vilka (?:är|var)|(?:vet|känner) (?:du|ni|någon)|känner igen|känn igen"
        r"|namnet? på (?:den|mannen|kvinnan|personen|föraren|ägaren)"
        r"|identifiera (?:honom|henne|dem|den|personen|mannen|kvinnan)"
    ),
    "contact": whole_words(
        r"contact(?! with)|(?:call|phone|ring|e-?mail|mail|message|text|write to|talk to|speak to)"
        r" (?:us|the|our|me|officers?|detectives?|investigators?|police|in)|get in touch"
        r"|reach (?:out|us)|report (?:it |this )?to|let us know|visit (?:us|the station|our)"
        r"|kontakt(?:a|en)?|ringa? (?:oss|till|polisen|in|på|gärna)|höra? av (?:dig|er|sig)"
        r"|(?:mejla|maila|meddela|besök|skriva? till|tala med|prata med)"
        r" (?:oss|polisen|mig|stationen|utredar\w+)|anmäla? (?:det|detta|dig|er)|låt oss veta"
    ),
}  # fmt: skip
_FOOTAGE: Final = whole_words(_RECORDINGS)
_SENTENCE: Final = re.compile(r"[.!?;\n]+")


def _asking_problems(text: str, *, has_link: bool) -> Iterator[TextProblem]:
    """Yield what an agency asks of people, which a published request may and a post may not.

    The sentence that holds a link to a published request may name recordings, as that asks.
    """
    allowed = _EMERGENCY.sub(" ", text)
    promotion = _ASKS["promotion"].search(allowed)
    if promotion:
        yield TextProblem(rule="promotion", found=promotion[0][:MAX_FOUND_CHARS])
    else:
        for sentence in _SENTENCE.split(allowed):
            found = _FOOTAGE.search(sentence)
            if found and not (has_link and _LINKED in sentence):
                yield TextProblem(rule="footage", found=found[0][:MAX_FOUND_CHARS])
                break
    for rule, pattern in _ASKS.items():
        found = pattern.search(allowed)
        if found and rule != "promotion":
            yield TextProblem(rule=rule, found=found[0][:MAX_FOUND_CHARS])


_IN_ENGLISH: Final[dict[TextRule, str]] = {
    "letters": "write in words what happened: the text has no letters",
    "long": f"shorten the text to {MAX_TEXT_CHARS} characters",
    "turned": "take out the sign that turns the direction of the text, and type the words anew",
    "hidden": "take out the sign that can't be seen or covers others, and type the words anew",
    "alphabets": "write each word in one alphabet",
    "imitation": "write the agency's name in plain letters, or leave it out",
    "link": "take out the link: only a request published at this relay may be linked to",
    "phone": "take out the telephone number",
    "email": "take out the address: nobody is contacted by the feed",
    "act": "say what was done: taken, broken, hit, driven off",
    "promotion": "take out what promotes doorbells: an agency doesn't",
    "footage": "take out what names recordings, or link to a published request in that sentence",
    "witnesses": "take out what asks for witnesses or tips: the feed informs",
    "names": "take out what asks who somebody is: the feed informs",
    "contact": "take out what asks people to get in touch: only 112 or 911 may be called",
}
