"""Sentences of what happened lately, in the reader's language, from the record's own figures.

Each noun has its forms for one and for several in the locales (`lately.…`), written for each
language as a whole sentence.
"""

from relay.record.trends import Lately, QuarterGiven
from relay.web.i18n import Texts

WORDED = 12
"""Numbers of agencies are words up to here."""


def lately_sentences(texts: Texts, lately: Lately) -> list[str]:
    """Return the sentences: who asked, what moderators refused, what owners gave."""
    month = lately.month
    when = month_name(texts, month.year, month.month, has_year=not lately.is_this_month)
    return [
        _asked(texts, lately, when),
        *([_emergencies(texts, month.emergencies)] if month.emergencies else []),
        *([] if month.is_quiet else [_refused(texts, month.refusals, is_more=month.requests > 0)]),
        _given(texts, lately.given, is_this=lately.is_this_quarter),
    ]


def month_name(texts: Texts, year: int, month: int, *, has_year: bool) -> str:
    """Return a month's name, such as November, or November 2026."""
    name = texts(f"month.{month}")
    return f"{name} {year}" if has_year else name


def number_word(texts: Texts, number: int) -> str:
    """Return a number as a word if it is a small one."""
    return texts(f"number.{number}") if 1 <= number <= WORDED else str(number)


def _asked(texts: Texts, lately: Lately, when: str) -> str:
    month = lately.month
    if month.requests == 0:
        return texts("lately.asked.none", when=when)
    if month.requests == 1:
        return texts("lately.asked.once", when=when)
    if month.agencies == 1:
        return texts("lately.asked.one_agency", when=when, count=month.requests)
    agencies = number_word(texts, month.agencies)
    return texts("lately.asked.agencies", when=when, agencies=agencies, count=month.requests)


def _emergencies(texts: Texts, count: int) -> str:
    return texts("lately.emergency") if count == 1 else texts("lately.emergencies", count=count)


def _refused(texts: Texts, count: int, *, is_more: bool) -> str:
    """Refused requests aren't among those that were published: they come on top of them."""
    if count == 0:
        return texts("lately.refused.none")
    form = "one" if count == 1 else "many"
    return texts(
        f"lately.refused.{form}.more" if is_more else f"lately.refused.{form}", count=count
    )


def _given(texts: Texts, given: QuarterGiven, *, is_this: bool) -> str:
    number = int(given.quarter[-1])
    first, last = texts(f"month.{number * 3 - 2}"), texts(f"month.{number * 3}")
    span = "since" if is_this else "between"
    when = texts(f"lately.{span}", first=first, last=last, year=given.quarter[:4])
    agencies = given.few + given.many
    if agencies == 0:
        return texts("lately.given.none", when=when)
    band = "5+" if given.few == 0 else "1-4"
    bands = {"band": texts(f"lately.band.{band}")}
    if agencies == 1:
        return texts("lately.given.one", when=when, **bands)
    word = number_word(texts, agencies)
    if given.few == 0 or given.many == 0:
        return texts("lately.given.each", when=when, agencies=word, **bands)
    few, many = number_word(texts, given.few), number_word(texts, given.many)
    return texts("lately.given.mixed", when=when, agencies=word, few=few, many=many)
