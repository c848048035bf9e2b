"""Sentences for what is wrong with a document: msgspec's terse errors, in words for people.

The reader is told what stands where, and what may stand there; never a pattern or a type's name.
"""

import re
from collections.abc import Mapping
from typing import Final

_PLACE = re.compile(r" - at `([^`]*)`\Z", re.DOTALL)
_PATTERN = re.compile(r"Expected `str` matching regex (?P<pattern>.*)\Z", re.DOTALL)
_KINDS: Final = {
    "array": "a list",
    "bool": "true or false",
    "bytes": "a text",
    "float": "a number with a fraction",
    "int": "a whole number",
    "null": "nothing",
    "object": "an object",
    "str": "a text",
}
_SENTENCES: Final = (
    (r"Expected `array` of length <= (\d+)", "a list holds more than {}, which is the most"),
    (r"Expected `array` of length >= (\d+)", "a list holds fewer than {}, which is the least"),
    (r"Expected `(?:str|bytes)` of length <= (\d+)", "a text has more than {} characters"),
    (r"Expected `(?:str|bytes)` of length >= 1", "a text is missing"),
    (r"Expected `(?:str|bytes)` of length >= (\d+)", "a text has fewer than {} characters"),
    (r"Expected `(?:int|float)` <= (-?[\d.e+]+)", "a number is larger than {}, which is the most"),
    (r"Expected `(?:int|float)` >= (-?[\d.e+]+)", "a number is less than {}, which is the least"),
    (r"Object missing required field `(.*)`", "the field {} is missing"),
    (r"Object contains unknown field `(.*)`", "the field {} isn't known here"),
    (r"Invalid (?:enum )?value (.*)", "{} is none of the values that may stand here"),
    (r"Number out of range", "a number is out of range"),
    (r"Input data was truncated", "it ends too early"),
    (r"JSON is malformed: (.*)", "it isn't JSON: {}"),
)
_COMPILED: Final = [(re.compile(rf"{said}\Z", re.DOTALL), words) for said, words in _SENTENCES]
_KIND = re.compile(r"Expected `([^`]*)`, got `([^`]*)`\Z")


def in_words(said: str, patterns: Mapping[str, str]) -> str:
    """Return msgspec's error as a sentence; `patterns` has words for texts' patterns."""
    found = _PLACE.search(said)
    place = "" if found is None else f" (at `{found.group(1)}`)"
    return _sentence(_PLACE.sub("", said), patterns) + place


def _sentence(said: str, patterns: Mapping[str, str]) -> str:
    shaped = _PATTERN.match(said)
    if shaped is not None:
        of = {repr(pattern): words for pattern, words in patterns.items()}
        return of.get(shaped.group("pattern"), "a text isn't in the form that it has to have")
    kinds = _KIND.match(said)
    if kinds is not None:
        wanted, found = ([_kind(one) for one in part.split(" | ")] for part in kinds.groups())
        return f"{' or '.join(wanted)} was expected, and it is {' or '.join(found)}"
    for pattern, words in _COMPILED:
        one = pattern.match(said)
        if one is not None:
            return words.format(*one.groups())
    return said


def _kind(name: str) -> str:
    return _KINDS.get(name, name)
