"""Texts of the relay's pages in English and Swedish.

Each language is a folder of locales/ with a file for each part of the house; a test holds both
languages together. `{name}` in a text is filled in. Keys that begin with `js.` go to the page's
modules. The page that agencies save has texts of its own (relay/web/saved).
"""

import json
import re
from collections.abc import Mapping
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Final

from firmware.protocol.encoding import MISLEADING

LANGUAGES: Final = ("en", "sv")
DECIMAL_COMMA: Final = ("sv",)
JS_PREFIX: Final = "js."
_MISLEADING = re.compile(f"[{MISLEADING}]")
_RIGHT_TO_LEFT = re.compile(
    r"[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc\U00010800-\U00010fff\U0001e800-\U0001efff]"
)
_FIRST_STRONG_ISOLATE, _END_OF_ISOLATE = "\u2068", "\u2069"


class Texts:
    """All texts of one language."""

    def __init__(self, language: str, texts: Mapping[str, str]) -> None:
        self.language = language
        self._texts = texts

    def __call__(self, key: str, **values: object) -> str:
        """Return a text, filled in; an unknown key is a mistake of ours and raises KeyError.

        What is filled in stands apart, so that it can't turn the words around it; a number is
        written as the language writes it.
        """
        filled = {name: self._written(value) for name, value in values.items()}
        return self._texts[key].format(**filled)

    def unfilled(self, key: str) -> str:
        """Return a text as it stands, for a module to fill in."""
        return self._texts[key]

    def _written(self, value: object) -> object:
        if isinstance(value, float) and self.language in DECIMAL_COMMA:
            return str(value).replace(".", ",")
        return apart(value)

    def __contains__(self, key: str) -> bool:
        return key in self._texts

    def for_modules(self) -> dict[str, str]:
        """Return the texts for the page's modules, unfilled, without their prefix."""
        return {
            key.removeprefix(JS_PREFIX): text
            for key, text in self._texts.items()
            if key.startswith(JS_PREFIX)
        }


def apart(value: object) -> object:
    """Return a text isolated for bidirectional display; other values unchanged."""
    if not isinstance(value, str):
        return value
    plain = _MISLEADING.sub("", value)
    if not _RIGHT_TO_LEFT.search(plain):
        return plain
    return f"{_FIRST_STRONG_ISOLATE}{plain}{_END_OF_ISOLATE}"


@cache
def load_texts() -> Mapping[str, Texts]:
    """Read every language, once in a process."""
    folder = resources.files("relay.web").joinpath("locales")
    return {
        language: Texts(language, read_folder(folder.joinpath(language))) for language in LANGUAGES
    }


def read_folder(folder: Traversable) -> dict[str, str]:
    """Return all texts of one language; a key that two files have is a mistake of ours."""
    texts: dict[str, str] = {}
    for file in sorted(folder.iterdir(), key=lambda file: file.name):
        part: dict[str, str] = json.loads(file.read_text("utf-8"))
        if twice := texts.keys() & part.keys():
            raise ValueError(f"{file.name} says again: {', '.join(sorted(twice))}")
        texts |= part
    return texts


def choose_language(*, asked: str | None, kept: str | None, accept: str) -> str:
    """Return the language by query, by cookie, or by the browser's preference."""
    for choice in (asked, kept):
        if choice in LANGUAGES:
            return choice
    ranked: list[tuple[float, str]] = []
    for part in accept.split(","):
        tag, _, weight = part.strip().partition(";q=")
        try:
            rank = float(weight or 1)
        except ValueError:
            rank = 0.0
        ranked.append((rank, tag.split("-")[0].lower()))
    liked = sorted((r for r in ranked if r[1] in LANGUAGES and r[0] > 0), key=lambda r: -r[0])
    return liked[0][1] if liked else LANGUAGES[0]
